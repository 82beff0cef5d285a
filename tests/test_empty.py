"""Empty arrays: kernels read no element of an array that has none."""

import subprocess
import sys

import pytest

from quernel.testing import each_isa

# An array without elements needs no memory: here it is said to lie at address 8, where no process can read.
CHILD = """
import itertools

import numpy as np
import quernel as qn
from quernel.testing import each_isa
from quernel.testing.cases import all_cases


class At:
    def __init__(self, a, strides):
        self.__array_interface__ = dict(shape=a.shape, strides=strides, typestr=a.dtype.str, data=(8, False), version=3)


def nowhere(a, strides):
    return a if a is None or a.size else np.asarray(At(a, strides and (0,) * a.ndim))


count = 0
for case in all_cases():
    kernel = getattr(qn.kernels, case.op)
    made = case.make("float32")
    if all(v is None or v.size for a in made for v in (a if isinstance(a, list) else [a])):
        continue
    for engine, zero in itertools.product(each_isa(), (None, True)):
        print(engine, case, "strides 0" if zero else "", flush=True)
        arrays = [[nowhere(v, zero) for v in a] if isinstance(a, list) else nowhere(a, zero) for a in made]
        with engine:
            kernel(*arrays, **case.attrs)
        count += 1
print("all", count)
"""


@pytest.mark.skipif(not each_isa(), reason="there is no compiled core")
def test_no_element_of_an_empty_array_is_read():
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=100)
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"{last}: exit {done.returncode}\n{done.stderr[-2000:]}"
    word, count = last[0].split()
    assert word == "all" and int(count) >= 100, "most rooms have a case without elements"
