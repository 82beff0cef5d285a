"""gru: gated recurrent units over whole sequences, forward and backward, in one call each."""

import numpy as np

from .gru_loops import backward_loop, forward_loop
from .kernel import kernel, spec
from .recurrent import check_floats, check_mask, check_shape, gate_codes, slope, squash, zeros_or


def gru_sizes(op, u, b, reset_after):
    """k and its multiples by name; ValueError for wrong weights or biases."""
    shape = tuple(u.shape)
    if len(shape) != 2 or shape[1] is None or shape[0] not in (None, shape[1] / 3):
        raise ValueError(f"{op}: u: expected shape (k, 3k), received {shape}")
    k = shape[1] // 3
    sizes = {"k": k, "3k": 3 * k, "4k": 4 * k}
    if b is not None and not reset_after:
        raise ValueError(
            f"{op}: expected no recurrent bias with reset_after=False, received one of shape {tuple(b.shape)}; "
            f"add it to the bias of the input"
        )
    check_shape(op, "b", b, "3k", sizes)
    return sizes


def _sequence(op, name, x, axes, sizes, mask):
    """Adds n and t, as x has them, to the sizes; checks x and the mask."""
    if len(x.shape) != 3:
        raise ValueError(f"{op}: {name}: expected shape ({axes.replace(' ', ', ')}), received {tuple(x.shape)}")
    sizes["n"], sizes["t"] = x.shape[0], x.shape[1]
    check_shape(op, name, x, axes, sizes)
    check_mask(op, mask, sizes)


def _contiguous(array, like, shape, fill=0):
    return np.full(shape, fill, like.dtype) if array is None else np.ascontiguousarray(array)


def _mask(mask, n, t):
    return np.ones((n, t), bool) if mask is None else np.ascontiguousarray(mask)


def _forward_shape(z, u, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards):
    op = "gru_forward"
    gate_codes(op, activation, recurrent_activation)
    check_floats(op, z=z, u=u, b=b, h=h, dropout=dropout)
    sizes = gru_sizes(op, u, b, reset_after)
    _sequence(op, "z", z, "n t 3k", sizes, mask)
    check_shape(op, "h", h, "n k", sizes)
    check_shape(op, "dropout", dropout, "n k", sizes)
    n, t, k = sizes["n"], sizes["t"], sizes["k"]
    return spec((n, t, k), z.dtype), spec((n, k), z.dtype), spec((t, n, 4 * k), z.dtype)


def _forward_native(z, u, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards):
    return (*gate_codes("gru_forward", activation, recurrent_activation), bool(reset_after), bool(go_backwards)), ()


def _forward_numba(outs, z, u, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards):
    y, last, gates = outs
    n, t, k = y.shape
    last[...] = 0 if h is None else h
    forward_loop(y, last, gates, np.ascontiguousarray(z), np.ascontiguousarray(u), _contiguous(b, z, 3 * k),
                 _mask(mask, n, t), _contiguous(dropout, z, (n, k), 1),
                 *gate_codes("gru_forward", activation, recurrent_activation), bool(reset_after),
                 bool(go_backwards))  # fmt: skip


@kernel(shape=_forward_shape, native=_forward_native, numba=_forward_numba)
def gru_forward(
    z, u, b=None, h=None, mask=None, dropout=None, *,
    activation="tanh", recurrent_activation="sigmoid", reset_after=True, go_backwards=False,
):  # fmt: skip
    """Runs a layer of gated recurrent units over whole sequences. At each step, with f the activation, g the recurrent one:

    update = g(z_u + d u_u + b_u), reset = g(z_r + d u_r + b_r), d = dropout * h;
    candidate = f(z_c + inner), inner = reset * (d u_c + b_c) with reset_after, else (reset * d) u_c;
    h = update * h + (1 - update) * candidate; a masked step keeps h.

    Args:
        z: (n, t, 3k), what the input contributes, x @ w + bias: its parts u, r, c in the order of Keras.
        u: (k, 3k), recurrent weights.
        b: (3k,) recurrent bias, or None; only with reset_after.
        h: (n, k), the state before the first step; None means zeros.
        mask: (n, t) of bools, False where a step does not count; None: all count.
        dropout: (n, k), the factor on h in the products, the same at each step; None means 1.
        activation, recurrent_activation: "tanh", "sigmoid", "relu" or "linear" (or None).
        reset_after: whether the reset gate acts behind the product (Keras's default, cuDNN's and PyTorch's way).
        go_backwards: whether the steps of z and mask are taken from the last to the first.

    Returns:
        y (n, t, k), the state after each step in the order of processing; h (n, k), the last one;
        gates (t, n, 4k), for `gru_dx`: update, reset, candidate, and d u_c + b_c with reset_after, else
        reset * d; zeros where masked.

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> z = np.zeros((1, 2, 3), "float32")  # all gates are 1/2, the candidate is tanh(h / 2)
        >>> y, h, gates = qn.kernels.gru_forward(z, np.array([[0, 0, 1]], "float32"), h=np.ones((1, 1), "float32"))
        >>> y.round(4).ravel(), h.round(4).ravel()
        (array([0.7311, 0.5406], dtype=float32), array([0.5406], dtype=float32))

    Source:
        Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014), arXiv:1406.1078, v1 and v3.
    """
    n, t, _ = z.shape
    k = u.shape[0]
    f, g = gate_codes("gru_forward", activation, recurrent_activation)
    h, b = zeros_or(h, z, (n, k)), zeros_or(b, z, 3 * k)
    y, gates = np.zeros((n, t, k), z.dtype), np.zeros((t, n, 4 * k), z.dtype)
    for s in range(t):
        at = t - 1 - s if go_backwards else s
        d = h if dropout is None else h * dropout
        both = squash(z[:, at, : 2 * k] + (np.matmul(d, u[:, : 2 * k]) + b[: 2 * k]), g)
        update, reset = both[:, :k], both[:, k:]
        if reset_after:
            saved = np.matmul(d, u[:, 2 * k :]) + b[2 * k :]
            inner = reset * saved
        else:
            saved = reset * d
            inner = np.matmul(saved, u[:, 2 * k :])
        candidate = squash(z[:, at, 2 * k :] + inner, f)
        new = update * h + (1 - update) * candidate
        all_gates = np.concatenate([both, candidate, saved], axis=1)
        counts = np.ones((n, 1), bool) if mask is None else mask[:, at, None]
        h = np.where(counts, new, h)
        y[:, s] = h
        gates[s] = np.where(counts, all_gates, z.dtype.type(0))
    return y, h, gates


def _dx_shape(
    y, gates, u, dy, dh, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards
):  # fmt: skip
    op = "gru_dx"
    gate_codes(op, activation, recurrent_activation)
    check_floats(op, y=y, gates=gates, u=u, dy=dy, dh=dh, b=b, h=h, dropout=dropout)
    sizes = gru_sizes(op, u, b, reset_after)
    _sequence(op, "y", y, "n t k", sizes, mask)
    check_shape(op, "gates", gates, "t n 4k", sizes)
    check_shape(op, "dy", dy, "n t k", sizes)
    for name, array in (("dh", dh), ("h", h), ("dropout", dropout)):
        check_shape(op, name, array, "n k", sizes)
    n, t, k = sizes["n"], sizes["t"], sizes["k"]
    shapes = (n, t, 3 * k), (k, 3 * k), (0 if b is None else 3 * k,), (n, k)
    return tuple(spec(shape, y.dtype) for shape in shapes)


def _dx_native(
    y, gates, u, dy, dh, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards
):  # fmt: skip
    return (*gate_codes("gru_dx", activation, recurrent_activation), bool(reset_after), bool(go_backwards)), ()


def _dx_numba(
    outs, y, gates, u, dy, dh, b, h, mask, dropout, *, activation, recurrent_activation, reset_after, go_backwards
):
    dz, du, db, carry = outs
    n, t, k = y.shape
    carry[...] = 0 if dh is None else dh
    sums = np.zeros(3 * k, y.dtype)
    backward_loop(dz, du, sums, carry, np.ascontiguousarray(y), np.ascontiguousarray(gates),
                  np.ascontiguousarray(u.T), _contiguous(dy, y, y.shape, -0.0),
                  _contiguous(h, y, (n, k)), _mask(mask, n, t),
                  _contiguous(dropout, y, (n, k), 1), *gate_codes("gru_dx", activation, recurrent_activation),
                  bool(reset_after), bool(go_backwards))  # fmt: skip
    db[...] = sums[: db.size]


@kernel(shape=_dx_shape, native=_dx_native, numba=_dx_numba)
def gru_dx(
    y, gates, u, dy=None, dh=None, b=None, h=None, mask=None, dropout=None, *,
    activation="tanh", recurrent_activation="sigmoid", reset_after=True, go_backwards=False,
):  # fmt: skip
    """Gradients of gru_forward by backpropagation through time. With D = dy + what the next step hands back, f' and g'
    the slopes at the saved values and d = dropout * h:

    dz_u = D (h - candidate) g', dz_c = D (1 - update) f', dz_r = dz_c * inner' g', inner' = d u_c + b_c, or
    dz_c u_c^T * d without reset_after; the step before gets D update + dropout * (the products' gradient in d);
    du = sum over rows and steps of d^T times the gradient of d u, db = that gradient's sum.

    Args:
        y, gates: what `gru_forward` returned.
        u, b, h, mask, dropout: what it was given (b's values are not read).
        dy: (n, t, k), gradient of y, or None for zeros.
        dh: (n, k), gradient of the last state, or None for zeros.
        activation, recurrent_activation, reset_after, go_backwards: as in `gru_forward`.

    Returns:
        dz (n, t, 3k), du (k, 3k), db (3k,) or (0,) where b is None, dh0 (n, k), the gradient of the first state.

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> z, u = np.zeros((1, 1, 3), "float32"), np.array([[0, 0, 1]], "float32")
        >>> h = np.zeros((1, 1), "float32")
        >>> y, _, gates = qn.kernels.gru_forward(z, u, h=h)
        >>> dz, du, db, dh0 = qn.kernels.gru_dx(y, gates, u, dy=np.ones_like(y), h=h)
        >>> dz.ravel(), du.ravel(), dh0.ravel()
        (array([0. , 0. , 0.5], dtype=float32), array([0., 0., 0.], dtype=float32), array([0.75], dtype=float32))
    """
    n, t, k = y.shape
    zero = y.dtype.type(0)
    f, g = gate_codes("gru_dx", activation, recurrent_activation)
    first, carry = zeros_or(h, y, (n, k)), zeros_or(dh, y, (n, k))
    dz, product = np.zeros((2, n, t, 3 * k), y.dtype)
    factor, inner = np.zeros((2, n, t, k), y.dtype)
    for s in reversed(range(t)):
        at = t - 1 - s if go_backwards else s
        prev = y[:, s - 1] if s else first
        d = prev if dropout is None else prev * dropout
        update, reset, candidate, saved = (gates[s, :, i * k : (i + 1) * k] for i in range(4))
        total = carry if dy is None else carry + dy[:, s]
        da_u = total * (prev - candidate) * slope(update, g)
        da_c = total * (1 - update) * slope(candidate, f)
        if reset_after:
            da_r = da_c * saved * slope(reset, g)
            behind = da_c * reset
            dd = np.matmul(np.concatenate([da_u, da_r, behind], axis=1), u.T)
        else:
            behind = da_c
            dq = np.matmul(da_c, u[:, 2 * k :].T)
            da_r = dq * d * slope(reset, g)
            dd = np.matmul(np.concatenate([da_u, da_r], axis=1), u[:, : 2 * k].T) + dq * reset
        new = total * update + (dd if dropout is None else dd * dropout)
        counts = np.ones((n, 1), bool) if mask is None else mask[:, at, None]
        carry = np.where(counts, new, total)
        dz[:, at] = np.where(counts, np.concatenate([da_u, da_r, da_c], axis=1), zero)
        product[:, at] = np.where(counts, np.concatenate([da_u, da_r, behind], axis=1), zero)
        factor[:, at] = np.where(counts, d, zero)
        inner[:, at] = np.where(counts, d if reset_after else saved, zero)
    product = product.reshape(n * t, 3 * k)
    du = np.concatenate([np.matmul(factor.reshape(n * t, k).T, product[:, : 2 * k]),
                         np.matmul(inner.reshape(n * t, k).T, product[:, 2 * k :])], axis=1)  # fmt: skip
    return dz, du, product.sum(axis=0)[: 0 if b is None else None], carry
