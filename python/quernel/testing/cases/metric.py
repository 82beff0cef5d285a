"""Cases of the state of metrics."""

from ..case import Case, normal, terms, uniform

_STATE = (normal(), uniform(low=1.0, high=9.0), normal(std=1e-3))
CASES = [
    Case("mean_update", "sum", (*_STATE, normal(), uniform(low=1.0, high=9.0)), {}, terms(4, scale=32.0)),
    Case(
        "mean_update",
        "product",
        (*_STATE, normal(), uniform(low=1.0, high=9.0)),
        {"product": True},
        terms(4, scale=32.0),
    ),
]
SPEED = [CASES[0]]
