"""where, maximum, minimum, clip: one of several values, element by element."""

import numpy as np

from .elementwise import ANY, NUMBERS, binary, broadcast, check_kind, plain, same_dtype
from .kernel import Decline, kernel, spec, vectorized


def _where_shape(condition, x1, x2):
    if np.dtype(condition.dtype).kind != "b":
        raise TypeError(f"where: condition: expected bools, received {condition.dtype}; compare with 0 first")
    return spec(broadcast("where", condition=condition, x1=x1, x2=x2), same_dtype("where", x1=x1, x2=x2))


def _where_native(condition, x1, x2):
    return (), ()


@vectorized
def _where(condition, x1, x2):
    return x1 if condition else x2


@kernel(shape=_where_shape, native=_where_native, numba=_where.fill)
def where(condition, x1, x2):
    """Chooses with broadcasting: y[i] = x1[i] if condition[i] else x2[i].

    Args:
        condition: boolean array.
        x1, x2: arrays of one dtype; the three shapes broadcast.

    Returns:
        Array of the broadcast shape and of x1's dtype. Elements are moved as bits: NaN and subnormals stay.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ, or condition is not boolean.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.where(np.array([True, False]), np.array([1, 2]), np.array([5]))
        array([1, 5])
    """
    return np.where(condition, x1, x2)


@vectorized
def _maximum(x1, x2):
    return x1 if x1 >= x2 or x1 != x1 else x2


@kernel(shape=binary("maximum", ANY), native=plain, numba=_maximum.fill)
def maximum(x1, x2):
    """The larger of two with broadcasting: y[i] = x1[i] if x1[i] >= x2[i] or x1[i] is NaN else x2[i].

    NaN wins; a tie, also of +0 and -0, gives x1.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 5], "float32"), np.array([3, np.nan], "float32")
        >>> qn.kernels.maximum(a, b)
        array([ 3., nan], dtype=float32)
    """
    return np.where((x1 >= x2) | (x1 != x1), x1, x2)


@vectorized
def _minimum(x1, x2):
    return x1 if x1 <= x2 or x1 != x1 else x2


@kernel(shape=binary("minimum", ANY), native=plain, numba=_minimum.fill)
def minimum(x1, x2):
    """The smaller of two with broadcasting: y[i] = x1[i] if x1[i] <= x2[i] or x1[i] is NaN else x2[i].

    NaN wins; a tie, also of +0 and -0, gives x1.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 5], "float32"), np.array([3, np.nan], "float32")
        >>> qn.kernels.minimum(a, b)
        array([ 1., nan], dtype=float32)
    """
    return np.where((x1 <= x2) | (x1 != x1), x1, x2)


def _clip_shape(x, x_min, x_max):
    check_kind("clip", x.dtype, NUMBERS)
    for name, value in (("x_min", x_min), ("x_max", x_max)):
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"clip: {name}: expected a number, received {value!r}; quernel.ops.clip takes arrays too")
    return spec(x.shape, x.dtype)


def _clip_native(x, x_min, x_max):
    if x.dtype.kind != "f":
        raise Decline(f"clip of {x.dtype} has no native kernel")
    return (), (x_min, x_max)


@vectorized
def _clip(x, x_min, x_max):
    return x_min if x < x_min else x_max if x > x_max else x


@kernel(shape=_clip_shape, native=_clip_native, numba=_clip.fill)
def clip(x, *, x_min, x_max):
    """Limits: y[i] = x_min if x[i] < x_min, x_max if x[i] > x_max, else x[i], so NaN passes.

    Args:
        x: array of floats or integers.
        x_min, x_max: numbers. Where x_min > x_max, values below x_min become x_min, the others x_max.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype, or limits that are not numbers.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.clip(np.array([-2, 0.5, 3], "float32"), x_min=0, x_max=1)
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return np.where(x < x_min, x.dtype.type(x_min), np.where(x > x_max, x.dtype.type(x_max), x))
