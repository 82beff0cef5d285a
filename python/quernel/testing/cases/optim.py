"""Cases of the optimizers' updates."""

import numpy as np

from ..case import TINY, Case, given, normal, uniform


def rounded(n):
    """n roundings of values not larger than the largest of the inputs and the result."""

    def bound(inputs, attrs, expected, eps):
        flat = [a for value in inputs if value is not None for a in (value if isinstance(value, list) else [value])]
        largest = [np.max(np.abs(a), initial=0) for a in (*flat, expected) if a.dtype.kind == "f"]
        return n * eps * max(largest) ** 2 + 2 * TINY

    return bound


RATE, SCALE = given(0.01), given(0.5)
SHAPES = [(3, 17), (), (1, 1, 5), (0, 2), (64,), (33,)]


def segments(make=normal, **keywords):
    return [make(*shape, **keywords) for shape in SHAPES]


def positive():
    return segments(uniform, low=0.5, high=2.0)


def step(n):
    return given(n, "int64")


CASES = [
    Case("sgd_update", "plain", (segments(), segments(), RATE, None, None), {}, rounded(3)),
    Case("sgd_update", "scaled", (segments(), segments(), RATE, None, SCALE), {}, rounded(4)),
    Case("sgd_update", "momentum", (segments(), segments(), RATE, segments(), None), {"momentum": 0.9}, rounded(6)),
    Case(
        "sgd_update",
        "nesterov",
        (segments(), segments(), RATE, segments(), SCALE),
        {"momentum": 0.9, "nesterov": True},
        rounded(9),
    ),
    Case("sgd_update", "nothing", ([], [], RATE, None, None), {}, rounded(1)),
    Case(
        "adam_update",
        "first",
        (segments(), segments(), segments(std=0.0), segments(std=0.0), RATE, step(0), None, None),
        {},
        rounded(12),
    ),
    Case(
        "adam_update",
        "later",
        (segments(), segments(), segments(), positive(), RATE, step(1000), None, SCALE),
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
        rounded(12),
    ),
    Case(
        "adam_update",
        "amsgrad",
        (segments(), segments(), segments(), positive(), RATE, step(7), positive(), None),
        {},
        rounded(12),
    ),
]


def network(n, make=normal, **keywords):
    """Eight variables of n / 8 parameters."""
    return [make(n // 8, **keywords)] * 8


def _timed(name, n):
    some, squares = network(n), network(n, uniform, low=0.0)
    return [
        Case("sgd_update", name, (some, some, RATE, None, None)),
        Case("sgd_update", f"{name}-momentum", (some, some, RATE, some, None), {"momentum": 0.9}),
        Case("adam_update", name, (some, some, some, squares, RATE, step(10), None, None)),
    ]


SPEED = [*_timed("1e4", 10**4), *_timed("1e6", 10**6), *_timed("1e7", 10**7)]
