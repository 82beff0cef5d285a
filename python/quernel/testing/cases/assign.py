"""Cases of in-place assignment."""

from ..case import Case, bools, integers, normal, terms

CASES = [
    Case("assign", "matrix", (normal(3, 5), normal(3, 5))),
    Case("assign", "row", (normal(3, 33), normal(33))),
    Case("assign", "scalar", (normal(), normal())),
    Case("assign", "bools", (bools(9), bools(1))),
    Case("assign", "empty", (normal(0, 3), normal(0, 3))),
    Case("assign_add", "matrix", (normal(3, 37), normal(3, 37)), {}, terms(2, scale=8.0)),
    Case("assign_add", "column", (normal(3, 37), normal(3, 1)), {}, terms(2, scale=8.0)),
    Case("assign_add", "counter", (integers(dtype="int64"), integers(dtype="int64"))),
    Case("assign_add", "bytes", (integers(70, high=256, dtype="uint8"), integers(70, high=256, dtype="uint8"))),
    Case("assign_sub", "matrix", (normal(3, 37), normal(3, 37)), {}, terms(2, scale=8.0)),
    Case("assign_sub", "integers", (integers(5), integers(5))),
    Case("lerp_update", "channels", (normal(67), normal(67)), {"momentum": 0.99}, terms(3, scale=8.0)),
    Case("lerp_update", "matrix", (normal(4, 5), normal(5)), {"momentum": 0.5}, terms(3, scale=8.0)),
]
SPEED = [Case(op, "110k", (normal(110000), normal(110000))) for op in ("assign", "assign_add", "assign_sub")]
SPEED.append(Case("lerp_update", "channels", (normal(256), normal(256)), {"momentum": 0.99}))
