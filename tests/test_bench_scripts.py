"""The scripts under bench/ that time thread counts, widths and calls in programs: they run, and measure what they say."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import quernel as qn
from quernel.bench.contestants import Ours
from quernel.bench.run import choose_cases

BENCH = Path(__file__).resolve().parent.parent / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    before = qn.get_num_threads()
    yield
    qn.set_num_threads(before)
    for name in ("conditions", "threads", "widths"):
        sys.modules.pop(name, None)


def _run(script, *words):
    environment = {**os.environ, "QUERNEL_NUM_THREADS": "2"}
    return subprocess.run(
        [sys.executable, str(BENCH / script), *words], env=environment, capture_output=True, text=True
    )


def test_default_and_fixed_counts_are_what_runs(bench):
    import threads

    core = qn.backend._state.core
    case = next(c for c in choose_cases(["sum"]) if c.name == "all-64KB")  # small: the default stays on one thread
    usual, before = core.wake_us(), core.regions_opened()
    found = threads.play(Ours(case, case.make("float32")), [1], 0.01)
    assert core.regions_opened() == before and core.wake_us() == usual
    found = threads.play(Ours(case, case.make("float32")), [1, 2], 0.01)
    assert core.wake_us() == usual and set(found) == {None, 1, 2}
    assert core.regions_opened() > before  # the fixed two
    assert all(len(times) >= threads.ROUNDS[0] and min(times) > 0 for times in found.values())


def test_small_work_never_wakes_a_thread():
    core, before = qn.backend._state.core, qn.get_num_threads()
    qn.set_num_threads(8)
    try:
        for case in choose_cases():
            ours = Ours(case, case.make("float32")) if _small(case) else None
            if ours is None or not ours.native:
                continue
            work = ours.estimate()
            bytes = max(work["bytes"], _walked(case) if "crossentropy" in case.op else 0)
            if work["flops"] / 60e3 + bytes / 20e3 < core.wake_us():  # base/op.hpp: estimated_us
                opened = core.regions_opened()
                ours.alone(8).run(3)
                assert core.regions_opened() == opened and work["ranks"] == 1, str(case)
    finally:
        qn.set_num_threads(before)


def _arrays(case):
    arrays = [a for value in case.inputs if value is not None for a in (value if isinstance(value, list) else [value])]
    return [a for a in arrays if a is not None]


def _small(case):
    return sum(int(np.prod(a.shape)) for a in _arrays(case)) < 1 << 16


def _walked(case):
    """Bytes of a loss whose targets and results count as whole rows: what a row of 10 costs (1024x10: 10 us, not 6)."""
    return 4 * (len(case.inputs) + 1) * max(int(np.prod(a.shape)) for a in _arrays(case))


def test_threads_from_the_command_line(tmp_path):
    done = _run(
        "threads.py", "--op", "assign,lerp_update", "--seconds", "0.01", "--all", "--json", str(tmp_path / "a.json")
    )
    assert done.returncode == 0, done.stderr
    assert "assign-110k" in done.stdout and "of 2 cases take over 1.1 of the best fixed count" in done.stdout


def test_widths_that_break_a_rule_are_found(bench):
    import widths

    sizes = [15, 16, 17, 31, 32, 33]
    fair = [1.0, 1.0, 2.0, 2.0, 2.0, 3.0]  # a vector takes 1
    ratios, off = widths.broken(np.array([fair] * 3), sizes, 16)
    assert off == [] and ratios["whole"] == [1.0, 1.0, 1.0, 1.0, 1.0] and ratios["step"] == [1.0, 1.0, 1.0, 1.0]
    times = np.array([fair, fair, fair])
    times[:, 3] = [2.2, 2.4, 2.9]  # 31: 1.2 of 32
    times[:, 2] = 2.4  # 17: 1.2 of 32, and of two vectors
    _, off = widths.broken(times, sizes, 16)
    assert [one[:2] for one in off] == [("whole", 17), ("whole", 31), ("step", 17)]
    assert off[1][2:] == pytest.approx((1.2, 1.15, 1.325))
    _, off = widths.broken(np.array([fair] * 3), sizes, 8)  # 16 to 17 are two to three vectors of 8: 2 is too much
    assert [one[:3] for one in off] == [("step", 17, pytest.approx(4 / 3)), ("step", 33, pytest.approx(1.2))]


def test_widths_sweeps_the_size_that_is_named(bench, monkeypatch):
    import widths

    options = widths.argparse.Namespace(op=["gemm", *widths.OPS], direction=["TN", "NT"], vary=["n", "k"], size=[6, 40])
    monkeypatch.setattr(widths, "WIDTHS", [9, 16])
    found = dict(widths.series(options))
    assert [a.shape for a in found["gemm TN, n = w"][9].inputs[:2]] == [(40, 6), (40, 9)]
    assert [a.shape for a in found["gemm NT, k = w"][9].inputs[:2]] == [(6, 9), (40, 9)]
    for name, cases in found.items():
        if not name.startswith("gemm"):
            assert all(case.inputs[-1].shape[-1] == w for w, case in cases.items()), name
        times = widths.sweep(cases.values(), 3, 1, 1e-6)
        assert times.shape == (3, 2) and (times > 0).all()


def test_widths_from_the_command_line(tmp_path):
    words = ["--op", "sum", "--size", "2,1", "--sweeps", "1", "--seconds", "1e-6", "--json", str(tmp_path / "a.json")]
    done = _run("widths.py", *words)
    assert done.returncode == 0, done.stderr
    assert " of 249 widths over 1.1 of whole vectors" in done.stdout
    assert list(json.loads((tmp_path / "a.json").read_text())["sum"]) == [str(w) for w in range(8, 257)]
    wrong = _run("widths.py", "--vary", "w")
    assert wrong.returncode == 1 and "expected some of m, n, k; received 'w'" in wrong.stderr


def test_pytest_bench_gives_the_time_of_one_call(tmp_path):
    words = ["-k", "lerp_update and (kernel or numpy)", "-p", "no:cacheprovider", "--benchmark-max-time=0.05"]
    command = [sys.executable, "-m", "pytest", "-q", *words, f"--benchmark-json={tmp_path / 'a.json'}", str(BENCH)]
    env = {
        k: v for k, v in os.environ.items() if not k.startswith("PYTEST_XDIST")
    }  # beside other workers none is timed
    done = subprocess.run(command, cwd=BENCH.parent, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    found = {b["params"]["name"]: b for b in json.loads((tmp_path / "a.json").read_text())["benchmarks"]}
    assert set(found) == {"kernel", "numpy"}
    for one in found.values():  # a round of so many calls takes 1 ms and more
        assert one["extra_info"]["calls"] > 1000 and one["stats"]["median"] < 5e-5


def test_idling_idles_and_subnormals_are_subnormal(bench):
    import conditions

    (case,) = choose_cases(["lerp_update"])
    call, start = conditions.Call(case, 1e-39), time.perf_counter()
    median, worst = call.after_idling(2)
    assert time.perf_counter() - start > 2 * conditions.IDLE and 0 < median <= worst
    small = conditions._scaled([np.float32([1.0, -2.0]), np.int32([3])], 1e-39)
    assert 0 < abs(small[0]).max() < np.finfo(np.float32).tiny and small[1][0] == 3
    with conditions.busy_thread():
        assert call.usual(0.01) > 0


def test_a_machine_without_groups_is_named(bench, monkeypatch):
    import conditions

    def refuse(*_, **__):
        raise PermissionError("no groups here")

    monkeypatch.setattr(conditions.Path, "mkdir", refuse)
    options = conditions.argparse.Namespace(quota=1.5, threads=2, case=["relu-64KB"])
    assert conditions.under_quota(options) == "not measured: no groups here"


def test_conditions_from_the_command_line():
    done = _run("conditions.py", "--case", "lerp_update-channels")
    assert done.returncode == 0, done.stderr
    assert "lerp_update-channels" in done.stdout and "under a quota of 1.5 CPUs" in done.stdout
    wrong = _run("conditions.py", "--case", "relu")
    assert wrong.returncode == 1 and "expected names of speed cases" in wrong.stderr
