"""Every op over its SPEED cases, on native kernels and on NumPy's definition.

pytest bench/test_speed.py -k conv --benchmark-group-by=param:case --benchmark-columns=median,iqr,rounds

Choose ops with -k; QUERNEL_ISA and QUERNEL_NUM_THREADS set the instruction set and the threads. bench/test_gemm.py and
bench/test_pool.py put PyTorch beside; step.py and training.py time whole steps and trainings.
"""

import pytest

import quernel as qn
from quernel.testing import each_backend
from quernel.testing.cases import speed_cases


@pytest.mark.parametrize("case", speed_cases(), ids=str)
@pytest.mark.parametrize("engine", [e for e in each_backend() if e.backend != "numba"], ids=str)
def test_speed(benchmark, engine, case):
    kernel = getattr(qn.kernels, case.op)
    arrays = case.make("float32")
    with engine:
        benchmark.extra_info["threads"] = qn.get_num_threads()
        keep = {} if kernel.updates or kernel.view else {"out": kernel(*arrays, **case.attrs)}
        benchmark(kernel, *arrays, **case.attrs, **keep)
