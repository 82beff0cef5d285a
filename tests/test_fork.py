"""After a fork the child computes alone and never deadlocks, whatever the parent's team did before."""

import os
import signal
import sys

import numpy as np
import pytest

import quernel as qn

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def work():
    a = np.arange(300 * 300, dtype="float32").reshape(300, 300) % 7
    return qn.kernels.gemm(a, a)


@pytest.mark.parametrize("attempt", range(20))
def test_forked_child_computes(attempt, sharing):
    qn.backend.set_num_threads(3)
    expected = work()  # the parent's threads exist before the fork
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a deadlock ends the child with a signal
        try:
            ok = np.array_equal(work(), expected)
        finally:
            sys.stdout.flush()
        os._exit(0 if ok else 1)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, f"the child ended with status {status}"
