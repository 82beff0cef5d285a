"""Initializers, regularizers, constraints, random Tensors and seeds."""

import math

import numpy as np
import pytest

import quernel as qn

NAMES = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "random_normal",
         "random_uniform", "truncated_normal", "zeros", "ones", "constant", "variance_scaling")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_by_name(name):
    init = qn.initializers.get(name)
    w = init((3, 4))
    assert w.shape == (3, 4) and w.dtype == "float32"
    assert init((2,), dtype="float64").dtype == "float64"
    again = qn.initializers.deserialize(qn.initializers.serialize(init))
    assert type(again) is type(init) and again.get_config() == init.get_config()


@pytest.mark.parametrize(
    ("name", "variance"),
    [("glorot_uniform", 2 / 700), ("glorot_normal", 2 / 700), ("he_uniform", 2 / 400), ("he_normal", 2 / 400),
     ("lecun_uniform", 1 / 400), ("lecun_normal", 1 / 400), ("random_normal", 0.0025), ("random_uniform", 0.01 / 12)],
)  # fmt: skip
def test_spread(name, variance):
    qn.utils.set_random_seed(0)
    w = qn.initializers.get(name)((400, 300)).numpy()
    n = w.size
    assert abs(w.mean()) < 5 * math.sqrt(variance / n)
    assert w.var() == pytest.approx(variance, rel=0.02)


def test_limits():
    w = qn.initializers.GlorotUniform(seed=1)((400, 300)).numpy()
    limit = math.sqrt(6 / 700)
    assert np.abs(w).max() <= limit and np.abs(w).max() > 0.99 * limit
    w = qn.initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=1)((100000,)).numpy()
    assert w.min() >= 0.0 and w.max() <= 2.0
    assert w.std() == pytest.approx(0.5 * 0.8796, rel=0.01)


def test_fans_of_convolution_kernels():
    from quernel.initializers.random import compute_fans

    assert compute_fans((3, 3, 16, 32)) == (144, 288)
    assert compute_fans((5, 7)) == (5, 7) and compute_fans((4,)) == (4, 4) and compute_fans(()) == (1, 1)


def test_seeds():
    a = qn.initializers.HeNormal(seed=3)
    np.testing.assert_array_equal(a((5,)).numpy(), a((5,)).numpy())
    np.testing.assert_array_equal(a((5,)).numpy(), qn.initializers.HeNormal(seed=3)((5,)).numpy())
    b = qn.initializers.HeNormal(seed=qn.random.SeedGenerator(3))
    assert (b((5,)).numpy() != b((5,)).numpy()).any()
    assert (qn.initializers.HeNormal()((5,)).numpy() != qn.initializers.HeNormal()((5,)).numpy()).any()
    with pytest.raises(ValueError, match="seed: expected an int"):
        qn.initializers.HeNormal(seed="three")


def test_set_random_seed():
    def numbers():
        return [
            qn.random.normal((4,)).numpy(),
            qn.initializers.GlorotUniform()((2, 2)).numpy(),
            qn.layers.Dropout(0.5)(qn.ones((40,)), training=True).numpy(),
            np.random.rand(2),
        ]

    qn.utils.set_random_seed(5)
    first = numbers()
    qn.utils.set_random_seed(5)
    for x, y in zip(first, numbers()):
        np.testing.assert_array_equal(x, y)
    qn.utils.set_random_seed(6)
    assert (numbers()[0] != first[0]).any()
    with pytest.raises(ValueError, match="seed: expected an int"):
        qn.utils.set_random_seed("5")


def test_random():
    x = qn.random.normal((10000,), mean=2.0, stddev=3.0, seed=1).numpy()
    assert x.mean() == pytest.approx(2.0, abs=0.15) and x.std() == pytest.approx(3.0, rel=0.03)
    x = qn.random.uniform((10000,), -1.0, 3.0, seed=1).numpy()
    assert x.min() >= -1 and x.max() < 3 and x.mean() == pytest.approx(1.0, abs=0.06)
    x = qn.random.uniform((10000,), 2, 5, dtype="int32", seed=1).numpy()
    assert x.dtype == np.int32 and np.bincount(x).tolist()[:2] == [0, 0] and min(np.bincount(x)[2:]) > 3000
    assert qn.random.randint((3,), 7, 8, dtype="int64").numpy().tolist() == [7, 7, 7]
    with pytest.raises(ValueError, match="maxval"):
        qn.random.uniform((3,), dtype="int32")
    y = qn.random.dropout(qn.ones((4, 1000)), 0.25, noise_shape=(1, None), seed=1).numpy()
    assert (y == y[0]).all() and 0.7 < (y[0] > 0).mean() < 0.8
    np.testing.assert_allclose(y.max(), 1 / 0.75, rtol=1e-6)


def test_generators_move_on():
    g = qn.random.SeedGenerator(1)
    a, b = qn.random.normal((3,), seed=g).numpy(), qn.random.normal((3,), seed=g).numpy()
    assert (a != b).any()
    assert g.state.numpy().tolist() == [1, 0, 2]
    assert qn.random.SeedGenerator.from_config(g.get_config()).state.numpy().tolist() == [1, 0, 0]


def test_constant():
    np.testing.assert_array_equal(qn.initializers.Constant(2.5)((2,)).numpy(), [2.5, 2.5])
    with pytest.raises(ValueError, match="mode: expected"):
        qn.initializers.VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="scale: expected"):
        qn.initializers.VarianceScaling(scale=0)
    with pytest.raises(ValueError, match="expected one of .* received 'glorot'"):
        qn.initializers.get("glorot")


def test_regularizers():
    x = qn.constant([1.0, -2.0])
    assert float(qn.regularizers.L1(0.5)(x)) == 1.5
    assert float(qn.regularizers.L2(0.5)(x)) == 2.5
    assert float(qn.regularizers.L1L2(1.0, 0.5)(x)) == 5.5
    assert float(qn.regularizers.L1L2()(x)) == 0.0
    r = qn.regularizers.get("l1_l2")
    assert qn.regularizers.deserialize(qn.regularizers.serialize(r)).get_config() == r.get_config()
    with pytest.raises(ValueError, match="l2: expected"):
        qn.regularizers.L2(-1.0)


def test_constraints():
    w = qn.constant([[3.0, -0.3], [4.0, 0.4]])
    np.testing.assert_allclose(qn.constraints.MaxNorm(1.0)(w).numpy(), [[0.6, -0.3], [0.8, 0.4]], rtol=1e-5)
    np.testing.assert_allclose(qn.constraints.UnitNorm()(w).numpy(), [[0.6, -0.6], [0.8, 0.8]], rtol=1e-5)
    np.testing.assert_allclose(qn.constraints.MinMaxNorm(1.0, 2.0)(w).numpy(), [[1.2, -0.6], [1.6, 0.8]], rtol=1e-5)
    assert qn.constraints.NonNeg()(w).numpy()[0, 1] == 0
    c = qn.constraints.get("max_norm")
    assert qn.constraints.deserialize(qn.constraints.serialize(c)).get_config() == {"max_value": 2, "axis": 0}


def test_to_categorical():
    np.testing.assert_array_equal(qn.utils.to_categorical([0, 2]), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(qn.utils.to_categorical([[1], [0]], 2), [[0, 1], [1, 0]])
    assert qn.utils.to_categorical(np.zeros((2, 3), "uint8"), 4).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="labels from 0 to 1"):
        qn.utils.to_categorical([2], 2)


def test_identity():
    for shape in ((1, 1), (3, 3), (3, 7), (7, 3), (2, 9), (0, 3), (3, 0)):
        for dtype in ("float32", "float64"):
            found = qn.initializers.Identity(2.5)(shape, dtype).numpy()
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, 2.5 * np.eye(*shape))
    one = qn.initializers.get(qn.initializers.serialize(qn.initializers.get("identity")))
    assert type(one) is qn.initializers.Identity and one.get_config() == {"gain": 1.0}
    for bad in ((3,), (2, 2, 2)):
        with pytest.raises(ValueError, match="Identity: expected a shape of two axes"):
            one(bad)


def test_orthogonal():
    """Orthonormal rows or columns, up to rounding, for any shape; every such matrix equally likely."""
    for shape in ((1, 1), (3, 7), (7, 3), (40, 40), (2, 3, 4), (0, 3), (5, 0)):
        q = qn.initializers.Orthogonal(2.0, seed=3)(shape).numpy()
        assert q.shape == shape and q.dtype == "float32"
        a = q.reshape(int(np.prod(shape[:-1])), shape[-1]).astype("float64") / 2
        a = a if a.shape[0] <= a.shape[1] else a.T
        # a row of length 1: sums of n terms of at most 1
        np.testing.assert_allclose(a @ a.T, np.eye(len(a)), atol=2 * np.finfo("float32").eps * (a.shape[1] + 1))
    generator = qn.random.SeedGenerator(1)
    draw = qn.initializers.Orthogonal(seed=generator)
    many = np.stack([draw((3, 3)).numpy() for _ in range(400)])
    assert np.abs(many.mean(0)).max() < 0.2  # standard error 0.029: each entry has mean 0 and variance 1 / 3
    assert np.abs((many**2).mean(0) - 1 / 3).max() < 0.12
    one = qn.initializers.get({"class_name": "Orthogonal", "config": {"gain": 2.0, "seed": 3}})
    np.testing.assert_array_equal(one((4, 4)).numpy(), qn.initializers.Orthogonal(2.0, 3)((4, 4)).numpy())
    assert one.get_config() == {"gain": 2.0, "seed": 3}
    with pytest.raises(ValueError, match="expected a shape of two or more axes"):
        one((3,))
