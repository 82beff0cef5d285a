"""Cases of arithmetic, elementary functions, comparisons, where, clip, cast."""

from ..case import Case, bools, distinct, exact, given, integers, normal, ulps, uniform

# Shapes that meet every path of the walk: a scalar, tails, short rows, a repeated row, column, scalar, nothing.
# All ops share the walk, so two of them are enough for all the shapes.
PAIRS = [
    ("scalars", (), ()),
    ("tail", (37,), (37,)),
    ("row", (5, 70), (70,)),
    ("column", (5, 70), (5, 1)),
    ("both", (4, 1, 33), (3, 1)),
    ("short-rows", (200, 3), (3,)),
    ("number", (3, 50), ()),
    ("empty", (0, 4), (1, 4)),
]
FEW = [pair for pair in PAIRS if pair[0] in ("row", "empty")]


def _binary(op, tolerance, first, second, dtypes=("int32", "int64", "uint8"), low=1, pairs=FEW, grad=True):
    made = [
        Case(op, name, (first(*a), second(*b)), tolerance=tolerance, grad=grad and name != "empty")
        for name, a, b in pairs
    ]
    made.append(Case(op, "tiny", (first(2, 3), second(3)), tolerance=tolerance, tiny=grad, grad=grad))
    for dtype in dtypes:
        if dtype == "bool":
            made.append(Case(op, "bool", (bools(3, 21), bools(21))))
        else:
            start = low if dtype == "uint8" else low - 8
            a, b = integers(3, 21, low=start, high=12, dtype=dtype), integers(21, low=start, high=12, dtype=dtype)
            made.append(Case(op, dtype, (a, b)))
    return made


def _unary(op, tolerance, make, dtypes=(), grad=True):
    made = [Case(op, name, (make(*shape),), tolerance=tolerance, grad=grad and name != "empty")
            for name, shape in (("scalar", ()), ("tail", (3, 45)), ("empty", (2, 0)))]  # fmt: skip
    made.append(Case(op, "tiny", (make(5),), tolerance=tolerance, tiny=grad, grad=grad))
    for dtype in dtypes:
        made.append(Case(op, dtype, (integers(70, low=0 if dtype == "uint8" else -9, high=10, dtype=dtype),)))
    return made


def _above(low, high):
    return lambda *shape: uniform(*shape, low=low, high=high)


TRIPLES = [
    ("scalars", (), (), ()),
    ("tail", (3, 45), (3, 45), (3, 45)),
    ("row", (70,), (5, 70), (5, 1)),
    ("three", (4, 1, 1), (3, 1), (40,)),
    ("number", (3, 40), (3, 40), ()),
    ("tiny", (2, 3), (3,), (2, 1)),
    ("short-rows", (200, 3), (200, 1), (3,)),
    ("empty", (0, 3), (3,), (1, 3)),
]
INTS = ("int32", "int64", "uint8")
_positive = _above(0.3, 4.0)
_away = _above(0.2, 3.0)  # away from a kink at 0

CASES = [
    *_binary("add", ulps(1), normal, normal, (*INTS, "bool"), pairs=PAIRS),
    *_binary("subtract", ulps(1), normal, normal),
    *_binary("multiply", ulps(1), normal, normal, (*INTS, "bool")),
    *_binary("divide", ulps(1), normal, _positive, ()),
    *_binary("floor_divide", exact, _above(-9.3, 9.7), _positive),
    *_binary("mod", ulps(1), _above(0.1, 0.29), _positive),
    Case(
        "mod",
        "signs",
        (given([7.5, -7.5, 7.5, -7.5, 0.0, -0.0, 1e30, -1e30]), given([2.0, 2.0, -2.0, -2.0, 3.0, 3.0, 7.0, 7.0])),
        tolerance=ulps(1),
        grad=False,
    ),
    *_binary("power", ulps(2), _positive, _above(-2.0, 2.0), ()),
    Case(
        "power",
        "signs",
        (given([-2.0, -2.0, -8.0, 0.0, 0.0, -0.5]), given([3.0, 2.0, 0.5, 2.0, -1.0, -3.0])),
        tolerance=ulps(2),
        grad=False,
    ),
    *_binary("maximum", exact, distinct, _above(-0.9, 0.9), (*INTS, "bool"), pairs=PAIRS),
    *_binary("minimum", exact, distinct, _above(-0.9, 0.9), (*INTS, "bool")),
    *_unary("negative", exact, normal, INTS),
    *_unary("absolute", exact, _away, INTS),
    *_unary("sign", exact, normal, INTS, grad=False),
    *_unary("square", ulps(1), normal, INTS),
    *_unary("exp", ulps(2), _above(-5.0, 5.0)),
    *_unary("log", ulps(2), _positive),
    *_unary("log1p", ulps(2), _above(-0.6, 3.0)),
    *_unary("expm1", ulps(2), _above(-3.0, 3.0)),
    *_unary("sqrt", ulps(1), _positive),
    *_unary("rsqrt", ulps(2), _positive),
    *_unary("erf", ulps(2), _above(-3.0, 3.0)),
    *_unary("floor", exact, _above(-9.0, 9.0), grad=False),
    *_unary("sin", ulps(2), _above(-30.0, 30.0)),
    *_unary("cos", ulps(2), _above(-30.0, 30.0)),
]
for _op in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    CASES += _binary(
        _op, exact, lambda *s: integers(*s, low=-2, high=3, dtype="float"), normal, (*INTS, "bool"), grad=False
    )
for _op in ("logical_and", "logical_or"):
    CASES += _binary(_op, exact, bools, bools, (), grad=False)
CASES += [
    Case("logical_not", "tail", (bools(3, 45),)),
    Case("logical_not", "empty", (bools(0),)),
    Case("isnan", "tail", (given([1.0, float("nan"), float("inf"), -0.0] * 9),), grad=False),
    *(
        Case("where", name, (bools(*a), normal(*b), normal(*c)), grad=name != "empty", tiny=name == "tiny")
        for name, a, b, c in TRIPLES
    ),
    *(Case("where", dtype, (bools(60), integers(3, 60, dtype=dtype), integers(dtype=dtype))) for dtype in INTS),
    Case("where", "bool", (bools(60), bools(3, 60), bools())),
    Case("clip", "tail", (distinct(3, 45, low=-2.0, high=2.0),), {"x_min": -1.01, "x_max": 0.51}, tolerance=ulps(1)),
    Case(
        "clip", "tiny", (distinct(6, low=-2.0, high=2.0),), {"x_min": -1.1, "x_max": 1.1}, tolerance=ulps(1), tiny=True
    ),
    Case("clip", "empty", (normal(0),), {"x_min": 0.0, "x_max": 1.0}, grad=False),
]
for _to in ("float32", "int32", "int64", "uint8", "bool"):
    CASES.append(Case("cast", f"float-to-{_to}", (uniform(3, 45, low=0.0, high=200.0),), {"dtype": _to}, grad=False,
                      tolerance=ulps(1)))  # fmt: skip
    for _from in INTS:
        start = 0 if _from == "uint8" else -70 if _to != "uint8" else 0
        _array = integers(3, 45, low=start, high=70, dtype=_from)
        CASES.append(Case("cast", f"{_from}-to-{_to}", (_array,), {"dtype": _to}, grad=False))
    CASES.append(Case("cast", f"bool-to-{_to}", (bools(3, 45),), {"dtype": _to}, grad=False))
CASES.append(Case("cast", "tiny", (normal(5),), {"dtype": "float64"}, tiny=True, tolerance=ulps(1)))

SPEED = [
    Case("add", "4MB", (normal(1024, 1024), normal(1024, 1024))),
    Case("add", "row", (normal(1024, 1024), normal(1024))),
    Case("add", "channels", (normal(64, 26, 26, 32), normal(32))),
    Case("multiply", "number", (normal(1024, 1024), normal())),
    Case("divide", "1MB", (normal(512, 512), _positive(512, 512))),
    Case("mod", "1MB", (normal(512, 512), _positive(512, 512))),
    Case("power", "1MB", (_positive(512, 512), normal(512, 512))),
    *(Case(op, "1MB", (_positive(512, 512),)) for op in ("exp", "log", "log1p", "expm1", "erf", "sin", "sqrt")),
    *(Case(op, "1MB", (normal(512, 512), normal(512, 512))) for op in ("subtract", "maximum", "minimum")),
    Case("floor_divide", "1MB", (normal(512, 512), _positive(512, 512))),
    *(Case(op, "1MB", (normal(512, 512),)) for op in ("negative", "absolute", "sign", "square", "floor", "cos", "isnan")),
    Case("rsqrt", "1MB", (_positive(512, 512),)),
    Case("clip", "1MB", (normal(512, 512),), {"x_min": -1.0, "x_max": 1.0}),
    *(Case(op, "1MB", (normal(512, 512), normal(512, 512)))
      for op in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(Case(op, "1MB", (bools(1024, 1024), bools(1024, 1024))) for op in ("logical_and", "logical_or")),
    Case("logical_not", "1MB", (bools(1024, 1024),)),
    Case("where", "1MB", (bools(512, 512), normal(512, 512), normal(512, 512))),
    Case("cast", "int64", (integers(512, 512, dtype="int64"),), {"dtype": "float32"}),
]  # fmt: skip
