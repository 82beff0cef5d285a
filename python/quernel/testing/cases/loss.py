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

CASES = [
    Case("mean_squared_error", "tiny", (normal(2, 3), normal(2, 3)), {}, _mse, tiny=True),
    Case("mean_squared_error", "one", (normal(9, 1), normal(9, 1)), {}, _mse),
    Case("mean_squared_error", "long", (normal(2, 4101), normal(2, 4101)), {}, _mse),
    Case("mean_squared_error", "vector", (normal(77), normal(77)), {}, _mse),
    Case("mean_squared_error", "no-rows", (normal(0, 3), normal(0, 3)), {}, _mse),
    Case("mean_squared_error", "empty-rows", (normal(3, 0), normal(3, 0)), {}, terms(0), grad=False),
    Case("mean_squared_error_dx", "tiny", (normal(2), normal(2, 3), normal(2, 3)), {}, _mse_dx, tiny=True),
    Case("mean_squared_error_dx", "long", (normal(2, 2), normal(2, 2, 71), normal(2, 2, 71)), {}, _mse_dx),
    Case("mean_squared_error_dx", "no-rows", (normal(0), normal(0, 3), normal(0, 3)), {}, _mse_dx),
]
for _attrs, _kind, _x in ((_LOGITS, "logits", normal), (_PROBABILITIES, "probabilities", _p)):
    for _name, _shape in [("tiny", (5,)), ("odd", (3, 37)), ("cube", (2, 5, 7)), ("long", (5003,)), ("none", (0, 3))]:
        _tiny = _name == "tiny"
        CASES += [
            Case("binary_crossentropy", f"{_kind}-{_name}", (_t(*_shape), _x(*_shape)), _attrs, _elementwise, tiny=_tiny),
            Case("binary_crossentropy_dx", f"{_kind}-{_name}", (normal(*_shape), _t(*_shape), _x(*_shape)), _attrs, _slope,
                 tiny=_tiny),
        ]  # fmt: skip
    for _name, _shape in _CLASSES:
        _tiny, _n = _name == "tiny", _shape[-1]
        _dy, _labels = normal(*_shape[:-1]), integers(*_shape[:-1], low=0, high=_n)
        _dense, _sparse = "categorical_crossentropy", "sparse_categorical_crossentropy"
        _name = f"{_kind}-{_name}"
        CASES += [
            Case(_dense, _name, (_t(*_shape), _x(*_shape)), _attrs, _cross, tiny=_tiny),
            Case(f"{_dense}_dx", _name, (_dy, _t(*_shape), _x(*_shape)), _attrs, _cross_dx, tiny=_tiny),
            Case(_sparse, _name, (_labels, _x(*_shape)), _attrs, _cross, tiny=_tiny),
            Case(f"{_sparse}_dx", _name, (_dy, _labels, _x(*_shape)), _attrs, _cross_dx, tiny=_tiny),
        ]
CASES += [
    Case("sparse_categorical_crossentropy", "int64", (integers(6, low=0, high=4, dtype="int64"), normal(6, 4)), _LOGITS, _cross),
    Case("sparse_categorical_crossentropy", "uint8", (integers(6, low=0, high=4, dtype="uint8"), normal(6, 4)), _LOGITS, _cross),
    Case("sparse_categorical_crossentropy", "vector", (integers(low=0, high=4), normal(4)), _LOGITS, _cross),
]  # fmt: skip
SPEED = [
    Case("sparse_categorical_crossentropy", "digits", (integers(1024, low=0, high=10), normal(1024, 10)), _LOGITS, _cross),
    Case("sparse_categorical_crossentropy_dx", "digits", (normal(1024), integers(1024, low=0, high=10), normal(1024, 10)),
         _LOGITS, _cross_dx),
    Case("categorical_crossentropy", "words", (_t(64, 10000), normal(64, 10000)), _LOGITS, _cross),
    Case("binary_crossentropy", "million", (_t(1024, 1024), normal(1024, 1024)), _LOGITS, _elementwise),
    Case("mean_squared_error", "million", (normal(1024, 1024), normal(1024, 1024)), {}, _mse),
]  # fmt: skip
