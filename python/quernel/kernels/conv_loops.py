"""Numba fallback of convolution and depthwise convolution: serial loops whose inner loop runs over contiguous channels.

The geometry comes as jobs: one for each tap and row of positions, (tap, first output, first input, count), where
pixels of an image are numbered in C order. One loop thus serves one to three dimensions, any stride and any clipping.
"""

import functools
import math

import numpy as np

from .dense import ACTIVATIONS, epilogue_loop
from .kernel import jit


@functools.lru_cache(maxsize=256)
def _jobs(g):
    """The jobs of a Geometry as an int64 array of shape (jobs, 4)."""
    outputs = np.arange(math.prod(g.outputs)).reshape(1, *g.outputs)
    inputs = np.arange(math.prod(g.inputs)).reshape(1, *g.inputs)
    jobs = []
    for tap, at, source in g.taps():
        number = np.ravel_multi_index(tap, g.kernel)
        to = outputs[at]
        for first, start in zip(to[..., 0].ravel(), inputs[source][..., 0].ravel()):
            jobs.append((number, first, start, to.shape[-1]))
    return np.array(jobs, np.int64).reshape(-1, 4)


def _pixels(a):
    """(n, pixels, channels), C-contiguous."""
    return np.ascontiguousarray(a).reshape(a.shape[0], math.prod(a.shape[1:-1]), a.shape[-1])


def _taps(w):
    """(taps, input channels, filters), C-contiguous."""
    return np.ascontiguousarray(w).reshape(math.prod(w.shape[:-2]), *w.shape[-2:])


def _wide(w):
    """(taps, channels * M), C-contiguous."""
    return np.ascontiguousarray(w).reshape(math.prod(w.shape[:-2]), math.prod(w.shape[-2:]))


@jit
def _products(y, x, w, jobs, read, write, groups):
    """y[n, q, o] += sum over c of x[n, p, c] * w[t, c, o] for the pixels p, q of every job: four channels c a pass."""
    channels = w.shape[1]
    filters = w.shape[2] // groups
    for n in range(y.shape[0]):
        for j in range(jobs.shape[0]):
            t, first, start, count = jobs[j, 0], jobs[j, 1], jobs[j, 2], jobs[j, 3]
            for i in range(count):
                for g in range(groups):
                    row = y[n, first + i * write, g * filters : (g + 1) * filters]
                    values = x[n, start + i * read, g * channels : (g + 1) * channels]
                    c = 0
                    while c + 4 <= channels:
                        a0, a1, a2, a3 = values[c], values[c + 1], values[c + 2], values[c + 3]
                        w0 = w[t, c, g * filters : (g + 1) * filters]
                        w1 = w[t, c + 1, g * filters : (g + 1) * filters]
                        w2 = w[t, c + 2, g * filters : (g + 1) * filters]
                        w3 = w[t, c + 3, g * filters : (g + 1) * filters]
                        for o in range(filters):
                            row[o] = row[o] + a0 * w0[o] + a1 * w1[o] + a2 * w2[o] + a3 * w3[o]
                        c += 4
                    while c < channels:
                        a0 = values[c]
                        w0 = w[t, c, g * filters : (g + 1) * filters]
                        for o in range(filters):
                            row[o] = row[o] + a0 * w0[o]
                        c += 1


@jit
def _outer(dw, x, dy, jobs, step, groups):
    """dw[t, c, o] += sum over n, pixels of x[n, q, c] * dy[n, p, o]: four pixels a pass."""
    channels = dw.shape[1]
    filters = dw.shape[2] // groups
    for n in range(x.shape[0]):
        for j in range(jobs.shape[0]):
            t, first, start, count = jobs[j, 0], jobs[j, 1], jobs[j, 2], jobs[j, 3]
            for g in range(groups):
                i = 0
                while i + 4 <= count:
                    p, q = first + i, start + i * step
                    d0 = dy[n, p, g * filters : (g + 1) * filters]
                    d1 = dy[n, p + 1, g * filters : (g + 1) * filters]
                    d2 = dy[n, p + 2, g * filters : (g + 1) * filters]
                    d3 = dy[n, p + 3, g * filters : (g + 1) * filters]
                    for c in range(channels):
                        at = g * channels + c
                        a0, a1, a2, a3 = (
                            x[n, q, at],
                            x[n, q + step, at],
                            x[n, q + 2 * step, at],
                            x[n, q + 3 * step, at],
                        )
                        row = dw[t, c, g * filters : (g + 1) * filters]
                        for o in range(filters):
                            row[o] = row[o] + a0 * d0[o] + a1 * d1[o] + a2 * d2[o] + a3 * d3[o]
                    i += 4
                while i < count:
                    d0 = dy[n, first + i, g * filters : (g + 1) * filters]
                    for c in range(channels):
                        a0 = x[n, start + i * step, g * channels + c]
                        row = dw[t, c, g * filters : (g + 1) * filters]
                        for o in range(filters):
                            row[o] = row[o] + a0 * d0[o]
                    i += 1


@jit
def _channelwise(y, x, w, jobs, read, write):
    """y[n, q, c] += x[n, p, c] * w[t, c]."""
    for n in range(y.shape[0]):
        for j in range(jobs.shape[0]):
            t, first, start, count = jobs[j, 0], jobs[j, 1], jobs[j, 2], jobs[j, 3]
            weights = w[t]
            for i in range(count):
                row = y[n, first + i * write]
                values = x[n, start + i * read]
                for c in range(row.shape[0]):
                    row[c] += values[c] * weights[c]


@jit
def _channelwise_dw(dw, x, dy, jobs, step):
    """dw[t, c] += sum over n, pixels of x[n, q, c] * dy[n, p, c]."""
    for n in range(x.shape[0]):
        for j in range(jobs.shape[0]):
            t, first, start, count = jobs[j, 0], jobs[j, 1], jobs[j, 2], jobs[j, 3]
            row = dw[t]
            for i in range(count):
                values = x[n, start + i * step]
                deltas = dy[n, first + i]
                for c in range(row.shape[0]):
                    row[c] += values[c] * deltas[c]


def _epilogue(y, b, activation):
    if b is not None or activation is not None:
        rows = y.reshape(math.prod(y.shape[:-1]), y.shape[-1])
        b = np.zeros(y.shape[-1], y.dtype) if b is None else np.ascontiguousarray(b)
        epilogue_loop(rows, b, ACTIVATIONS.index(activation))


def forward(y, x, w, b, g, groups, activation):
    """conv_forward into y."""
    y[...] = 0
    filters = _taps(w)
    _products(_pixels(y), _pixels(x), filters, _jobs(g), g.strides[-1], 1, groups)
    _epilogue(y, b, activation)


def dx(out, dy, w, g, groups):
    """conv_dx into out: the products of forward with the jobs turned round and, in each group, w transposed."""
    out[...] = 0
    c, o = w.shape[-2], w.shape[-1]
    turned = _taps(w).reshape(math.prod(w.shape[:-2]), c, groups, o // groups).transpose(0, 3, 2, 1)
    turned = turned.reshape(turned.shape[0], o // groups, groups * c)
    jobs = np.ascontiguousarray(_jobs(g)[:, (0, 2, 1, 3)])
    _products(_pixels(out), _pixels(dy), np.ascontiguousarray(turned), jobs, 1, g.strides[-1], groups)


def dw(out, x, dy, g, groups):
    """conv_dw into out."""
    out[...] = 0
    _outer(_taps(out), _pixels(x), _pixels(dy), _jobs(g), g.strides[-1], groups)


def depthwise_forward(y, x, w, b, g, activation):
    """depthwise_conv_forward into y; with a multiplier every channel of x is repeated first."""
    y[...] = 0
    m = w.shape[-1]
    filters = _wide(w)
    _channelwise(_pixels(y), _pixels(x if m == 1 else np.repeat(x, m, -1)), filters, _jobs(g), g.strides[-1], 1)
    _epilogue(y, b, activation)


def depthwise_dx(out, dy, w, g):
    """depthwise_conv_dx into out."""
    m = w.shape[-1]
    wide = np.zeros((*out.shape[:-1], out.shape[-1] * m), out.dtype)
    jobs = np.ascontiguousarray(_jobs(g)[:, (0, 2, 1, 3)])
    _channelwise(
        _pixels(wide),
        _pixels(dy),
        _wide(w),
        jobs,
        1,
        g.strides[-1],
    )
    np.sum(wide.reshape(*out.shape, m), axis=-1, out=out)


def depthwise_dw(out, x, dy, g):
    """depthwise_conv_dw into out."""
    out[...] = 0
    m = out.shape[-1]
    wide = _pixels(x if m == 1 else np.repeat(x, m, -1))
    _channelwise_dw(_wide(out), wide, _pixels(dy), _jobs(g), g.strides[-1])
