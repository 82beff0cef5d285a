"""mean_squared_error, differentiable; how the losses' inputs are made floating."""

import numpy as np

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.kernel import is_float
from .apply import apply, op, operand

mean_squared_error_dx = op(kernels.mean_squared_error_dx)


def floats(target, output):
    """Both as Tensors of the output's float dtype (float32 where that is integral)."""
    target, output = operand(target), operand(output)
    if not is_float(np.dtype(output.dtype)):
        output = ops.cast(output, "float32")
    if target.dtype != output.dtype:
        target = ops.cast(target, output.dtype)
    return target, output


def mean_squared_error(y_true, y_pred):
    """Mean squared error over the last axis: loss = sum((y_true - y_pred)^2) / n.

    Example:
        >>> import quernel as qn
        >>> qn.ops.mean_squared_error([[0.0, 2.0]], [[1.0, 4.0]]).numpy()
        array([2.5], dtype=float32)
    """
    return apply(kernels.mean_squared_error, floats(y_true, y_pred), {})


@gradient(kernels.mean_squared_error)
def _(node, dy):
    dx = mean_squared_error_dx(dy, *node.inputs)
    return ops.negative(dx) if node.needs(0) else None, dx


@gradient(kernels.mean_squared_error_dx)
def _(node, g):
    dy, t, x = node.inputs
    d_dy = d_x = None
    if node.needs(0):
        unit = mean_squared_error_dx(ops.ones_like(dy), t, x)
        d_dy = ops.sum(ops.multiply(g, unit), -1)
    if node.needs(1) or node.needs(2):
        scale = ops.divide(ops.multiply(dy, 2), x.shape[-1])
        d_x = ops.multiply(g, ops.expand_dims(scale, -1))
    return d_dy, ops.negative(d_x) if node.needs(1) else None, d_x
