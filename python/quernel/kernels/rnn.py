"""rnn: plain recurrent units over whole sequences, forward and backward, in one call each."""

import numpy as np

from .kernel import jit, kernel, spec
from .recurrent import check_floats, check_mask, check_shape, gate_code, slope, squash, zeros_or


def rnn_units(op, u):
    """k of the recurrent weights (k, k)."""
    shape = tuple(u.shape)
    if len(shape) != 2 or (None not in shape and shape[0] != shape[1]):
        raise ValueError(f"{op}: u: expected shape (k, k), received {shape}")
    return shape[1] if shape[0] is None else shape[0]


def _sizes(op, name, x, u, mask):
    """n, t, k as x (n, t, k) and u have them; checks x and the mask."""
    if len(x.shape) != 3:
        raise ValueError(f"{op}: {name}: expected shape (n, t, k), received {tuple(x.shape)}")
    sizes = {"n": x.shape[0], "t": x.shape[1], "k": rnn_units(op, u)}
    check_shape(op, name, x, "n t k", sizes)
    check_mask(op, mask, sizes)
    return sizes


def _contiguous(array, like, shape, fill=0):
    return np.full(shape, fill, like.dtype) if array is None else np.ascontiguousarray(array)


def _mask(mask, n, t):
    return np.ones((n, t), bool) if mask is None else np.ascontiguousarray(mask)


def _forward_shape(z, u, h, mask, dropout, *, activation, go_backwards):
    op = "rnn_forward"
    gate_code(activation, "activation", op)
    check_floats(op, z=z, u=u, h=h, dropout=dropout)
    sizes = _sizes(op, "z", z, u, mask)
    check_shape(op, "h", h, "n k", sizes)
    check_shape(op, "dropout", dropout, "n k", sizes)
    return spec((sizes["n"], sizes["t"], sizes["k"]), z.dtype), spec((sizes["n"], sizes["k"]), z.dtype)


def _forward_native(z, u, h, mask, dropout, *, activation, go_backwards):
    return (gate_code(activation, "activation", "rnn_forward"), bool(go_backwards)), ()


@jit
def _forward_loop(y, state, z, u, mask, dropout, activation, backwards):
    n, t, k = y.shape
    one = y.dtype.type(1)
    sums = np.empty(k, y.dtype)
    for s in range(t):
        at = t - 1 - s if backwards else s
        for i in range(n):
            h = state[i]
            if mask[i, at]:
                sums[:] = 0
                for p in range(k):
                    d = h[p] * dropout[i, p]
                    for j in range(k):
                        sums[j] += d * u[p, j]
                for j in range(k):
                    v = z[i, at, j] + sums[j]
                    if activation == 1:
                        v = one - one if v <= 0 else v
                    elif activation == 2:
                        e = np.exp(-abs(v))
                        v = e / (one + e) if v < 0 else one / (one + e)
                    elif activation == 3:
                        v = np.tanh(v)
                    h[j] = v
            y[i, s] = h


def _forward_numba(outs, z, u, h, mask, dropout, *, activation, go_backwards):
    y, last = outs
    n, t, k = y.shape
    last[...] = 0 if h is None else h
    _forward_loop(y, last, np.ascontiguousarray(z), np.ascontiguousarray(u), _mask(mask, n, t),
                  _contiguous(dropout, z, (n, k), 1), gate_code(activation, "activation", "rnn_forward"),
                  bool(go_backwards))  # fmt: skip


@kernel(shape=_forward_shape, native=_forward_native, numba=_forward_numba)
def rnn_forward(z, u, h=None, mask=None, dropout=None, *, activation="tanh", go_backwards=False):
    """Runs a layer of plain recurrent units over whole sequences: h = f(z + (dropout * h) u) at each step.

    Args:
        z: (n, t, k), what the input contributes, x @ w + bias.
        u: (k, k), recurrent weights.
        h: (n, k), the state before the first step; None means zeros.
        mask: (n, t) of bools, False where a step keeps h as it is; None: all count.
        dropout: (n, k), the factor on h in the product, the same at each step; None means 1.
        activation: f, "tanh", "sigmoid", "relu" or "linear" (or None).
        go_backwards: whether the steps of z and mask are taken from the last to the first.

    Returns:
        y (n, t, k), the state after each step in the order of processing; h (n, k), the last one.

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> y, h = qn.kernels.rnn_forward(np.ones((1, 3, 1), "float32"), 2 * np.ones((1, 1), "float32"),
        ...                               activation="linear")
        >>> y.ravel(), h.ravel()
        (array([1., 3., 7.], dtype=float32), array([7.], dtype=float32))

    Source:
        Elman, Finding Structure in Time (1990).
    """
    n, t, k = z.shape
    f = gate_code(activation, "activation", "rnn_forward")
    h = zeros_or(h, z, (n, k))
    y = np.zeros((n, t, k), z.dtype)
    for s in range(t):
        at = t - 1 - s if go_backwards else s
        d = h if dropout is None else h * dropout
        new = squash(z[:, at] + np.matmul(d, u), f)
        h = new if mask is None else np.where(mask[:, at, None], new, h)
        y[:, s] = h
    return y, h


def _dx_shape(y, u, dy, dh, h, mask, dropout, *, activation, go_backwards):
    op = "rnn_dx"
    gate_code(activation, "activation", op)
    check_floats(op, y=y, u=u, dy=dy, dh=dh, h=h, dropout=dropout)
    sizes = _sizes(op, "y", y, u, mask)
    check_shape(op, "dy", dy, "n t k", sizes)
    for name, array in (("dh", dh), ("h", h), ("dropout", dropout)):
        check_shape(op, name, array, "n k", sizes)
    n, t, k = sizes["n"], sizes["t"], sizes["k"]
    return spec((n, t, k), y.dtype), spec((k, k), y.dtype), spec((n, k), y.dtype)


def _dx_native(y, u, dy, dh, h, mask, dropout, *, activation, go_backwards):
    return (gate_code(activation, "activation", "rnn_dx"), bool(go_backwards)), ()


@jit
def _backward_loop(dz, du, carry, y, v, dy, first, mask, dropout, activation, backwards):
    n, t, k = y.shape
    one = y.dtype.type(1)
    du[:] = 0
    for s in range(t - 1, -1, -1):
        at = t - 1 - s if backwards else s
        for i in range(n):
            a, c, value = dz[i, at], carry[i], y[i, s]
            h = y[i, s - 1] if s else first[i]
            for j in range(k):
                c[j] += dy[i, s, j]
            if not mask[i, at]:
                a[:] = 0
                continue
            for j in range(k):
                g = c[j]
                if activation == 1:
                    g = g * (one - one if value[j] <= 0 else one)
                elif activation == 2:
                    g = g * (value[j] * (one - value[j]))
                elif activation == 3:
                    g = g * (one - value[j] * value[j])
                a[j] = g
            c[:] = 0
            for j in range(k):
                for p in range(k):
                    c[p] += a[j] * v[j, p]
            for p in range(k):
                c[p] *= dropout[i, p]
                d = h[p] * dropout[i, p]
                for j in range(k):
                    du[p, j] += d * a[j]


def _dx_numba(outs, y, u, dy, dh, h, mask, dropout, *, activation, go_backwards):
    dz, du, carry = outs
    n, t, k = y.shape
    carry[...] = 0 if dh is None else dh
    _backward_loop(dz, du, carry, np.ascontiguousarray(y), np.ascontiguousarray(u.T), _contiguous(dy, y, y.shape, -0.0),
                   _contiguous(h, y, (n, k)), _mask(mask, n, t), _contiguous(dropout, y, (n, k), 1),
                   gate_code(activation, "activation", "rnn_dx"), bool(go_backwards))  # fmt: skip


@kernel(shape=_dx_shape, native=_dx_native, numba=_dx_numba)
def rnn_dx(y, u, dy=None, dh=None, h=None, mask=None, dropout=None, *, activation="tanh", go_backwards=False):
    """Gradients of rnn_forward by backpropagation through time: dz = (dy + c) f'(y), c = dropout * (dz u^T) of the
    step behind; du = sum over rows and steps of (dropout * h)^T dz.

    Args:
        y: what `rnn_forward` returned.
        u, h, mask, dropout: what it was given.
        dy: (n, t, k), gradient of y, or None for zeros.
        dh: (n, k), gradient of the last state, or None for zeros.
        activation, go_backwards: as in `rnn_forward`.

    Returns:
        dz (n, t, k), du (k, k), dh0 (n, k), the gradient of the first state.

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> z, u = np.ones((1, 3, 1), "float32"), 2 * np.ones((1, 1), "float32")
        >>> y, _ = qn.kernels.rnn_forward(z, u, activation="linear")
        >>> dz, du, dh0 = qn.kernels.rnn_dx(y, u, dh=np.ones((1, 1), "float32"), activation="linear")
        >>> dz.ravel(), du.ravel(), dh0.ravel()
        (array([4., 2., 1.], dtype=float32), array([5.], dtype=float32), array([8.], dtype=float32))
    """
    n, t, k = y.shape
    zero = y.dtype.type(0)
    f = gate_code(activation, "activation", "rnn_dx")
    first, carry = zeros_or(h, y, (n, k)), zeros_or(dh, y, (n, k))
    dz, factor = np.zeros((2, n, t, k), y.dtype)
    for s in reversed(range(t)):
        at = t - 1 - s if go_backwards else s
        prev = y[:, s - 1] if s else first
        total = carry if dy is None else carry + dy[:, s]
        da = total * slope(y[:, s], f)
        new, d = np.matmul(da, u.T), prev
        if dropout is not None:
            new, d = new * dropout, d * dropout
        counts = np.ones((n, 1), bool) if mask is None else mask[:, at, None]
        carry = np.where(counts, new, total)
        dz[:, at] = np.where(counts, da, zero)
        factor[:, at] = np.where(counts, d, zero)
    return dz, np.matmul(factor.reshape(n * t, k).T, dz.reshape(n * t, k)), carry
