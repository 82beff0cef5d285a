"""What every test file shares: threads, the oracle mark, skips that must be expected, hypothesis settings."""

import concurrent.futures
import fnmatch
import importlib.util
import os
import signal
from pathlib import Path

if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("QUERNEL_NUM_THREADS", "1")  # one thread a worker

import hypothesis
import pytest

import quernel as qn

collect_ignore = []
if not importlib.util.find_spec("torch"):
    collect_ignore += ["test_oracle.py", "test_recurrent_torch.py", "test_bench_peers.py"]
if not importlib.util.find_spec("keras"):
    collect_ignore += ["test_programs_keras.py", "test_recurrent_keras.py"]

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(config, items):
    """Oracle tests (they need torch) run only when asked for: -m oracle."""
    if "oracle" in (config.option.markexpr or ""):
        return
    oracle = [item for item in items if item.get_closest_marker("oracle")]
    if oracle:
        config.hook.pytest_deselected(items=oracle)
        items[:] = [item for item in items if not item.get_closest_marker("oracle")]


_skipped = []


def pytest_runtest_logreport(report):
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append((report.nodeid, report.longrepr[2] if isinstance(report.longrepr, tuple) else ""))


def _expected_skips():
    for line in Path(__file__).with_name("expected_skips.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, _, reason = line.partition(" | ")
            yield pattern.strip(), reason.strip()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """A skip that tests/expected_skips.txt does not name fails the run (in CI; any skip does with QUERNEL_FAIL_ON_SKIP)."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return
    if os.environ.get("QUERNEL_FAIL_ON_SKIP"):
        surprising = _skipped
    else:
        expected = list(_expected_skips())
        surprising = [s for s in _skipped if not any(fnmatch.fnmatch(s[0], p) and r in s[1] for p, r in expected)]
    if surprising:
        print("\nskipped without a line in tests/expected_skips.txt:")
        for nodeid, reason in surprising:
            print(f"  {nodeid}: {reason}")
        session.exitstatus = 1


@pytest.fixture(autouse=True)
def _same_threads_after():
    """A test that changes the number of threads gives it back."""
    before = qn.backend.get_num_threads()
    yield
    if qn.backend.get_num_threads() != before:
        qn.backend.set_num_threads(before)


@pytest.fixture
def sharing():
    """Threads share any work, however small."""
    core = qn.backend._state.core
    if core is not None:
        core.set_wake_us(0)
    yield
    if core is not None:
        core.set_wake_us(8)


@pytest.fixture
def side_by_side():
    """side_by_side(work, threads): runs `work()` in several threads at once, waits for them, and raises what they raised."""

    def run(work, threads):
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            for future in [pool.submit(work) for _ in range(threads)]:
                future.result()

    return run


@pytest.fixture
def ctrl_c():
    """SIGINT raises KeyboardInterrupt here and in child processes, also where the suite was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
