"""Calls as programs make them, not as benches do: after idling, beside a busy Python thread, under a CPU quota, on subnormals.

    python bench/conditions.py [--case relu-1MB,sum-all-4MB] [--threads 2] [--quota 1.5]

Each case is called from Python, its usual median first, then
* idle: the first call after 100 ms of sleep (the team's threads sleep too), beside the same call on one thread;
* busy: while another Python thread counts, beside the same case called with that thread stopped: GIL and core are shared;
* subnormal: on the same values times 1e-39, which flushing makes zeros;
* quota: in a cgroup that may use so many CPUs, the default count (its whole part) beside all threads, which are stopped for
  the rest of a period once they have used it up. It needs the right to make a group below /sys/fs/cgroup, else it says so.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

import quernel as qn
from quernel.bench.report import duration, table
from quernel.bench.run import choose_cases

CASES = ["relu-64KB", "relu-1MB", "gemm-64x64x64NN", "gemm-256x256x256NN", "dense_forward-64x576x64-relu", "adam_update-1e6",
         "conv_forward-64x5x5x64-64", "max_pool-11x11x64", "softmax-digits", "sum-all-4MB"]  # fmt: skip
IDLE = 0.1  # seconds


class Call:
    """One case as a function without arguments, and how to time it."""

    def __init__(self, case, scale=1.0):
        self.case, kernel = case, getattr(qn.kernels, case.op)
        arrays = [_scaled(a, scale) for a in case.make("float32")]
        self.call = lambda: kernel(*arrays, **case.attrs)

    def once(self):
        start = time.perf_counter()
        self.call()
        return time.perf_counter() - start

    def usual(self, seconds=0.1):
        """The median of warm calls."""
        self.call()
        n = max(10, min(2000, int(seconds / max(self.once(), 1e-7))))
        return float(np.median([self.once() for _ in range(n)]))

    def after_idling(self, times=11):
        """(median, largest) of first calls after a sleep."""
        found = []
        for _ in range(times):
            self.call()
            time.sleep(IDLE)
            found.append(self.once())
        return float(np.median(found)), max(found)


def _scaled(value, scale):
    if isinstance(value, list):
        return [_scaled(v, scale) for v in value]
    return value if value is None or value.dtype.kind != "f" else value * np.float32(scale)


@contextlib.contextmanager
def busy_thread():
    """A Python thread that counts, and so asks for the GIL all the time."""
    stop = threading.Event()

    def count():
        n = 0
        while not stop.is_set():
            n += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def group(cpus):
    """The file that takes processes into a new cgroup of so many CPUs.

    Raises:
        OSError: this process may not make one.
    """
    first = Path("/sys/fs/cgroup/cpu")  # version 1, else the one tree of version 2
    path = (first if first.is_dir() else Path("/sys/fs/cgroup")) / f"quernel-bench-{os.getpid()}"
    path.mkdir()
    try:
        if first.is_dir():
            path.joinpath("cpu.cfs_period_us").write_text("100000")
            path.joinpath("cpu.cfs_quota_us").write_text(str(int(cpus * 1e5)))
        else:
            path.joinpath("cpu.max").write_text(f"{int(cpus * 1e5)} 100000")
        yield path / "cgroup.procs"
    finally:
        time.sleep(0.2)  # the last process is still leaving
        path.rmdir()


def under_quota(options):
    """What inside() prints at the default thread count and with all threads, in a group; or why there is none."""
    try:
        with group(options.quota) as procs:
            found = []
            for threads in ("", str(options.threads)):
                environment = {**os.environ, "QUERNEL_NUM_THREADS": threads, "OMP_NUM_THREADS": ""}
                command = [sys.executable, __file__, "--inside", "--case", ",".join(options.case)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True,
                                      preexec_fn=lambda: procs.write_text(str(os.getpid())))  # fmt: skip
                found.append(json.loads(done.stdout))
    except OSError as error:
        return f"not measured: {error}"
    return found


def inside(cases):
    """What one process in the group prints: its thread count, and of each case the median and the mean of a second of calls."""
    found = {"threads": qn.get_num_threads(), "cases": {}}
    for case in cases:
        call, times = Call(case), []
        call.usual()
        start = time.perf_counter()
        while time.perf_counter() - start < 1.0:
            times.append(call.once())
        found["cases"][str(case)] = float(np.median(times)), float(np.mean(times))
    print(json.dumps(found))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--case", type=lambda text: text.split(","), default=CASES, help="names of speed cases")
    options.add_argument("--threads", type=int, default=qn.get_num_threads())
    options.add_argument("--quota", type=float, default=1.5, help="CPUs of the group")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = options.parse_args()
    known = {str(c): c for c in choose_cases()}
    if unknown := [name for name in options.case if name not in known]:
        raise SystemExit(f"--case: expected names of speed cases, as pytest bench/ lists them; received {unknown[0]!r}")
    cases = [known[name] for name in options.case]
    if options.inside:
        return inside(cases)
    head = ["case", "usual", "idle", "worst", "1 thread", "idle, 1 thread", "busy", "busy, 1 thread", "subnormal"]
    lines = []
    for case in cases:
        cells = [str(case)]
        for threads in (options.threads, 1):
            qn.set_num_threads(threads)
            call = Call(case)
            cells.append(duration(call.usual()))
            median, worst = call.after_idling()
            cells += [duration(median), duration(worst)] if threads > 1 else [duration(median)]
        beside = []
        for threads in (options.threads, 1):
            qn.set_num_threads(threads)
            with busy_thread():
                beside.append(duration(Call(case).usual()))
        qn.set_num_threads(options.threads)
        lines.append([*cells, *beside, duration(Call(case, 1e-39).usual())])
    print(table(head, lines))
    found = under_quota(options)
    if isinstance(found, str):
        print(f"under a quota of {options.quota:g} CPUs: {found}")
        return None
    threads = [one["threads"] for one in found]
    head = ["case"]
    for n in threads:
        head += [f"{n} thread{'s' * (n > 1)}: median", "mean"]
    names = [str(c) for c in cases]
    print(
        f"\nunder a quota of {options.quota:g} CPUs, where the default is {threads[0]} and {threads[1]} were asked for:"
    )
    print(table(head, [[n, *(duration(t) for one in found for t in one["cases"][n])] for n in names]))
    return None


if __name__ == "__main__":
    main()
