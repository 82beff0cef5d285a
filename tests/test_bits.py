"""The hashes of tests/bits.txt, computed in this process as tests/bits.cpp does it without Python, for each FMA ISA.

    python tests/test_bits.py > tests/bits.txt      writes the hashes anew (best instruction set)

Inputs come from Philox as tests/bits.cpp has it, here in NumPy; attributes and sizes stand in tests/bits_cases.txt.
"""

import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import quernel as qn
from quernel.testing import each_isa

HERE = Path(__file__).parent
LOW = np.uint64(0xFFFFFFFF)
FMA_ISAS = [e for e in each_isa() if e.isa != "base"]


def philox(count, key0, key1):
    """First words of Philox4x32-10 (Salmon et al., 2011) for the counters 0 .. count - 1, as uint64."""
    shift = np.uint64(32)
    counter = np.arange(count, dtype=np.uint64)
    c = [counter & LOW, counter >> shift, np.zeros(count, np.uint64), np.zeros(count, np.uint64)]
    for r in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        k0 = np.uint64((key0 + r * 0x9E3779B9) & 0xFFFFFFFF)
        k1 = np.uint64((key1 + r * 0xBB67AE85) & 0xFFFFFFFF)
        c = [(b >> shift) ^ c[1] ^ k0, b & LOW, (a >> shift) ^ c[3] ^ k1, a & LOW]
    return c[0]


@numba.njit
def fnv(data, h):
    """FNV-1a, 64 bits, over bytes, from h on."""
    for byte in data:
        h = (h ^ np.uint64(byte)) * np.uint64(0x100000001B3)
    return h


START = np.uint64(0xCBF29CE484222325)


def make(text, key):
    """The array that a view of the case file stands for; None for "-"."""
    if text == "-":
        return None
    dtype, shape, kind, low, high, *data = text.split(":")
    shape = tuple(int(n) for n in shape.split("x") if n)
    count = int(np.prod(shape, dtype=int))
    low, high = float(low), float(high)
    values = np.zeros(count)
    if kind == "given":
        values = np.array([float(v) for v in data[0].split(",")] if count else [])
    elif kind == "integers":
        values = low + (philox(count, key, 1) % np.uint64(high - low)).astype(np.float64)
    elif kind == "uniform":
        values = low + (high - low) * (philox(count, key, 1) >> np.uint64(8)).astype(np.float64) / 16777216.0
    return values.astype(dtype).reshape(shape)


def outputs(text):
    """The outputs of one case: the native kernel called with what its line says."""
    head, ins, outs, ints, floats = text.split("|")
    name, op = head.split()
    key = int(fnv(np.frombuffer(name.encode(), np.uint8), START))
    ins = tuple(make(v, (key + 101 * i) & 0xFFFFFFFF) for i, v in enumerate(ins.split()))
    outs = tuple(make(v, (key + 101 * i + 7919) & 0xFFFFFFFF) for i, v in enumerate(outs.split()))
    call, isa, index = qn.backend.native_op(op)
    call(isa, index, ins, outs, tuple(map(int, ints.split())), tuple(map(float, floats.split())), True)
    return outs


def hash_of(arrays):
    """FNV-1a over the bytes of the outputs; every NaN counts as the same one."""
    h = START
    for a in arrays:
        if a is not None:
            if a.dtype.kind == "f":
                a[np.isnan(a)] = np.nan
            h = np.uint64(fnv(a.reshape(-1).view(np.uint8), h))
    return f"{int(h):016x}"


def lines():
    return (HERE / "bits_cases.txt").read_text().splitlines()


@pytest.mark.skipif(not FMA_ISAS, reason="no FMA instruction set here")
@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
def test_hashes(engine):
    expected = dict(line.split() for line in (HERE / "bits.txt").read_text().splitlines())
    wrong = []
    with engine:
        for text in lines():
            name = text.split()[0]
            if hash_of(outputs(text)) != expected.get(name):
                wrong.append(name)
    assert not wrong, f"{len(wrong)} cases give other bits than tests/bits.txt promises: {wrong[:20]}"


def main():
    for text in lines():
        sys.stdout.write(f"{text.split()[0]} {hash_of(outputs(text))}\n")


if __name__ == "__main__":
    main()
