"""Linear units on Tensors: elu selu gelu, and their gradients to any order."""

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.linear_units import GELU_CUBE, GELU_SCALE, NORMAL, SELU_ALPHA, SELU_SCALE
from .apply import apply, op
from .elementwise import as_float

elu_dx = op(kernels.elu_dx)
selu_dx = op(kernels.selu_dx)
gelu_dx = op(kernels.gelu_dx)


def elu(x, alpha=1.0):
    """x where x > 0, else alpha * (e ** x - 1); see `quernel.kernels.elu`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.elu(-1.0)), 4)
        -0.6321
    """
    return apply(kernels.elu, (as_float(x),), {"alpha": alpha})


@gradient(kernels.elu)
def _(node, dy):
    return (elu_dx(dy, node.inputs[0], **node.attrs),)


def _bend(x, scale):
    """The second derivative of an exponential tail: scale * e ** x below 0, nothing above."""
    return ops.where(ops.greater(x, 0), 0, ops.multiply(ops.exp(ops.minimum(x, 0)), scale))


@gradient(kernels.elu_dx)
def _(node, dy):
    g, x = node.inputs
    return elu_dx(dy, x, **node.attrs), ops.multiply(ops.multiply(dy, g), _bend(x, node.attrs["alpha"]))


def selu(x):
    """scale * (x where x > 0, else alpha * (e ** x - 1)); see `quernel.kernels.selu`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.selu(1.0)), 4)
        1.0507
    """
    return apply(kernels.selu, (as_float(x),), {})


@gradient(kernels.selu)
def _(node, dy):
    return (selu_dx(dy, node.inputs[0]),)


@gradient(kernels.selu_dx)
def _(node, dy):
    g, x = node.inputs
    return selu_dx(dy, x), ops.multiply(ops.multiply(dy, g), _bend(x, SELU_SCALE * SELU_ALPHA))


def gelu(x, approximate=True):
    """x times the normal distribution function at x; see `quernel.kernels.gelu`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.gelu(1.0, approximate=False)), 4)
        0.8413
    """
    return apply(kernels.gelu, (as_float(x),), {"approximate": approximate})


@gradient(kernels.gelu)
def _(node, dy):
    return (gelu_dx(dy, node.inputs[0], **node.attrs),)


@gradient(kernels.gelu_dx)
def _(node, dy):
    g, x = node.inputs
    z = ops.square(x)
    if node.attrs["approximate"]:  # y = x s, s = sigmoid(v): y'' = s (1 - s) (2 v' + x v'' + x v'^2 (1 - 2 s))
        slope = ops.multiply(ops.add(ops.multiply(z, 3 * GELU_CUBE), 1), GELU_SCALE)
        s = ops.sigmoid(ops.multiply(x, ops.multiply(ops.add(ops.multiply(z, GELU_CUBE), 1), GELU_SCALE)))
        bend = ops.add(ops.multiply(slope, 2), ops.multiply(z, 6 * GELU_CUBE * GELU_SCALE))
        bend = ops.add(bend, ops.multiply(ops.multiply(x, ops.square(slope)), ops.subtract(1, ops.multiply(s, 2))))
        second = ops.multiply(ops.multiply(s, ops.subtract(1, s)), bend)
    else:  # (2 - x^2) times the normal density
        density = ops.multiply(ops.exp(ops.multiply(z, -0.5)), NORMAL)
        second = ops.multiply(density, ops.subtract(2, z))
    return gelu_dx(dy, x, **node.attrs), ops.multiply(ops.multiply(dy, g), second)
