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
BIG = [normal(576, 128), normal(128), normal(3, 3, 64, 64), normal(64)]
SQUARES = [uniform(576, 128, low=0.0), uniform(128, low=0.0), uniform(3, 3, 64, 64, low=0.0), uniform(64, low=0.0)]
SPEED = [
    Case("sgd_update", "110k", (BIG, BIG, RATE, BIG, None), {"momentum": 0.9}),
    Case("adam_update", "110k", (BIG, BIG, BIG, SQUARES, RATE, step(10), None, None)),
]
