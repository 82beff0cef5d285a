"""Every op's speed cases, ours and every peer's, by pytest-benchmark: the contestants of `quernel bench`, its statistics.

OMP_PROC_BIND=true pytest bench/ -k "conv_forward and (call or torch)" --benchmark-columns=median,iqr,rounds

The names: kernel (from C++, without Python), call (from Python), torch, onednn, mkl, blas, numba, numpy. Times are those of one
call; a round makes as many as extra_info says, the same number for all contestants of a case. Each takes about a second, all of
them most of an hour: choose with -k. QUERNEL_ISA and QUERNEL_NUM_THREADS set the
instruction set and the threads. Nothing is interleaved here: on a shared machine use `quernel bench`.
"""

import os

import pytest

os.environ.setdefault("MKL_THREADING_LAYER", "GNU")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")

import quernel as qn
from quernel.bench.contestants import Ours
from quernel.bench.crowding import spread
from quernel.bench.peers import NAMES, find
from quernel.testing.cases import speed_cases

SAMPLE = 1e-3  # seconds of one round at 60 GFLOP/s and 20 GB/s
PEERS, MISSING = find(NAMES)
spread(qn.get_num_threads(), PEERS.values())


def _contestants(ours, name):
    threads = qn.get_num_threads()
    if name == "kernel":
        return [ours.alone(threads)]
    if name == "call":
        return [ours.called(threads)]
    return PEERS[name].contestants(ours, threads)


@pytest.mark.parametrize("name", ["kernel", "call", *PEERS])
@pytest.mark.parametrize("case", speed_cases(), ids=str)
def test_speed(benchmark, case, name):
    ours = Ours(case, case.make("float32"))
    tried = [c.calibrate(SAMPLE) for c in _contestants(ours, name)]
    if not tried:
        pytest.skip(f"{name} has no twin of {case.op}")
    best = min(tried, key=lambda c: c.once)
    work = ours.estimate()
    calls = max(1, int(SAMPLE / (work["flops"] / 60e9 + work["bytes"] / 20e9 + 1e-7)))
    benchmark.group = str(case)
    benchmark.extra_info.update(
        setting=best.setting, threads=qn.get_num_threads(), calls=calls, flops=work["flops"], bytes=work["bytes"]
    )
    if best.enter is not None:
        best.enter()
    benchmark(best.run, calls)
    if benchmark.stats is not None:  # None with --benchmark-disable
        seconds = benchmark.stats.stats.data
        seconds[:] = [s / calls for s in seconds]
