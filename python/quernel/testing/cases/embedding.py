"""Cases of embedding, rows_merge, sgd_rows_update and adam_rows_update."""

from ..case import Case, given, integers, normal, terms, uniform
from .optim import RATE, SCALE, rounded, step

CASES = [
    Case("embedding", "sentences", (normal(7, 5), integers(2, 3, high=7)), tiny=True),
    Case("embedding", "wide", (normal(9, 130), integers(40, high=9, dtype="int64"))),
    Case("embedding", "column", (normal(9, 1), integers(5, high=9, dtype="uint8"))),
    Case("embedding", "one_token", (normal(4, 33), given(2, "int32"))),
    Case("embedding", "cubes", (normal(50, 16), integers(3, 4, 5, high=50))),
    Case("embedding", "no_token", (normal(4, 2), integers(0, 3))),
    Case("embedding", "no_width", (normal(4, 0), integers(3, high=4))),
    Case("rows_merge", "rows", ([given([2, 0, -1, 2], "int32")], [normal(4, 3)]), {"n": 3}, terms(4, scale=5.0)),
    Case(
        "rows_merge",
        "two_parts",
        ([integers(3, 4, high=9, dtype="int64"), integers(30, low=-9, high=9)], [normal(3, 4, 20), normal(30, 20)]),
        {"n": 9},
        terms(42, scale=5.0),
    ),
    Case(
        "rows_merge",
        "wide",
        ([integers(70, high=50, dtype="uint8")], [normal(70, 130)]),
        {"n": 50},
        terms(70, scale=5.0),
    ),
    Case(
        "rows_merge", "large_table", ([integers(300, high=10**9)], [normal(300, 2)]), {"n": 10**9}, terms(2, scale=5.0)
    ),
    Case("rows_merge", "nothing", ([integers(0)], [normal(0, 3)]), {"n": 5}),
    Case(
        "sgd_rows_update",
        "plain",
        (normal(9, 33), given([4, -1, 0, 8], "int64"), normal(4, 33), RATE, None, None),
        {},
        rounded(3),
    ),
    Case(
        "sgd_rows_update",
        "momentum",
        (normal(9, 16), given([4, 3, 0, -1], "int64"), normal(4, 16), RATE, normal(9, 16), SCALE),
        {"momentum": 0.9},
        rounded(7),
    ),
    Case(
        "sgd_rows_update",
        "nesterov",
        (normal(9, 5), given([8, 1], "int64"), normal(2, 5), RATE, normal(9, 5), None),
        {"momentum": 0.9, "nesterov": True},
        rounded(9),
    ),
    Case(
        "adam_rows_update",
        "first",
        (
            normal(9, 33),
            given([4, -1, 0, 8], "int64"),
            normal(4, 33),
            normal(9, 33, std=0.0),
            normal(9, 33, std=0.0),
            RATE,
            step(0),
            None,
            None,
        ),
        {},
        rounded(12),
    ),  # fmt: skip
    Case(
        "adam_rows_update",
        "later",
        (
            normal(40, 64),
            given([*range(39, 9, -1)], "int64"),
            normal(30, 64),
            normal(40, 64),
            uniform(40, 64, low=0.5, high=2.0),
            RATE,
            step(1000),
            None,
            SCALE,
        ),
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
        rounded(12),
    ),  # fmt: skip
    Case(
        "adam_rows_update",
        "amsgrad",
        (
            normal(6, 3),
            given([5, 0], "int64"),
            normal(2, 3),
            normal(6, 3),
            uniform(6, 3, low=0.5, high=2.0),
            RATE,
            step(7),
            uniform(6, 3, low=0.5, high=2.0),
            None,
        ),
        {},
        rounded(12),
    ),  # fmt: skip
]

_TABLE, _ROWS, _TOKENS = normal(10**6, 64), integers(4096, high=10**6, dtype="int64"), normal(4096, 64)
SPEED = [
    Case("embedding", "vocabulary", (normal(10**4, 64), integers(100, 100, high=10**4))),
    Case("embedding", "million", (_TABLE, _ROWS)),
    Case("embedding", "characters", (normal(96, 256), integers(64, 128, high=96))),
    Case("rows_merge", "million", ([_ROWS], [_TOKENS]), {"n": 10**6}),
    Case("sgd_rows_update", "million", (_TABLE, _ROWS, _TOKENS, RATE, None, None)),
    Case(
        "adam_rows_update", "million", (_TABLE, _ROWS, _TOKENS, _TABLE, uniform(10**6, 64), RATE, step(10), None, None)
    ),
]
