"""Runs side by side, more of them than workspaces, after a fork; replay allocates nothing; what runs tell about themselves."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from plan_recipe import core, mixed, run

import quernel as qn

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")


def test_side_by_side(sharing):
    qn.set_num_threads(2)
    recipe, x, expected = mixed()
    plan = recipe.plan()
    other = mixed(130)
    second = other[0].plan()
    wrong = []

    def caller(seed):
        for i in range(40):
            y, z = np.zeros_like(expected), np.zeros_like(other[2])
            run(plan, [x], [y], steps=1 + i % 3)
            run(second, [other[1]], [z])
            if not (np.array_equal(y, expected) and np.array_equal(z, other[2])):
                wrong.append(seed)

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and core.plan_stats()["leased"] == 0


def test_more_runs_than_workspaces():
    """Twelve runs at once: four of them take blocks of their own and give them back."""
    qn.set_num_threads(1)
    recipe, x, expected = mixed()
    plan = recipe.plan()
    results, most = [], []

    def caller():
        y = np.zeros_like(expected)
        run(plan, [x], [y], steps=1 << 40, seconds=0.3)
        results.append(np.array_equal(y, expected))

    threads = [threading.Thread(target=caller) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        while t.is_alive():
            most.append(core.plan_stats()["leased"])
            time.sleep(0.01)
        t.join()
    assert results == [True] * 12 and max(most) > 8
    stats = core.plan_stats()
    assert stats["leased"] == 0 and stats["workspaces"] <= 8
    core.trim_memory()
    assert core.plan_stats()["workspaces"] == 0 and core.plan_stats()["workspace_bytes"] == 0


def test_plans_are_counted():
    before = core.plan_stats()["plans"]
    recipe, *_ = mixed()
    recipe.plan()
    assert core.plan_stats()["plans"] == before + 1
    del recipe
    assert core.plan_stats()["plans"] == before


@pytest.mark.parametrize("attempt", range(5))
def test_forked_child_runs_plans(attempt, sharing):
    qn.set_num_threads(2)
    recipe, x, expected = mixed()
    plan = recipe.plan()
    y = np.zeros_like(expected)
    run(plan, [x], [y])
    stop = threading.Event()

    def busy():
        z = np.zeros_like(expected)
        while not stop.is_set():
            run(plan, [x], [z], steps=1 << 40, seconds=0.01)

    thread = threading.Thread(target=busy)
    try:
        if attempt % 2:  # the fork happens while another thread runs the plan
            thread.start()
            time.sleep(0.02)
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a deadlock ends the child with a signal
            y[:] = 0
            ok = run(plan, [x], [y], steps=3) == (3, False) and np.array_equal(y, expected)
            os._exit(0 if ok else 1)
        _, status = os.waitpid(child, 0)
    finally:
        stop.set()
        if attempt % 2:
            thread.join()
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, f"the child ended with status {status}"


def test_replay_allocates_nothing(sharing):
    qn.set_num_threads(2)
    recipe, x, expected = mixed()
    other, z, wanted = mixed(128)
    plan, second = recipe.plan(), other.plan()
    outs = [np.zeros_like(expected) for _ in range(3)]
    y = np.zeros_like(wanted)
    run(plan, [x], [outs[0]])
    run(second, [z], [y])
    before = core.memory_stats()["allocations"]
    for i in range(30):
        run(plan, [x], [outs[i % 3]], steps=2)
        run(second, [z], [y])
    assert core.memory_stats()["allocations"] == before
    assert all(np.array_equal(out, expected) for out in outs)


@pytest.mark.parametrize("threads", [1, 2])
def test_profile(threads, sharing):
    qn.set_num_threads(threads)
    recipe, x, expected = mixed(400)
    plan = recipe.plan()
    y = np.zeros_like(expected)
    run(plan, [x], [y])
    assert plan.times() == [(0, 0.0)] * 8
    plan.profile(True)
    begin = time.perf_counter()
    run(plan, [x], [y], steps=20)
    took = time.perf_counter() - begin
    assert [n for n, _ in plan.times()] == [20] * 8
    assert all(s > 0 for _, s in plan.times()) and sum(s for _, s in plan.times()) <= took
    plan.profile(False)
    run(plan, [x], [y], steps=20)
    assert [n for n, _ in plan.times()] == [20] * 8


def test_fewer_threads_than_wanted():
    """OpenMP may hand out fewer threads than a plan was prepared for."""
    code = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1])\n"
        "import quernel as qn\n"
        "from plan_recipe import core, mixed, run\n"
        "qn.set_num_threads(7); core.set_wake_us(0)\n"
        "recipe, x, expected = mixed()\n"
        "plan = recipe.plan()\n"
        "y = np.zeros_like(expected)\n"
        "run(plan, [x], [y], steps=3)\n"
        "print(max(op['ranks'] for op in plan.describe()), np.array_equal(y, expected))\n"
    )
    for limit in ("1", "2", "3"):
        env = {**os.environ, "OMP_THREAD_LIMIT": limit}
        told = subprocess.run(
            [sys.executable, "-c", code, os.path.dirname(__file__)],
            env=env,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert told.stdout.split() == ["7", "True"], told.stderr
