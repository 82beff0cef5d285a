"""Cases of sum, mean, max, min, argmax, argmin and the gradient of max."""

import numpy as np

from ..case import Case, bools, distinct, given, integers, normal, terms


def _mean_of(n):
    return terms(n, lambda inputs: float(np.max(np.abs(inputs[0]))) / max(n, 1) if inputs[0].size else 1.0)


def _sums(op, tolerance):
    return [
        Case(op, "vector", (normal(7),), {}, tolerance(7), tiny=True),
        Case(op, "rows", (normal(5, 67),), {"axis": -1}, tolerance(67)),
        Case(op, "columns", (normal(67, 5),), {"axis": 0, "keepdims": True}, tolerance(67)),
        Case(op, "wide-columns", (normal(9, 1030),), {"axis": 0}, tolerance(9)),
        Case(op, "long", (normal(9001),), {"axis": 0}, tolerance(9001)),
        Case(op, "long-columns", (normal(4099, 3),), {"axis": 0}, tolerance(4099)),
        Case(op, "images", (normal(2, 5, 7, 3),), {"axis": (1, 2)}, tolerance(35)),
        Case(op, "channels", (normal(3, 9, 5, 17),), {"axis": (0, 1, 2)}, tolerance(135)),
        Case(op, "outer-and-inner", (normal(3, 4, 33),), {"axis": (0, 2), "keepdims": True}, tolerance(99)),
        Case(op, "no-axis", (normal(3, 4),), {"axis": ()}, tolerance(1)),
        Case(op, "scalar", (normal(),), {}, tolerance(1)),
        Case(op, "no-rows", (normal(0, 3),), {"axis": 1}, tolerance(3)),
        Case(op, "empty-rows", (normal(2, 0),), {"axis": 1}, tolerance(0), grad=False),
        Case(op, "int32", (integers(6, 70, low=-50, high=50),), {"axis": 0}, tolerance(6)),
        Case(op, "bool", (bools(6, 4100),), {"axis": 1}, tolerance(4100)),
    ]


def _extremes(op):
    return [
        Case(op, "vector", (distinct(7),), {}, tiny=True),
        Case(op, "rows", (distinct(5, 67),), {"axis": -1}),
        Case(op, "columns", (distinct(67, 5),), {"axis": 0, "keepdims": True}),
        Case(op, "negative", (distinct(3, 18, low=-9, high=-1),), {"axis": 1}),
        Case(op, "long", (distinct(9001),), {"axis": 0}),
        Case(op, "long-columns", (distinct(4099, 3),), {"axis": 0}),
        Case(op, "ties", (given([[1.0, 3, 3, 0], [2, 2, 2, 2]]),), {"axis": 1}, grad=False),
        Case(op, "no-rows", (distinct(0, 3),), {"axis": 1}),
        Case(op, "int32", (integers(6, 70, low=-50, high=50),), {"axis": 1}),
    ]


_TIES = given([[1.0, 3, 3, 0], [2, 2, 2, 2], [-1, -2, -4, -0.5]])
_CUBE = np.arange(24.0).reshape(2, 3, 4) * 7 % 24

CASES = [
    *_sums("sum", terms),
    *_sums("mean", _mean_of),
    *_extremes("max"),
    *_extremes("min"),
    *_extremes("argmax"),
    *_extremes("argmin"),
    Case("max", "images", (distinct(2, 5, 7, 3),), {"axis": (1, 2)}),
    Case("min", "images", (distinct(2, 5, 7, 3),), {"axis": (1, 2)}),
    Case("argmax", "flat", (distinct(3, 50),), {"axis": None, "keepdims": True}),
    Case("argmin", "middle", (distinct(3, 50, 4),), {"axis": 1, "keepdims": True}),
    # y must equal the maximum exactly, so finite differences have no meaning: tests/test_reduce.py checks the rule.
    Case("max_dx", "ties", (normal(3), _TIES, given([3.0, 2, -0.5])), {"axis": 1}, grad=False, tiny=True),
    Case("max_dx", "columns", (normal(1, 3, 1), given(_CUBE), given(_CUBE.max((0, 2), keepdims=True))),
         {"axis": (0, 2), "keepdims": True}, grad=False),
    Case("max_dx", "none", (normal(0), normal(0, 3), normal(0)), {"axis": 1}, grad=False),
]  # fmt: skip


def _largest(inputs, attrs):
    """y holds the maxima of x."""
    dy, x, _ = inputs
    return [dy, x, x.max(axis=attrs["axis"])]


SPEED = [
    Case("sum", "all-64KB", (normal(16, 1024),), {}, terms(1 << 14)),
    Case("sum", "all-64MB", (normal(4096, 4096),), {}, terms(1 << 24)),
    Case("mean", "rows-64MB", (normal(4096, 4096),), {"axis": 1}, terms(4096)),
    Case("sum", "all-4MB", (normal(1024, 1024),), {}, terms(1 << 20)),
    Case("sum", "rows-4MB", (normal(1024, 1024),), {"axis": 1}, terms(1024)),
    Case("sum", "columns-4MB", (normal(1024, 1024),), {"axis": 0}, terms(1024)),
    Case("sum", "channels", (normal(64, 26, 26, 32),), {"axis": (0, 1, 2)}, terms(64 * 26 * 26)),
    Case("max", "rows-4MB", (normal(1024, 1024),), {"axis": 1}),
    Case("min", "rows-4MB", (normal(1024, 1024),), {"axis": 1}),
    Case("max_dx", "rows-4MB", (normal(1024), normal(1024, 1024), normal(1024)), {"axis": 1}, settle=_largest),
    Case("argmax", "logits", (normal(1024, 10),), {"axis": 1}),
    Case("argmin", "rows-4MB", (normal(1024, 1024),), {"axis": 1}),
]
