"""Crowded samples: waits are seen, samples are taken again, rounds that stay crowded do not count; other pools' CPUs."""

import json
import os
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from quernel.bench import crowding, report, results
from quernel.bench.contestants import Contestant
from quernel.bench.run import Row, Run

linux = pytest.mark.skipif(not os.path.exists(f"/proc/self/task/{os.getpid()}/schedstat"), reason="Linux tells waits")


class World:
    """A clock, and threads of which some wait: `waiting` has the share of the next samples, then nothing waits."""

    def __init__(self, waiting=()):
        self.now, self.waited, self.waiting, self.slept = 0.0, {"1": 0.0, "2": 5.0}, list(waiting), []

    def work(self, seconds=1.0):
        self.now += seconds
        self.waited["2"] += seconds * (self.waiting.pop(0) if self.waiting else 0.0)
        return seconds

    def watch(self):
        return crowding.Watch(lambda: dict(self.waited), clock=lambda: self.now, pause=self.slept.append)


def _contestant(world, name="kernel", **more):
    return Contestant(name, lambda n: world.work() * n, once=1.0, **more)


def test_a_crowded_sample_is_taken_again_after_a_pause():
    world = World([0.5, 0.09])
    watch = world.watch()
    assert watch.sample(_contestant(world)) == (1.0, False)
    assert world.slept == [crowding.PAUSES[0]] and watch.again == 1
    assert watch.sample(_contestant(world)) == (1.0, False) and watch.again == 1  # nothing waits any more


def test_of_samples_that_stay_crowded_the_best_is_told_as_crowded():
    world = World([0.5, 0.2, 0.9])
    lengths = iter([3.0, 2.0, 4.0])
    one = Contestant("torch", lambda n: world.work(next(lengths)), once=1.0)
    assert world.watch().sample(one) == (2.0, True)
    assert world.slept == list(crowding.PAUSES)


def test_one_thread_that_waits_is_enough_and_many_that_wait_a_little_are_not():
    shares = {"1": 0.0, "2": 0.0, "3": 0.0}
    world = World()

    def work(n):
        world.now += 1.0
        for name, share in shares.items():
            world.waited[name] = world.waited.get(name, 0.0) + share
        return 1.0

    one = Contestant("kernel", work, once=1.0)
    shares.update({"1": 0.05, "2": 0.05, "3": 0.05})
    assert world.watch().sample(one) == (1.0, False)
    shares.update({"1": 0.0, "2": 0.0, "3": 0.2})
    world.waited["3"] = 0.0
    assert world.watch().sample(one) == (1.0, True)


def test_where_nothing_is_told_nothing_is_crowded():
    world = World([0.9] * 9)
    assert crowding.Watch(None).sample(_contestant(world)) == (1.0, False)
    assert len(world.waiting) == 8  # one sample


def test_a_peer_of_another_process_tells_its_own_waits():
    world, there = World(), [{"torch 7": 0.0}, {"torch 7": 0.4}, {"torch 7": 0.4}, {"torch 7": 0.4}]
    one = _contestant(world, "torch", waits=lambda: there.pop(0))
    assert world.watch().sample(one) == (1.0, False)
    assert not there and world.slept == [crowding.PAUSES[0]]


@linux
def test_two_busy_threads_on_one_cpu_wait_for_each_other():
    cpu = min(os.sched_getaffinity(0))
    stop = threading.Event()

    def spin():
        os.sched_setaffinity(threading.get_native_id(), {cpu})
        while not stop.is_set():
            np.dot(square, square)  # without the GIL

    square, before = np.ones((120, 120)), os.sched_getaffinity(0)
    other = threading.Thread(target=spin)
    os.sched_setaffinity(0, {cpu})
    waits = crowding.Waits()
    try:
        other.start()
        waits.look()
        start, first = time.perf_counter(), waits()
        while time.perf_counter() - start < 0.1:
            np.dot(square, square)
        shares = [t - first[name] for name, t in waits().items()]
        assert max(shares) > 2 * crowding.CROWDED * 0.1
    finally:
        os.sched_setaffinity(0, before)
        stop.set()
        other.join()
        ended = waits()
        waits.look()
        assert {n: t for n, t in waits().items() if n in ended}.keys() == ended.keys()  # one that ended keeps its last
        waits.close()
    assert not waits.files


def _row(marks, kernel, crowded, peer=None, peer_crowded=None):
    row = Row.__new__(Row)
    row.case, row.isa, row.threads, row.family, row.ranks = (
        SimpleNamespace(op="relu", name="x", inputs=()),
        "a",
        1,
        "f",
        1,
    )
    row.flops, row.bytes, row.footprint, row.left_out, row.tried = 2e9, 1e9, 10, {}, {}
    row.marks, row.allowed, no = marks, [{"copy": 0.5}] * len(marks), [False] * len(marks)
    row.at_most = row.allowed
    row.samples, row.crowded = {"kernel": kernel, "call": kernel}, {"kernel": crowded, "call": no}
    row.settings, row.against = {}, {}
    if peer:
        row.samples["torch"], row.settings["torch"], row.against["torch"] = peer, "1 thread", "call"
        row.crowded["torch"] = peer_crowded or no
    return row


YES, NO = True, False


def test_crowded_rounds_do_not_count():
    row = _row([100] * 7, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 2.0], [NO, YES, NO, NO, NO, NO, YES])
    made = results.finished(row, 100)
    assert made["seconds"]["median"] == made["seconds"]["high"] == 1.0
    assert (made["rounds"], made["noisy"], made["crowded"], made["counted"], made["enough"]) == (7, 0, 2, 5, True)
    row = _row([100, 10, 100, 100, 100], [1.0] * 5, [NO, YES, YES, NO, NO])  # noisy and crowded is dropped once
    made = results.finished(row, 100)
    assert (made["noisy"], made["crowded"], made["counted"], made["enough"]) == (1, 1, 3, False)
    assert made["seconds"]["rounds"] == 5  # the best there are


def test_a_row_of_few_rounds_stands_on_calm_ones_first():
    row = _row([100, 100, 100, 60, 50, 40, 30], [9.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0], [YES, YES, NO, NO, NO, NO, NO])
    assert results.kept(row, 100) == [2, 3, 4, 5, 6]


def test_a_peers_crowded_samples_are_left_out_of_its_ratio_only():
    row = _row([100] * 6, [1.0] * 6, [NO] * 6, [2.0, 9.0, 2.0, 9.0, 2.0, 2.0], [NO, YES, NO, YES, NO, NO])
    made = results.finished(row, 100)
    peer = made["peers"]["torch"]
    assert made["enough"] and made["counted"] == 6
    assert peer["ratio"]["high"] == 2.0 and peer["ratio"]["rounds"] == 4 and peer["crowded"] == 2 and not peer["enough"]
    assert results.short(row, 100)
    all_of_them = results.finished(_row([100] * 5, [1.0] * 5, [NO] * 5, [3.0] * 5, [YES] * 5), 100)["peers"]["torch"]
    assert all_of_them["ratio"]["median"] == 3.0 and not all_of_them["enough"]


def test_a_crowded_probe_gives_no_percentage_of_its_round():
    row = _row([100] * 5, [1.0] * 5, [NO] * 5)
    row.allowed = [{"copy": 0.5}, {}, {"copy": 0.5}, {}, {"copy": 0.7}]
    roof = results.finished(row, 100)["roof"]
    assert roof["percent"]["median"] == 50 and roof["percent"]["rounds"] == 3


def test_a_probe_that_was_crowded_in_every_round_leaves_no_other_percentage():
    row = _row([100] * 5, [1.0] * 5, [NO] * 5)
    row.allowed, row.at_most = [{"read": 0.001}] * 5, [{"read": 0.001, "fma": 0.9}] * 5
    made = results.finished(row, 100)
    assert made["roof"] is None and json.loads(json.dumps(made))["roof"] is None
    row.at_most = [{"read": 0.001, "fma": 0.0009}] * 5  # even crowded it is no limit: the other binds
    roof = results.finished(row, 100)["roof"]
    assert roof["by"] == "read" and roof["percent"]["median"] == pytest.approx(0.1)
    row.allowed[:] = [{}] * 4 + [{"fma": 0.5}]  # the probe that binds was calm once
    row.at_most = [{"read": 0.001, "fma": 0.9}] * 5
    roof = results.finished(row, 100)["roof"]
    assert roof["by"] == "fma" and roof["percent"]["median"] == 50 and roof["percent"]["rounds"] == 1


class _Limits:
    seen = []

    def seconds(self, times):
        return dict.fromkeys([n for n in times if n == "copy"], 1.0)


def _play(world, seconds, more=2.0, names=("kernel", "call", "copy")):
    run = Run([], ["a"], [1], {}, seconds=seconds, more=more)
    run.sentinels["a", 1] = Contestant("tile", lambda n: 1.0 * n, once=1.0, work=100.0)
    row = Row.__new__(Row)
    row.isa, row.threads, row.marks, row.allowed, row.at_most, row.against = "a", 1, [], [], [], {}
    run.rounds(row, [_contestant(world, n) for n in names], _Limits(), world.watch(), clock=lambda: world.now)
    return row


def test_rounds_go_on_until_enough_have_counted():
    assert len(_play(World(), 1.0).marks) == 5
    tries = 1 + len(crowding.PAUSES)
    row = _play(World([0.5] * 3 * tries), 1.0)  # the first round is crowded throughout
    assert len(row.marks) == 6 and row.crowded["kernel"] == [YES] + [NO] * 5
    assert row.allowed[0] == {} and row.allowed[1] == row.at_most[0] == {"copy": 1.0}
    row = _play(World([0.5] * 3 * tries * 50), 1.0)
    assert len(row.marks) == 10 and all(row.crowded["kernel"])  # twice as many, then no more
    assert len(_play(World([0.5] * 3 * tries * 50), 1.0, more=1.0).marks) == 5


def test_the_report_says_which_lines_have_too_few_rounds():
    made = [results.finished(_row([100] * 5, [1.0] * 5, [n < bad for n in range(5)], [2.0] * 5), 100) for bad in (0, 1)]
    for one in made:
        one["level"] = "L2"
    run = {"rows": made, "machine": {"peers": {"torch": {}}}}
    head, lines = report.case_lines(run)
    at, torch = head.index("rounds"), head.index("torch")
    assert [line[at] for line in lines] == ["5/5", "4/5 ?"] and [line[torch] for line in lines] == ["2.00", "2.00?"]
    text = report.noise(run)
    assert "1 of 10 rounds were dropped because" in text and "1 of 2 lines" in text


@linux
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2 if hasattr(os, "sched_getaffinity") else True, reason="one CPU")
def test_pools_of_a_bound_thread_get_cpus_of_their_own(monkeypatch):
    cpus, main = sorted(os.sched_getaffinity(0)), os.getpid()
    stop, ready = threading.Event(), threading.Event()
    found = []

    class Peer:
        def start(self, threads):
            found.append(threads)
            self.pool = threading.Thread(target=lambda: (ready.set(), stop.wait()))
            self.pool.start()

    monkeypatch.setattr(crowding, "cpus", lambda threads: cpus)
    peer = Peer()
    try:
        os.sched_setaffinity(main, {cpus[0]})
        crowding.spread(2, [peer])
        ready.wait()
        assert found == [2] and os.sched_getaffinity(peer.pool.native_id) == {cpus[1]}
        assert os.sched_getaffinity(main) == {cpus[0]}
        with crowding.everywhere():
            assert os.sched_getaffinity(main) == set(cpus)
        assert os.sched_getaffinity(main) == {cpus[0]}
    finally:
        os.sched_setaffinity(main, cpus)
        stop.set()


def test_numpys_blas_runs_on_the_threads_of_the_row():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    from quernel.bench.contestants import Ours
    from quernel.bench.peers import Plain
    from quernel.bench.run import choose_cases

    peer = Plain("numpy")
    if peer.blas is None:
        pytest.skip("NumPy has no OpenBLAS of its own")
    (case,) = choose_cases(["gemm"], quick=True)
    (one,) = peer.contestants(Ours(case, case.make("float32")), 1)
    one.enter()
    assert one.setting == "its BLAS on 1 thread"
    assert {i["num_threads"] for i in threadpoolctl.threadpool_info() if i["filepath"] == peer.blas.filepath} == {1}
