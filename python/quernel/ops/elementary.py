"""Elementary functions on Tensors, and their gradients. Integers become floats."""

import math

from .. import kernels, ops
from ..autograd import gradient, no_gradient
from .apply import apply
from .elementwise import as_float

no_gradient(kernels.floor)  # piecewise constant


def exp(x):
    """e ** x; see `quernel.kernels.exp`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.exp(1)), 4)
        2.7183
    """
    return apply(kernels.exp, (as_float(x),), {})


@gradient(kernels.exp)
def _(node, dy):
    return (ops.multiply(dy, node.outputs[0]),)


def log(x):
    """Natural logarithm of x; see `quernel.kernels.log`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.log(2)), 4)
        0.6931
    """
    return apply(kernels.log, (as_float(x),), {})


@gradient(kernels.log)
def _(node, dy):
    return (ops.divide(dy, node.inputs[0]),)


def log1p(x):
    """ln(1 + x), exact for small x; see `quernel.kernels.log1p`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.log1p(1.0)), 4)
        0.6931
    """
    return apply(kernels.log1p, (as_float(x),), {})


@gradient(kernels.log1p)
def _(node, dy):
    return (ops.divide(dy, ops.add(node.inputs[0], 1)),)


def expm1(x):
    """e ** x - 1, exact for small x; see `quernel.kernels.expm1`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.expm1(1.0)), 4)
        1.7183
    """
    return apply(kernels.expm1, (as_float(x),), {})


@gradient(kernels.expm1)
def _(node, dy):
    return (ops.multiply(dy, ops.add(node.outputs[0], 1)),)


def sqrt(x):
    """Square root of x; see `quernel.kernels.sqrt`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.sqrt(2)), 4)
        1.4142
    """
    return apply(kernels.sqrt, (as_float(x),), {})


@gradient(kernels.sqrt)
def _(node, dy):
    return (ops.divide(ops.multiply(dy, 0.5), node.outputs[0]),)


def rsqrt(x):
    """1 / sqrt(x); see `quernel.kernels.rsqrt`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.rsqrt(4)), 4)
        0.5
    """
    return apply(kernels.rsqrt, (as_float(x),), {})


@gradient(kernels.rsqrt)
def _(node, dy):
    y = node.outputs[0]
    return (ops.multiply(ops.multiply(dy, -0.5), ops.multiply(ops.square(y), y)),)


def erf(x):
    """Error function; see `quernel.kernels.erf`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.erf(1.0)), 4)
        0.8427
    """
    return apply(kernels.erf, (as_float(x),), {})


@gradient(kernels.erf)
def _(node, dy):
    slope = ops.exp(ops.negative(ops.square(node.inputs[0])))
    return (ops.multiply(dy, ops.multiply(slope, 2 / math.sqrt(math.pi))),)


def floor(x):
    """The largest whole number <= x; see `quernel.kernels.floor`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.floor(1.5)), 4)
        1.0
    """
    return apply(kernels.floor, (as_float(x),), {})


def sin(x):
    """Sine of x in radians; see `quernel.kernels.sin`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.sin(1.0)), 4)
        0.8415
    """
    return apply(kernels.sin, (as_float(x),), {})


@gradient(kernels.sin)
def _(node, dy):
    return (ops.multiply(dy, cos(node.inputs[0])),)


def cos(x):
    """Cosine of x in radians; see `quernel.kernels.cos`.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.ops.cos(1.0)), 4)
        0.5403
    """
    return apply(kernels.cos, (as_float(x),), {})


@gradient(kernels.cos)
def _(node, dy):
    return (ops.negative(ops.multiply(dy, sin(node.inputs[0]))),)
