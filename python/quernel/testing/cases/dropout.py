"""Cases of dropout and its gradient."""

from ..case import Case, given, normal, ulps

STATE = given([12345678901234, 3, 1], "int64")

CASES = [
    Case("dropout", "half", (normal(3, 50), STATE), {"rate": 0.5}, ulps(2)),
    Case("dropout", "tiny", (normal(2, 4), STATE), {"rate": 0.3}, ulps(2), tiny=True),
    Case("dropout", "nothing_dropped", (normal(9), STATE), {"rate": 0}, ulps(2)),
    Case("dropout", "all_dropped", (normal(9), STATE), {"rate": 1.0}, ulps(2)),
    Case("dropout", "empty", (normal(0, 9), STATE), {"rate": 0.5}, ulps(2)),
    Case("dropout_dx", "half", (normal(2, 65), STATE), {"rate": 0.5}, ulps(2)),
    Case("dropout_dx", "tiny", (normal(2, 4), STATE), {"rate": 0.3}, ulps(2), tiny=True),
]
SPEED = [Case(op, "1M", (normal(1024, 1024), STATE), {"rate": 0.5}) for op in ("dropout", "dropout_dx")]
