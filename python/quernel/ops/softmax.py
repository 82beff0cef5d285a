"""softmax and log_softmax, under keras.ops' names, and their gradient rules."""

import math

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.axes import folded_axes
from .apply import apply, op, operand

softmax_dx = op(kernels.softmax_dx)
log_softmax_dx = op(kernels.log_softmax_dx)


def _along(kernel, x, axis):
    """`kernel` along `axis`: an axis, several taken together, or None for all of them, as in Keras."""
    if isinstance(axis, int):
        return apply(kernel, (x,), {"axis": axis})
    x = operand(x)
    rank = len(x.shape)
    axes = folded_axes(kernel.name, axis, rank)
    order = [d for d in range(rank) if d not in axes] + list(axes)
    moved = ops.transpose(x, order)
    sizes = tuple(-1 if n is None else n for n in moved.shape)
    kept, together = sizes[: rank - len(axes)], sizes[rank - len(axes) :]
    flat = ops.reshape(moved, (*kept, -1 if -1 in together else math.prod(together)))
    y = ops.reshape(apply(kernel, (flat,), {"axis": -1}), sizes)
    return ops.transpose(y, [order.index(d) for d in range(rank)])


def softmax(x, axis=-1):
    """Softmax along an axis, or several together (None: all): y_i = exp(x_i) / sum(exp(x)).

    Example:
        >>> import quernel as qn
        >>> qn.ops.softmax([0.0, 0.0]).numpy()
        array([0.5, 0.5], dtype=float32)
    """
    return _along(kernels.softmax, x, axis)


def log_softmax(x, axis=-1):
    """Logarithm of softmax along an axis, or several together (None: all); see `quernel.kernels.log_softmax`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.log_softmax([0.0, 0.0]).numpy().round(3)
        array([-0.693, -0.693], dtype=float32)
    """
    return _along(kernels.log_softmax, x, axis)


@gradient(kernels.softmax)
def _(node, dy):
    return (softmax_dx(dy, node.outputs[0], **node.attrs),)


@gradient(kernels.log_softmax)
def _(node, dy):
    return (log_softmax_dx(dy, node.outputs[0], **node.attrs),)


def _row_sum(x, axis):
    return ops.sum(x, axis, keepdims=True)


@gradient(kernels.softmax_dx)
def _(node, g):
    dy, y = node.inputs
    axis = node.attrs["axis"]
    d_y = None
    if node.needs(1):
        inner = ops.subtract(dy, _row_sum(ops.multiply(dy, y), axis))
        d_y = ops.subtract(ops.multiply(g, inner), ops.multiply(dy, _row_sum(ops.multiply(g, y), axis)))
    return softmax_dx(g, y, axis=axis), d_y


@gradient(kernels.log_softmax_dx)
def _(node, g):
    dy, y = node.inputs
    axis = node.attrs["axis"]
    weighted = ops.multiply(g, ops.exp(y))
    d_dy = ops.subtract(g, _row_sum(weighted, axis)) if node.needs(0) else None
    d_y = ops.negative(ops.multiply(weighted, _row_sum(dy, axis))) if node.needs(1) else None
    return d_dy, d_y
