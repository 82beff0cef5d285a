"""The Numba loops of pooling: arrays as (n, d, h, w, c), channels innermost so that LLVM vectorises over them."""

import numpy as np

from .kernel import jit
from .window import tiled


def _five(a):
    """A C-contiguous view or copy with five axes: (n, spatial..., c) with leading spatial axes of size 1."""
    a = np.ascontiguousarray(a)
    return a.reshape((a.shape[0],) + (1,) * (5 - a.ndim) + a.shape[1:])


@jit
def _max_pool(y, x, g):
    for n, od, oh, ow in np.ndindex(y.shape[:4]):
        to = y[n, od, oh, ow]
        first = True
        for d in range(max(0, od * g[0, 3] - g[0, 4]), min(g[0, 0], od * g[0, 3] - g[0, 4] + g[0, 2])):
            for h in range(max(0, oh * g[1, 3] - g[1, 4]), min(g[1, 0], oh * g[1, 3] - g[1, 4] + g[1, 2])):
                for w in range(max(0, ow * g[2, 3] - g[2, 4]), min(g[2, 0], ow * g[2, 3] - g[2, 4] + g[2, 2])):
                    tap = x[n, d, h, w]
                    if first:
                        for c in range(to.size):
                            to[c] = tap[c]
                        first = False
                        continue
                    for c in range(to.size):
                        a = to[c]
                        v = tap[c]
                        to[c] = v if (v > a) | ((v != v) & (a == a)) else a


def max_pool(y, x, g):
    """Fills y; g is window.three(axes)."""
    _max_pool(_five(y), _five(x), g)


@jit
def _max_pool_dx(dx, dy, x, y, g, alone):
    dx[:] = 0
    closed = np.empty(y.shape[4], np.bool_)
    for n, od, oh, ow in np.ndindex(y.shape[:4]):
        best = y[n, od, oh, ow]
        gradient = dy[n, od, oh, ow]
        closed[:] = False
        for d in range(max(0, od * g[0, 3] - g[0, 4]), min(g[0, 0], od * g[0, 3] - g[0, 4] + g[0, 2])):
            for h in range(max(0, oh * g[1, 3] - g[1, 4]), min(g[1, 0], oh * g[1, 3] - g[1, 4] + g[1, 2])):
                for w in range(max(0, ow * g[2, 3] - g[2, 4]), min(g[2, 0], ow * g[2, 3] - g[2, 4] + g[2, 2])):
                    tap = x[n, d, h, w]
                    to = dx[n, d, h, w]
                    for c in range(to.size):
                        v = tap[c]
                        b = best[c]
                        hit = ((v == b) | ((v != v) & (b != b))) & ~closed[c]
                        if alone:
                            to[c] = gradient[c] if hit else 0
                        else:
                            to[c] += gradient[c] if hit else 0
                        closed[c] |= hit


def max_pool_dx(dx, dy, x, y, g):
    """Fills dx; windows that tile it store, others add in ascending order to +0."""
    _max_pool_dx(_five(dx), _five(dy), _five(x), _five(y), g, tiled(g))


@jit
def _max_pool_gather(z, v, x, y, g):
    z[:] = 0
    closed = np.empty(y.shape[4], np.bool_)
    for n, od, oh, ow in np.ndindex(y.shape[:4]):
        best = y[n, od, oh, ow]
        to = z[n, od, oh, ow]
        closed[:] = False
        for d in range(max(0, od * g[0, 3] - g[0, 4]), min(g[0, 0], od * g[0, 3] - g[0, 4] + g[0, 2])):
            for h in range(max(0, oh * g[1, 3] - g[1, 4]), min(g[1, 0], oh * g[1, 3] - g[1, 4] + g[1, 2])):
                for w in range(max(0, ow * g[2, 3] - g[2, 4]), min(g[2, 0], ow * g[2, 3] - g[2, 4] + g[2, 2])):
                    tap = x[n, d, h, w]
                    read = v[n, d, h, w]
                    for c in range(to.size):
                        b = best[c]
                        hit = ((tap[c] == b) | ((tap[c] != tap[c]) & (b != b))) & ~closed[c]
                        to[c] = read[c] if hit else to[c]
                        closed[c] |= hit


def max_pool_gather(z, v, x, y, g):
    """Fills z."""
    _max_pool_gather(_five(z), _five(v), _five(x), _five(y), g)


@jit
def _average_pool(y, x, g):
    for n, od, oh, ow in np.ndindex(y.shape[:4]):
        to = y[n, od, oh, ow]
        to[:] = 0
        count = 0
        for d in range(max(0, od * g[0, 3] - g[0, 4]), min(g[0, 0], od * g[0, 3] - g[0, 4] + g[0, 2])):
            for h in range(max(0, oh * g[1, 3] - g[1, 4]), min(g[1, 0], oh * g[1, 3] - g[1, 4] + g[1, 2])):
                for w in range(max(0, ow * g[2, 3] - g[2, 4]), min(g[2, 0], ow * g[2, 3] - g[2, 4] + g[2, 2])):
                    tap = x[n, d, h, w]
                    count += 1
                    for c in range(to.size):
                        to[c] += tap[c]
        for c in range(to.size):
            to[c] /= count


def average_pool(y, x, g):
    """Fills y: sums in window order, divided by the number of elements present."""
    _average_pool(_five(y), _five(x), g)


@jit
def _average_pool_dx(dx, dy, g, alone):
    dx[:] = 0
    share = np.empty(dy.shape[4], dy.dtype)
    for n, od, oh, ow in np.ndindex(dy.shape[:4]):
        d0 = max(0, od * g[0, 3] - g[0, 4])
        h0 = max(0, oh * g[1, 3] - g[1, 4])
        w0 = max(0, ow * g[2, 3] - g[2, 4])
        d1 = min(g[0, 0], od * g[0, 3] - g[0, 4] + g[0, 2])
        h1 = min(g[1, 0], oh * g[1, 3] - g[1, 4] + g[1, 2])
        w1 = min(g[2, 0], ow * g[2, 3] - g[2, 4] + g[2, 2])
        count = (d1 - d0) * (h1 - h0) * (w1 - w0)
        for c in range(share.size):
            share[c] = dy[n, od, oh, ow, c] / count
        for d in range(d0, d1):
            for h in range(h0, h1):
                for w in range(w0, w1):
                    to = dx[n, d, h, w]
                    for c in range(share.size):
                        if alone:
                            to[c] = share[c]
                        else:
                            to[c] += share[c]


def average_pool_dx(dx, dy, g):
    """Fills dx; windows that tile it store their shares, others add in ascending order to +0."""
    _average_pool_dx(_five(dx), _five(dy), g, tiled(g))
