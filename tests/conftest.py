"""What every test file shares: one thread per worker under xdist, and threads given back after each test."""

import os

if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("QUERNEL_NUM_THREADS", "1")

import pytest

import quernel as qn


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
