"""Reductions: values, the documented order, NaN, ties, dtypes, empty rows, errors, the gradient of max_dx."""

import types

import numpy as np
import pytest

import quernel as qn
from quernel import kernels as k
from quernel.testing import assert_same_bits, each_isa, engines

ENGINES = engines()
FMA_ISAS = [e for e in each_isa() if e.isa != "base"]


def documented_sum(row):
    """The order of csrc/fold/fold.hpp in plain Python, float32."""
    chunks = []
    for at in range(0, max(len(row), 1), 4096):
        lanes = np.zeros(64, np.float32)
        chunk = row[at : at + 4096]
        for i in range(0, len(chunk), 64):
            part = chunk[i : i + 64]
            lanes[: len(part)] += part
        while len(lanes) > 1:
            lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
        chunks.append(lanes[0])
    while len(chunks) > 1:
        pairs = [chunks[i] + chunks[i + 1] for i in range(0, len(chunks) - 1, 2)]
        chunks = pairs + chunks[2 * len(pairs) :]
    return chunks[0]


@pytest.mark.parametrize("engine", FMA_ISAS + [e for e in ENGINES if e.backend == "numba"], ids=str)
@pytest.mark.parametrize("n", [0, 1, 3, 16, 17, 63, 64, 65, 1000, 4096, 4097, 8192, 12289, 30000])
def test_sum_follows_the_documented_order_in_every_layout(engine, n, sharing):
    x = np.random.default_rng(n).standard_normal((n, 3)).astype("float32")
    want = np.array([documented_sum(x[:, j]) for j in range(3)], "float32")
    with engine:
        assert_same_bits(k.sum(x, axis=0), want, "columns")
        assert_same_bits(k.sum(np.ascontiguousarray(x.T), axis=1), want, "rows")
        assert_same_bits(k.sum(x[::-1].copy()[::-1], axis=0), want, "reversed")
        if n:
            assert_same_bits(k.mean(x, axis=0), want / np.float32(n), "mean")
        image = np.ascontiguousarray(x.reshape(n, 1, 3)).repeat(2, 1)[:, 1:]
        assert_same_bits(k.sum(image, axis=(0, 1)), want, "a slice of an image")


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_values(engine):
    x = np.array([[1, -7, 3], [4, 4, -2]], "float32")
    with engine:
        assert k.sum(x).tolist() == 3 and k.mean(x, axis=1).tolist() == [-1, 2]
        assert k.max(x, axis=0).tolist() == [4, 4, 3] and k.min(x, axis=(0, 1), keepdims=True).tolist() == [[-7]]
        assert k.argmax(x, axis=1).tolist() == [2, 0] and k.argmin(x).tolist() == 1
        assert k.sum(x, axis=-1, keepdims=True).tolist() == [[-3], [6]]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("n", [5, 100, 9000])
def test_nan_comes_first(engine, n):
    x = np.zeros((2, n), "float32")
    x[0, n // 2] = np.nan
    x[0, n - 1] = np.nan
    x[1, n - 2] = np.inf
    with engine:
        assert np.isnan(k.max(x, axis=1)[0]) and np.isnan(k.min(x, axis=1)[0]) and k.max(x, axis=1)[1] == np.inf
        assert k.argmax(x, axis=1).tolist() == [n // 2, n - 2] and k.argmin(x, axis=1)[0] == n // 2
        assert k.argmax(np.full((2, n), -np.inf, "float32"), axis=1).tolist() == [0, 0]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("n", [6, 5000])
def test_the_first_of_equal_elements_wins(engine, n):
    x = np.zeros((n, 2), "float32")
    x[n // 2 :] = 1
    x[n - 1] = -1
    with engine:
        assert k.argmax(x, axis=0).tolist() == [n // 2] * 2 and k.argmin(x, axis=0).tolist() == [n - 1] * 2
        dx = k.max_dx(np.array([5, 6], "float32"), x, k.max(x, axis=0), axis=0)
    assert dx[n // 2].tolist() == [5, 6] and np.count_nonzero(dx) == 2


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("n", [*range(1, 70), 127, 128, 129, 1000, 4095, 4096, 4097])
def test_the_place_of_an_extreme_in_rows_of_every_length(engine, n):
    x = np.random.default_rng(n).integers(-3, 4, (9, n)).astype("float32")  # ties everywhere, also of +0 and -0
    x[x == 0] = np.where(np.arange((x == 0).sum()) % 2, np.float32(0), np.float32(-0.0))
    x[5], x[6] = np.inf, -np.inf
    x[7, n // 3], x[7, n // 2 :] = -np.inf, np.inf
    x[8, n // 2 :: 2] = np.nan
    with engine:
        assert (
            k.argmax(x, axis=1).tolist() == np.argmax(x, axis=1).tolist()
        )  # NumPy's rule: the first NaN, else the first
        assert k.argmin(x, axis=1).tolist() == np.argmin(x, axis=1).tolist()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_nothing_reduced_to_nothing(engine, name):
    kernel = getattr(k, name)
    with engine:
        assert kernel(np.zeros((3, 0, 0, 2), "float32"), axis=1).shape == (3, 0, 2)
        assert kernel(np.zeros((0, 4), "float32"), axis=1, keepdims=True).shape == (0, 1)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_empty_rows(engine):
    x = np.zeros((3, 0), "float32")
    with engine:
        assert k.sum(x, axis=1).tolist() == [0, 0, 0] and np.isnan(k.mean(x, axis=1)).all()
        assert k.max(x, axis=0).shape == (0,) and k.argmax(x, axis=0).shape == (0,)
        for op in (k.max, k.min, k.argmax, k.argmin):
            with pytest.raises(
                ValueError, match=r"expected at least one element along axis 1, received shape \(3, 0\)"
            ):
                op(x, axis=1)


@pytest.mark.parametrize(
    "dtype, total, average",
    [("float32", "float32", "float32"), ("float64", "float64", "float64"), ("int32", "int32", "float32"),
     ("int64", "int64", "float32"), ("bool", "int32", "float32"), ("int8", "int32", "float32"),
     ("uint8", "uint32", "float32")],
)  # fmt: skip
def test_dtypes_are_keras(dtype, total, average):
    x = np.ones((2, 3), dtype)
    assert k.sum(x).dtype == total and k.mean(x).dtype == average
    assert k.max(x).dtype == dtype and k.argmax(x, axis=1).dtype == "int32"
    assert k.sum(x) == 6 and k.mean(x) == 1


def test_unknown_sizes_pass_the_shape_rules():
    x = types.SimpleNamespace(shape=(None, 3, None), dtype="float32")
    assert k.sum.specs([x], {"axis": (0, 1), "keepdims": False})[0].shape == (None,)
    assert k.max.specs([x], {"axis": -1, "keepdims": True})[0].shape == (None, 3, 1)
    assert k.argmax.specs([x], {"axis": 1, "keepdims": False})[0].shape == (None, None)
    assert k.mean.specs([x], {"axis": None, "keepdims": False})[0].shape == ()


def test_integer_sums_wrap():
    x = np.full(3, 2**30, "int32")
    for engine in ENGINES:
        with engine:
            assert k.sum(x) == np.int32(3 * 2**30 - 2**32)


@pytest.mark.parametrize(
    "name",
    ["sum", "mean", "max", "min", "any", "all", "argmax", "logsumexp", "softmax", "log_softmax", "flip", "squeeze"],
)
@pytest.mark.parametrize("axis", [True, False, np.True_])
def test_a_bool_is_no_axis(name, axis):
    """Nor after a call with the integer that equals it, which is kept in caches."""
    op, x = getattr(qn.ops, name), np.zeros((1, 1), "bool" if name in ("any", "all") else "float32")
    for _ in range(2):
        op(x, axis=int(axis))
        with pytest.raises(TypeError, match=f"axis: expected an integer.*, received {axis!r}"):
            op(x, axis=axis)


def test_a_bool_is_no_axis_of_a_sequence():
    x = np.zeros((2, 3), "float32")
    for call in (lambda: qn.ops.sum(x, axis=(0, True)), lambda: qn.ops.moveaxis(x, True, 0),
                 lambda: qn.ops.split(x, 3, axis=True), lambda: qn.ops.swapaxes(x, 0, True)):  # fmt: skip
        with pytest.raises(TypeError, match=r": (axis|source|axis2): expected an integer, received True"):
            call()


def test_errors():
    x = np.zeros((2, 3), "float32")
    with pytest.raises(ValueError, match=r"sum: axis: expected a value in \[-2, 2\), received 2"):
        k.sum(x, axis=2)
    with pytest.raises(ValueError, match="max: axis: expected distinct axes"):
        k.max(x, axis=(0, -2))
    with pytest.raises(TypeError, match="mean: axis: expected an integer, received 1.5"):
        k.mean(x, axis=1.5)
    with pytest.raises(TypeError, match="argmax: axis: expected None or one axis"):
        k.argmax(x, axis=(0, 1))
    with pytest.raises(TypeError, match="sum: keepdims: expected True or False, received 1"):
        k.sum(x, keepdims=1)
    with pytest.raises(ValueError, match=r"max_dx: y: expected shape \(2,\), received \(3,\)"):
        k.max_dx(np.zeros(2, "float32"), x, np.zeros(3, "float32"), axis=1)


@pytest.mark.parametrize("op", ["max", "min"])
def test_gradient_of_max_dx(op):
    """max_dx is linear in dy: <ddx, max_dx(dy)> = <ddy, dy> for the rule's ddy."""
    rng = np.random.default_rng(3)
    x, dy, ddx = rng.standard_normal((4, 5, 3)), rng.standard_normal((4, 3)), rng.standard_normal((4, 5, 3))
    y = getattr(k, op)(x, axis=1)
    dy = qn.tensor.Tensor(dy)
    with qn.autograd.GradientTape() as tape:
        tape.watch(dy)
        dx = qn.ops.max_dx(dy, x, y, axis=1)
    ddy = tape.gradient(dx, dy, output_gradients=qn.tensor.Tensor(ddx))
    assert np.isclose(np.vdot(ddx, dx.numpy()), np.vdot(ddy.numpy(), dy.numpy()))
    assert np.array_equal(ddy.numpy(), np.take_along_axis(ddx, getattr(np, "arg" + op)(x, 1, keepdims=True), 1)[:, 0])


def test_composed():
    x = np.array([[0, 2, 0], [1, np.nan, 3]], "float32")
    assert qn.ops.any(x, axis=1).numpy().tolist() == [True, True] and not bool(qn.ops.any(x[:1, :1]))
    assert qn.ops.all(x, axis=1).numpy().tolist() == [False, True] and bool(qn.ops.all(np.zeros(0, "float32")))
    assert qn.ops.count_nonzero(x, axis=0).numpy().tolist() == [1, 2, 1]
    assert float(qn.ops.max(x[0], initial=5.0)) == 5 and float(qn.ops.min(x[0], initial=-1.0)) == -1


@pytest.mark.parametrize("axis, keepdims", [(None, False), (1, False), ((0, 1), True)])
def test_logsumexp(axis, keepdims):
    x = np.random.default_rng(0).standard_normal((3, 40)).astype("float32") * 30
    want = np.log(np.sum(np.exp(x.astype("float64")), axis=axis, keepdims=keepdims))
    got = qn.ops.logsumexp(x, axis, keepdims).numpy()
    assert got.shape == want.shape and np.allclose(got, want, rtol=1e-6)
    assert float(qn.ops.logsumexp(np.full(3, -np.inf, "float32"))) == -np.inf
    assert float(qn.ops.logsumexp(np.array([1, np.inf], "float32"))) == np.inf


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 16, 31, 33, 40, 57, 63, 64, 65])
def test_few_rows_and_short_rows_follow_the_documented_order(n):
    """Columns of at most 64 rows fold in registers, rows of one chunk side by side: the tree stays the same."""
    x = np.random.default_rng(n).normal(size=(3, n, 41)).astype("float32")
    x[1, n // 2, 5] = -0.0
    for engine in FMA_ISAS:
        with engine:
            columns, rows = k.sum(x, axis=1), k.sum(np.ascontiguousarray(x.transpose(0, 2, 1)), axis=2)
            largest = k.max(x, axis=1)
        expected = np.array([[documented_sum(x[i, :, j]) for j in range(41)] for i in range(3)], np.float32)
        assert_same_bits(columns, expected)
        assert_same_bits(rows, expected)
        assert np.array_equal(largest, x.max(axis=1))
