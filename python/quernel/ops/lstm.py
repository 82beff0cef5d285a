"""lstm: whole sequences on Tensors; the gradient of one call is one call, what goes beyond it is computed step by step."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op
from .recurrent import counted, slope, squash, stacked, through, times

lstm_forward = op(kernels.lstm_forward)
lstm_dx = op(kernels.lstm_dx)
lstm_cell = op(kernels.lstm_cell)


def lstm(
    x, kernel, recurrent_kernel, bias=None, initial_h=None, initial_c=None, mask=None, recurrent_dropout=None, *,
    activation="tanh", recurrent_activation="sigmoid", go_backwards=False,
):  # fmt: skip
    """Runs an LSTM over sequences: i, f, g, o = gates of x[t] @ kernel + bias + h @ recurrent_kernel; c = f * c + i * g.

    h = o * A(c) with A the activation, which makes g, too; the recurrent activation makes i, f and o. The products with
    `kernel` of all steps are one; see kernels.lstm_forward for the rest.

    Args:
        x: float Tensor (n, t, i).
        kernel, recurrent_kernel, bias: (i, 4k), (k, 4k) and (4k,) or None; the gates lie in the order i, f, g, o.
        initial_h, initial_c: (n, k), or None for zeros.
        mask: bool (n, t), False where a step passes h and c on; or None.
        recurrent_dropout: (n, k), a factor on h before the product of every step, or None. No gradient flows to it.
        activation, recurrent_activation: "tanh", "sigmoid", "relu" or "linear" (or None).
        go_backwards: whether the first step takes the last of x.

    Returns:
        y (n, t, k): h after each step in the order of the steps; h and c (n, k) after the last one.

    Example:
        >>> import quernel as qn
        >>> x, kernel = qn.ops.ones((1, 2, 3)), qn.ops.ones((3, 8))
        >>> y, h, c = qn.ops.lstm(x, kernel, qn.ops.zeros((2, 8)))
        >>> y.shape, h.numpy().round(3)
        ((1, 2, 2), array([[0.907, 0.907]], dtype=float32))
    """
    z = ops.dense_forward(x, kernel, bias)
    y, h, c, _, _ = lstm_forward(
        z, recurrent_kernel, initial_h, initial_c, mask, recurrent_dropout,
        activation=activation, recurrent_activation=recurrent_activation, go_backwards=go_backwards,
    )  # fmt: skip
    return y, h, c


# ---- step by step: gradients of what lstm_dx does not take, and its own ----


def _split(gates):
    return ops.split(gates, 4, axis=-1)


def _forward_steps(z, u, h, c, mask, dropout, *, activation, recurrent_activation, go_backwards):
    (n, t, _), k = z.shape, u.shape[0]
    h = ops.zeros((n, k), z.dtype) if h is None else h
    c = ops.zeros((n, k), z.dtype) if c is None else c
    ys, gates, cells = [], [], []
    for _, at in times(t, go_backwards):
        before = h if dropout is None else ops.multiply(h, dropout)
        i, f, g, o = _split(ops.add(z[:, at], ops.matmul(before, u)))
        i, f, o = (squash(v, recurrent_activation) for v in (i, f, o))
        g = squash(g, activation)
        new = ops.add(ops.multiply(f, c), ops.multiply(i, g))
        h = counted(mask, at, ops.multiply(o, squash(new, activation)), h)
        c = counted(mask, at, new, c)
        all_gates = ops.concatenate([i, f, g, o], axis=-1)
        ys.append(h)
        cells.append(c)
        gates.append(counted(mask, at, all_gates, ops.zeros_like(all_gates)))
    return (
        stacked(ys, (n, 0, k), z.dtype),
        h,
        c,
        stacked(gates, (n, 0, 4 * k), z.dtype),
        stacked(cells, (n, 0, k), z.dtype),
    )


def _dx_steps(y, gates, cells, u, dy, dh, dc, h, c, mask, dropout, *, activation, recurrent_activation, go_backwards):
    n, t, k = y.shape
    zeros = ops.zeros((n, k), y.dtype)
    d, e = zeros if dh is None else dh, zeros if dc is None else dc
    h, c = zeros if h is None else h, zeros if c is None else c
    du, dz = ops.zeros_like(u), [None] * t
    for s, at in reversed(times(t, go_backwards)):
        i, f, g, o = _split(gates[:, s])
        before, old = (y[:, s - 1], cells[:, s - 1]) if s else (h, c)
        if dy is not None:
            d = ops.add(dy[:, s], d)
        a = squash(cells[:, s], activation)
        v = ops.add(ops.multiply(ops.multiply(d, o), slope(a, activation)), e)
        parts = [
            ops.multiply(ops.multiply(v, g), slope(i, recurrent_activation)),
            ops.multiply(ops.multiply(v, old), slope(f, recurrent_activation)),
            ops.multiply(ops.multiply(v, i), slope(g, activation)),
            ops.multiply(ops.multiply(d, a), slope(o, recurrent_activation)),
        ]
        step = ops.concatenate(parts, axis=-1)
        dz[at] = counted(mask, at, step, ops.zeros_like(step))
        passed = ops.matmul(dz[at], ops.transpose(u))
        if dropout is not None:
            passed, before = ops.multiply(passed, dropout), ops.multiply(before, dropout)
        du = ops.add(du, ops.matmul(ops.transpose(before), dz[at]))
        d, e = counted(mask, at, passed, d), counted(mask, at, ops.multiply(v, f), e)
    return stacked(dz, (n, 0, 4 * k), y.dtype), du, d, e


def _cell_steps(x, w, u, b, h, c, **activations):
    z = ops.expand_dims(ops.dense_forward(x, w, b), 1)
    _, h, c, _, _ = _forward_steps(z, u, h, c, None, None, go_backwards=False, **activations)
    return h, c


@gradient(kernels.lstm_forward)
def _(node, dy, dh, dc, dgates, dcells):
    if dgates is not None or dcells is not None:  # somebody looked inside
        return through(_forward_steps, node, (dy, dh, dc, dgates, dcells), passive=(4, 5))
    z, u, h, c, mask, dropout = node.inputs
    y, _, _, gates, cells = node.outputs
    dz, du, dh0, dc0 = lstm_dx(y, gates, cells, u, dy, dh, dc, h, c, mask, dropout, **node.attrs)
    return dz, du, None if h is None else dh0, None if c is None else dc0, None, None


@gradient(kernels.lstm_dx)
def _(node, *dys):
    return through(_dx_steps, node, dys, passive=(9, 10))


@gradient(kernels.lstm_cell)
def _(node, dh, dc):
    return through(_cell_steps, node, (dh, dc))
