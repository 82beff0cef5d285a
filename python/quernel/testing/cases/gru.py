"""Cases of gated recurrent units: both places of the reset gate, states, masks, dropout, direction, activations, tails."""

import numpy as np

from ... import kernels
from ..case import Case, bools, normal, uniform
from .rnn import SQUASH, code_of, counts, ends, magnitude, order, slope_size, steepest, through_time, wide, worst


def forward(inputs, attrs, expected, eps):
    """Error of the recurrence to first order: each step's own roundings, and what it passes on."""
    z, u, b, h, mask, dropout = map(wide, inputs)
    (n, t, _), k, after = z.shape, u.shape[0], attrs.get("reset_after", True)
    f, g = code_of(attrs, "activation", "tanh"), code_of(attrs, "recurrent_activation", "sigmoid")
    drop, u, bias = 1.0 if dropout is None else np.abs(dropout), np.abs(u), magnitude(b, 3 * k)
    with np.errstate(all="ignore"):
        y, _, gates = kernels.gru_forward.definition(
            z, inputs[1].astype(np.float64), b, h, mask, dropout, **kernels.gru_forward.freeze(dict(attrs))
        )
        gates, z = np.abs(gates), np.abs(z)
        state, error = magnitude(h, (n, k)), np.zeros((n, k))
        y_error, g_error = np.zeros((n, t, k)), np.zeros((t, n, 4 * k))
        for s, at in order(t, attrs):
            update, reset, candidate, q = np.split(gates[s], 4, axis=-1)
            sums = (error * drop) @ u + eps * ((k + 3) * ((state * drop) @ u) + 2 * bias)
            both = steepest(g) * (sums + eps * (2 * z[:, at]))[:, : 2 * k] + SQUASH * eps * gates[s, :, : 2 * k]
            e_update, e_reset = both[:, :k], both[:, k:]
            if after:
                e_q = sums[:, 2 * k :]
                inner = reset * e_q + q * e_reset + eps * reset * q
            else:
                e_q = state * drop * e_reset + reset * error * drop + 2 * eps * q
                inner = e_q @ u[:, 2 * k :] + eps * (k + 3) * (q @ u[:, 2 * k :])
            e_candidate = steepest(f) * (inner + 2 * eps * z[:, at, 2 * k :]) + SQUASH * eps * candidate
            rest = 1 + update
            new = update * error + (state + candidate) * e_update + rest * e_candidate
            new = new + 4 * eps * (update * state + rest * candidate)
            on = counts(mask, at, n)
            error = np.where(on, new, error)
            y_error[:, s] = error
            g_error[s] = np.where(on, np.concatenate([both, e_candidate, e_q], axis=1), 0)
            state = np.abs(y[:, s])
    return worst((error, y_error, g_error), expected)


def backward(inputs, attrs, expected, eps):
    """The same for the steps backwards; the sums of du and db have n * t terms."""
    y, gates, u, dy, dh, b, h, mask, dropout = map(wide, inputs)
    (n, t, k), after = y.shape, attrs.get("reset_after", True)
    f, g = code_of(attrs, "activation", "tanh"), code_of(attrs, "recurrent_activation", "sigmoid")
    drop, u, y, gates = 1.0 if dropout is None else np.abs(dropout), np.abs(u), np.abs(y), np.abs(gates)

    def before(s):
        return y[:, s - 1] if s else magnitude(h, (n, k))

    def step(s, size):
        update, reset, candidate, q = np.split(gates[s], 4, axis=-1)
        a_u = size * (before(s) + candidate) * slope_size(update, g)
        a_c = size * (1 + update) * slope_size(candidate, f)
        if after:
            a_r, back = a_c * q * slope_size(reset, g), a_c * reset
            product = np.concatenate([a_u, a_r, back], axis=1)
            handed = product @ u.T
        else:
            p = a_c @ u[:, 2 * k :].T
            a_r = p * before(s) * drop * slope_size(reset, g)
            product = np.concatenate([a_u, a_r, a_c], axis=1)
            handed = p * reset + product[:, : 2 * k] @ u[:, : 2 * k].T
        return np.concatenate([a_u, a_r, a_c], axis=1), product, size * update + handed * drop

    def factors(s):
        d = before(s) * drop
        last = d if after else gates[s, :, 3 * k :]
        return np.concatenate([np.repeat(d[:, :, None], 2 * k, 2), np.repeat(last[:, :, None], k, 2)], axis=2)

    with np.errstate(all="ignore"):
        dz, du, carry, db = through_time(n, t, k, eps, attrs, mask, dy, dh, 4 * k + 16, step, factors)
        top = max([float(np.max(e, initial=0)) for e in dz], default=0.0)
        return worst((np.full((n, t, 3 * k), top), np.zeros((k, 3 * k)) + du, np.zeros((n, k)) + carry,
                      np.zeros(0 if b is None else 3 * k) + (0 if b is None else db)), expected)  # fmt: skip


def _cell_bound(inputs, attrs, expected, eps):
    x, w, u, h, b, c = map(wide, inputs)
    z = np.abs(x) @ np.abs(w) + magnitude(b)
    own = forward((((x @ w) + (0 if b is None else b))[:, None], u, c, h, None, None), attrs, expected, eps)
    largest = [float(np.max(magnitude(a), initial=0.0)) for a in (z, h, u)]
    grown = eps * (x.shape[1] + 3) * largest[0]  # an error of z: through the gates, and through the inner product
    return own + 2 * grown * (2 + largest[1]) * (2 + u.shape[0] * largest[1] * largest[2])


def _forward(name, n, t, k, b=True, h=False, mask=None, dropout=False, std=0.4, **keywords):
    case = {key: keywords.pop(key) for key in ("tiny", "grad") if key in keywords}
    b = b and keywords.get("reset_after", True)
    inputs = (normal(n, t, 3 * k), normal(k, 3 * k, std=std), normal(3 * k) if b else None,
              normal(n, k) if h else None, mask, uniform(n, k, low=0.0, high=1.5) if dropout else None)  # fmt: skip
    return Case("gru_forward", name, inputs, keywords, forward, **case)


def _dx(name, n, t, k, dy=True, dh=True, b=True, h=False, mask=None, dropout=False, std=0.4, **keywords):
    case = {key: keywords.pop(key) for key in ("tiny", "grad") if key in keywords}
    b = b and keywords.get("reset_after", True)
    inputs = (uniform(n, t, k), uniform(t, n, 4 * k, low=0.05, high=0.95), normal(k, 3 * k, std=std),
              normal(n, t, k) if dy else None, normal(n, k) if dh else None, normal(3 * k) if b else None,
              normal(n, k) if h else None, mask, uniform(n, k, low=0.0, high=1.5) if dropout else None)  # fmt: skip
    return Case("gru_dx", name, inputs, keywords, backward, **case)


def _cell(name, n, i, k, b=True, tiny=False, grad=True, **attrs):
    inputs = (normal(n, i, std=0.5), normal(i, 3 * k, std=0.5), normal(k, 3 * k, std=0.3), normal(n, k),
              normal(3 * k) if b else None, normal(3 * k) if b and attrs.get("reset_after", True) else None)  # fmt: skip
    return Case("gru_cell", name, inputs, attrs, _cell_bound, tiny=tiny, grad=grad)


def _both(name, *sizes, **keywords):
    return [_forward(name, *sizes, **keywords), _dx(name, *sizes, **keywords)]


_FORMER = {"reset_after": False}
CASES = [
    *_both("tiny", 2, 3, 4, h=True, tiny=True),
    *_both("before", 2, 3, 4, h=True, **_FORMER),
    *_both("no-bias", 3, 4, 5, b=False),
    *_both("holes", 4, 5, 3, h=True, mask=bools(4, 5)),
    *_both("holes-before", 4, 5, 3, h=True, mask=bools(4, 5), go_backwards=True, **_FORMER),
    *_both("lengths", 7, 6, 9, h=True, mask=ends(7, 6)),
    *_both("lengths-backwards", 7, 6, 9, mask=ends(7, 6), go_backwards=True),
    *_both("dropout", 3, 4, 5, h=True, dropout=True, grad=False),  # no gradient flows to the factor
    *_both("dropout-before", 3, 4, 5, h=True, dropout=True, grad=False, **_FORMER),
    *_both("relu", 3, 3, 5, std=0.2, activation="relu", grad=False),  # kinks
    *_both("linear-relu", 3, 3, 5, std=0.2, activation="linear", recurrent_activation="relu", grad=False),
    *_both("sigmoid-tanh", 3, 4, 5, h=True, activation="sigmoid", recurrent_activation="tanh"),
    *_both("one-unit", 5, 6, 1, h=True),
    *_both("one-row", 1, 9, 32, h=True, std=0.1),
    *_both("rows-70", 70, 3, 17, mask=ends(70, 3), std=0.1, grad=False),
    *_both("units-130", 9, 3, 130, h=True, std=0.03, mask=ends(9, 3), grad=False),
    *_both("units-130-before", 9, 3, 130, h=True, std=0.03, mask=ends(9, 3), grad=False, **_FORMER),
    *_both("units-530", 2, 2, 530, h=True, std=0.01, grad=False),  # chains break at 512
    *_both("rows-300", 300, 2, 3, grad=False),
    *_both("no-rows", 0, 3, 4),
    *_both("no-steps", 3, 0, 4, h=True),
    *_both("no-units", 3, 2, 0),
    _dx("dy", 3, 4, 5, dh=False),
    _dx("dh", 3, 4, 5, dy=False, h=True),
    _dx("nothing", 3, 4, 5, dy=False, dh=False),
    _cell("tiny", 2, 3, 4, tiny=True),
    _cell("before", 3, 4, 20, **_FORMER),
    _cell("no-bias", 1, 3, 20, b=False),
    _cell("row-64", 1, 17, 64),
    _cell("relu", 3, 5, 17, activation="relu", recurrent_activation="linear", grad=False),
    _cell("no-rows", 0, 3, 4),
]
SPEED = [
    _forward("100x100x128", 100, 100, 128, std=0.08),
    _forward("64x64x256", 64, 64, 256, std=0.06),
    _forward("1x63x32", 1, 63, 32, std=0.15),
    _forward("1x64x512", 1, 64, 512, std=0.03),
    _dx("100x100x128", 100, 100, 128, dh=False, std=0.08),
    _dx("64x64x256", 64, 64, 256, dh=False, std=0.06),
    _dx("1x63x32", 1, 63, 32, dy=False, std=0.15),
    _dx("1x64x512", 1, 64, 512, dh=False, std=0.03),
    _cell("1x64x64", 1, 64, 64),
]
