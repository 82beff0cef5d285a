"""softmax and log_softmax: hand-computed values, infinities, large inputs, errors, axis=None."""

import numpy as np
import pytest

import quernel as qn
from quernel import kernels as k
from quernel.testing import assert_same_bits, each_isa, engines

ENGINES = engines()
FMA_ISAS = [e for e in each_isa() if e.isa != "base"]
INF = np.inf


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_values(engine):
    x = np.log(np.array([[1, 2, 5], [3, 3, 2]], "float32"))
    with engine:
        assert np.allclose(k.softmax(x), [[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]], rtol=1e-6)
        assert np.allclose(k.softmax(x, axis=0), [[0.25, 0.4, 5 / 7], [0.75, 0.6, 2 / 7]], rtol=1e-6)
        assert np.allclose(k.log_softmax(x), np.log([[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]]), rtol=1e-6)
        dx = k.softmax_dx(np.array([1, 0, 0], "float32"), np.array([0.5, 0.25, 0.25], "float32"))
        assert dx.tolist() == [0.25, -0.125, -0.125]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_extremes(engine):
    x = np.array([[3e38, 3e38, -3e38], [-INF, 0, -INF], [-INF] * 3, [INF, 0, 0], [np.nan, 0, 0]], "float32")
    with engine:
        y, z = k.softmax(x), k.log_softmax(x)
    assert y[:2].tolist() == [[0.5, 0.5, 0], [0, 1, 0]] and np.isnan(y[2:]).all() and np.isnan(z[2:]).all()
    assert np.allclose(z[:2], [[-np.log(2), -np.log(2), -INF], [-INF, 0, -INF]])


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend != "numpy"], ids=str)
@pytest.mark.parametrize("n", [1, 10, 1000, 5000])
def test_rows_do_not_see_each_other(engine, n):
    x = np.random.default_rng(n).standard_normal((6, n)).astype("float32")
    with engine:
        whole = k.softmax(x)
        assert all(np.array_equal(k.softmax(x[i : i + 1]), whole[i : i + 1]) for i in range(6))
        assert np.array_equal(k.softmax(np.ascontiguousarray(x.T), axis=0), whole.T)
    assert np.allclose(whole.sum(1, dtype="float64"), 1, atol=1e-5)


def test_axis_none_takes_all_elements():
    x = np.arange(6, dtype="float32").reshape(2, 3)
    assert np.allclose(qn.ops.softmax(x, None).numpy(), np.exp(x) / np.exp(x).sum())
    assert qn.ops.log_softmax(x, None).shape == (2, 3)


def test_several_axes_together():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    e = np.exp(x)
    assert np.allclose(qn.ops.softmax(x, (0, -1)).numpy(), e / e.sum((0, 2), keepdims=True), rtol=1e-5)


def test_errors():
    x = np.zeros((2, 3), "float32")
    with pytest.raises(ValueError, match=r"softmax: axis: expected a value in \[-2, 2\), received 2"):
        k.softmax(x, axis=2)
    with pytest.raises(TypeError, match="log_softmax: x: expected a float dtype, received int32"):
        k.log_softmax(np.zeros(3, "int32"))
    with pytest.raises(ValueError, match=r"softmax_dx: dy: expected y's shape \(2, 3\), received \(2, 2\)"):
        k.softmax_dx(x[:, :2], x)
    with pytest.raises(ValueError, match=r"softmax: axis: expected a value in \[0, 0\)"):
        k.softmax(np.float32(1))


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend == "native"], ids=str)
@pytest.mark.parametrize("n", range(1, 18))
def test_rows_side_by_side_equal_rows_alone(engine, n):
    """Many short rows run through the registers together; one row does not."""
    rng = np.random.default_rng(n)
    x, t, g = rng.standard_normal((3, 37, n)).astype("float32")
    x[3, 0], x[4, -1], x[5, n // 2], x[6], x[7], x[8, 0] = np.nan, INF, -INF, -INF, 3e38, 3e38
    label, dy = rng.integers(0, n, 37, dtype="int32"), g[:, 0]
    calls = [("softmax", [x]), ("log_softmax", [x]), ("softmax_dx", [x, t]), ("log_softmax_dx", [x, t])]
    calls = [(name, arrays, {}) for name, arrays in calls]
    calls += [("argmax", [x], {"axis": -1}), ("argmin", [x], {"axis": -1})]
    for logits in ({"from_logits": True}, {"from_logits": False}):
        calls.append(("sparse_categorical_crossentropy", [label, x], logits))
        calls.append(("sparse_categorical_crossentropy_dx", [dy, label, x], logits))
        calls.append(("categorical_crossentropy", [t, x], logits))
        calls.append(("categorical_crossentropy_dx", [dy, t, x], logits))
    with engine:
        for name, arrays, attributes in calls:
            kernel = getattr(k, name)
            alone = [kernel(*(a[i : i + 1] for a in arrays), **attributes) for i in range(37)]
            assert_same_bits(kernel(*arrays, **attributes), np.concatenate(alone), name)


WIDTHS = [16, 17, 31, 64, 100, 129, 512, 513, 4097, 5003]
LABELS = {"from_logits": True}


def _calls(n):
    rng = np.random.default_rng(n)
    x, dy = (rng.normal(size=(37, n)).astype("float32") * scale for scale in (8, 1))
    x[5, n // 2], x[6, 0], x[7, n - 1] = np.nan, -np.inf, 80.0
    g, labels, t = dy[:, 0].copy(), rng.integers(0, n, 37), rng.uniform(size=(37, n)).astype("float32")
    yield "softmax", (x,), {}
    yield "log_softmax", (x,), {}
    yield "softmax_dx", (dy, x), {}
    yield "log_softmax_dx", (dy, x), {}
    yield "sparse_categorical_crossentropy", (labels, x), LABELS
    yield "sparse_categorical_crossentropy_dx", (g, labels, x), LABELS
    yield "categorical_crossentropy", (t, x), LABELS
    yield "categorical_crossentropy_dx", (g, t, x), LABELS


@pytest.mark.parametrize("n", WIDTHS)
def test_rows_together_have_the_bits_of_a_row_alone(n):
    for name, arrays, attrs in _calls(n):
        kernel = getattr(k, name)
        together = kernel(*arrays, **attrs)
        alone = np.concatenate([kernel(*(a[i : i + 1] for a in arrays), **attrs) for i in range(37)])
        np.testing.assert_array_equal(together, alone, err_msg=name)


def test_quotients_are_those_of_a_division():
    """avx512 multiplies by a reciprocal and corrects, avx2 divides: one quotient, to the last bit."""
    rng = np.random.default_rng(3)
    for n, spread in ((600, 1), (600, 30), (3000, 80), (40, 5), (10, 20)):
        x = (rng.normal(size=(200, n)) * spread).astype("float32")
        results = []
        for engine in FMA_ISAS:
            with engine:
                results.append(k.softmax(x))
        for other in results[1:]:
            assert_same_bits(other, results[0])
