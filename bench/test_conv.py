"""Times of the convolutions: `pytest bench/test_conv.py --benchmark-group-by=group` (pytest-benchmark)."""

import pytest

import quernel as qn
from quernel.testing.cases import conv, depthwise


@pytest.mark.parametrize("case", conv.SPEED + depthwise.SPEED, ids=str)
def test_speed(case, benchmark):
    kernel = getattr(qn.kernels, case.op)
    inputs = case.make("float32")
    benchmark.group = case.op
    benchmark(kernel, *inputs, **case.attrs)
