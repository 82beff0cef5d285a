"""where, maximum, minimum, clip on Tensors, and their gradients."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import apply, operand
from .elementwise import as_bool, meet, unbroadcast


def where(condition, x1, x2):
    """x1 where the condition holds, else x2, with broadcasting; see `quernel.kernels.where`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.where([True, False], [1.0, 2.0], 0).numpy()
        array([1., 0.], dtype=float32)
    """
    return apply(kernels.where, (as_bool(condition), *meet(x1, x2)), {})


@gradient(kernels.where)
def _(node, dy):
    condition, x1, x2 = node.inputs
    dx1 = unbroadcast(where(condition, dy, 0), x1.shape) if node.needs(1) else None
    dx2 = unbroadcast(where(condition, 0, dy), x2.shape) if node.needs(2) else None
    return None, dx1, dx2


def maximum(x1, x2):
    """The larger of x1 and x2; the gradient of a tie goes to x1; see `quernel.kernels.maximum`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.maximum([1.0, 5.0], 3).numpy()
        array([3., 5.], dtype=float32)
    """
    return apply(kernels.maximum, meet(x1, x2), {})


@gradient(kernels.maximum)
def _(node, dy):
    x1, x2 = node.inputs
    first = ops.greater_equal(x1, x2)
    dx1 = unbroadcast(where(first, dy, 0), x1.shape) if node.needs(0) else None
    dx2 = unbroadcast(where(first, 0, dy), x2.shape) if node.needs(1) else None
    return dx1, dx2


def minimum(x1, x2):
    """The smaller of x1 and x2; the gradient of a tie goes to x1; see `quernel.kernels.minimum`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.minimum([1.0, 5.0], 3).numpy()
        array([1., 3.], dtype=float32)
    """
    return apply(kernels.minimum, meet(x1, x2), {})


@gradient(kernels.minimum)
def _(node, dy):
    x1, x2 = node.inputs
    first = ops.less_equal(x1, x2)
    dx1 = unbroadcast(where(first, dy, 0), x1.shape) if node.needs(0) else None
    dx2 = unbroadcast(where(first, 0, dy), x2.shape) if node.needs(1) else None
    return dx1, dx2


def clip(x, x_min, x_max):
    """x limited to [x_min, x_max]; the limits may be arrays; the gradient passes within them, both included.

    See `quernel.kernels.clip`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.clip([-1.0, 0.5, 2.0], 0, 1).numpy()
        array([0. , 0.5, 1. ], dtype=float32)
    """
    if type(x_min) in (int, float) and type(x_max) in (int, float):
        x = operand(x)
        if "float" in str(x.dtype):
            return apply(kernels.clip, (x,), {"x_min": x_min, "x_max": x_max})
    return minimum(maximum(x, x_min), x_max)


@gradient(kernels.clip)
def _(node, dy):
    (x,), attrs = node.inputs, node.attrs
    inside = ops.logical_and(ops.greater_equal(x, attrs["x_min"]), ops.less_equal(x, attrs["x_max"]))
    return (where(inside, dy, 0),)
