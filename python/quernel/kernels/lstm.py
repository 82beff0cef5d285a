"""lstm: long short-term memory over whole sequences in one call, its gradient, and one step for inference."""

import numpy as np

from . import lstm_loops as loops
from .kernel import kernel, spec
from .recurrent import check_floats, check_mask, check_shape, gate_codes, slope, squash, times, zeros_or


def _units(op, u):
    """k of the recurrent kernel (k, 4k)."""
    if len(u.shape) != 2 or u.shape[1] is None or u.shape[0] not in (None, u.shape[1] / 4):
        raise ValueError(f"{op}: u: expected shape (k, 4k), received {tuple(u.shape)}")
    return u.shape[1] // 4


def _sizes(op, z, u, axes, name="z"):
    """The sizes n, t, k, 4k of a call, `z` having the axes named."""
    if len(z.shape) != len(axes.split()):
        raise ValueError(f"{op}: {name}: expected shape ({axes.replace(' ', ', ')}), received {tuple(z.shape)}")
    k = _units(op, u)
    sizes = {"n": z.shape[0], "t": z.shape[1], "k": k, "4k": 4 * k}
    check_shape(op, name, z, axes, sizes)
    return sizes


# ---- forward ----


def _forward_shape(z, u, h, c, mask, dropout, *, activation, recurrent_activation, go_backwards):
    op = "lstm_forward"
    gate_codes(op, activation, recurrent_activation)
    check_floats(op, z=z, u=u, h=h, c=c, dropout=dropout)
    sizes = _sizes(op, z, u, "n t 4k")
    for name, a in (("h", h), ("c", c), ("dropout", dropout)):
        check_shape(op, name, a, "n k", sizes)
    check_mask(op, mask, sizes)
    n, t, k = sizes["n"], sizes["t"], sizes["k"]
    shapes = (n, t, k), (n, k), (n, k), (n, t, 4 * k), (n, t, k)
    return tuple(spec(shape, z.dtype) for shape in shapes)


def _native(*arrays, activation, recurrent_activation, go_backwards=None):
    codes = gate_codes("lstm", activation, recurrent_activation)
    return (*codes, *(() if go_backwards is None else (bool(go_backwards),))), ()


@kernel(shape=_forward_shape, native=_native, numba=loops.forward)
def lstm_forward(
    z, u, h=None, c=None, mask=None, dropout=None, *,
    activation="tanh", recurrent_activation="sigmoid", go_backwards=False,
):  # fmt: skip
    """Runs an LSTM over sequences: i, f, g, o = gates of z[t] + (h * dropout) @ u; c = f * c + i * g; h = o * A(c).

    g = A(its part), and i, f, o = R(theirs), A and R being the two activations; the gates lie in the order i, f, g, o.
    A masked step passes h and c on, and gives h.

    Args:
        z: float array (n, t, 4k), the inputs' part of the gates: x @ w + b of all steps.
        u: (k, 4k), the recurrent kernel.
        h, c: (n, k), the states before the first step, or None for zeros.
        mask: bool (n, t), False where a step is masked, by input time; or None.
        dropout: (n, k), a factor on h before the product of every step, or None. No gradient flows to it.
        activation: A: "tanh", "sigmoid", "relu" or "linear" (or None).
        recurrent_activation: R: the same choice.
        go_backwards: whether the first step takes the last of z.

    Returns:
        y (n, t, k): h after each step, in the order of the steps. h and c (n, k) after the last one. What lstm_dx needs:
        gates (n, t, 4k) after activation, 0 in masked steps, and cells (n, t, k), c after each step.

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> z = np.array([[[0.0, 0.0, 1.0, 0.0]]], "float32")  # one unit: i = f = o = 1/2, g = tanh(1)
        >>> y, h, c, gates, cells = qn.kernels.lstm_forward(z, np.zeros((1, 4), "float32"))
        >>> c.round(4), y.round(4)
        (array([[0.3808]], dtype=float32), array([[[0.1817]]], dtype=float32))

    Source:
        Hochreiter and Schmidhuber, Long Short-Term Memory (1997), with the forget gate of Gers et al. (2000).
    """
    act, rec = gate_codes("lstm_forward", activation, recurrent_activation)
    (n, t, _), k = z.shape, u.shape[0]
    h, c = zeros_or(h, z, (n, k)), zeros_or(c, z, (n, k))
    y, cells, gates = (np.zeros((n, t, size), z.dtype) for size in (k, k, 4 * k))
    for s, at in times(t, go_backwards):
        i, f, g, o = np.split(z[:, at] + (h if dropout is None else h * dropout) @ u, 4, axis=-1)
        i, f, g, o = squash(i, rec), squash(f, rec), squash(g, act), squash(o, rec)
        on = np.ones((n, 1), bool) if mask is None else mask[:, at, None]
        c = np.where(on, f * c + i * g, c)
        h = np.where(on, o * squash(c, act), h)
        y[:, s], cells[:, s], gates[:, s] = h, c, np.where(on, np.concatenate([i, f, g, o], axis=-1), 0)
    return y, h, c, gates, cells


# ---- gradient ----


def _dx_shape(y, gates, cells, u, dy, dh, dc, h, c, mask, dropout, *, activation, recurrent_activation, go_backwards):
    op = "lstm_dx"
    gate_codes(op, activation, recurrent_activation)
    check_floats(op, y=y, gates=gates, cells=cells, u=u, dy=dy, dh=dh, dc=dc, h=h, c=c, dropout=dropout)
    sizes = _sizes(op, y, u, "n t k", "y")
    check_shape(op, "gates", gates, "n t 4k", sizes)
    for name, a in (("cells", cells), ("dy", dy)):
        check_shape(op, name, a, "n t k", sizes)
    for name, a in (("dh", dh), ("dc", dc), ("h", h), ("c", c), ("dropout", dropout)):
        check_shape(op, name, a, "n k", sizes)
    check_mask(op, mask, sizes)
    n, t, k = sizes["n"], sizes["t"], sizes["k"]
    return tuple(spec(shape, y.dtype) for shape in ((n, t, 4 * k), (k, 4 * k), (n, k), (n, k)))


@kernel(shape=_dx_shape, native=_native, numba=loops.dx)
def lstm_dx(
    y, gates, cells, u, dy=None, dh=None, dc=None, h=None, c=None, mask=None, dropout=None, *,
    activation="tanh", recurrent_activation="sigmoid", go_backwards=False,
):  # fmt: skip
    """Computes the gradients of lstm_forward from the last step to the first, and du = sum of (h * dropout)^T @ dz.

    Per step, a = A(c): e = dc + dh * o * A'(a); dz = e * g * R'(i), e * c_before * R'(f), e * i * A'(g), dh * a * R'(o);
    to the step before: dc = e * f, dh = (dz @ u^T) * dropout, and dy is added there.

    Args:
        y, gates, cells: what lstm_forward gave.
        u, h, c, mask, dropout: what it took.
        dy: (n, t, k), the gradient in y, or None.
        dh, dc: (n, k), the gradients in the last h and c, or None.
        activation, recurrent_activation, go_backwards: as there.

    Returns:
        dz (n, t, 4k) by input time, du (k, 4k), and the gradients in the first h and c (n, k).

    Example:
        >>> import numpy as np, quernel as qn
        >>> z, u = np.array([[[0.0, 0.0, 1.0, 0.0]]], "float32"), np.zeros((1, 4), "float32")
        >>> y, h, c, gates, cells = qn.kernels.lstm_forward(z, u)
        >>> dz, du, dh, dc = qn.kernels.lstm_dx(y, gates, cells, u, dc=np.ones((1, 1), "float32"))
        >>> dz.round(4)  # g * i (1 - i), 0, i * (1 - g^2), 0
        array([[[0.1904, 0.    , 0.21  , 0.    ]]], dtype=float32)
    """
    act, rec = gate_codes("lstm_dx", activation, recurrent_activation)
    n, t, k = y.shape
    dz, before = np.zeros((n, t, 4 * k), y.dtype), np.zeros((n, t, k), y.dtype)
    d, e = zeros_or(dh, y, (n, k)), zeros_or(dc, y, (n, k))
    for s, at in reversed(times(t, go_backwards)):
        i, f, g, o = np.split(gates[:, s], 4, axis=-1)
        old_h, old_c = (y[:, s - 1], cells[:, s - 1]) if s else (zeros_or(h, y, (n, k)), zeros_or(c, y, (n, k)))
        before[:, at] = old_h if dropout is None else old_h * dropout
        d = d if dy is None else dy[:, s] + d
        a = squash(cells[:, s], act)
        v = d * o * slope(a, act) + e
        parts = v * g * slope(i, rec), v * old_c * slope(f, rec), v * i * slope(g, act), d * a * slope(o, rec)
        on = np.ones((n, 1), bool) if mask is None else mask[:, at, None]
        dz[:, at] = np.where(on, np.concatenate(parts, axis=-1), 0)
        passed = dz[:, at] @ u.T
        d = np.where(on, passed if dropout is None else passed * dropout, d)
        e = np.where(on, v * f, e)
    du = before.reshape(n * t, k).T @ dz.reshape(n * t, 4 * k)
    return dz, du, d, e


# ---- one step ----


def _cell_shape(x, w, u, b, h, c, *, activation, recurrent_activation):
    op = "lstm_cell"
    gate_codes(op, activation, recurrent_activation)
    check_floats(op, x=x, w=w, u=u, b=b, h=h, c=c)
    if len(x.shape) != 2:
        raise ValueError(f"{op}: x: expected shape (n, i), received {tuple(x.shape)}")
    k = _units(op, u)
    sizes = {"n": x.shape[0], "i": x.shape[1], "k": k, "4k": 4 * k}
    check_shape(op, "w", w, "i 4k", sizes)
    check_shape(op, "b", b, "4k", sizes)
    check_shape(op, "h", h, "n k", sizes)
    check_shape(op, "c", c, "n k", sizes)
    return spec((sizes["n"], k), x.dtype), spec((sizes["n"], k), x.dtype)


@kernel(shape=_cell_shape, native=_native, numba=loops.cell)
def lstm_cell(x, w, u, b=None, h=None, c=None, *, activation="tanh", recurrent_activation="sigmoid"):
    """Runs one step of an LSTM: i, f, g, o = gates of x @ w + b + h @ u; c = f * c + i * g; h = o * A(c).

    The same bits as lstm_forward on one step of dense_forward's result.

    Args:
        x: float array (n, i).
        w, u, b: (i, 4k), (k, 4k) and (4k,) or None: kernel, recurrent kernel and bias, gates in the order i, f, g, o.
        h, c: (n, k), or None for zeros.
        activation, recurrent_activation: "tanh", "sigmoid", "relu" or "linear" (or None).

    Returns:
        h and c (n, k) after the step.

    Example:
        >>> import numpy as np, quernel as qn
        >>> one = np.ones((1, 1), "float32")
        >>> h, c = qn.kernels.lstm_cell(one, np.array([[0.0, 0.0, 1.0, 0.0]], "float32"), np.zeros((1, 4), "float32"))
        >>> h.round(4), c.round(4)
        (array([[0.1817]], dtype=float32), array([[0.3808]], dtype=float32))
    """
    z = x @ w if b is None else x @ w + b
    _, h, c, _, _ = lstm_forward.definition(z[:, None], u, h, c, activation=activation,
                                            recurrent_activation=recurrent_activation)  # fmt: skip
    return h, c
