"""argmax, argmin: where the first extreme element lies."""

import numpy as np

from .axes import folded_shape, mask_of, rows_of
from .kernel import Decline, jit, kernel, spec


def _shape(name):
    def shape(x, axis, keepdims):
        if isinstance(axis, (tuple, list)):
            raise TypeError(f"{name}: axis: expected None or one axis, received {axis!r}")
        result = folded_shape(name, x.shape, axis, keepdims)
        n = 1
        for size in x.shape if axis is None else (x.shape[axis],):
            n = None if n is None or size is None else n * size
        if n == 0 and 0 not in result:
            raise ValueError(
                f"{name}: expected at least one element along axis {axis}, received shape {tuple(x.shape)}"
            )
        if n is not None and n > 2**31 - 1:
            raise ValueError(
                f"{name}: expected at most 2**31 - 1 elements along axis {axis} (indices are int32), received {n}"
            )
        return spec(result, np.int32)

    return shape


def _native(x, axis, keepdims):
    if x.dtype.name not in ("float32", "int32"):
        raise Decline(f"x is {x.dtype}; the native kernel takes float32 and int32")
    return (mask_of(axis, x.ndim),), ()


@jit
def _argmax_rows(y, x):
    for r in range(x.shape[0]):
        best, at = x[r, 0], 0
        for i in range(x.shape[1]):
            v = x[r, i]
            if v != v:
                at = i
                break
            if v > best:
                best, at = v, i
        y[r] = at


@jit
def _argmin_rows(y, x):
    for r in range(x.shape[0]):
        best, at = x[r, 0], 0
        for i in range(x.shape[1]):
            v = x[r, i]
            if v != v:
                at = i
                break
            if v < best:
                best, at = v, i
        y[r] = at


def _numba(loop):
    def run(outs, x, axis, keepdims):
        if outs[0].size:
            loop(outs[0].reshape(-1), rows_of(x, axis))

    return run


@kernel(shape=_shape("argmax"), native=_native, numba=_numba(_argmax_rows))
def argmax(x, *, axis=None, keepdims=False):
    """Index of the first largest element along an axis; the first NaN counts as largest.

    Args:
        x: array of any shape.
        axis: an axis, or None: the index into x flattened in C order.
        keepdims: whether the reduced axis stays, with size 1.

    Returns:
        int32 indices.

    Raises:
        ValueError: the axis is out of range, or a row is empty.
        TypeError: axis is a tuple.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.argmax(np.array([[1, 7, 7], [5, 3, 0]], "float32"), axis=-1)
        array([1, 0], dtype=int32)
    """
    if x.size == 0:  # then the result is empty too; NumPy refuses an empty axis all the same
        return np.empty(folded_shape("argmax", x.shape, axis, keepdims), np.int32)
    return np.argmax(x, axis=axis, keepdims=keepdims)


@kernel(shape=_shape("argmin"), native=_native, numba=_numba(_argmin_rows))
def argmin(x, *, axis=None, keepdims=False):
    """Index of the first smallest element along an axis; the first NaN counts as smallest.

    Args:
        x: array of any shape.
        axis: an axis, or None: the index into x flattened in C order.
        keepdims: whether the reduced axis stays, with size 1.

    Returns:
        int32 indices.

    Raises:
        ValueError: the axis is out of range, or a row is empty.
        TypeError: axis is a tuple.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.argmin(np.array([[1, 7, 7], [5, 3, 0]], "float32"), axis=-1)
        array([0, 2], dtype=int32)
    """
    if x.size == 0:
        return np.empty(folded_shape("argmin", x.shape, axis, keepdims), np.int32)
    return np.argmin(x, axis=axis, keepdims=keepdims)
