"""Cases of random floats."""

import numpy as np

from ..case import TINY, Case, given, ulps

STATE = given([12345678901234, 3, 1], "int64")


def drawn(n):
    """n roundings of z * stddev, and one of the sum."""

    def bound(inputs, attrs, expected, eps):
        mean = attrs.get("mean", 0.0)
        return eps * (n * np.abs(expected - mean) + np.abs(expected) + abs(mean)) + 2 * TINY

    return bound


CASES = [
    Case("random_uniform", "group", (STATE,), {"shape": (64,)}),
    Case("random_uniform", "limits", (STATE,), {"shape": (5, 33), "minval": -0.3, "maxval": 2.7}, ulps(0)),
    Case("random_uniform", "scalar", (given([-1, -2, -3], "int64"),), {"shape": ()}),
    Case("random_uniform", "empty", (STATE,), {"shape": (0, 3)}),
    Case("random_uniform", "size", (STATE,), {"shape": 7, "maxval": -1.0}),
    Case("random_normal", "groups", (STATE,), {"shape": (1000,)}, drawn(8)),
    Case("random_normal", "shifted", (STATE,), {"shape": (3, 21), "mean": 5.0, "stddev": 0.3}, drawn(8)),
    Case("random_normal", "empty", (STATE,), {"shape": (0,)}, drawn(8)),
    Case("random_truncated_normal", "groups", (STATE,), {"shape": (1000,)}, drawn(8)),
    Case("random_truncated_normal", "shifted", (STATE,), {"shape": (3, 21), "mean": -1.0, "stddev": 0.05}, drawn(8)),
]
SPEED = [
    Case("random_uniform", "1M", (STATE,), {"shape": (1024, 1024)}),
    Case("random_normal", "1M", (STATE,), {"shape": (1024, 1024)}),
    Case("random_truncated_normal", "100k", (STATE,), {"shape": (100000,)}),
]
