"""gru: layers of gated recurrent units on Tensors, and their gradients."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op
from .recurrent import counted, slope, squash, stacked, through, times

gru_forward = op(kernels.gru_forward)
gru_dx = op(kernels.gru_dx)


def gru(
    x, kernel, recurrent_kernel, bias=None, recurrent_bias=None, initial_state=None, mask=None, recurrent_dropout=None,
    *, activation="tanh", recurrent_activation="sigmoid", reset_after=True, go_backwards=False,
):  # fmt: skip
    """A layer of gated recurrent units over whole sequences; the formula is `gru_forward`'s with z = x @ kernel + bias.

    Args:
        x: (n, t, i), sequences.
        kernel: (i, 3 units), weights of the input in Keras's order: update, reset, candidate.
        recurrent_kernel: (units, 3 units).
        bias: (3 units,), or None.
        recurrent_bias: (3 units,), or None; only with reset_after.
        initial_state: (n, units); None means zeros.
        mask: (n, t) of bools, False where a step keeps the state; None: all steps count.
        recurrent_dropout: (n, units), the factor on the state in the products (0 or 1 / (1 - rate), say), the same
            at each step; it carries no gradient. None means 1.
        activation, recurrent_activation: "tanh", "sigmoid", "relu" or "linear" (or None).
        reset_after: whether the reset gate acts behind the recurrent product (Keras's default).
        go_backwards: whether the steps are taken from the last to the first.

    Returns:
        y (n, t, units), the states in the order of processing, and the last state (n, units).

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import quernel as qn
        >>> y, h = qn.ops.gru(qn.ops.ones((2, 5, 3)), qn.ops.ones((3, 12)), qn.ops.ones((4, 12)))
        >>> y.shape, h.shape
        ((2, 5, 4), (2, 4))

    Source:
        Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014), arXiv:1406.1078, v1 and v3.
    """
    y, h, _ = gru_forward(
        ops.dense_forward(x, kernel, bias), recurrent_kernel, recurrent_bias, initial_state, mask, recurrent_dropout,
        activation=activation, recurrent_activation=recurrent_activation, reset_after=reset_after,
        go_backwards=go_backwards,
    )  # fmt: skip
    return y, h


# ---- step by step: gradients of what gru_dx does not take, and its own ----


def forward_steps(z, u, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards):
    """gru_forward, made of other ops."""
    (n, t, _), k = z.shape, u.shape[0]
    h = ops.zeros((n, k), z.dtype) if h is None else h
    u_both, u_candidate = u[:, : 2 * k], u[:, 2 * k :]
    ys, gates = [], []
    for _, at in times(t, go_backwards):
        d = h if dropout is None else ops.multiply(h, dropout)
        sums = ops.matmul(d, u_both)
        both = squash(
            ops.add(z[:, at, : 2 * k], sums if b is None else ops.add(sums, b[: 2 * k])), recurrent_activation
        )
        update, reset = both[:, :k], both[:, k:]
        if reset_after:
            kept = ops.matmul(d, u_candidate)
            kept = kept if b is None else ops.add(kept, b[2 * k :])
            inner = ops.multiply(reset, kept)
        else:
            kept = ops.multiply(reset, d)
            inner = ops.matmul(kept, u_candidate)
        candidate = squash(ops.add(z[:, at, 2 * k :], inner), activation)
        new = ops.add(ops.multiply(update, h), ops.multiply(ops.subtract(1.0, update), candidate))
        h = counted(mask, at, new, h)
        ys.append(h)
        every = ops.concatenate([both, candidate, kept], axis=-1)
        gates.append(counted(mask, at, every, ops.zeros_like(every)))
    return stacked(ys, (n, 0, k), z.dtype), h, stacked(gates, (0, n, 4 * k), z.dtype, axis=0)


def _dx_steps(y, gates, u, dy, dh, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards):
    n, t, k = y.shape
    zeros = ops.zeros((n, k), y.dtype)
    first, carry = zeros if h is None else h, zeros if dh is None else dh
    u_both, u_candidate = u[:, : 2 * k], u[:, 2 * k :]
    du_both, du_candidate = ops.zeros_like(u_both), ops.zeros_like(u_candidate)
    db, dz = ops.zeros((3 * k,), y.dtype), [None] * t
    for s, at in reversed(times(t, go_backwards)):
        prev = y[:, s - 1] if s else first
        d = prev if dropout is None else ops.multiply(prev, dropout)
        update, reset, candidate, kept = ops.split(gates[s], 4, axis=-1)
        total = carry if dy is None else ops.add(carry, dy[:, s])
        a_u = ops.multiply(ops.multiply(total, ops.subtract(prev, candidate)), slope(update, recurrent_activation))
        a_c = ops.multiply(ops.multiply(total, ops.subtract(1.0, update)), slope(candidate, activation))
        if reset_after:
            behind, factor = ops.multiply(a_c, reset), d
            a_r = ops.multiply(ops.multiply(a_c, kept), slope(reset, recurrent_activation))
            handed = ops.matmul(behind, ops.transpose(u_candidate))
        else:
            behind, factor = a_c, kept
            handed = ops.matmul(a_c, ops.transpose(u_candidate))
            a_r = ops.multiply(ops.multiply(handed, d), slope(reset, recurrent_activation))
            handed = ops.multiply(handed, reset)
        none = ops.zeros_like(a_u)
        a_u, a_r, a_c, behind = (counted(mask, at, v, none) for v in (a_u, a_r, a_c, behind))
        both = ops.concatenate([a_u, a_r], axis=-1)
        handed = ops.add(handed, ops.matmul(both, ops.transpose(u_both)))
        handed = handed if dropout is None else ops.multiply(handed, dropout)
        carry = counted(mask, at, ops.add(ops.multiply(total, update), handed), total)
        dz[at] = ops.concatenate([both, a_c], axis=-1)
        du_both = ops.add(du_both, ops.matmul(ops.transpose(d), both))
        du_candidate = ops.add(du_candidate, ops.matmul(ops.transpose(factor), behind))
        db = ops.add(db, ops.bias_db(ops.concatenate([both, behind], axis=-1)))
    du = ops.concatenate([du_both, du_candidate], axis=-1)
    return stacked(dz, (n, 0, 3 * k), y.dtype), du, db[:0] if b is None else db, carry


@gradient(kernels.gru_forward)
def _(node, dy, dh, dgates):
    if dgates is not None:  # somebody looked inside
        return through(forward_steps, node, (dy, dh, dgates), passive=(4, 5))
    z, u, b, h, mask, dropout = node.inputs
    y, _, gates = node.outputs
    dz, du, db, dh0 = gru_dx(y, gates, u, dy, dh, b, h, mask, dropout, **node.attrs)
    return dz, du, None if b is None else db, None if h is None else dh0, None, None


@gradient(kernels.gru_dx)
def _(node, *dys):
    return through(_dx_steps, node, dys, passive=(5, 7, 8))
