"""Norms of numbers whose squares are beyond the largest float: clipping, constraints, normalize; ordinary bits are as ever."""

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.optimizers.clipping import clip_by_norm, global_scale

EPSILON = np.float32(1e-7)
BACKENDS = ["native", "numba", "numpy"]
RNG = np.random.default_rng(5)
LARGE = {
    "a little": RNG.standard_normal((5, 3)) * 1e19,
    "much": RNG.standard_normal((5, 3)) * 1e37,
    "mixed": RNG.standard_normal((5, 3)) * [[1e38], [1e30], [1e20], [1.0], [1e-20]],
    "all": np.full((5, 3), 3.4e38) * [1, -1, 1],
    "one": np.array([[0, 0, 0], [0, 0, 0], [0, 0, 3e38], [0, 0, 0], [0, 0, 0]]),
    "negative": np.array([[-3e25, -4e25, 0.0]]),
}
# What the definition in float64 gives, within the roundings of square, sum of up to 15 terms, root, product and quotient.
TOLERANCE = {"rtol": 20 * 2.0**-24, "atol": 1e-37}


def norm(x, axis=None):
    return np.sqrt((x.astype("float64") ** 2).sum(axis=axis, keepdims=True))


@pytest.fixture(params=BACKENDS)
def backend(request):
    try:
        with qn.backend.use_backend(request.param):
            yield request.param
    except ValueError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("name", sorted(LARGE))
@pytest.mark.parametrize("limit", [1e-3, 1.0, 50.0, 1e20])
def test_clipping_by_norm(name, limit, backend):
    g = LARGE[name].astype("float32")
    expected = g * (limit / np.maximum(norm(g), limit))
    np.testing.assert_allclose(clip_by_norm(qn.constant(g), limit).numpy(), expected, **TOLERANCE)
    parts = [qn.constant(g[:2]), qn.constant(g[2:])]
    scaled, scale = global_scale(parts, limit)
    found = np.concatenate([(p * scale).numpy() for p in scaled])
    np.testing.assert_allclose(found, expected, **TOLERANCE)


def test_an_optimizer_moves_by_the_clipped_gradient():
    for clip in ("clipnorm", "global_clipnorm"):
        v = qn.Variable([0.0, 0.0])
        for _ in range(3):
            qn.optimizers.SGD(1.0, **{clip: 5.0}).apply([qn.constant([3e25, 4e25])], [v])
        np.testing.assert_allclose(v.numpy(), [-9, -12], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(LARGE))
@pytest.mark.parametrize("axis", [0, (0, 1)])
def test_constraints(name, axis, backend):
    w = LARGE[name].astype("float32")
    size = norm(w, axis)
    unit = w / (size + EPSILON)
    clipped = w * (np.clip(size, 0, 2) / (size + EPSILON))
    np.testing.assert_allclose(qn.constraints.UnitNorm(axis)(w).numpy(), unit, **TOLERANCE)
    np.testing.assert_allclose(qn.constraints.MaxNorm(2.0, axis)(w).numpy(), clipped, **TOLERANCE)
    whole = qn.constraints.MinMaxNorm(0.5, 2.0, 1.0, axis)(w).numpy()
    np.testing.assert_allclose(whole, w * (np.clip(size, 0.5, 2) / (size + EPSILON)), **TOLERANCE)
    part = qn.constraints.MinMaxNorm(0.5, 2.0, 0.25, axis)(w).numpy()
    wanted = 0.25 * np.clip(size, 0.5, 2) + 0.75 * size
    np.testing.assert_allclose(part, w * (wanted / (size + EPSILON)), **TOLERANCE)


@pytest.mark.parametrize("name", sorted(LARGE))
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_normalize_and_its_gradient(name, axis, backend):
    x = LARGE[name].astype("float32")
    expected = x / np.maximum(norm(x, axis), 1e-7)
    np.testing.assert_allclose(ops.normalize(x, axis=axis).numpy(), expected, **TOLERANCE)
    dy = RNG.standard_normal(x.shape).astype("float32")
    v = qn.Variable(x)
    with qn.GradientTape() as tape:
        y = ops.sum(ops.normalize(v, axis=axis) * dy)
    unit = np.maximum(norm(x, axis), 1e-7)
    along = (dy * expected).sum(axis=axis, keepdims=True)
    slope = (dy - expected * along) / unit
    # its terms cancel; products of what is below 2^-46 of the largest number are flushed
    bound = 64 * 2.0**-24 * (np.abs(dy) + np.abs(expected) * np.abs(dy * expected).sum(axis=axis, keepdims=True)) / unit
    assert (np.abs(tape.gradient(y, v).numpy() - slope) <= bound + 1e-37).all()


def test_normalize_of_a_symbolic_input():
    x = qn.Input((3,))
    model = qn.Model(x, ops.normalize(x))
    np.testing.assert_allclose(model(qn.constant([[3e25, 0, 4e25]])).numpy(), [[0.6, 0, 0.8]], rtol=1e-6)


def test_ordinary_bits_are_those_of_the_plain_formula():
    rng = np.random.default_rng(1)
    for size in (1, 7, 300):
        x = (rng.standard_normal((size, 5)) * 10.0 ** rng.integers(-15, 14, (size, 5))).astype("float32")
        g = qn.constant(x)
        plain = ops.sqrt(ops.matmul(ops.reshape(g, (1, -1)), ops.reshape(g, (-1, 1))))[0, 0]
        np.testing.assert_allclose(plain.numpy(), norm(x)[0, 0], rtol=20 * 2.0**-24)
        assert np.array_equal(clip_by_norm(g, 2.0), g * (2.0 / ops.maximum(plain, 2.0)))
        scaled, scale = global_scale([g], 2.0)
        assert np.array_equal(scaled[0], g) and float(scale) == float(2.0 / ops.maximum(plain, 2.0))
        columns = ops.sqrt(ops.sum(ops.square(g), axis=0, keepdims=True))
        assert np.array_equal(qn.constraints.UnitNorm()(g), g / (columns + 1e-7))
        kept = ops.clip(columns, 0.5, 1.5)
        assert np.array_equal(qn.constraints.MaxNorm(1.5)(g), g * (ops.clip(columns, 0, 1.5) / (columns + 1e-7)))
        assert np.array_equal(qn.constraints.MinMaxNorm(0.5, 1.5)(g), g * (kept / (columns + 1e-7)))
        part = 0.25 * kept + 0.75 * columns
        assert np.array_equal(qn.constraints.MinMaxNorm(0.5, 1.5, 0.25)(g), g * (part / (columns + 1e-7)))
        square = ops.sum(ops.square(g), axis=-1, keepdims=True)
        assert np.array_equal(ops.normalize(g), g / ops.sqrt(ops.maximum(square, 1e-14)))


def test_infinite_nan_and_no_numbers():
    assert np.isnan(clip_by_norm(qn.constant([1.0, np.nan]), 1.0).numpy()).all()
    assert clip_by_norm(qn.constant([np.inf, 1.0]), 1.0).numpy()[1] == 0
    assert clip_by_norm(qn.constant(np.zeros((0, 3), "float32")), 1.0).shape == (0, 3)
    assert qn.constraints.UnitNorm()(np.zeros((0, 3), "float32")).shape == (0, 3)
    assert ops.normalize(np.zeros((2, 0), "float32")).shape == (2, 0)


def test_float64():
    assert float(qn.convert_to_tensor(0.1, dtype="float64")) == 0.1 and float(qn.constant(1e300, "float64")) == 1e300
    g = qn.constant(np.array([3e200, 4e200]), dtype="float64")
    np.testing.assert_allclose(clip_by_norm(g, 1.0).numpy(), [0.6, 0.8], rtol=1e-15)
    np.testing.assert_allclose(ops.normalize(g).numpy(), [0.6, 0.8], rtol=1e-15)


@pytest.mark.parametrize("clip", [{"clipnorm": 1.0}, {"global_clipnorm": 1.0}])
def test_a_plan_does_the_same(clip):
    """A step in which gradients are ordinary, then large: what a plan has recorded does not depend on it."""
    found, x = [], RNG.standard_normal((32, 4)).astype("float32")
    for eager in (True, False):
        qn.utils.set_random_seed(3)
        model = qn.Sequential(
            [qn.layers.Input((4,)), qn.layers.Dense(6, kernel_constraint="unit_norm"), qn.layers.Dense(1)]
        )
        model.compile(qn.optimizers.Adam(0.1, **clip), "mse", run_eagerly=eager)
        for scale in (1.0, 1.0, 1.0, 1e12, 1e18, 1.0):
            model.train_on_batch(x * np.float32(scale), np.ones((32, 1), "float32"))
        found.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*found))
    assert all(np.isfinite(a).all() for a in found[0])
