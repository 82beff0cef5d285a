"""copy and cast: an array's elements in fresh, C-contiguous memory, as they are or in another dtype."""

import numpy as np

from ..dtypes import standardize_dtype
from .kernel import Decline, jit, kernel, spec


def _shape(x):
    return spec(x.shape, x.dtype)


def _native(x):
    return (), ()


@jit
def _loop(y, x):
    for i in range(x.size):
        y[i] = x[i]


def _numba(outs, x):
    _loop(outs[0].reshape(-1), np.ascontiguousarray(x).reshape(-1))


@kernel(shape=_shape, native=_native, numba=_numba)
def copy(x):
    """Copies: y[i] = x[i], whatever the strides of x.

    Args:
        x: array of any shape and dtype.

    Returns:
        A new C-contiguous array with x's shape and dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.copy(np.arange(3, dtype="float32")[::-1])
        array([2., 1., 0.], dtype=float32)
    """
    return x.copy()


def _cast_shape(x, dtype):
    return spec(x.shape, standardize_dtype(dtype))


def _cast_native(x, dtype):
    if standardize_dtype(dtype) not in ("float32", "float64", "int32", "int64", "uint8", "bool"):
        raise Decline(f"no native cast to {dtype}")
    return (), ()


@jit
def _truth_loop(y, x):
    for i in range(x.size):
        y[i] = x[i] != 0


def _cast_numba(outs, x, dtype):
    y = outs[0].reshape(-1)
    if y.dtype.name in ("float16", "bfloat16"):
        np.copyto(outs[0], x, casting="unsafe")
    else:
        (_truth_loop if y.dtype.kind == "b" else _loop)(y, np.ascontiguousarray(x).reshape(-1))


@kernel(shape=_cast_shape, native=_cast_native, numba=_cast_numba)
def cast(x, *, dtype):
    """Converts: y[i] = dtype(x[i]).

    A float loses its fraction on the way to an integer (beyond the integer's range the result is unspecified),
    integers wrap around, and to bool it is x[i] != 0.

    Args:
        x: array.
        dtype: the name of a dtype.

    Returns:
        A new C-contiguous array of x's shape.

    Raises:
        ValueError: dtype names none of `quernel.dtypes.ALLOWED`.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.cast(np.array([1.75, -1.75], "float32"), dtype="int32")
        array([ 1, -1], dtype=int32)
    """
    return x.astype(standardize_dtype(dtype))
