"""Comparisons and logic: equal not_equal less less_equal greater greater_equal, logical_and/or/not, isnan."""

import numpy as np

from .elementwise import ANY, FLOATS, binary, plain, unary
from .kernel import kernel, vectorized


@vectorized
def _equal(x1, x2):
    return x1 == x2


@kernel(shape=binary("equal", ANY, "bool"), native=plain, numba=_equal.fill)
def equal(x1, x2):
    """Equality with broadcasting: y[i] = x1[i] == x2[i].

    False where either is NaN.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2, 3], "float32"), np.array([2], "float32")
        >>> qn.kernels.equal(a, b)
        array([False,  True, False])
    """
    return np.equal(x1, x2)


@vectorized
def _not_equal(x1, x2):
    return x1 != x2


@kernel(shape=binary("not_equal", ANY, "bool"), native=plain, numba=_not_equal.fill)
def not_equal(x1, x2):
    """Inequality with broadcasting: y[i] = x1[i] != x2[i].

    True where either is NaN.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2, 3], "float32"), np.array([2], "float32")
        >>> qn.kernels.not_equal(a, b)
        array([ True, False,  True])
    """
    return np.not_equal(x1, x2)


@vectorized
def _less(x1, x2):
    return x1 < x2


@kernel(shape=binary("less", ANY, "bool"), native=plain, numba=_less.fill)
def less(x1, x2):
    """Order with broadcasting: y[i] = x1[i] < x2[i].

    False where either is NaN.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2, 3], "float32"), np.array([2], "float32")
        >>> qn.kernels.less(a, b)
        array([ True, False, False])
    """
    return np.less(x1, x2)


@vectorized
def _less_equal(x1, x2):
    return x1 <= x2


@kernel(shape=binary("less_equal", ANY, "bool"), native=plain, numba=_less_equal.fill)
def less_equal(x1, x2):
    """Order with broadcasting: y[i] = x1[i] <= x2[i].

    False where either is NaN.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2, 3], "float32"), np.array([2], "float32")
        >>> qn.kernels.less_equal(a, b)
        array([ True,  True, False])
    """
    return np.less_equal(x1, x2)


@vectorized
def _greater(x1, x2):
    return x1 > x2


@kernel(shape=binary("greater", ANY, "bool"), native=plain, numba=_greater.fill)
def greater(x1, x2):
    """Order with broadcasting: y[i] = x1[i] > x2[i].

    False where either is NaN.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2, 3], "float32"), np.array([2], "float32")
        >>> qn.kernels.greater(a, b)
        array([False, False,  True])
    """
    return np.greater(x1, x2)


@vectorized
def _greater_equal(x1, x2):
    return x1 >= x2


@kernel(shape=binary("greater_equal", ANY, "bool"), native=plain, numba=_greater_equal.fill)
def greater_equal(x1, x2):
    """Order with broadcasting: y[i] = x1[i] >= x2[i].

    False where either is NaN.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2, 3], "float32"), np.array([2], "float32")
        >>> qn.kernels.greater_equal(a, b)
        array([False,  True,  True])
    """
    return np.greater_equal(x1, x2)


@vectorized
def _logical_and(x1, x2):
    return x1 and x2


@kernel(shape=binary("logical_and", ("bool",), "bool"), native=plain, numba=_logical_and.fill)
def logical_and(x1, x2):
    """Conjunction with broadcasting: y[i] = x1[i] and x2[i].

    Args:
        x1, x2: boolean arrays, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([True, False], "bool"), np.array([True], "bool")
        >>> qn.kernels.logical_and(a, b)
        array([ True, False])
    """
    return np.logical_and(x1, x2)


@vectorized
def _logical_or(x1, x2):
    return x1 or x2


@kernel(shape=binary("logical_or", ("bool",), "bool"), native=plain, numba=_logical_or.fill)
def logical_or(x1, x2):
    """Disjunction with broadcasting: y[i] = x1[i] or x2[i].

    Args:
        x1, x2: boolean arrays, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and dtype bool.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([True, False], "bool"), np.array([False], "bool")
        >>> qn.kernels.logical_or(a, b)
        array([ True, False])
    """
    return np.logical_or(x1, x2)


@vectorized
def _logical_not(x):
    return not x


@kernel(shape=unary("logical_not", ("bool",), "bool"), native=plain, numba=_logical_not.fill)
def logical_not(x):
    """Negation: y[i] = not x[i].

    Args:
        x: array of bools.

    Returns:
        Boolean array of x's shape.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.logical_not(np.array([True, False], "bool"))
        array([False,  True])
    """
    return np.logical_not(x)


@vectorized
def _isnan(x):
    return x != x


@kernel(shape=unary("isnan", FLOATS, "bool"), native=plain, numba=_isnan.fill)
def isnan(x):
    """Finds NaN: y[i] = x[i] != x[i].

    Args:
        x: array of floats.

    Returns:
        Boolean array of x's shape.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.isnan(np.array([1, np.nan], "float32"))
        array([False,  True])
    """
    return np.isnan(x)
