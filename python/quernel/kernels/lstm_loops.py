"""The Numba fallbacks of lstm: products of whole steps, then the gates of one row at a time."""

import numpy as np

from .kernel import jit
from .product import product_loop
from .recurrent import gate_codes, slope_loop, squash_loop, times, zeros_or


@jit
def _open_gates(pre, gates, h, c, on):
    """The new h and c of the rows that are on; squashed gates stand in `pre`, and are kept in `gates`, 0 elsewhere."""
    k = h.shape[1]
    for i in range(h.shape[0]):
        if not on[i]:
            for j in range(4 * k):
                gates[i, j] = 0
            continue
        for j in range(k):
            c[i, j] = pre[1, i, j] * c[i, j] + pre[0, i, j] * pre[2, i, j]
            for q in range(4):
                gates[i, q * k + j] = pre[q, i, j]


@jit
def _scale_rows(h, out, cells, on):
    """h = out * cells where on."""
    for i in range(h.shape[0]):
        if on[i]:
            for j in range(h.shape[1]):
                h[i, j] = out[i, j] * cells[i, j]


def forward(outs, z, u, h, c, mask, dropout, *, activation, recurrent_activation, go_backwards):
    y, h_last, c_last, gates, cells = outs
    act, rec = gate_codes("lstm_forward", activation, recurrent_activation)
    n, t, k = y.shape
    h_last[...] = 0 if h is None else h
    c_last[...] = 0 if c is None else c
    on = np.ones(n, np.bool_)
    u = np.ascontiguousarray(u)[None]
    sums, pre = np.empty((1, n, 4 * k), z.dtype), np.empty((4, n, k), z.dtype)
    for s, at in times(t, go_backwards):
        with np.errstate(all="ignore"):
            before = h_last if dropout is None else h_last * dropout
            product_loop(sums, np.ascontiguousarray(before)[None], u)
            sums[0] += z[:, at]
        for q, code in enumerate((rec, rec, act, rec)):
            pre[q] = sums[0, :, q * k : (q + 1) * k]
            squash_loop(pre[q], code)
        if mask is not None:
            on[:] = mask[:, at]
        _open_gates(pre, gates[:, s], h_last, c_last, on)
        squashed = c_last.copy()
        squash_loop(squashed, act)
        _scale_rows(h_last, pre[3], squashed, on)
        y[:, s], cells[:, s] = h_last, c_last


@jit
def _close_gates(dz, d, e, gates, slopes, a, slope_a, c, on):
    """dz of one step; d is the gradient in its h, e in its c, and then in the c before it."""
    k = d.shape[1]
    for i in range(d.shape[0]):
        if not on[i]:
            for j in range(4 * k):
                dz[i, j] = 0
            continue
        for j in range(k):
            v = d[i, j] * gates[i, 3 * k + j] * slope_a[i, j] + e[i, j]
            dz[i, j] = v * gates[i, 2 * k + j] * slopes[0, i, j]
            dz[i, k + j] = v * c[i, j] * slopes[1, i, j]
            dz[i, 2 * k + j] = v * gates[i, j] * slopes[2, i, j]
            dz[i, 3 * k + j] = d[i, j] * a[i, j] * slopes[3, i, j]
            e[i, j] = v * gates[i, k + j]


def dx(outs, y, gates, cells, u, dy, dh, dc, h, c, mask, dropout, *, activation, recurrent_activation, go_backwards):
    dz, du, dh0, dc0 = outs
    act, rec = gate_codes("lstm_dx", activation, recurrent_activation)
    n, t, k = y.shape
    before = np.zeros((n, t, k), y.dtype)
    d = np.array(zeros_or(dh, y, (n, k)))
    dc0[...] = 0 if dc is None else dc
    back = np.ascontiguousarray(np.transpose(u))[None]
    on, slopes, passed = np.ones(n, np.bool_), np.empty((4, n, k), y.dtype), np.empty((1, n, k), y.dtype)
    for s, at in reversed(times(t, go_backwards)):
        old_h, old_c = (y[:, s - 1], cells[:, s - 1]) if s else (zeros_or(h, y, (n, k)), zeros_or(c, y, (n, k)))
        with np.errstate(all="ignore"):
            before[:, at] = old_h if dropout is None else old_h * dropout
            if dy is not None:
                d += dy[:, s]
        if mask is not None:
            on[:] = mask[:, at]
        for q, code in enumerate((rec, rec, act, rec)):
            slopes[q] = gates[:, s, q * k : (q + 1) * k]
            slope_loop(slopes[q], code)
        a = np.array(cells[:, s])
        squash_loop(a, act)
        slope_a = a.copy()
        slope_loop(slope_a, act)
        _close_gates(
            dz[:, at], d, dc0, np.ascontiguousarray(gates[:, s]), slopes, a, slope_a, np.ascontiguousarray(old_c), on
        )
        product_loop(passed, np.ascontiguousarray(dz[:, at])[None], back)
        if dropout is not None:
            with np.errstate(all="ignore"):
                passed[0] *= dropout
        np.copyto(d, passed[0], where=on[:, None])
    dh0[...] = d
    terms = np.ascontiguousarray(before.reshape(n * t, k).T)[None]
    product_loop(du[None], terms, dz.reshape(1, n * t, 4 * k))


def cell(outs, x, w, u, b, h, c, *, activation, recurrent_activation):
    z = np.empty((1, x.shape[0], w.shape[1]), x.dtype)
    product_loop(z, np.ascontiguousarray(x)[None], np.ascontiguousarray(w)[None])
    if b is not None:
        with np.errstate(all="ignore"):
            z += b
    y, gates, cells = (np.empty((len(x), 1, size), x.dtype) for size in (len(u), 4 * len(u), len(u)))
    forward((y, *outs, gates, cells), z[0][:, None], u, h, c, None, None, activation=activation,
                   recurrent_activation=recurrent_activation, go_backwards=False)  # fmt: skip
