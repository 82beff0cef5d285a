"""Copies, gathers, random numbers and optimizer steps over their speed cases, beside NumPy.

pytest bench/test_move.py --benchmark-group-by=param:case --benchmark-columns=median,iqr,rounds
"""

import pytest

import quernel as qn
from quernel.testing.cases import assign, dropout, gather, move, optim, random, random_integers, slice

CASES = [c for room in (slice, move, gather, random, random_integers, dropout, optim, assign) for c in room.SPEED]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_speed(benchmark, backend, case):
    kernel = getattr(qn.kernels, case.op)
    arrays = case.make("float32")
    benchmark.extra_info["threads"] = qn.backend.get_num_threads()
    with qn.backend.use_backend(backend):
        benchmark(lambda: kernel(*arrays, **case.attrs))
