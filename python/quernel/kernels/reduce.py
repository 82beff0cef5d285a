"""sum, mean, max, min over axes, and the gradient of max and min."""

import numpy as np

from .axes import folded_axes, folded_shape, kept_shape, mask_of, rows_of
from .kernel import Decline, is_float, jit, kernel, spec

LANES, CHUNK = 64, 4096  # the order of csrc/fold/fold.hpp


def sum_dtype(dtype):
    """The dtype of a sum, Keras 3's: small integers grow to 32 bits."""
    dtype = np.dtype(dtype)
    if dtype.name in ("bool", "int8", "int16"):
        return np.dtype("int32")
    if dtype.name in ("uint8", "uint16"):
        return np.dtype("uint32")
    return dtype


def _float_of(dtype):
    return np.dtype(dtype) if is_float(np.dtype(dtype)) else np.dtype("float32")


def _sum_shape(x, axis, keepdims):
    return spec(folded_shape("sum", x.shape, axis, keepdims), sum_dtype(x.dtype))


def _mean_shape(x, axis, keepdims):
    return spec(folded_shape("mean", x.shape, axis, keepdims), _float_of(x.dtype))


def _extreme_shape(name):
    def shape(x, axis, keepdims):
        result = folded_shape(name, x.shape, axis, keepdims)
        axes = folded_axes(name, axis, len(x.shape))
        if any(x.shape[a] == 0 for a in axes) and 0 not in result:
            raise ValueError(
                f"{name}: expected at least one element along axis {axis}, received shape {tuple(x.shape)}"
            )
        return spec(result, x.dtype)

    return shape


def _native(*dtypes):
    def pack(x, axis, keepdims):
        if x.dtype.name not in dtypes:
            raise Decline(f"x is {x.dtype}; the native kernel takes {', '.join(dtypes)}")
        return (mask_of(axis, x.ndim),), ()

    return pack


@jit
def _sum_rows(y, x):
    rows, n = x.shape
    lanes = np.empty(LANES, y.dtype)
    chunks = (n + CHUNK - 1) // CHUNK
    parts = np.empty(chunks + 1, y.dtype)
    for r in range(rows):
        parts[0] = 0
        for c in range(chunks):
            begin = c * CHUNK
            count = CHUNK if n - begin > CHUNK else n - begin
            lanes[:] = 0
            full = count // LANES * LANES
            for i in range(begin, begin + full, LANES):
                for l in range(LANES):  # noqa: E741
                    lanes[l] += x[r, i + l]
            for i in range(full, count):
                lanes[i - full] += x[r, begin + i]
            h = LANES // 2
            while h:
                for l in range(h):  # noqa: E741
                    lanes[l] += lanes[l + h]
                h //= 2
            parts[c] = lanes[0]
        left = chunks
        while left > 1:
            for c in range(left // 2):
                parts[c] = parts[2 * c] + parts[2 * c + 1]
            if left % 2:
                parts[left // 2] = parts[left - 1]
            left = (left + 1) // 2
        y[r] = parts[0]


@jit
def _max_rows(y, x):
    for r in range(x.shape[0]):
        best = x[r, 0]
        for i in range(1, x.shape[1]):
            v = x[r, i]
            if v > best or v != v:
                best = v
        y[r] = best


@jit
def _min_rows(y, x):
    for r in range(x.shape[0]):
        best = x[r, 0]
        for i in range(1, x.shape[1]):
            v = x[r, i]
            if v < best or v != v:
                best = v
        y[r] = best


@jit
def _max_dx_rows(dx, dy, x, y):
    for r in range(x.shape[0]):
        dx[r, :] = 0
        for i in range(x.shape[1]):
            if x[r, i] == y[r] or x[r, i] != x[r, i]:
                dx[r, i] = dy[r]
                break


def _numba_sum(outs, x, axis, keepdims):
    _sum_rows(outs[0].reshape(-1), rows_of(x, axis))


def _numba_mean(outs, x, axis, keepdims):
    rows = rows_of(x, axis)
    if rows.dtype != outs[0].dtype:
        rows = rows.astype(outs[0].dtype)
    _sum_rows(outs[0].reshape(-1), rows)
    y = outs[0]
    with np.errstate(all="ignore"):
        y /= y.dtype.type(rows.shape[1])


def _numba_extreme(loop):
    def run(outs, x, axis, keepdims):
        if outs[0].size:
            loop(outs[0].reshape(-1), rows_of(x, axis))

    return run


def _numba_max_dx(outs, dy, x, y, axis, keepdims):
    if not x.size:
        return
    axes = folded_axes("max_dx", axis, x.ndim)
    order = [d for d in range(x.ndim) if d not in axes] + list(axes)
    rows = rows_of(x, axis)
    dx = np.empty_like(rows)
    _max_dx_rows(dx, np.ascontiguousarray(dy).reshape(-1), rows, np.ascontiguousarray(y).reshape(-1))
    np.copyto(outs[0].transpose(order), dx.reshape([x.shape[d] for d in order]))


@kernel(shape=_sum_shape, native=_native("float32", "int32", "bool"), numba=_numba_sum)
def sum(x, *, axis=None, keepdims=False):
    """Sum over axes: y[kept] = sum over the reduced axes of x, in the fixed order of docs/numerics.md.

    Args:
        x: array of any shape. Booleans and small integers are summed as 32-bit integers, modulo 2**32.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.

    Returns:
        The sums; 0 where a row is empty.

    Raises:
        ValueError: an axis is out of range or named twice.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.sum(np.ones((2, 3), "float32"), axis=0)
        array([2., 2., 2.], dtype=float32)
    """
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=sum_dtype(x.dtype))


@kernel(shape=_mean_shape, native=_native("float32", "int32", "bool", "uint8"), numba=_numba_mean)
def mean(x, *, axis=None, keepdims=False):
    """Mean over axes: y = sum / n, the sum in the fixed order of docs/numerics.md, one division. Integers give float32.

    Args:
        x: array of any shape.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.

    Returns:
        The means; NaN where a row is empty.

    Raises:
        ValueError: an axis is out of range or named twice.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.mean(np.array([[1, 2], [3, 5]], "float32"), axis=-1)
        array([1.5, 4. ], dtype=float32)
    """
    total = np.sum(x, axis=axis, keepdims=True, dtype=_float_of(x.dtype))
    n = 1
    for a in folded_axes("mean", axis, x.ndim):
        n *= x.shape[a]
    return (total / total.dtype.type(n)).reshape(kept_shape(x.shape, axis, keepdims))


@kernel(shape=_extreme_shape("max"), native=_native("float32", "int32"), numba=_numba_extreme(_max_rows))
def max(x, *, axis=None, keepdims=False):
    """Largest element over axes; a row with a NaN gives NaN.

    Args:
        x: array of any shape.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.

    Returns:
        The maxima, with x's dtype.

    Raises:
        ValueError: an axis is out of range or named twice, or a row is empty.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.max(np.array([[1, 7], [3, 5]], "float32"), axis=0)
        array([3., 7.], dtype=float32)
    """
    if x.size == 0:  # then the result is empty too; NumPy refuses an empty axis all the same
        return np.empty(folded_shape("max", x.shape, axis, keepdims), x.dtype)
    return np.max(x, axis=axis, keepdims=keepdims)


@kernel(shape=_extreme_shape("min"), native=_native("float32", "int32"), numba=_numba_extreme(_min_rows))
def min(x, *, axis=None, keepdims=False):
    """Smallest element over axes; a row with a NaN gives NaN.

    Args:
        x: array of any shape.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.

    Returns:
        The minima, with x's dtype.

    Raises:
        ValueError: an axis is out of range or named twice, or a row is empty.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.min(np.array([[1, 7], [3, 5]], "float32"), axis=0)
        array([1., 5.], dtype=float32)
    """
    if x.size == 0:
        return np.empty(folded_shape("min", x.shape, axis, keepdims), x.dtype)
    return np.min(x, axis=axis, keepdims=keepdims)


def _max_dx_shape(dy, x, y, axis, keepdims):
    expected = folded_shape("max_dx", x.shape, axis, keepdims)
    for name, value in (("dy", dy), ("y", y)):
        if len(value.shape) != len(expected) or any(
            None not in (a, b) and a != b for a, b in zip(value.shape, expected)
        ):
            raise ValueError(f"max_dx: {name}: expected shape {expected}, received {tuple(value.shape)}")
    return spec(x.shape, x.dtype)


def _max_dx_native(dy, x, y, axis, keepdims):
    if not x.dtype == dy.dtype == y.dtype == np.float32:
        raise Decline("the native kernel takes float32")
    return (mask_of(axis, x.ndim),), ()


@kernel(shape=_max_dx_shape, native=_max_dx_native, numba=_numba_max_dx)
def max_dx(dy, x, y, *, axis=None, keepdims=False):
    """Gradient of max (and min): dx is dy at the first element of each row that equals y or is NaN, 0 elsewhere.

    Args:
        dy: gradient of the output, shaped like y.
        x: what was reduced.
        y: `max(x, axis=axis, keepdims=keepdims)`, or `min` of it.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether y kept the reduced axes.

    Returns:
        dx, with x's shape.

    Raises:
        ValueError: shapes or axes do not fit together.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([2, 7, 7], "float32")
        >>> qn.kernels.max_dx(np.float32(1), x, np.float32(7))
        array([0., 1., 0.], dtype=float32)
    """
    axes = folded_axes("max_dx", axis, x.ndim)
    full = kept_shape(x.shape, axis, True)
    hit = (x == y.reshape(full)) | (x != x)
    order = [d for d in range(x.ndim) if d not in axes] + list(axes)
    rows = hit.transpose(order).reshape(-1, int(np.prod([x.shape[a] for a in axes], dtype=int)))
    first = rows & (np.cumsum(rows, axis=1) == 1)
    mask = first.reshape([x.shape[d] for d in order]).transpose(np.argsort(order))
    return np.where(mask, dy.reshape(full), np.zeros((), dy.dtype))
