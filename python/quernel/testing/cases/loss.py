"""Cases of the four losses and their gradients."""

import numpy as np

from ..case import Case, integers, normal, terms, uniform

_CLIP_LOG = 16.2  # |log(1e-7)|, rounded up


def _size(a):
    return float(np.max(np.abs(a))) if a.size else 0.0


def _mse(inputs, attrs, expected, eps):
    t, x = inputs
    return 2 * eps * (x.shape[-1] + 3) * (_size(t) + _size(x)) ** 2 / max(x.shape[-1], 1)


def _mse_dx(inputs, attrs, expected, eps):
    dy, t, x = inputs
    return 8 * eps * _size(dy) * (_size(t) + _size(x)) / max(x.shape[-1], 1)


def _elementwise(inputs, attrs, expected, eps):
    """Four rounded terms of at most 1 + |x| (logits) or |log(LOW)| (probabilities)."""
    size = 2 + 2 * _size(inputs[-1]) if attrs.get("from_logits") else _CLIP_LOG
    return 4 * eps * (size + np.abs(expected))


def _slope(inputs, attrs, expected, eps):
    dy, t, x = inputs
    if attrs.get("from_logits"):
        return 8 * eps * _size(dy) * (1 + _size(t))
    return 8 * eps * np.abs(dy) * (np.abs((1 - t) / (1 - x)) + np.abs(t / x))


def _cross(inputs, attrs, expected, eps):
    """n terms t * log(p); |log(p)| is at most the spread of the logits and log(n), or |log(LOW)|."""
    t, x = inputs
    n = x.shape[-1]
    size = 2 * _size(x) + np.log(max(n, 1)) + 2 if attrs.get("from_logits") else _CLIP_LOG
    weight = _size(t) if t.dtype.kind == "f" else 1.0
    return 2 * eps * (n + 8) * size * weight


def _cross_dx(inputs, attrs, expected, eps):
    dy, t, x = inputs
    n = x.shape[-1]
    weight = _size(t) if t.dtype.kind == "f" else 1.0
    if attrs.get("from_logits"):
        size = (2 * _size(x) + 2) * max(n * weight, 1.0)
    else:
        size = weight / float(np.min(np.abs(x))) if x.size else 1.0
        size = max(size, n * weight / float(np.min(np.abs(np.sum(x, -1)))) if x.size else 1.0)
    return 2 * eps * (n + 8) * size * _size(dy)


def _p(*shape):
    return uniform(*shape, low=0.05, high=0.95)


def _t(*shape):
    return uniform(*shape, low=0.0, high=1.0)


_LOGITS, _PROBABILITIES = {"from_logits": True}, {"from_logits": False}
_CLASSES = [("tiny", (2, 3)), ("digits", (7, 10)), ("odd", (3, 2, 67)), ("long", (2, 4101)), ("no-rows", (0, 5))]
_ELEMENTS = [("tiny", (5,)), ("odd", (3, 37)), ("cube", (2, 5, 7)), ("long", (5003,)), ("none", (0, 3))]
_MSE, _BINARY = "mean_squared_error", "binary_crossentropy"
_DENSE, _SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"


def _labels(*shape, n=4, dtype="int32"):
    return integers(*shape, low=0, high=n, dtype=dtype)


def _pairs(op, name, inputs, attrs, tolerances):
    """A case of the loss and one of its gradient; the first shape of a list is the tiny one."""
    dy = normal(*inputs[1].shape) if op == _BINARY else normal(*inputs[1].shape[:-1])
    tiny = name.endswith("tiny")
    return [
        Case(op, name, inputs, attrs, tolerances[0], tiny=tiny),
        Case(f"{op}_dx", name, (dy, *inputs), attrs, tolerances[1], tiny=tiny),
    ]


CASES = [
    Case(_MSE, "empty-rows", (normal(3, 0), normal(3, 0)), {}, terms(0), grad=False),
    Case(_SPARSE, "int64", (_labels(6, dtype="int64"), normal(6, 4)), _LOGITS, _cross),
    Case(_SPARSE, "uint8", (_labels(6, dtype="uint8"), normal(6, 4)), _LOGITS, _cross),
    Case(_SPARSE, "vector", (_labels(), normal(4)), _LOGITS, _cross),
]
for _name, _shape in [("tiny", (2, 3)), ("one", (9, 1)), ("long", (2, 4101)), ("vector", (77,)), ("no-rows", (0, 3))]:
    CASES += _pairs(_MSE, _name, (normal(*_shape), normal(*_shape)), {}, (_mse, _mse_dx))
for _attrs, _kind, _x in ((_LOGITS, "logits", normal), (_PROBABILITIES, "probabilities", _p)):
    for _name, _shape in _ELEMENTS:
        CASES += _pairs(_BINARY, f"{_kind}-{_name}", (_t(*_shape), _x(*_shape)), _attrs, (_elementwise, _slope))
    for _name, _shape in _CLASSES:
        _name, _row, _n = f"{_kind}-{_name}", _shape[:-1], _shape[-1]
        CASES += _pairs(_DENSE, _name, (_t(*_shape), _x(*_shape)), _attrs, (_cross, _cross_dx))
        CASES += _pairs(_SPARSE, _name, (_labels(*_row, n=_n), _x(*_shape)), _attrs, (_cross, _cross_dx))


def _timed(name, rows, classes):
    inputs = (integers(rows, high=classes), normal(rows, classes))
    return [
        Case(_SPARSE, name, inputs, _LOGITS, _cross),
        Case(f"{_SPARSE}_dx", name, (normal(rows), *inputs), _LOGITS, _cross_dx),
    ]


SPEED = [
    *_timed("64x10", 64, 10),
    *_timed("1024x10", 1024, 10),
    *_timed("1024x1000", 1024, 1000),
    *_timed("10000x10000", 10000, 10000),
    Case(_DENSE, "64x10", (_t(64, 10), normal(64, 10)), _LOGITS, _cross),
    Case(f"{_DENSE}_dx", "64x10", (normal(64), _t(64, 10), normal(64, 10)), _LOGITS, _cross_dx),
    Case(_DENSE, "words", (_t(64, 10000), normal(64, 10000)), _LOGITS, _cross),
    Case(f"{_DENSE}_dx", "words", (normal(64), _t(64, 10000), normal(64, 10000)), _LOGITS, _cross_dx),
    *_pairs(_BINARY, "million", (_t(1024, 1024), normal(1024, 1024)), _LOGITS, (_elementwise, _slope)),
    *_pairs(_MSE, "million", (normal(1024, 1024), normal(1024, 1024)), {}, (_mse, _mse_dx)),
]
