"""Arithmetic: add subtract multiply power, negative absolute sign square."""

import numpy as np

from .elementwise import ANY, NUMBERS, binary, plain, unary
from .kernel import Decline, kernel, vectorized


@vectorized
def _add(x1, x2):
    return x1 + x2


@vectorized
def _either(x1, x2):
    return x1 or x2


def _add_numba(outs, x1, x2):
    (_either if x1.dtype.kind == "b" else _add)(x1, x2, out=outs[0])


@kernel(shape=binary("add", ANY), native=plain, numba=_add_numba)
def add(x1, x2):
    """Adds with broadcasting: y[i] = x1[i] + x2[i].

    Integers wrap around; for bool it is `or`.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2], "float32"), np.array([[10], [20]], "float32")
        >>> qn.kernels.add(a, b)
        array([[11., 12.],
           [21., 22.]], dtype=float32)
    """
    return np.add(x1, x2)


@vectorized
def _subtract(x1, x2):
    return x1 - x2


@kernel(shape=binary("subtract", NUMBERS), native=plain, numba=_subtract.fill)
def subtract(x1, x2):
    """Subtracts with broadcasting: y[i] = x1[i] - x2[i].

    Integers wrap around.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2], "float32"), np.array([3], "float32")
        >>> qn.kernels.subtract(a, b)
        array([-2., -1.], dtype=float32)
    """
    return np.subtract(x1, x2)


@vectorized
def _multiply(x1, x2):
    return x1 * x2


@vectorized
def _both(x1, x2):
    return x1 and x2


def _multiply_numba(outs, x1, x2):
    (_both if x1.dtype.kind == "b" else _multiply)(x1, x2, out=outs[0])


@kernel(shape=binary("multiply", ANY), native=plain, numba=_multiply_numba)
def multiply(x1, x2):
    """Multiplies with broadcasting: y[i] = x1[i] * x2[i].

    Integers wrap around; for bool it is `and`.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2], "float32"), np.array([3], "float32")
        >>> qn.kernels.multiply(a, b)
        array([3., 6.], dtype=float32)
    """
    return np.multiply(x1, x2)


def _floats_only(x1, x2):
    if x1.dtype.kind != "f":
        raise Decline(f"{x1.dtype} powers have no native kernel")
    return (), ()


@vectorized
def _power(x1, x2):
    return x1**x2


def _check_exponents(x2):
    if x2.dtype.kind == "i" and x2.size and x2.min() < 0:
        raise ValueError(
            f"power: x2: expected integer exponents of at least 0, received {x2.min()}; cast both to a float dtype first"
        )


def _power_numba(outs, x1, x2):
    _check_exponents(x2)
    _power.fill(outs, x1, x2)


@kernel(shape=binary("power", NUMBERS), native=_floats_only, numba=_power_numba)
def power(x1, x2):
    """Powers with broadcasting: y[i] = x1[i] ** x2[i].

    As IEEE 754's pow: x ** 0 and 1 ** x are 1 even for NaN; a negative base needs a whole exponent, else NaN.
    Integer exponents must not be negative.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast; a negative integer exponent. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([2, 9], "float32"), np.array([3, 0.5], "float32")
        >>> qn.kernels.power(a, b)
        array([8., 3.], dtype=float32)
    """
    _check_exponents(x2)
    return np.power(x1, x2)


@vectorized
def _negative(x):
    return -x


def _negative_numba(outs, x):
    if x.dtype.kind == "f":
        _negative(x, out=outs[0])
    else:
        _subtract(np.zeros((), x.dtype), x, out=outs[0])


@kernel(shape=unary("negative", NUMBERS), native=plain, numba=_negative_numba)
def negative(x):
    """Negates: y[i] = -x[i].

    Integers wrap around.

    Args:
        x: array of floats or integers.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.negative(np.array([1, -2], "float32"))
        array([-1.,  2.], dtype=float32)
    """
    return np.negative(x)


@vectorized
def _absolute(x):
    return abs(x)


def _absolute_numba(outs, x):
    if x.dtype.kind == "u":
        np.copyto(outs[0], x)
    else:
        _absolute(x, out=outs[0])


@kernel(shape=unary("absolute", NUMBERS), native=plain, numba=_absolute_numba)
def absolute(x):
    """Absolute value: y[i] = |x[i]|.

    The smallest integer of its type stays itself.

    Args:
        x: array of floats or integers.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.absolute(np.array([1, -2], "float32"))
        array([1., 2.], dtype=float32)
    """
    return np.absolute(x)


@vectorized
def _sign(x):
    return x if x != x else (x > 0) * 1 - (x < 0) * 1


def _sign_numba(outs, x):
    if x.dtype.kind == "u":
        np.minimum(x, 1, out=outs[0])
    else:
        _sign(x, out=outs[0])


@kernel(shape=unary("sign", NUMBERS), native=plain, numba=_sign_numba)
def sign(x):
    """Sign: y[i] = 1 if x[i] > 0, -1 if x[i] < 0, +0 if x[i] = 0; NaN passes.

    Args:
        x: array of floats or integers.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.sign(np.array([-3, 0, 5], "float32"))
        array([-1.,  0.,  1.], dtype=float32)
    """
    return np.sign(x)


@vectorized
def _square(x):
    return x * x


@kernel(shape=unary("square", NUMBERS), native=plain, numba=_square.fill)
def square(x):
    """Square: y[i] = x[i] * x[i].

    Integers wrap around.

    Args:
        x: array of floats or integers.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.square(np.array([-3, 2], "float32"))
        array([9., 4.], dtype=float32)
    """
    return x * x
