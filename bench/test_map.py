"""Elementwise ops over their speed cases, beside NumPy: `pytest bench/test_map.py --benchmark-group-by=param:case`."""

import pytest

import quernel as qn
from quernel.testing.cases import speed_cases

ROOMS = ("arithmetic", "division", "elementary", "compare", "select", "copy", "activations", "linear_units")
CASES = [c for c in speed_cases() if getattr(qn.kernels, c.op).module in ROOMS]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_speed(benchmark, backend, case):
    kernel = getattr(qn.kernels, case.op)
    arrays = case.make("float32")
    with qn.backend.use_backend(backend):
        out = kernel(*arrays, **case.attrs)
        benchmark(lambda: kernel(*arrays, **case.attrs, out=out))
