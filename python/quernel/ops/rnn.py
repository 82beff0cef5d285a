"""rnn: layers of plain recurrent units on Tensors, and their gradients."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op
from .recurrent import counted, slope, stacked, through, times

rnn_forward = op(kernels.rnn_forward)
rnn_dx = op(kernels.rnn_dx)


def simple_rnn(
    x, kernel, recurrent_kernel, bias=None, initial_state=None, mask=None, recurrent_dropout=None, *,
    activation="tanh", go_backwards=False,
):  # fmt: skip
    """A layer of plain recurrent units over whole sequences: h = f(x kernel + bias + h recurrent_kernel) at each step.

    Args:
        x: (n, t, i), sequences.
        kernel: (i, units), weights of the input.
        recurrent_kernel: (units, units).
        bias: (units,), or None.
        initial_state: (n, units); None means zeros.
        mask: (n, t) of bools, False where a step keeps the state; None: all steps count.
        recurrent_dropout: (n, units), the factor on the state in the product (0 or 1 / (1 - rate), say), the same at
            each step; it carries no gradient. None means 1.
        activation: f, "tanh", "sigmoid", "relu" or "linear" (or None).
        go_backwards: whether the steps are taken from the last to the first.

    Returns:
        y (n, t, units), the states in the order of processing, and the last state (n, units).

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import quernel as qn
        >>> y, h = qn.ops.simple_rnn(qn.ops.ones((2, 5, 3)), qn.ops.ones((3, 4)), qn.ops.ones((4, 4)))
        >>> y.shape, h.shape
        ((2, 5, 4), (2, 4))

    Source:
        Elman, Finding Structure in Time (1990).
    """
    return rnn_forward(
        ops.dense_forward(x, kernel, bias), recurrent_kernel, initial_state, mask, recurrent_dropout,
        activation=activation, go_backwards=go_backwards,
    )  # fmt: skip


def _dx_steps(y, u, dy, dh, h, mask, dropout, *, activation, go_backwards):
    n, t, k = y.shape
    zeros = ops.zeros((n, k), y.dtype)
    first, carry = zeros if h is None else h, zeros if dh is None else dh
    du, dz = ops.zeros_like(u), [None] * t
    for s, at in reversed(times(t, go_backwards)):
        d = y[:, s - 1] if s else first
        total = carry if dy is None else ops.add(carry, dy[:, s])
        a = ops.multiply(total, slope(y[:, s], activation))
        dz[at] = a = counted(mask, at, a, ops.zeros_like(a))
        handed = ops.matmul(a, ops.transpose(u))
        if dropout is not None:
            d, handed = ops.multiply(d, dropout), ops.multiply(handed, dropout)
        carry = counted(mask, at, handed, total)
        du = ops.add(du, ops.matmul(ops.transpose(d), a))
    return stacked(dz, (n, 0, k), y.dtype), du, carry


@gradient(kernels.rnn_forward)
def _(node, dy, dh):
    z, u, h, mask, dropout = node.inputs
    dz, du, dh0 = rnn_dx(node.outputs[0], u, dy, dh, h, mask, dropout, **node.attrs)
    return dz, du, None if h is None else dh0, None, None


@gradient(kernels.rnn_dx)
def _(node, *dys):  # step by step, of other ops
    return through(_dx_steps, node, dys, passive=(5, 6))
