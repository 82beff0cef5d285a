"""Activations on Tensors: relu leaky_relu sigmoid tanh softplus silu, and their gradients to any order."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import apply, op
from .elementwise import as_float

relu_dx = op(kernels.relu_dx)
leaky_relu_dx = op(kernels.leaky_relu_dx)
sigmoid_dx = op(kernels.sigmoid_dx)
tanh_dx = op(kernels.tanh_dx)
softplus_dx = op(kernels.softplus_dx)
silu_dx = op(kernels.silu_dx)


def relu(x):
    """x where x > 0, else 0; see `quernel.kernels.relu`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.relu([-1.0, 2.0]).numpy()
        array([0., 2.], dtype=float32)
    """
    return apply(kernels.relu, (as_float(x),), {})


@gradient(kernels.relu)
def _(node, dy):
    return (relu_dx(dy, node.outputs[0]),)


@gradient(kernels.relu_dx)
def _(node, dy):
    return relu_dx(dy, node.inputs[1]), None


def leaky_relu(x, negative_slope=0.2):
    """x where x > 0, else negative_slope * x; see `quernel.kernels.leaky_relu`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.leaky_relu([-1.0, 2.0]).numpy()
        array([-0.2,  2. ], dtype=float32)
    """
    return apply(kernels.leaky_relu, (as_float(x),), {"negative_slope": negative_slope})


@gradient(kernels.leaky_relu)
def _(node, dy):
    return (leaky_relu_dx(dy, node.inputs[0], **node.attrs),)


@gradient(kernels.leaky_relu_dx)
def _(node, dy):
    return leaky_relu_dx(dy, node.inputs[1], **node.attrs), None


def sigmoid(x):
    """1 / (1 + e ** -x); see `quernel.kernels.sigmoid`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.sigmoid(1.0)), 4)
        0.7311
    """
    return apply(kernels.sigmoid, (as_float(x),), {})


@gradient(kernels.sigmoid)
def _(node, dy):
    return (sigmoid_dx(dy, node.outputs[0]),)


@gradient(kernels.sigmoid_dx)
def _(node, dy):
    g, y = node.inputs
    return sigmoid_dx(dy, y), ops.multiply(ops.multiply(dy, g), ops.subtract(1, ops.multiply(y, 2)))


def tanh(x):
    """Hyperbolic tangent; see `quernel.kernels.tanh`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.tanh(1.0)), 4)
        0.7616
    """
    return apply(kernels.tanh, (as_float(x),), {})


@gradient(kernels.tanh)
def _(node, dy):
    return (tanh_dx(dy, node.outputs[0]),)


@gradient(kernels.tanh_dx)
def _(node, dy):
    g, y = node.inputs
    return tanh_dx(dy, y), ops.multiply(ops.multiply(dy, g), ops.multiply(y, -2))


def softplus(x):
    """ln(1 + e ** x); see `quernel.kernels.softplus`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.softplus(1.0)), 4)
        1.3133
    """
    return apply(kernels.softplus, (as_float(x),), {})


@gradient(kernels.softplus)
def _(node, dy):
    return (softplus_dx(dy, node.inputs[0]),)


@gradient(kernels.softplus_dx)
def _(node, dy):
    g, x = node.inputs
    return softplus_dx(dy, x), sigmoid_dx(ops.multiply(dy, g), sigmoid(x))


def silu(x):
    """x * sigmoid(x); see `quernel.kernels.silu`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.silu(1.0)), 4)
        0.7311
    """
    return apply(kernels.silu, (as_float(x),), {})


def swish(x):
    """The same as `silu`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.swish(1.0)), 4)
        0.7311
    """
    return silu(x)


@gradient(kernels.silu)
def _(node, dy):
    return (silu_dx(dy, node.inputs[0]),)


@gradient(kernels.silu_dx)
def _(node, dy):
    g, x = node.inputs
    s = sigmoid(x)
    bend = ops.add(ops.multiply(x, ops.subtract(1, ops.multiply(s, 2))), 2)  # silu'' = s (1 - s) (2 + x (1 - 2 s))
    return silu_dx(dy, x), sigmoid_dx(ops.multiply(ops.multiply(dy, g), bend), s)
