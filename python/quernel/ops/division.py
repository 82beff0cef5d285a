"""Division of Tensors with broadcasting and Keras's dtype promotion, and its gradients."""

from .. import kernels, ops
from ..autograd import gradient, no_gradient
from .apply import apply
from .elementwise import meet, unbroadcast

no_gradient(kernels.floor_divide)  # piecewise constant


def divide(x1, x2):
    """Quotient x1 / x2; integers become floats; see `quernel.kernels.divide`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.divide([1, 2], 4).numpy()
        array([0.25, 0.5 ], dtype=float32)
    """
    return apply(kernels.divide, meet(x1, x2, float), {})


def true_divide(x1, x2):
    """The same as `divide`.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.true_divide(1, 4))
        0.25
    """
    return divide(x1, x2)


@gradient(kernels.divide)
def _(node, dy):
    x1, x2 = node.inputs
    q = divide(dy, x2)
    dx2 = unbroadcast(ops.negative(ops.multiply(q, node.outputs[0])), x2.shape) if node.needs(1) else None
    return unbroadcast(q, x1.shape), dx2


def floor_divide(x1, x2):
    """Quotient rounded down, floor(x1 / x2); see `quernel.kernels.floor_divide`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.floor_divide([7, -7], 2).numpy()
        array([ 3, -4], dtype=int32)
    """
    return apply(kernels.floor_divide, meet(x1, x2), {})


def mod(x1, x2):
    """Remainder of floor division, with the sign of x2; see `quernel.kernels.mod`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.mod([7, -7], 3).numpy()
        array([1, 2], dtype=int32)
    """
    return apply(kernels.mod, meet(x1, x2), {})


@gradient(kernels.mod)
def _(node, dy):
    x1, x2 = node.inputs
    dx2 = unbroadcast(ops.negative(ops.multiply(dy, floor_divide(x1, x2))), x2.shape) if node.needs(1) else None
    return unbroadcast(dy, x1.shape), dx2
