"""Random shapes, attributes and strides: the native kernels against their definitions, wherever hypothesis leads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quernel as qn
from quernel.testing import assert_close, each_isa

ISAS = each_isa()[:2]
pytestmark = pytest.mark.skipif(not ISAS, reason="needs the compiled core")
EPS = float(np.finfo("float32").eps)
small = st.integers(0, 9)
one = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def strided(array, step, flip):
    """The same values behind other strides."""
    wide = np.zeros([n * step for n in array.shape], array.dtype)
    index = tuple(slice(None, None, step) for _ in array.shape)
    back = tuple(slice(None, None, -1 if flip else 1) for _ in array.shape)
    wide[index] = array[back]
    return wide[index][back]


def agree(kernel, arrays, attrs, k):
    wide = [None if a is None else a.astype("float64") if a.dtype.kind == "f" else a for a in arrays]
    want = kernel.definition(*wide, **kernel.freeze(dict(attrs)))
    scale = 1.0
    for a in arrays:
        if a is not None and a.size and a.dtype.kind == "f":
            scale *= max(1.0, float(np.abs(a).max()))
    for engine in ISAS:
        with engine:
            assert_close(kernel(*arrays, **attrs), want, 2 * EPS * (k + 1) * scale, f"{kernel.name} {attrs}")


@given(
    seeds, st.integers(0, 40), st.integers(0, 70), st.integers(0, 40), st.booleans(), st.booleans(), one, st.booleans()
)
def test_gemm(seed, m, k, n, ta, tb, step, flip):
    a = normal(seed, *((k, m) if ta else (m, k)))
    b = normal(seed + 1, *((n, k) if tb else (k, n)))
    arrays = [strided(a, 1 + step % 3, flip), strided(b, 1 + step % 2, flip)]
    agree(qn.kernels.gemm, arrays, {"transpose_a": ta, "transpose_b": tb}, k)


@given(
    seeds,
    st.integers(0, 3),
    st.tuples(one, one),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["valid", "same"]),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 18),
)
def test_conv(seed, n, size, taps, strides, padding, groups, c, o):
    if padding == "valid" and (taps[0] > size[0] or taps[1] > size[1]):
        return
    x = normal(seed, n, *size, c * groups)
    w = normal(seed + 1, *taps, c, o * groups)
    attrs = {"strides": strides, "padding": padding, "dilation_rate": 1, "groups": groups}
    k = taps[0] * taps[1] * c
    agree(qn.kernels.conv_forward, [x, w, None], attrs, k)
    y = qn.kernels.conv_forward(x, w, **attrs)
    dy = normal(seed + 2, *y.shape)
    agree(qn.kernels.conv_dx, [dy, w], {**attrs, "input_shape": x.shape}, taps[0] * taps[1] * o)
    agree(qn.kernels.conv_dw, [x, dy], {**attrs, "kernel_shape": w.shape}, n * y.shape[1] * y.shape[2])


@given(
    seeds,
    st.sampled_from(["max_pool", "average_pool"]),
    st.integers(0, 3),
    st.tuples(one, one),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from(["valid", "same"]),
    st.integers(1, 37),
)
def test_pool(seed, name, n, size, pool, strides, padding, c):
    if padding == "valid" and (pool[0] > size[0] or pool[1] > size[1]):
        return
    attrs = {"pool_size": pool, "strides": strides, "padding": padding}
    agree(getattr(qn.kernels, name), [normal(seed, n, *size, c)], attrs, pool[0] * pool[1])


@given(
    seeds,
    st.sampled_from(["sum", "mean", "max", "min"]),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.data(),
    st.booleans(),
    st.integers(1, 3),
    st.booleans(),
)
def test_reductions(seed, name, shape, data, keepdims, step, flip):
    axes = data.draw(
        st.one_of(st.none(), st.sets(st.integers(0, len(shape) - 1), min_size=1).map(lambda s: tuple(sorted(s))))
    )
    x = strided(normal(seed, *shape), step, flip)
    agree(getattr(qn.kernels, name), [x], {"axis": axes, "keepdims": keepdims}, x.size)


@given(
    seeds,
    st.sampled_from(["add", "subtract", "multiply", "maximum", "minimum", "divide"]),
    st.lists(small, min_size=0, max_size=4),
    st.data(),
)
def test_broadcasting(seed, name, shape, data):
    ones = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    cut = data.draw(st.integers(0, len(shape)))
    other = [1 if hide else n for n, hide in zip(shape, ones)][cut:]
    a = normal(seed, *shape)
    b = np.abs(normal(seed + 1, *other)) + np.float32(0.5)
    agree(getattr(qn.kernels, name), [a, b], {}, 8)
    if name in ("add", "multiply"):
        agree(getattr(qn.kernels, name), [b, a], {}, 8)


@given(seeds, st.integers(1, 5), st.integers(1, 300))
def test_softmax_and_cross_entropy(seed, rows, classes):
    x = normal(seed, rows, classes) * np.float32(10)
    labels = np.random.default_rng(seed).integers(0, classes, rows).astype("int32")
    agree(qn.kernels.softmax, [x], {}, 40)
    agree(qn.kernels.sparse_categorical_crossentropy, [labels, x], {"from_logits": True}, classes + 40)


@given(seeds, st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(1, 3), st.booleans(), st.data())
def test_transposed_copies(seed, shape, step, flip, data):
    order = data.draw(st.permutations(range(len(shape))))
    x = strided(normal(seed, *shape), step, flip).transpose(order)
    agree(qn.kernels.copy, [x], {}, 0)
