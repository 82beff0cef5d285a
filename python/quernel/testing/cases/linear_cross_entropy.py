"""Cases of linear_cross_entropy and its gradient: tails of rows, panels and chunks, no bias, several leading axes."""

import numpy as np

from ..case import TINY, Case, integers, normal
from .gemm import largest


def _logit_error(x, w, b, eps):
    """The largest error of a logit: d products, one bias."""
    size = 0.0 if b is None else largest(b)
    return 2 * eps * ((w.shape[0] + 1) * largest(x) * largest(w) + size) + 2 * TINY


def _loss(inputs, attrs, expected, eps):
    x, w, target, b = inputs[-4:]
    size = w.shape[0] * largest(x) * largest(w) + (0.0 if b is None else largest(b))
    return 4 * _logit_error(x, w, b, eps) + 2 * eps * (w.shape[1] + 8) * (2 * size + np.log(max(w.shape[1], 1)) + 2)


def _slopes(inputs, attrs, expected, eps):
    """Each dz errs by at most its own rounding and twice the logits' errors, relative to |dy|; sums of classes or rows."""
    dy, x, w, target, b = inputs
    if expected.shape == target.shape:
        return _loss(inputs, attrs, expected, eps)
    each = largest(dy) * (2 * _logit_error(x, w, b, eps) + 2 * eps * (w.shape[1] + 8))
    terms = max(target.size, w.shape[1])
    return terms * (each + 2 * eps * (terms + 1) * largest(dy)) * max(1.0, largest(x), largest(w)) + 2 * TINY


def _pair(rows, d, o, name=None, bias=True, tiny=False, grad=True, dtype="int32", speed=False, **attrs):
    name = name or "x".join(map(str, (*rows, d, o)))
    # Logits of size 1 or so, whatever d is.
    inputs = (normal(*rows, d), normal(d, o, std=max(d, 1) ** -0.5), integers(*rows, high=o, dtype=dtype))
    inputs += (normal(o) if bias else None,)
    dy = normal(*rows, std=0.1)
    return [
        Case("linear_cross_entropy", name, inputs, attrs, _loss, tiny=tiny, grad=grad),
        Case("linear_cross_entropy_dx", name, (dy, *inputs), attrs, _slopes, tiny=tiny, grad=grad),
    ]


CASES = [
    *_pair((2,), 3, 4, tiny=True),
    *_pair((3,), 4, 5, name="no-bias", bias=False),
    *_pair((2, 3), 5, 17, dtype="int64"),
    *_pair((2, 1, 2), 4, 9, dtype="uint8"),
    *_pair((), 4, 5, name="vector"),
    *_pair((1,), 1, 1),
    *_pair((5,), 16, 70, name="probabilities", probabilities=True),
    *_pair((70,), 20, 130, grad=False),
    *_pair((3,), 33, 700, grad=False),  # few terms, many panels
    *_pair((520,), 17, 33, grad=False),  # a chunk and the next
    *_pair((33,), 18, 520, grad=False),  # a chain of classes and the next
    *_pair((0,), 3, 4),
    *_pair((4,), 0, 5),
]
SPEED = [
    *_pair((1024,), 128, 1000, grad=False),
    *_pair((10000,), 128, 10000, grad=False),
]
