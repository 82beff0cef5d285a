"""Batch normalization: values, accuracy, edges, errors by message, gradients through statistics, keras.ops names."""

import numpy as np
import pytest

import quernel as qn
from quernel import kernels as k
from quernel.kernels.kernel import Spec
from quernel.testing import engines

ENGINES = engines()


def f32(*values):
    return np.array(values, "float32")


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_values(engine):
    x = f32([1, 10], [3, 10], [5, 10], [7, 10])
    with engine:
        y, mean, variance = k.batch_norm_train(x, f32(2, 3), f32(1, -1), epsilon=4.0)
        assert mean.tolist() == [4, 10] and variance.tolist() == [5, 0]
        assert y[:, 1].tolist() == [-1, -1, -1, -1]
        np.testing.assert_allclose(y[:, 0], [-1, 1 / 3, 5 / 3, 3], rtol=1e-6)
        z = k.batch_norm_inference(x, f32(4, 0), f32(0, 21), f32(2, 10), None, epsilon=4.0)
        assert z.tolist() == [[-3, 20], [-1, 20], [1, 20], [3, 20]]
        dy = f32([1, 0], [0, 1], [0, 0], [0, 0])
        dx, dgamma, dbeta = k.batch_norm_dx(dy, x, mean, f32(0, 0), f32(1, 2), epsilon=4.0)
        assert dbeta.tolist() == [1, 1] and dgamma.tolist() == [-1.5, 0]
        # dx = gamma / 2 * (dy - 1/4 - (x - 4) / 2 * dgamma / 4), column by column
        np.testing.assert_allclose(dx[:, 0], [0.09375, -0.21875, -0.03125, 0.15625], rtol=1e-6)
        assert dx[:, 1].tolist() == [-0.25, 0.75, -0.25, -0.25]


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend != "numpy"], ids=str)
def test_two_passes_keep_a_small_variance_beside_a_large_mean(engine):
    x = (1e4 + np.random.default_rng(0).integers(-2, 3, (5000, 7))).astype("float32")
    exact = x.astype(np.float64).var(axis=0)
    with engine:
        _, mean, variance = k.batch_norm_train(x)
        np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=0), rtol=1e-6)  # chains of 64, then a tree
        np.testing.assert_allclose(variance, exact, rtol=1e-5)  # one pass of squares would be off by more than 10


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_without_rows_the_statistics_are_nan(engine):
    with engine:
        y, mean, variance = k.batch_norm_train(np.zeros((0, 3), "float32"))
        assert y.shape == (0, 3) and np.isnan(mean).all() and np.isnan(variance).all()
        empty = np.zeros((0, 3), "float32")
        dx, dgamma, dbeta = k.batch_norm_dx(empty, empty, f32(0, 0, 0), f32(1, 1, 1))
        assert dx.shape == (0, 3) and dgamma.tolist() == dbeta.tolist() == [0, 0, 0]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_nan_stays_in_its_channel(engine):
    x = np.random.default_rng(1).standard_normal((150, 40)).astype("float32")
    x[77, 5] = np.nan
    with engine:
        y, mean, variance = k.batch_norm_train(x)
        for a in (y, mean, variance):
            assert np.isnan(a[..., 5]).all() and np.isnan(a).sum() == a[..., 5].size


X = np.ones((4, 3), "float32")
C = np.ones(3, "float32")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: k.batch_norm_train(X, C[:2]), ValueError, ["gamma", "(3,)", "(2,)"]),
        (lambda: k.batch_norm_train(X, None, X), ValueError, ["beta", "(3,)", "(4, 3)"]),
        (lambda: k.batch_norm_train(X.astype("int32")), TypeError, ["floating", "int32"]),
        (lambda: k.batch_norm_train(X, C.astype("int32")), TypeError, ["gamma", "float32", "int32"]),
        (lambda: k.batch_norm_train(X, epsilon=-1), ValueError, ["epsilon", "-1"]),
        (lambda: k.batch_norm_train(np.float32(1)), ValueError, ["at least one axis"]),
        (lambda: k.batch_norm_inference(X, C), TypeError, ["variance", "missing"]),
        (lambda: k.batch_norm_inference(X, C, C[:1]), ValueError, ["variance", "(3,)", "(1,)"]),
        (lambda: k.batch_norm_dx(X[:2], X, C, C), ValueError, ["dy", "(4, 3)", "(2, 3)"]),
        (lambda: qn.ops.batch_normalization(X, C, C, axis=2), ValueError, ["axis", "2"]),
        (lambda: qn.ops.normalize(X, order=0.5), ValueError, ["order", "0.5"]),
    ],
)
def test_errors_name_expected_and_received(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_symbolic_shapes():
    x = Spec((None, 5, 3), np.dtype("float32"))
    y, mean, variance = k.batch_norm_train.shape_rule(x, None, None, epsilon=1e-3)
    assert y.shape == (None, 5, 3) and mean.shape == variance.shape == (3,)


def test_batch_normalization_over_any_axis():
    x = np.random.default_rng(2).standard_normal((2, 3, 4)).astype("float32")
    mean, variance, offset, scale = (np.random.default_rng(i).uniform(0.5, 1, 3).astype("float32") for i in range(4))
    got = qn.ops.batch_normalization(x, mean, variance, 1, offset, scale, 1e-5).numpy()

    def up(a):
        return a[:, None].astype(np.float64)

    expected = (x - up(mean)) / np.sqrt(up(variance) + 1e-5) * up(scale) + up(offset)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    moved = np.moveaxis(x, 1, -1)
    last = qn.ops.batch_normalization(moved, mean, variance, axis=-1, offset=offset, scale=scale, epsilon=1e-5)
    assert np.array_equal(np.moveaxis(last.numpy(), -1, 1), got)


def test_moments_and_normalize():
    x = np.random.default_rng(3).standard_normal((4, 5)).astype("float32")
    mean, variance = qn.ops.moments(x, axes=(0, 1))
    np.testing.assert_allclose([float(mean), float(variance)], [x.mean(), x.var()], rtol=1e-5)
    assert qn.ops.moments(x, axes=[0], keepdims=True)[1].shape == (1, 5)
    for order in (1, 2, 3, np.inf):
        y = qn.ops.normalize(x, axis=-1, order=order).numpy()
        np.testing.assert_allclose(np.linalg.norm(y, ord=order, axis=-1), np.ones(4), rtol=1e-5)
    assert qn.ops.normalize(np.zeros((1, 3), "float32")).numpy().tolist() == [[0, 0, 0]]


def test_gradients_flow_through_the_returned_statistics():
    x = qn.constant(np.random.default_rng(4).standard_normal((6, 2)), dtype="float64")
    with qn.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, mean, variance = qn.ops.batch_norm_train(x)
        first, second = qn.ops.sum(mean), qn.ops.sum(variance)
    np.testing.assert_allclose(tape.gradient(first, x).numpy(), np.full((6, 2), 1 / 6))
    centered = x.numpy() - x.numpy().mean(axis=0)
    np.testing.assert_allclose(tape.gradient(second, x).numpy(), 2 * centered / 6)


@pytest.mark.oracle
def test_like_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(6)
    x, dy = (rng.standard_normal((8, 7, 6, 21)).astype("float32") for _ in range(2))
    gamma, beta = (rng.standard_normal(21).astype("float32") for _ in range(2))
    y, mean, variance = k.batch_norm_train(x, gamma, beta, epsilon=1e-5)
    dx, dgamma, dbeta = k.batch_norm_dx(dy, x, mean, variance, gamma, epsilon=1e-5)
    t = [torch.tensor(a, requires_grad=True) for a in (np.moveaxis(x, -1, 1).copy(), gamma, beta)]
    ty = torch.nn.functional.batch_norm(t[0], None, None, t[1], t[2], training=True, eps=1e-5)
    tdx, tdgamma, tdbeta = torch.autograd.grad(ty, t, torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    last = [a.detach().permute(0, 2, 3, 1) for a in (ty, tdx)]
    for ours, theirs in zip((y, dx, dgamma, dbeta), (*last, tdgamma, tdbeta)):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4, rtol=1e-5)
