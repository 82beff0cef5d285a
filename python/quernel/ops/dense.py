"""dense: fully connected layers on Tensors, with gradients of every order."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op

dense_forward = op(kernels.dense_forward)
dense_dx = op(kernels.dense_dx)
dense_dw = op(kernels.dense_dw)
bias_db = op(kernels.bias_db)


def before_activation(dy, y, activation):
    """The gradient in what the fused activation of y took, from the gradient in y."""
    return dy if activation is None else getattr(ops, f"{activation}_dx")(dy, y)


@gradient(kernels.dense_forward)
def _(node, dy):
    x, w, _ = node.inputs
    dz = before_activation(dy, node.outputs[0], node.attrs["activation"])
    return (
        dense_dx(dz, w) if node.needs(0) else None,
        dense_dw(x, dz) if node.needs(1) else None,
        bias_db(dz) if node.needs(2) else None,
    )


@gradient(kernels.dense_dx)
def _(node, g):
    dy, w = node.inputs
    return dense_forward(g, w) if node.needs(0) else None, dense_dw(g, dy) if node.needs(1) else None


@gradient(kernels.dense_dw)
def _(node, g):
    x, dy = node.inputs
    return dense_dx(dy, g) if node.needs(0) else None, dense_forward(x, g) if node.needs(1) else None


@gradient(kernels.bias_db)
def _(node, g):
    return (ops.broadcast_to(g, shape=node.inputs[0].shape),)
