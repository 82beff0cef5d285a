"""Cases of softmax, log_softmax and their gradients."""

import numpy as np

from ..case import TINY, Case, normal, uniform


def _softmax(inputs, attrs, expected, eps):
    """exp of a rounded difference errs by its size; the sum of positive terms by its longest chain."""
    x = inputs[0]
    n = x.shape[attrs["axis"]] if x.size else 1
    spread = float(np.max(x) - np.min(x)) if x.size else 0.0
    return eps * (2 * spread + n + 12) * np.abs(expected) + 2 * TINY


def _log_softmax(inputs, attrs, expected, eps):
    x = inputs[0]
    n = x.shape[attrs["axis"]] if x.size else 1
    spread = float(np.max(x) - np.min(x)) if x.size else 0.0
    return eps * (2 * spread + n + 12 + 2 * np.abs(expected))


def _dx(inputs, attrs, expected, eps):
    dy, y = inputs
    n = y.shape[attrs["axis"]] if y.size else 1
    size = float(np.max(np.abs(dy))) if dy.size else 0.0
    grown = max(1.0, float(np.max(np.abs(y))), float(np.max(np.exp(y)))) if y.size else 1.0
    return 2 * eps * (n + 8) * size * grown * grown + 2 * TINY


def _forward(op, tolerance):
    return [
        Case(op, "vector", (normal(5),), {"axis": -1}, tolerance, tiny=True),
        Case(op, "digits", (normal(7, 10, std=4.0),), {"axis": -1}, tolerance),
        Case(op, "odd", (normal(3, 67),), {"axis": 1}, tolerance),
        Case(op, "long", (normal(2, 4101),), {"axis": 1}, tolerance),
        Case(op, "first", (normal(19, 5),), {"axis": 0}, tolerance),
        Case(op, "middle", (normal(2, 9, 5),), {"axis": 1}, tolerance),
        Case(op, "one", (normal(4, 1),), {"axis": -1}, tolerance),
        Case(op, "large", (normal(3, 20, mean=1e4, std=20.0),), {"axis": -1}, tolerance, grad=False),
        Case(op, "no-rows", (normal(0, 4),), {"axis": -1}, tolerance),
        Case(op, "empty-rows", (normal(4, 0),), {"axis": -1}, tolerance),
    ]


def _backward(op, y):
    return [
        Case(op, "vector", (normal(5), y(5)), {"axis": -1}, _dx, tiny=True),
        Case(op, "digits", (normal(7, 10), y(7, 10)), {"axis": -1}, _dx),
        Case(op, "long", (normal(2, 4101), y(2, 4101)), {"axis": 1}, _dx),
        Case(op, "middle", (normal(2, 9, 5), y(2, 9, 5)), {"axis": 1}, _dx),
        Case(op, "no-rows", (normal(0, 4), y(0, 4)), {"axis": -1}, _dx),
    ]


CASES = [
    *_forward("softmax", _softmax),
    *_forward("log_softmax", _log_softmax),
    *_backward("softmax_dx", lambda *shape: uniform(*shape, low=0.0, high=0.3)),
    *_backward("log_softmax_dx", lambda *shape: uniform(*shape, low=-4.0, high=-0.1)),
]
SPEED = [
    Case("softmax", "digits", (normal(1024, 10),), {"axis": -1}, _softmax),
    Case("softmax", "words", (normal(64, 10000),), {"axis": -1}, _softmax),
    Case("log_softmax", "words", (normal(64, 10000),), {"axis": -1}, _log_softmax),
    Case("log_softmax_dx", "words", (normal(64, 10000), uniform(64, 10000, low=-12.0, high=-8.0)), {"axis": -1}, _dx),
    Case("softmax_dx", "words", (normal(64, 10000), uniform(64, 10000)), {"axis": -1}, _dx),
]
