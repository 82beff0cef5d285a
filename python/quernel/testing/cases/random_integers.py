"""Cases of random integers and permutations."""

from ..case import Case, given

STATE = given([12345678901234, 3, 1], "int64")

CASES = [
    Case("random_integers", "die", (STATE,), {"shape": (3, 50), "minval": 1, "maxval": 7}),
    Case("random_integers", "all_int32", (STATE,), {"shape": (40,), "minval": -(2**31), "maxval": 2**31}),
    Case(
        "random_integers", "wide", (STATE,), {"shape": (40,), "minval": -(2**63), "maxval": 2**63 - 1, "dtype": "int64"}
    ),
    Case("random_integers", "bytes", (STATE,), {"shape": (33,), "minval": 0, "maxval": 256, "dtype": "uint8"}),
    Case("random_integers", "scalar", (STATE,), {"shape": (), "minval": 5, "maxval": 6}),
    Case("random_permutation", "hundred", (STATE,), {"n": 100}),
    Case("random_permutation", "one", (STATE,), {"n": 1}),
    Case("random_permutation", "none", (STATE,), {"n": 0}),
]
SPEED = [
    Case("random_integers", "1M", (STATE,), {"shape": (1024, 1024), "minval": 0, "maxval": 1000}),
    Case("random_permutation", "60k", (STATE,), {"n": 60000}),
]
