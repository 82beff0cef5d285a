"""Cases of gemm: tails in every size, chains of one, two and three blocks, batches, transposes, empty sums."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..case import TINY, Case, normal, rows_apart, shifted


def largest(a):
    """max |a|, 0 for an empty array."""
    return float(np.max(np.abs(a))) if a.size else 0.0


def product(k):
    """Tolerance of sums of k products, scaled by alpha, with beta * c added."""

    def bound(inputs, attrs, expected, eps):
        a, b, c = inputs
        size = abs(attrs.get("alpha", 1)) * largest(a) * largest(b) * (k + 1)
        if c is not None:
            size += 2 * abs(attrs.get("beta", 0)) * largest(c)
        return 2 * eps * size + 2 * TINY

    return bound


def _case(m, n, k, c=None, batch_a=(), batch_b=(), name=None, tiny=False, grad=True, **attrs):
    a = (k, m) if attrs.get("transpose_a") else (m, k)
    b = (n, k) if attrs.get("transpose_b") else (k, n)
    inputs = (normal(*batch_a, *a), normal(*batch_b, *b), c if c is None else normal(*c))
    letters = ("T" if attrs.get("transpose_a") else "N") + ("T" if attrs.get("transpose_b") else "N")
    name = name or "x".join(map(str, (*(batch_a or batch_b), m, n, k))) + letters
    return Case("gemm", name, inputs, attrs, product(k), tiny=tiny, grad=grad)


NN, TN, NT, TT = {}, {"transpose_a": True}, {"transpose_b": True}, {"transpose_a": True, "transpose_b": True}

CASES = [
    _case(3, 4, 5, (3, 4), alpha=0.5, beta=2.0, name="tiny", tiny=True),
    *(_case(m, n, k, **t) for m, n, k in [(1, 1, 1), (7, 17, 9), (15, 33, 31), (13, 5, 16)] for t in (NN, TN, NT, TT)),
    *(_case(m, 21, 7) for m in (2, 4, 6, 8, 9, 14, 29)),
    *(_case(5, n, 11) for n in (2, 15, 16, 31, 48, 49, 64, 96, 130)),
    *(_case(m, 130, 6) for m in (1, 2, 3, 30)),
    *(_case(m, n, 600, **t, grad=False) for m, n in ((3, 18), (1, 40)) for t in (NN, TN, NT)),
    _case(2, 3, 512),
    _case(2, 3, 1025, alpha=-1.5),
    _case(9, 20, 1100, (1, 20), beta=0.5, name="long-with-c"),
    *(_case(m, 1, k, **t) for m, k in ((1, 5), (6, 63), (3, 200), (20, 64)) for t in (NN, TN, NT)),
    _case(5, 1, 9000, grad=False),
    _case(40, 1, 4200, grad=False, **TN),
    _case(1, 1, 4097, grad=False),
    _case(4, 3, 5, batch_a=(2, 3), batch_b=(2, 3), name="batch"),
    _case(4, 3, 5, batch_a=(2, 1), batch_b=(3,), name="batch-broadcast"),
    _case(4, 3, 5, batch_a=(6,), name="batch-of-rows"),
    _case(4, 3, 5, batch_b=(2,), name="batch-of-columns", **TT),
    _case(1, 4, 5, batch_a=(3, 2), name="batch-of-vectors"),
    _case(3, 1, 70, batch_a=(2,), batch_b=(2,), name="batch-of-columns-by-vectors"),
    _case(4, 3, 5, (4, 1), batch_a=(2,), name="c-broadcast", beta=1.0),
    _case(4, 3, 5, (3,), beta=-1.0, name="c-row"),
    _case(4, 3, 5, (4, 3), name="c-unread"),
    _case(0, 3, 4),
    _case(3, 0, 4),
    _case(3, 4, 0),
    _case(3, 4, 0, (3, 4), beta=2.0, name="no-terms-with-c"),
    _case(2, 3, 4, batch_a=(0,), name="no-batch"),
    *(_case(200, 70, 600, **t, grad=False) for t in (NN, TN, NT)),
    _case(250, 230, 40, grad=False, **NT),
    _case(60, 512, 33, grad=False),
    _case(224, 544, 520, grad=False),
    _case(200, 70, 1100, (200, 70), alpha=2.0, beta=0.5, name="packed-with-c", grad=False, **NT),
    _case(3, 18, 20, (3, 18), alpha=2.0, beta=0.5, name="few-with-c", **NT),
    _case(3, 1, 20, (3, 1), alpha=2.0, beta=0.5, name="column-with-c"),
    # Blocks: a rest of k that joins its block, two blocks of columns, ranks that share columns of a square.
    *(_case(60, 70, 1030, **t, grad=False) for t in (TN, NT)),
    _case(60, 1290, 64, grad=False),
    *(_case(270, 264, 1000, **t, grad=False) for t in (NN, NT)),
]


def _placed(suffix, place, cases):
    """These cases with both operands laid out by `place`."""
    return [
        replace(case, name=case.name + suffix, inputs=(place(case.inputs[0]), place(case.inputs[1]), None))
        for case in cases
    ]


CASES += _placed("-offset4", shifted, [_case(1, 40, 640, grad=False, **NT), _case(40, 1, 320, grad=False)])


def _speed(m, n, k):
    return [_case(m, n, k, **t) for t in (NN, TN, NT)]


SPEED = [
    case
    for sizes in [
        *((n, n, n) for n in (16, 32, 64, 128, 256, 512, 1024, 2048, 1000, 1023, 1025)),
        (64, 64, 576),
        (100, 128, 1600),
        (128, 512, 784),
        (256, 784, 128),
        (8192, 1024, 256),
        (1, 512, 512),
        (512, 1, 512),
        *((m, 512, 512) for m in range(2, 9)),
        (64, 64, 4096),
    ]
    for case in _speed(*sizes)
]
for _n in (64, 256, 512):
    SPEED += _placed("-rows4096", partial(rows_apart, row=4096), _speed(_n, _n, _n))
    SPEED += _placed("-offset4", shifted, _speed(_n, _n, _n))
