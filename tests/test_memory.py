"""The caching allocator: large results fault no pages in steady state, what is kept is bounded, and goes back when asked."""

import subprocess
import sys

import numpy as np
import pytest

import quernel as qn
from quernel import kernels

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="there is no compiled core")
MB = 1 << 20

# Page faults of the process a call, once it runs as it will: in a process of its own, which nothing else disturbs.
FAULTS = """
import resource
import numpy as np
from quernel import kernels

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

x = np.ones({elements}, "float32")

def chain():
    y = kernels.relu(x)
    z = kernels.multiply(y, x)
    return kernels.add(z, y)

for _ in range(3):
    chain()
before = faults()
for _ in range(4):
    chain()
print((faults() - before) / 4)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults as Linux does")
@pytest.mark.parametrize("megabytes", [1, 24, 190])  # a slab's, a block's, and three that are more than is kept anyway
def test_large_results_fault_no_pages_again(megabytes):
    code = FAULTS.format(elements=megabytes * MB // 4)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 2, "a result in 4 KB pages faults 256 times a megabyte, in huge pages once in two"


def test_kept_memory_is_bounded_and_goes_back():
    x = np.ones(150 * MB // 4, "float32")
    held = [qn.kernels.relu(x) for _ in range(8)]  # 1.2 GB at once
    del held
    small = x[: 2 * MB]
    for _ in range(600):  # the peak of long ago no longer counts
        qn.kernels.relu(small)
    kept = qn.memory_stats()
    assert kept["cached"] <= kept["in_use"] + 600 * MB
    qn.backend._state.core.trim_memory()
    trimmed = qn.memory_stats()
    assert trimmed["cached"] < 64 * MB and trimmed["mapped"] < kept["mapped"] - 256 * MB


def test_streams_do_not_share_their_offset():
    """Four streams that share an offset modulo 4096 run up to 5 times slower in cache."""
    arrays = [qn.kernels.relu(np.ones(n, "float32")) for n in (2048, 2048, 2048, 3 * MB, 3 * MB, 3 * MB)]
    offsets = [a.ctypes.data % 4096 for a in arrays]
    assert len(set(offsets[:3])) == 3 and len(set(offsets[3:])) == 3
    assert all(o % 64 == 0 for o in offsets)


def test_results_that_no_memory_holds_are_refused_in_words():
    wide, tall = np.broadcast_to(np.float32(1), (1, 1 << 31)), np.broadcast_to(np.float32(1), (1 << 31, 1))
    with pytest.raises(ValueError, match=r"counted in 64 bits, received an array of shape \(2147483648, 2147483648\)"):
        kernels.add(wide, tall)
    with pytest.raises(
        ValueError, match=r"expected sizes of at most 9223372036854775807, received .*18446744073709551"
    ):
        kernels.pad(np.ones(3, "float32"), pad_width=((1 << 63, 1 << 63),))
    with pytest.raises(ValueError, match="expected sizes of at most"):
        kernels.one_hot(np.array([1]), num_classes=1 << 70)
    with pytest.raises(
        MemoryError, match=r"no memory for an array of shape \(1099511627776, 2048\) and dtype float32, 8"
    ):
        kernels.add(wide[:, :2048], np.broadcast_to(np.float32(1), (1 << 40, 1)))
