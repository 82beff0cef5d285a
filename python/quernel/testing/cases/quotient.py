"""Cases of divide_no_nan."""

from ..case import Case, given, normal, ulps, uniform

CASES = [
    Case("divide_no_nan", "row", (normal(5, 70), uniform(70, low=0.5, high=2.0)), tolerance=ulps(1)),
    Case("divide_no_nan", "tiny", (normal(2, 3), uniform(3, low=0.5, high=2.0)), tolerance=ulps(1), tiny=True),
    Case("divide_no_nan", "number", (normal(33), uniform(low=0.5, high=2.0)), tolerance=ulps(1)),
    Case(
        "divide_no_nan",
        "zeros",
        (given([1.0, 0.0, -1.0, 2.0, float("nan")]), given([0.0, -0.0, 0.0, 4.0, 0.0])),
        tolerance=ulps(1),
        grad=False,
    ),
    Case("divide_no_nan", "empty", (normal(0, 3), normal(3)), tolerance=ulps(1), grad=False),
]
SPEED = [Case("divide_no_nan", "1M", (normal(1024, 1024), normal(1024, 1024)))]
