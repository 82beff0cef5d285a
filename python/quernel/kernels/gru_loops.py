"""The Numba loops of gru: one step of one row at a time, products as sums of rows of the weights."""

import numpy as np

from .kernel import jit


@jit
def forward_loop(y, state, gates, z, u, b, mask, dropout, activation, recurrent_activation, reset_after, backwards):
    """gru_forward on C-contiguous arrays; `state` holds the first state and gets the last one."""
    n, t, k = y.shape
    one = y.dtype.type(1)
    sums, d = np.empty(3 * k, y.dtype), np.empty(k, y.dtype)

    def activate(v, code):
        if code == 1:
            return one - one if v <= 0 else v
        if code == 2:
            e = np.exp(-abs(v))
            return e / (one + e) if v < 0 else one / (one + e)
        return np.tanh(v) if code == 3 else v

    for s in range(t):
        at = t - 1 - s if backwards else s
        for i in range(n):
            h, g = state[i], gates[s, i]
            if not mask[i, at]:
                g[:] = 0
                y[i, s] = h
                continue
            sums[:] = 0
            wide = 3 * k if reset_after else 2 * k
            for p in range(k):
                d[p] = h[p] * dropout[i, p]
                for j in range(wide):
                    sums[j] += d[p] * u[p, j]
            for j in range(2 * k):
                g[j] = activate(z[i, at, j] + (sums[j] + b[j]), recurrent_activation)
            if reset_after:
                for j in range(k):
                    g[3 * k + j] = sums[2 * k + j] + b[2 * k + j]
                    sums[2 * k + j] = g[k + j] * g[3 * k + j]
            else:
                for p in range(k):
                    g[3 * k + p] = g[k + p] * d[p]
                    for j in range(2 * k, 3 * k):
                        sums[j] += g[3 * k + p] * u[p, j]
            for j in range(k):
                g[2 * k + j] = activate(z[i, at, 2 * k + j] + sums[2 * k + j], activation)
                h[j] = g[j] * h[j] + (one - g[j]) * g[2 * k + j]
                y[i, s, j] = h[j]


@jit
def backward_loop(
    dz, du, db, carry, y, gates, v, dy, first, mask, dropout, activation, recurrent_activation, reset_after, backwards
):
    """gru_dx on C-contiguous arrays; v is u's transpose, `carry` holds dh and gets dh0, db starts from zeros."""
    n, t, k = y.shape
    one = y.dtype.type(1)
    du[:] = 0
    d, q, dd, a = np.empty(k, y.dtype), np.empty(k, y.dtype), np.empty(k, y.dtype), np.empty(3 * k, y.dtype)

    def slope(g, v, code):
        if code == 1:
            return g * (one - one if v <= 0 else one)
        if code == 2:
            return g * (v * (one - v))
        return g * (one - v * v) if code == 3 else g

    for s in range(t - 1, -1, -1):
        at = t - 1 - s if backwards else s
        for i in range(n):
            out, g, c = dz[i, at], gates[s, i], carry[i]
            h = y[i, s - 1] if s else first[i]
            for j in range(k):
                c[j] += dy[i, s, j]
            if not mask[i, at]:
                out[:] = 0
                continue
            dd[:] = 0
            q[:] = 0
            for j in range(k):
                d[j] = h[j] * dropout[i, j]
                a[j] = slope(c[j] * (h[j] - g[2 * k + j]), g[j], recurrent_activation)
                out[2 * k + j] = slope(c[j] * (one - g[j]), g[2 * k + j], activation)
            if reset_after:
                for j in range(k):
                    a[2 * k + j] = out[2 * k + j] * g[k + j]
                    a[k + j] = slope(out[2 * k + j] * g[3 * k + j], g[k + j], recurrent_activation)
            else:
                for j in range(k):
                    a[2 * k + j] = out[2 * k + j]
                    for p in range(k):
                        q[p] += a[2 * k + j] * v[2 * k + j, p]
                for j in range(k):
                    a[k + j] = slope(q[j] * d[j], g[k + j], recurrent_activation)
            for j in range(3 * k if reset_after else 2 * k):
                for p in range(k):
                    dd[p] += a[j] * v[j, p]
            for j in range(k):
                out[j], out[k + j] = a[j], a[k + j]
                c[j] = c[j] * g[j] + (dd[j] + q[j] * g[k + j]) * dropout[i, j]
            for p in range(k):
                other = d[p] if reset_after else g[3 * k + p]
                for j in range(2 * k):
                    du[p, j] += d[p] * a[j]
                for j in range(2 * k, 3 * k):
                    du[p, j] += other * a[j]
            for j in range(3 * k):
                db[j] += a[j]
