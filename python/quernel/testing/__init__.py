"""What quernel's own tests use, shipped: cases of every op, engines, assert_close, gradcheck."""

from .case import Array, Case, bools, distinct, exact, given, integers, normal, terms, ulps, uniform
from .check import assert_close, assert_same_bits, gradcheck, random_direction
from .engine import Engine, each_backend, each_isa, engines

__all__ = [
    "Array", "Case", "Engine", "assert_close", "assert_same_bits", "bools", "distinct", "each_backend", "each_isa",
    "engines", "exact", "given", "gradcheck", "integers", "normal", "random_direction", "terms", "ulps", "uniform",
]  # fmt: skip
