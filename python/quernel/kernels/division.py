"""Division: divide floor_divide mod."""

import numpy as np

from .elementwise import FLOATS, NUMBERS, binary, plain
from .kernel import kernel, vectorized


@vectorized
def _divide(x1, x2):
    return x1 / x2


@kernel(shape=binary("divide", FLOATS), native=plain, numba=_divide.fill)
def divide(x1, x2):
    """Divides floats with broadcasting: y[i] = x1[i] / x2[i].

    IEEE division: x / 0 is inf or NaN.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2], "float32"), np.array([4], "float32")
        >>> qn.kernels.divide(a, b)
        array([0.25, 0.5 ], dtype=float32)
    """
    return np.divide(x1, x2)


@vectorized
def _floor_quotient(x1, x2):
    return np.floor(np.float64(x1) / np.float64(x2))


@vectorized
def _signed_quotient(x1, x2):  # dividing the smallest integer by -1 overflows in the hardware
    return x1 * -1 if x2 == -1 else x1 // x2


@vectorized
def _floor_divide(x1, x2):
    return x1 // x2


def _floor_divide_numba(outs, x1, x2):
    {"f": _floor_quotient, "i": _signed_quotient, "u": _floor_divide}[x1.dtype.kind](x1, x2, out=outs[0])


@kernel(shape=binary("floor_divide", NUMBERS), native=plain, numba=_floor_divide_numba)
def floor_divide(x1, x2):
    """Rounded quotient with broadcasting: y[i] = floor(x1[i] / x2[i]).

    For float32 the quotient before rounding down is taken in float64. An integer divided by 0 gives 0.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([7, -7], "int32"), np.array([2], "int32")
        >>> qn.kernels.floor_divide(a, b)
        array([ 3, -4], dtype=int32)
    """
    if np.issubdtype(x1.dtype, np.integer):
        return np.floor_divide(x1, x2)
    return np.floor(np.divide(x1, x2, dtype=np.float64 if x1.dtype == np.float32 else None))


@vectorized
def _mod(x1, x2):
    return x1 % x2


@vectorized
def _signed_modulo(x1, x2):
    return x1 * 0 if x2 == -1 else x1 % x2


def _mod_numba(outs, x1, x2):
    (_signed_modulo if x1.dtype.kind == "i" else _mod)(x1, x2, out=outs[0])


@kernel(shape=binary("mod", NUMBERS), native=plain, numba=_mod_numba)
def mod(x1, x2):
    """Remainder with the divisor's sign and broadcasting: y[i] = x1[i] - floor(x1[i] / x2[i]) * x2[i].

    Exact, as `numpy.mod`: NaN for a float divisor 0 or an infinite x1; an integer divisor 0 gives 0.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([7, -7], "int32"), np.array([3], "int32")
        >>> qn.kernels.mod(a, b)
        array([1, 2], dtype=int32)
    """
    return np.mod(x1, x2)
