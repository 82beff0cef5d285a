"""gemm and dense over the shipped SPEED cases, beside NumPy's matmul and PyTorch where it is installed.

    pytest bench/test_gemm.py --benchmark-group-by=param:case --benchmark-columns=min,median,iqr,rounds

`extra_info` has flops and threads. Compare within one run only; on a noisy machine min says more than median.
"""

import os

os.environ.setdefault("OMP_PROC_BIND", "true")  # without it a thread waits about 1 ms after PyTorch's (one libgomp)

import numpy as np
import pytest

import quernel as qn
from quernel.testing.cases import dense, gemm

CASES = [*gemm.SPEED, *dense.SPEED]


def flops(case, arrays):
    if case.op == "gemm":
        k = arrays[0].shape[-2 if case.attrs.get("transpose_a") else -1]
        n = arrays[1].shape[-2 if case.attrs.get("transpose_b") else -1]
        return 2 * arrays[0].size // k * k * n
    if case.op == "bias_db":
        return arrays[0].size
    rows = arrays[0].shape[0]
    return 2 * rows * np.prod(arrays[1].shape) if case.op != "dense_dw" else 2 * arrays[0].size * arrays[1].shape[1]


def record(benchmark, case, arrays):
    benchmark.extra_info["flops"] = int(flops(case, arrays))
    benchmark.extra_info["threads"] = qn.backend.get_num_threads()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_quernel(benchmark, case):
    arrays = case.make("float32")
    record(benchmark, case, arrays)
    benchmark(getattr(qn.kernels, case.op), *arrays, **case.attrs)


def operands(case):
    """The two matrices that a peer multiplies."""
    a, b = (np.asarray(v) for v in case.make("float32")[:2])
    if case.op == "dense_dx":
        return a, b.T
    if case.op == "dense_dw":
        return a.T, b
    return a.T if case.attrs.get("transpose_a") else a, b.T if case.attrs.get("transpose_b") else b


PRODUCTS = [c for c in CASES if c.op != "bias_db"]


@pytest.mark.parametrize("case", PRODUCTS, ids=str)
def test_numpy(benchmark, case):
    record(benchmark, case, case.make("float32"))
    benchmark(np.matmul, *operands(case))


@pytest.mark.parametrize("case", PRODUCTS, ids=str)
def test_torch(benchmark, case):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(qn.backend.get_num_threads())
    a, b = map(torch.from_numpy, operands(case))
    record(benchmark, case, case.make("float32"))
    with torch.inference_mode():
        benchmark(torch.mm, a, b)
