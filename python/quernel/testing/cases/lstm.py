"""Cases of the LSTM: states, masks, dropout, direction, activations, tails, no rows, no steps."""

import numpy as np

from ... import kernels
from ...kernels.recurrent import ACTIVATIONS, slope, squash
from ..case import TINY, Case, bools, given, normal, uniform

SQUASH = 4  # units in the last place that a gate function may be off


def _magnitude(a):
    return 0.0 if a is None else np.abs(a).astype(np.float64)


def _codes(attrs):
    names = attrs.get("activation", "tanh"), attrs.get("recurrent_activation", "sigmoid")
    return [ACTIVATIONS.index(name or "linear") for name in names]


def _steepest(code):
    return 0.25 if code == 2 else 1.0


def _times(t, attrs):
    return [(s, t - 1 - s if attrs.get("go_backwards") else s) for s in range(t)]


def _worst(errors, expected):
    """The largest bound of those that have the result's shape."""
    return max([float(np.max(e, initial=0.0)) for e in errors if np.shape(e) == expected.shape], default=0.0) + 2 * TINY


def forward(inputs, attrs, expected, eps):
    """Running error analysis of the recurrence, to first order: each step's own roundings, and what it passes on."""
    z, u, h, c, mask, dropout = (a if a is None or a.dtype == bool else a.astype(np.float64) for a in inputs)
    (n, t, _), k = z.shape, u.shape[0]
    with np.errstate(all="ignore"):
        y, _, _, gates, cells = kernels.lstm_forward.definition(
            z, u, h, c, mask, dropout, **kernels.lstm_forward.freeze(dict(attrs))
        )
        act, rec = _codes(attrs)
        steep = np.repeat([_steepest(rec), _steepest(rec), _steepest(act), _steepest(rec)], k)
        eh, ec = np.zeros((n, k)), np.zeros((n, k))
        ey, eg, es = np.zeros((n, t, k)), np.zeros((n, t, 4 * k)), np.zeros((n, t, k))
        drop = 1.0 if dropout is None else np.abs(dropout)
        for s, at in _times(t, attrs):
            old_h, old_c = (y[:, s - 1], cells[:, s - 1]) if s else (_magnitude(h), _magnitude(c))
            old_h = np.abs(old_h) * drop
            sums = (old_h @ np.abs(u)) if h is not None or s else 0.0
            error = (eh * drop) @ np.abs(u) + eps * ((k + 2) * sums + np.abs(z[:, at]))
            e = np.minimum(steep, 1.0) * error + SQUASH * eps * np.abs(gates[:, s])
            i, f, g, o = np.split(np.abs(gates[:, s]), 4, axis=-1)
            ei, ef, eg_, eo = np.split(e, 4, axis=-1)
            new_c = f * ec + np.abs(old_c) * ef + i * eg_ + g * ei + 2 * eps * (f * np.abs(old_c) + i * g)
            a = np.abs(squash(cells[:, s], act))
            new_h = o * (_steepest(act) * new_c + SQUASH * eps * a) + a * eo + eps * o * a
            on = np.ones((n, 1), bool) if mask is None else mask[:, at, None]
            eh, ec = np.where(on, new_h, eh), np.where(on, new_c, ec)
            ey[:, s], es[:, s], eg[:, s] = eh, ec, np.where(on, e, 0)
        return 2 * _worst((np.maximum(eh, ec), np.maximum(ey, es), eg), expected)


def backward(inputs, attrs, expected, eps):
    """The same for the steps backwards; the sum of du has n * t terms."""
    names = ("y", "gates", "cells", "u", "dy", "dh", "dc", "h", "c", "mask", "dropout")
    of = {m: a if a is None or a.dtype == bool else a.astype(np.float64) for m, a in zip(names, inputs)}
    (n, t, k), u, mask = of["y"].shape, np.abs(of["u"]), of["mask"]
    with np.errstate(all="ignore"):
        act, rec = _codes(attrs)
        drop = 1.0 if of["dropout"] is None else np.abs(of["dropout"])
        d, e = np.zeros((n, k)) + _magnitude(of["dh"]), np.zeros((n, k)) + _magnitude(of["dc"])
        ed, ee = np.zeros((n, k)), np.zeros((n, k))  # errors beside magnitudes
        dz, edz, before = np.zeros((n, t, 4 * k)), np.zeros((n, t, 4 * k)), np.zeros((n, t, k))
        for s, at in reversed(_times(t, attrs)):
            gates = of["gates"][:, s]
            i, f, g, o = np.split(np.abs(gates), 4, axis=-1)
            # A slope's own error: that of the products in it, and for A' that of a.
            si, sf, sg, so = (
                np.abs(slope(v, c)) + (3 + SQUASH) * eps * (1 + v * v) / eps * eps
                for v, c in zip(np.split(gates, 4, axis=-1), (rec, rec, act, rec))
            )
            own = eps * (8 + SQUASH)
            old_h, old_c = (
                (np.abs(of["y"][:, s - 1]), np.abs(of["cells"][:, s - 1]))
                if s
                else (np.zeros((n, k)) + _magnitude(of["h"]), np.zeros((n, k)) + _magnitude(of["c"]))
            )
            before[:, at] = old_h * drop
            if of["dy"] is not None:
                d = d + np.abs(of["dy"][:, s])
                ed = ed + eps * d
            a = np.abs(squash(of["cells"][:, s], act))
            slope_a = 1.0 + a * a if act == 3 else 1.0 if act != 2 else a * (1 + a)
            wide = [1 + v * v if act_ == 3 else v * (1 + v) if act_ == 2 else np.ones_like(v)
                    for v, act_ in ((i, rec), (f, rec), (g, act), (o, rec))]  # fmt: skip
            v, ev = d * o * slope_a + e, ed * o * slope_a + ee
            ev = ev + own * v
            size = np.concatenate([v * g * wide[0], v * old_c * wide[1], v * i * wide[2], d * a * wide[3]], axis=-1)
            error = np.concatenate(
                [ev * g * wide[0], ev * old_c * wide[1], ev * i * wide[2], ed * a * wide[3]], axis=-1
            )
            error = error + own * size
            on = np.ones((n, 1), bool) if mask is None else mask[:, at, None]
            dz[:, at], edz[:, at] = np.where(on, size, 0), np.where(on, error, 0)
            sums = (dz[:, at] @ u.T) * drop
            passed = (edz[:, at] @ u.T) * drop + eps * (4 * k + 2) * sums
            d, ed = np.where(on, sums, d), np.where(on, passed, ed)
            e, ee = np.where(on, v * f, e), np.where(on, ev * f + eps * v * f, ee)
        terms, rows = before.reshape(n * t, k).T, dz.reshape(n * t, 4 * k)
        edu = terms @ edz.reshape(n * t, 4 * k) + eps * (n * t + 1) * (terms @ rows)
        results = (edz, np.maximum(ed, ee)) if expected.shape != edu.shape else (edu, edz, np.maximum(ed, ee))
        return 2 * _worst(results, expected)


def _cell_bound(inputs, attrs, expected, eps):
    x, w, u, b, h, c = (None if a is None else a.astype(np.float64) for a in inputs)
    sums = np.abs(x) @ np.abs(w)
    z = (x @ w) + (0 if b is None else b)
    # The product and bias add their own roundings to z; count them as if z were that much larger.
    z = np.where(z < 0, -1, 1) * (np.abs(z) + (x.shape[1] + 2) * (sums + (0 if b is None else np.abs(b))))
    k = len(u)
    own = forward((z[:, None], u, h, c, None, None), attrs, expected, eps)
    grown = eps * (x.shape[1] + 2) * float(np.max(sums + (0 if b is None else np.abs(b)), initial=0.0))
    return own + 8 * grown * (1 + float(np.max(_magnitude(c), initial=0.0))) + eps * k


def _forward(name, n, t, k, h=False, c=False, mask=None, dropout=False, std=0.4, **keywords):
    case = {key: keywords.pop(key) for key in ("tiny", "grad") if key in keywords}
    inputs = (normal(n, t, 4 * k), normal(k, 4 * k, std=std), normal(n, k) if h else None, normal(n, k) if c else None,
              mask, uniform(n, k, low=0.0, high=1.5) if dropout else None)  # fmt: skip
    return Case("lstm_forward", name, inputs, keywords, forward, **case)


def _dx(name, n, t, k, dy=True, dh=True, dc=True, h=False, c=False, mask=None, dropout=False, std=0.4, **keywords):
    case = {key: keywords.pop(key) for key in ("tiny", "grad") if key in keywords}
    state = normal(n, k)
    inputs = (uniform(n, t, k), uniform(n, t, 4 * k, low=0.05, high=0.95), normal(n, t, k), normal(k, 4 * k, std=std),
              normal(n, t, k) if dy else None, state if dh else None, state if dc else None, state if h else None,
              state if c else None, mask, uniform(n, k, low=0.0, high=1.5) if dropout else None)  # fmt: skip
    return Case("lstm_dx", name, inputs, keywords, backward, **case)


def _cell(name, n, i, k, b=True, states=True, tiny=False, **attrs):
    state = normal(n, k) if states else None
    inputs = (normal(n, i), normal(i, 4 * k, std=0.4), normal(k, 4 * k, std=0.4), normal(4 * k) if b else None,
              state, state)  # fmt: skip
    return Case("lstm_cell", name, inputs, attrs, _cell_bound, tiny=tiny)


def _right(n, t):
    """Rows of falling and rising lengths, masked at the end; the first one from its first step on."""
    lengths = [(3 * r) % (t + 1) for r in range(n)]
    return given([[s < length for s in range(t)] for length in lengths], dtype="bool")


_BOTH = {"h": True, "c": True}
CASES = [
    _forward("tiny", 2, 3, 2, **_BOTH, tiny=True),
    _forward("no-states", 3, 4, 5),
    _forward("holes", 4, 5, 3, **_BOTH, mask=bools(4, 5)),
    _forward("lengths", 7, 6, 9, **_BOTH, mask=_right(7, 6)),
    _forward("lengths-backwards", 7, 6, 9, mask=_right(7, 6), go_backwards=True),
    _forward("backwards", 3, 4, 5, **_BOTH, go_backwards=True),
    _forward("dropout", 3, 4, 5, **_BOTH, dropout=True, grad=False),  # no gradient flows to the factor
    _forward("relu", 3, 4, 5, std=0.2, activation="relu", grad=False),  # kinks
    _forward("linear-relu", 3, 3, 5, std=0.2, activation="linear", recurrent_activation="relu", grad=False),
    _forward("sigmoid-tanh", 3, 4, 5, **_BOTH, activation="sigmoid", recurrent_activation="tanh"),
    _forward("one-unit", 5, 6, 1, **_BOTH),
    _forward("row-32", 1, 9, 32, h=True, std=0.15),
    _forward("rows-70", 70, 3, 17, mask=_right(70, 3), std=0.15, grad=False),
    _forward("units-70", 2, 3, 70, c=True, std=0.08, grad=False),
    _forward("units-130", 9, 3, 130, h=True, std=0.05, mask=_right(9, 3), grad=False),
    _forward("units-530", 2, 2, 530, h=True, std=0.02, grad=False),  # chains break at 512
    _forward("rows-500", 500, 2, 3, c=True, grad=False),
    _forward("no-rows", 0, 3, 4),
    _forward("no-steps", 3, 0, 4, **_BOTH),
    _forward("no-units", 3, 2, 0),
    _dx("tiny", 2, 3, 2, **_BOTH, tiny=True),
    _dx("dy", 3, 4, 5, dh=False, dc=False),
    _dx("dh", 3, 4, 5, dy=False, dc=False, h=True),
    _dx("dc", 3, 4, 5, dy=False, dh=False, c=True),
    _dx("nothing", 2, 3, 4, dy=False, dh=False, dc=False),
    _dx("holes", 4, 5, 3, **_BOTH, mask=bools(4, 5)),
    _dx("lengths", 7, 6, 9, **_BOTH, mask=_right(7, 6)),
    _dx("lengths-backwards", 7, 6, 9, mask=_right(7, 6), go_backwards=True),
    _dx("backwards", 3, 4, 5, **_BOTH, go_backwards=True),
    _dx("dropout", 3, 4, 5, **_BOTH, dropout=True, grad=False),
    _dx("relu", 3, 4, 5, activation="relu", grad=False),
    _dx("linear-relu", 3, 3, 5, activation="linear", recurrent_activation="relu", grad=False),
    _dx("sigmoid-tanh", 3, 4, 5, **_BOTH, activation="sigmoid", recurrent_activation="tanh"),
    _dx("one-unit", 5, 6, 1, **_BOTH),
    _dx("row-32", 1, 9, 32, h=True, std=0.1, grad=False),
    _dx("rows-70", 70, 3, 17, mask=_right(70, 3), std=0.1, grad=False),
    _dx("units-130", 9, 3, 130, h=True, std=0.05, mask=_right(9, 3), grad=False),
    _dx("rows-500", 500, 2, 3, c=True, grad=False),
    _dx("no-rows", 0, 3, 4),
    _dx("no-steps", 3, 0, 4, **_BOTH),
    _dx("no-units", 3, 2, 0),
    _cell("tiny", 2, 3, 2, tiny=True),
    _cell("bare", 3, 4, 5, b=False, states=False),
    _cell("row-64", 1, 7, 64),
    _cell("relu-tanh", 3, 4, 17, activation="tanh", recurrent_activation="tanh"),
    _cell("no-inputs", 3, 0, 5),
    _cell("no-rows", 0, 3, 4),
]
SPEED = [
    _forward("64x128x256", 64, 128, 256, std=0.06),
    _forward("1x63x32", 1, 63, 32, std=0.15),
    _forward("1x64x1024", 1, 64, 1024, std=0.03),
    _dx("64x128x256", 64, 128, 256, dh=False, dc=False, std=0.06),
    _dx("1x63x32", 1, 63, 32, dy=False, dc=False, std=0.15),
    _dx("1x64x1024", 1, 64, 1024, dh=False, dc=False, std=0.03),
    _cell("1x64x64", 1, 64, 64),
]
