"""rnn_cell: one step of plain recurrent units on Tensors."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op

rnn_cell = op(kernels.rnn_cell)


@gradient(kernels.rnn_cell)
def _(node, dh):
    x, w, u, h, b = node.inputs
    activation = node.attrs["activation"]
    slopes = {"tanh": ops.tanh_dx, "sigmoid": ops.sigmoid_dx, "relu": ops.relu_dx}
    dz = slopes[activation](dh, node.outputs[0]) if activation in slopes else dh
    return (
        ops.dense_dx(dz, w) if node.needs(0) else None,
        ops.dense_dw(x, dz) if node.needs(1) else None,
        ops.dense_dw(h, dz) if node.needs(2) else None,
        ops.dense_dx(dz, u) if node.needs(3) else None,
        ops.bias_db(dz) if node.needs(4) else None,
    )
