"""Cases of plain recurrent units: states, masks, dropout, direction, activations, tails, long sums, no rows, no steps."""

import numpy as np

from ... import kernels
from ...kernels.recurrent import ACTIVATIONS
from ..case import TINY, Case, bools, given, normal, uniform

SQUASH = 4  # units in the last place that a gate function may be off


def wide(a):
    """In float64, or None."""
    return a if a is None or a.dtype == bool else a.astype(np.float64)


def magnitude(a, shape=()):
    """|a|, zeros where it is None."""
    return np.zeros(shape) if a is None else np.abs(a)


def code_of(attrs, name, default):
    """The number of an activation."""
    return ACTIVATIONS.index(attrs.get(name, default) or "linear")


def steepest(code):
    """The largest slope of a gate function."""
    return 0.25 if code == 2 else 1.0


def slope_size(y, code):
    """What bounds a slope computed from the value y, and its parts."""
    y = np.abs(y)
    return 1 + y * y if code == 3 else y * (1 + y) if code == 2 else np.ones_like(y)


def counts(mask, at, n):
    """(n, 1) of bools: the rows whose step at time `at` counts."""
    return np.ones((n, 1), bool) if mask is None else mask[:, at, None]


def order(t, attrs):
    """(step, time) in the order of the steps."""
    return [(s, t - 1 - s if attrs.get("go_backwards") else s) for s in range(t)]


def worst(errors, expected):
    """The largest bound among those of the result's shape; the expansion is of first order, so twice that."""
    return 2 * max([float(np.max(e, initial=0.0)) for e in errors if np.shape(e) == expected.shape]) + 2 * TINY


def ends(n, t):
    """Rows of many lengths, masked at the end."""
    return given([[s < (3 * r) % (t + 1) for s in range(t)] for r in range(n)], dtype="bool")


def forward(inputs, attrs, expected, eps):
    """Error of the recurrence to first order: each step's own roundings, and what it passes on."""
    z, u, h, mask, dropout = map(wide, inputs)
    n, t, k = z.shape
    f = code_of(attrs, "activation", "tanh")
    drop = 1.0 if dropout is None else np.abs(dropout)
    state, error, all_errors = magnitude(h, (n, k)), np.zeros((n, k)), np.zeros((n, t, k))
    with np.errstate(all="ignore"):
        y, _ = kernels.rnn_forward.definition(z, u, h, mask, dropout, **kernels.rnn_forward.freeze(dict(attrs)))
        for s, at in order(t, attrs):
            sums = (state * drop) @ np.abs(u)
            own = eps * ((k + 3) * sums + np.abs(z[:, at]))
            new = steepest(f) * ((error * drop) @ np.abs(u) + own) + SQUASH * eps * np.abs(y[:, s])
            error = np.where(counts(mask, at, n), new, error)
            state = np.abs(y[:, s])
            all_errors[:, s] = error
    return worst((error, all_errors), expected)


def through_time(n, t, k, eps, attrs, mask, dy, dh, roundings, step, factors):
    """Bounds of (dz, du, carry, db) where each step is a linear map of the gradient: its roundings add that share.

    step(s, at, D) gives the sizes of dz, of what du takes, and of what goes to the step before; factors(s) du's left
    operand for each column of the second.
    """
    carry, error = magnitude(dh, (n, k)), np.zeros((n, k))
    dz, du, db, last = [], 0.0, 0.0, 0.0
    for s, at in reversed(order(t, attrs)):
        on = counts(mask, at, n)
        if dy is not None:
            carry = carry + np.abs(dy[:, s])
            error = error + eps * carry
        sizes, errors = step(s, carry), step(s, error)
        z_error, product, passed = (np.where(on, e + roundings * eps * v, 0) for e, v in zip(errors, sizes))
        dz.append(z_error)
        product = product + (n * t + 1) * eps * np.where(on, sizes[1], 0)
        du = du + np.einsum("nkj,nj->kj", factors(s), product)
        db = db + product.sum(axis=0)
        carry, error = np.where(on, sizes[2], carry), np.where(on, passed, error)
        last = error
    return dz, du, last, db


def backward(inputs, attrs, expected, eps):
    """The same for the steps backwards; du's sum has n * t terms."""
    y, u, dy, dh, h, mask, dropout = map(wide, inputs)
    n, t, k = y.shape
    f = code_of(attrs, "activation", "tanh")
    drop = 1.0 if dropout is None else np.abs(dropout)

    def step(s, size):
        a = size * slope_size(y[:, s], f)
        return a, a, (a @ np.abs(u).T) * drop

    def factors(s):
        d = (np.abs(y[:, s - 1]) if s else magnitude(h, (n, k))) * drop
        return np.broadcast_to(d[:, :, None], (n, k, k))

    with np.errstate(all="ignore"):
        dz, du, carry, _ = through_time(n, t, k, eps, attrs, mask, dy, dh, k + 8, step, factors)
        return worst((*[np.broadcast_to(np.max(e, initial=0), y.shape) for e in dz], np.zeros(y.shape),
                      np.zeros((k, k)) + du, np.zeros((n, k)) + carry), expected)  # fmt: skip


def _cell_bound(inputs, attrs, expected, eps):
    x, w, u, h, b = map(wide, inputs)
    sums = np.abs(x) @ np.abs(w) + np.abs(h) @ np.abs(u) + magnitude(b)
    return 2 * eps * ((x.shape[1] + u.shape[0] + 4) * float(np.max(sums, initial=0.0)) + SQUASH) + 2 * TINY


def _forward(name, n, t, k, h=False, mask=None, dropout=False, std=0.4, **keywords):
    case = {key: keywords.pop(key) for key in ("tiny", "grad") if key in keywords}
    inputs = (normal(n, t, k), normal(k, k, std=std), normal(n, k) if h else None, mask,
              uniform(n, k, low=0.0, high=1.5) if dropout else None)  # fmt: skip
    return Case("rnn_forward", name, inputs, keywords, forward, **case)


def _dx(name, n, t, k, dy=True, dh=True, h=False, mask=None, dropout=False, std=0.4, **keywords):
    case = {key: keywords.pop(key) for key in ("tiny", "grad") if key in keywords}
    inputs = (uniform(n, t, k), normal(k, k, std=std), normal(n, t, k) if dy else None, normal(n, k) if dh else None,
              normal(n, k) if h else None, mask, uniform(n, k, low=0.0, high=1.5) if dropout else None)  # fmt: skip
    return Case("rnn_dx", name, inputs, keywords, backward, **case)


def _cell(name, n, i, k, b=True, tiny=False, grad=True, **attrs):
    inputs = (normal(n, i), normal(i, k), normal(k, k), normal(n, k), normal(k) if b else None)
    return Case("rnn_cell", name, inputs, attrs, _cell_bound, tiny=tiny, grad=grad)


def _both(name, *sizes, **keywords):
    return [_forward(name, *sizes, **keywords), _dx(name, *sizes, **keywords)]


CASES = [
    *_both("tiny", 2, 3, 4, h=True, tiny=True),
    *_both("no-state", 3, 4, 5),
    *_both("holes", 4, 5, 3, h=True, mask=bools(4, 5)),
    *_both("lengths", 7, 6, 9, h=True, mask=ends(7, 6)),
    *_both("lengths-backwards", 7, 6, 9, mask=ends(7, 6), go_backwards=True),
    *_both("dropout", 3, 4, 5, h=True, dropout=True, grad=False),  # no gradient flows to the factor
    *_both("relu", 3, 4, 5, activation="relu", grad=False),  # kinks
    *_both("linear", 3, 4, 5, h=True, activation="linear"),
    *_both("sigmoid", 3, 4, 5, h=True, activation="sigmoid", go_backwards=True),
    *_both("one-unit", 5, 6, 1, h=True),
    *_both("one-row", 1, 9, 32, h=True, std=0.1),
    *_both("rows-70", 70, 3, 17, mask=ends(70, 3), std=0.15, grad=False),
    *_both("units-130", 9, 3, 130, h=True, std=0.05, mask=ends(9, 3), grad=False),
    *_both("units-530", 2, 2, 530, h=True, std=0.02, grad=False),  # chains break at 512
    *_both("rows-300", 300, 2, 3, grad=False),
    *_both("no-rows", 0, 3, 4),
    *_both("no-steps", 3, 0, 4, h=True),
    *_both("no-units", 3, 2, 0),
    _dx("dy", 3, 4, 5, dh=False),
    _dx("dh", 3, 4, 5, dy=False, h=True),
    _dx("nothing", 3, 4, 5, dy=False, dh=False),
    _cell("tiny", 2, 3, 4, tiny=True),
    _cell("no-bias", 1, 3, 20, b=False, activation="sigmoid"),
    _cell("relu", 3, 17, 33, activation="relu", grad=False),
    _cell("linear", 2, 4, 5, activation="linear"),
    _cell("no-rows", 0, 3, 4),
]
SPEED = [
    _forward("100x100x128", 100, 100, 128, std=0.08),
    _forward("1x63x32", 1, 63, 32, std=0.15),
    _dx("100x100x128", 100, 100, 128, dh=False, std=0.08),
    _dx("1x63x32", 1, 63, 32, dy=False, std=0.15),
    _cell("1x64x64", 1, 64, 64),
]
