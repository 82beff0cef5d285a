"""Threads: who chooses the count, concurrent callers, small work stays on one thread, the caller's state comes back."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import quernel as qn

native = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")


def child(code, **env):
    full = {**os.environ, **env}
    for name, value in env.items():
        if value is None:
            full.pop(name)
    return subprocess.run(
        [sys.executable, "-c", code], env=full, capture_output=True, text=True, check=True
    ).stdout.split()


COUNT = "import quernel as qn; print(qn.get_num_threads(), qn.backend.thread_source())"


@native
def test_the_count_and_its_source():
    assert child(COUNT, QUERNEL_NUM_THREADS="3", OMP_NUM_THREADS="5") == ["3", "QUERNEL_NUM_THREADS"]
    assert child(COUNT, QUERNEL_NUM_THREADS="", OMP_NUM_THREADS="5") == ["5", "OMP_NUM_THREADS"]
    assert child(COUNT, QUERNEL_NUM_THREADS="", OMP_NUM_THREADS="4,2") == ["4", "OMP_NUM_THREADS"]
    count = int(child(COUNT, QUERNEL_NUM_THREADS="", OMP_NUM_THREADS="")[0])
    assert 1 <= count <= len(os.sched_getaffinity(0))
    bound = child(COUNT, QUERNEL_NUM_THREADS="", OMP_NUM_THREADS="", OMP_PROC_BIND="true")
    assert int(bound[0]) == count, "OMP_PROC_BIND leaves the importing thread one CPU, not the process"
    called = "import quernel as qn; qn.set_num_threads(2); print(qn.get_num_threads(), qn.backend.thread_source())"
    assert child(called, QUERNEL_NUM_THREADS="3") == ["2", "set_num_threads"]


QUOTAS = [  # lines of /proc/self/cgroup, {file under /sys/fs/cgroup: text}, CPUs
    ("0::/user/job\n", {"user/job/cpu.max": "150000 100000", "cpu.max": "max 100000"}, 1),
    ("0::/user/job\n", {"user/job/cpu.max": "max 100000", "user/cpu.max": "350000 100000"}, 3),
    ("0::/user/job\n", {"user/job/cpu.max": "800000 100000", "user/cpu.max": "250000 100000"}, 2),
    ("0::/user/job\n", {"user/job/cpu.max": "max 100000"}, 0),
    ("0::/user/job\n", {"user/other/cpu.max": "200000 100000"}, 0),
    ("0::/host/path\n", {"cpu.max": "20000 100000"}, 1),  # a container: its own group is the top
    (
        "3:cpuset:/\n2:cpu,cpuacct:/q\n0::/\n",
        {"cpu/q/cpu.cfs_quota_us": "450000", "cpu/q/cpu.cfs_period_us": "50000"},
        9,
    ),
    ("2:cpu:/q\n", {"cpu/q/cpu.cfs_quota_us": "-1", "cpu/q/cpu.cfs_period_us": "100000"}, 0),
    ("2:cpuacct:/q\n", {"cpu/q/cpu.cfs_quota_us": "100000", "cpu/q/cpu.cfs_period_us": "100000"}, 0),
    ("", {}, 0),
]


@native
@pytest.mark.parametrize("groups, files, cpus", QUOTAS)
def test_the_quota_of_the_groups_around_the_process(tmp_path, groups, files, cpus):
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert qn.backend._state.core.cgroup_quota(str(tmp_path)) == cpus


@pytest.mark.parametrize("bad", ["0", "-2", "two", "2.5", "2147483648", "99999999999999999999"])
def test_bad_counts_in_the_environment(bad):
    code = "try:\n    import quernel\nexcept ValueError as error:\n    print(error)"
    words = " ".join(child(code, QUERNEL_NUM_THREADS=bad))
    assert words == f"QUERNEL_NUM_THREADS: expected an integer from 1 to 2147483647, received {bad!r}"


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", True, None, 2**31, 2**70])
def test_bad_counts(bad):
    with pytest.raises(ValueError, match="expected an integer from 1 to 2147483647, received"):
        qn.set_num_threads(bad)


@native
def test_nothing_starts_at_import():
    code = "import quernel, os; print(len(os.listdir('/proc/self/task')), quernel.backend._state.core.regions_opened())"
    assert child(code, OPENBLAS_NUM_THREADS="1") == ["1", "0"]


@native
def test_small_work_wakes_no_thread():
    core = qn.backend._state.core
    qn.set_num_threads(2)
    before = core.regions_opened()
    a = np.ones((32, 32), "float32")
    for _ in range(10):
        qn.kernels.gemm(a, a)
    assert core.regions_opened() == before
    big = np.ones((512, 512), "float32")
    qn.kernels.gemm(big, big)
    assert core.regions_opened() == before + 1


@native
def test_concurrent_callers_get_the_same_bits(sharing):
    qn.set_num_threads(2)
    rng = np.random.default_rng(0)
    a = rng.standard_normal((200, 300)).astype("float32")
    b = rng.standard_normal((300, 100)).astype("float32")
    expected = qn.kernels.gemm(a, b)
    wrong = []

    def caller():
        for _ in range(50):
            if not np.array_equal(qn.kernels.gemm(a, b), expected):
                wrong.append(1)

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@native
def test_the_callers_subnormals_come_back():
    small = np.float32(1e-40)
    assert qn.kernels.add(np.array([small]), np.array([0], "float32"))[0] == 0, "strict arithmetic flushes subnormals"
    assert qn.kernels.copy(np.array([small]))[0] == small, "copies keep them"
    assert np.array([small]) * np.float32(0.5) != 0, "the caller's floating-point state was changed"
