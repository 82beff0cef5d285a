"""Arithmetic on Tensors with broadcasting and Keras's dtype promotion, and its gradients."""

from .. import kernels, ops
from ..autograd import gradient, no_gradient
from .apply import apply, operand
from .elementwise import meet, unbroadcast

no_gradient(kernels.sign)  # piecewise constant


def add(x1, x2):
    """Sum x1 + x2; see `quernel.kernels.add`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.add([1.0, 2.0], 1).numpy()
        array([2., 3.], dtype=float32)
    """
    return apply(kernels.add, meet(x1, x2), {})


@gradient(kernels.add)
def _(node, dy):
    x1, x2 = node.inputs
    return unbroadcast(dy, x1.shape), unbroadcast(dy, x2.shape)


def subtract(x1, x2):
    """Difference x1 - x2; see `quernel.kernels.subtract`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.subtract([1.0, 2.0], 1).numpy()
        array([0., 1.], dtype=float32)
    """
    return apply(kernels.subtract, meet(x1, x2), {})


@gradient(kernels.subtract)
def _(node, dy):
    x1, x2 = node.inputs
    return unbroadcast(dy, x1.shape), unbroadcast(negative(dy), x2.shape) if node.needs(1) else None


def multiply(x1, x2):
    """Product x1 * x2; see `quernel.kernels.multiply`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.multiply([1.0, 2.0], 3).numpy()
        array([3., 6.], dtype=float32)
    """
    return apply(kernels.multiply, meet(x1, x2), {})


@gradient(kernels.multiply)
def _(node, dy):
    x1, x2 = node.inputs
    dx1 = unbroadcast(multiply(dy, x2), x1.shape) if node.needs(0) else None
    dx2 = unbroadcast(multiply(dy, x1), x2.shape) if node.needs(1) else None
    return dx1, dx2


def power(x1, x2):
    """Power x1 ** x2; see `quernel.kernels.power`. The Python number 2 as x2 gives `square(x1)`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.power([1.0, 3.0], 2).numpy()
        array([1., 9.], dtype=float32)
    """
    if type(x2) in (int, float) and x2 == 2 and "float" in str(operand(x1).dtype):
        return square(x1)
    return apply(kernels.power, meet(x1, x2), {})


@gradient(kernels.power)
def _(node, dy):
    x1, x2 = node.inputs
    dx1 = dx2 = None
    if node.needs(0):  # at x2 = 0 the slope is 0, and x1 ** -1 may be inf
        slope = power(x1, subtract(ops.where(ops.equal(x2, 0), 1, x2), 1))
        dx1 = unbroadcast(multiply(dy, multiply(x2, slope)), x1.shape)
    if node.needs(1):  # where x1 <= 0 the power is no smooth function of x2: 0, as in Keras
        logarithm = ops.log(ops.where(ops.greater(x1, 0), x1, 1))
        dx2 = unbroadcast(multiply(dy, multiply(node.outputs[0], logarithm)), x2.shape)
    return dx1, dx2


def negative(x):
    """-x; see `quernel.kernels.negative`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.negative([1.0, -2.0]).numpy()
        array([-1.,  2.], dtype=float32)
    """
    return apply(kernels.negative, (x,), {})


@gradient(kernels.negative)
def _(node, dy):
    return (negative(dy),)


def absolute(x):
    """|x|; see `quernel.kernels.absolute`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.absolute([1.0, -2.0]).numpy()
        array([1., 2.], dtype=float32)
    """
    return apply(kernels.absolute, (x,), {})


def abs(x):
    """The same as `absolute`.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.abs(-2.0))
        2.0
    """
    return absolute(x)


@gradient(kernels.absolute)
def _(node, dy):
    return (multiply(dy, sign(node.inputs[0])),)


def sign(x):
    """1, 0 or -1 by the sign of x; see `quernel.kernels.sign`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.sign([-3.0, 0.0]).numpy()
        array([-1.,  0.], dtype=float32)
    """
    return apply(kernels.sign, (x,), {})


def square(x):
    """x * x; see `quernel.kernels.square`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.square([-3.0, 2.0]).numpy()
        array([9., 4.], dtype=float32)
    """
    return apply(kernels.square, (x,), {})


@gradient(kernels.square)
def _(node, dy):
    return (multiply(dy, multiply(node.inputs[0], 2)),)
