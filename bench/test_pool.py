"""Pooling and batch normalization over the shipped SPEED cases, beside PyTorch (channels_last) where it is installed.

    pytest bench/test_pool.py --benchmark-group-by=param:case --benchmark-columns=median,iqr,rounds

Each group interleaves nothing by itself: on a noisy machine run it several times and compare within one run only.
"""

import os

os.environ.setdefault(
    "OMP_PROC_BIND", "true"
)  # without it a thread waits about 1 ms after torch's backward (one libgomp)

import numpy as np
import pytest

import quernel as qn
from quernel.testing.cases import norm, pool

CASES = [*pool.SPEED, *norm.SPEED]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_quernel(benchmark, case):
    kernel = getattr(qn.kernels, case.op)
    arrays = case.make("float32")
    outs = kernel(*arrays, **case.attrs)
    every = [a for a in (*arrays, *(outs if isinstance(outs, tuple) else (outs,))) if a is not None]
    benchmark.extra_info["bytes"] = sum(a.nbytes for a in every)
    benchmark.extra_info["threads"] = qn.backend.get_num_threads()
    benchmark(kernel, *arrays, **case.attrs)


def _torch_call(torch, case):
    """The same work in PyTorch as a function without arguments, or None."""
    from torch.nn import functional

    arrays = [None if a is None else np.ascontiguousarray(a) for a in case.make("float32")]

    def tensor(a):  # NHWC memory as torch's NCHW in channels_last
        return torch.from_numpy(a).permute(0, 3, 1, 2) if a.ndim == 4 else torch.from_numpy(a)

    base = case.op.removesuffix("_dx")
    if base in ("max_pool", "average_pool"):
        pools = {"max_pool": functional.max_pool2d, "average_pool": functional.avg_pool2d}
        size, stride = case.attrs["pool_size"], case.attrs.get("strides", case.attrs["pool_size"])
        padding = 0 if case.attrs.get("padding", "valid") == "valid" else size // 2
        if base == case.op:
            x = tensor(arrays[0])
            return lambda: pools[base](x, size, stride, padding)
        x = tensor(arrays[1] if base == "max_pool" else np.ones(case.attrs["input_shape"], "float32")).requires_grad_()
        y, dy = pools[base](x, size, stride, padding), tensor(arrays[0])
        return lambda: torch.autograd.grad(y, x, dy, retain_graph=True)
    if case.op == "batch_norm_train":
        x, gamma, beta = map(tensor, arrays)
        return lambda: functional.batch_norm(x, None, None, gamma, beta, training=True)
    if case.op == "batch_norm_dx":
        x, gamma = tensor(arrays[1]).requires_grad_(), tensor(arrays[4]).requires_grad_()
        y, dy = functional.batch_norm(x, None, None, gamma, gamma, training=True), tensor(arrays[0])
        return lambda: torch.autograd.grad(y, (x, gamma), dy, retain_graph=True)
    if case.op == "global_average_pool":
        x = tensor(arrays[0])
        return lambda: x.mean((2, 3))
    if case.op == "global_max_pool":
        x = tensor(arrays[0])
        return lambda: x.amax((2, 3))
    return None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_torch(benchmark, case):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(qn.backend.get_num_threads())
    call = _torch_call(torch, case)
    if call is None:
        pytest.skip(f"torch has no twin of {case.op}")
    benchmark(call)
