"""gru_cell: one step of gated recurrent units on Tensors."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op
from .gru import forward_steps
from .recurrent import through

gru_cell = op(kernels.gru_cell)


def _steps(x, w, u, h, b, recurrent_b, **attrs):
    z = ops.expand_dims(ops.dense_forward(x, w, b), 1)
    return forward_steps(z, u, recurrent_b, h, None, None, **attrs, go_backwards=False)[1]


@gradient(kernels.gru_cell)
def _(node, dh):
    return through(_steps, node, (dh,))
