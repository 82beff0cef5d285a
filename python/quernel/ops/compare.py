"""Comparisons and logic on Tensors: bools, which never carry a gradient."""

from .. import kernels
from ..autograd import no_gradient
from .apply import apply, operand
from .elementwise import as_bool, meet

no_gradient(kernels.equal, kernels.not_equal, kernels.less, kernels.less_equal, kernels.greater, kernels.greater_equal)
no_gradient(kernels.logical_and, kernels.logical_or, kernels.logical_not, kernels.isnan)


def equal(x1, x2):
    """x1 == x2; see `quernel.kernels.equal`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.equal([1.0, 2.0, 3.0], 2).numpy()
        array([False,  True, False])
    """
    return apply(kernels.equal, meet(x1, x2), {})


def not_equal(x1, x2):
    """x1 != x2; see `quernel.kernels.not_equal`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.not_equal([1.0, 2.0, 3.0], 2).numpy()
        array([ True, False,  True])
    """
    return apply(kernels.not_equal, meet(x1, x2), {})


def less(x1, x2):
    """x1 < x2; see `quernel.kernels.less`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.less([1.0, 2.0, 3.0], 2).numpy()
        array([ True, False, False])
    """
    return apply(kernels.less, meet(x1, x2), {})


def less_equal(x1, x2):
    """x1 <= x2; see `quernel.kernels.less_equal`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.less_equal([1.0, 2.0, 3.0], 2).numpy()
        array([ True,  True, False])
    """
    return apply(kernels.less_equal, meet(x1, x2), {})


def greater(x1, x2):
    """x1 > x2; see `quernel.kernels.greater`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.greater([1.0, 2.0, 3.0], 2).numpy()
        array([False, False,  True])
    """
    return apply(kernels.greater, meet(x1, x2), {})


def greater_equal(x1, x2):
    """x1 >= x2; see `quernel.kernels.greater_equal`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.greater_equal([1.0, 2.0, 3.0], 2).numpy()
        array([False,  True,  True])
    """
    return apply(kernels.greater_equal, meet(x1, x2), {})


def logical_and(x1, x2):
    """x1 and x2, numbers counting as true unless 0; see `quernel.kernels.logical_and`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.logical_and([1, 0], True).numpy()
        array([ True, False])
    """
    return apply(kernels.logical_and, (as_bool(x1), as_bool(x2)), {})


def logical_or(x1, x2):
    """x1 or x2, numbers counting as true unless 0; see `quernel.kernels.logical_or`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.logical_or([1, 0], False).numpy()
        array([ True, False])
    """
    return apply(kernels.logical_or, (as_bool(x1), as_bool(x2)), {})


def logical_not(x):
    """not x, numbers counting as true unless 0; see `quernel.kernels.logical_not`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.logical_not([1, 0]).numpy()
        array([False,  True])
    """
    return apply(kernels.logical_not, (as_bool(x),), {})


def isnan(x):
    """Where x is NaN; nowhere for integers; see `quernel.kernels.isnan`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.isnan([1.0, float("nan")]).numpy()
        array([False,  True])
    """
    x = operand(x)
    return apply(kernels.isnan, (x,), {}) if "float" in str(x.dtype) else not_equal(x, x)
