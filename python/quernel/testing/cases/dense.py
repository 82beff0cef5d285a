"""Cases of the dense ops: bias, activations, several leading dimensions, tails, long sums, no rows."""

from ..case import TINY, Case, normal
from .gemm import largest


def forward(k):
    """Tolerance of activation(sum of k products + b): the activations have slopes up to 1, and their own rounding."""

    def bound(inputs, attrs, expected, eps):
        x, w, b = inputs
        size = largest(x) * largest(w) * (k + 1) + (0 if b is None else 2 * largest(b)) + 4
        return 2 * eps * size + 2 * TINY

    return bound


def factors(k):
    """Tolerance of sums of k products of two inputs, or of k terms of one."""

    def bound(inputs, attrs, expected, eps):
        size = 1.0
        for a in inputs:
            size *= largest(a)
        return 2 * eps * (k + 1) * size + 2 * TINY

    return bound


def _forward(rows, i, o, bias=True, name=None, tiny=False, grad=True, **attrs):
    name = name or "x".join(map(str, (*rows, i, o))) + (f"-{attrs['activation']}" if attrs.get("activation") else "")
    inputs = (normal(*rows, i), normal(i, o, std=0.5), normal(o) if bias else None)
    return Case("dense_forward", name, inputs, attrs, forward(i), tiny=tiny, grad=grad)


def _dx(rows, i, o, tiny=False):
    return Case(
        "dense_dx", "x".join(map(str, (*rows, i, o))), (normal(*rows, o), normal(i, o)), {}, factors(o), tiny=tiny
    )


def _dw(rows, i, o, k, tiny=False):
    return Case(
        "dense_dw", "x".join(map(str, (*rows, i, o))), (normal(*rows, i), normal(*rows, o)), {}, factors(k), tiny=tiny
    )


def _db(rows, o, k, tiny=False, grad=True):
    return Case("bias_db", "x".join(map(str, (*rows, o))), (normal(*rows, o),), {}, factors(k), tiny=tiny, grad=grad)


CASES = [
    _forward((3,), 4, 5, tiny=True),
    _forward((3,), 4, 5, bias=False, name="no-bias"),
    *(_forward((7,), 9, 19, activation=a) for a in ("relu", "sigmoid", "tanh")),
    _forward((5,), 6, 70, activation="tanh"),
    _forward((6,), 33, 1),
    _forward((1,), 300, 1, activation="sigmoid"),
    _forward((2, 3), 4, 5),
    _forward((2, 1, 3), 4, 18, activation="relu"),
    _forward((), 4, 5),
    _forward((33,), 520, 10, activation="relu", grad=False),
    _forward((0,), 4, 5),
    _forward((3,), 0, 5, activation="sigmoid"),
    _forward((2, 0, 3), 4, 5),
    _dx((3,), 4, 5, tiny=True),
    _dx((2, 3), 17, 6),
    _dx((20,), 33, 18),
    _dx((4,), 9, 1),
    _dx((4,), 1, 70),
    _dx((0,), 4, 5),
    _dx((3,), 4, 0),
    _dw((3,), 4, 5, 3, tiny=True),
    _dw((2, 3), 5, 17, 6),
    _dw((2, 3, 4), 16, 33, 24),
    _dw((70,), 9, 1, 70),
    _dw((600,), 3, 4, 600),
    _dw((), 4, 5, 1),
    _dw((0,), 4, 5, 0),
    _db((3,), 5, 3, tiny=True),
    _db((2, 3, 4), 17, 24),
    _db((70,), 1, 70),
    _db((40, 40), 3, 1600, grad=False),
    _db((), 4, 1),
    _db((0,), 4, 0),
    _db((4,), 0, 4),
]
SPEED = [
    _forward((64,), 576, 64, activation="relu"),
    _forward((64,), 64, 10),
    _forward((128,), 784, 512, activation="relu"),
    _dx((64,), 576, 64),
    _dx((128,), 784, 512),
    _dw((64,), 576, 64, 64),
    _dw((128,), 784, 512, 128),
    _db((64,), 64, 64),
    _db((64, 26, 26), 32, 43264),
]
