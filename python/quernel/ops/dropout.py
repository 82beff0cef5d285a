"""dropout and its gradient, which makes the mask again from the state."""

from .. import kernels
from ..autograd import gradient
from .apply import op

dropout = op(kernels.dropout)
dropout_dx = op(kernels.dropout_dx)


@gradient(kernels.dropout)
def _(node, dy):
    return dropout_dx(dy, node.inputs[1], rate=node.attrs["rate"]), None


@gradient(kernels.dropout_dx)
def _(node, ddx):
    return dropout_dx(ddx, node.inputs[1], rate=node.attrs["rate"]), None
