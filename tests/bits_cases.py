"""Writes tests/bits_cases.txt from the shipped cases: `python tests/bits_cases.py > tests/bits_cases.txt`.

Afterwards `python tests/test_bits.py > tests/bits.txt` (or `bits_avx512 tests/bits_cases.txt > tests/bits.txt`, a
program that QUERNEL_BITS=1 builds) gives the hashes. Both files are committed; a changed hash is a change of the public
promise in docs/numerics.md and is named in the commit.
"""

import sys

import numpy as np

import quernel as qn
from quernel.kernels.resolve import Decline, ask_native
from quernel.testing.cases import all_cases

LONGEST = 3000  # characters; cases with more data written out are left to test_ops.py, their ops have smaller ones


def view(spec, array):
    if spec is None:
        return "-"
    shape = "x".join(str(n) for n in array.shape)
    low, high = spec.low, spec.high
    kind = {"distinct": "uniform"}.get(spec.kind, spec.kind)
    data = ""
    if kind == "normal":
        kind, low, high = "uniform", spec.low - 2 * spec.high, spec.low + 2 * spec.high
    if kind == "given":
        data = ":" + ",".join(repr(float(v)) if array.dtype.kind == "f" else str(int(v)) for v in array.ravel())
    return f"{array.dtype.name}:{shape}:{kind}:{float(low)!r}:{float(high)!r}{data}"


def flat(values):
    for v in values:
        yield from v if isinstance(v, list) else [v]


def line(case):
    kernel = getattr(qn.kernels, case.op)
    if kernel.view or kernel.native is None:
        return None
    arrays = case.make("float32")
    attrs = kernel.freeze(dict(case.attrs))
    try:
        ints, floats = ask_native(kernel, arrays, attrs)[-2:]
    except Decline:
        return None
    pairs = [
        (name in kernel.updates, view(s, a))
        for name, spec, array in zip(kernel.inputs, case.inputs, arrays)
        for s, a in zip(flat([spec]), flat([array]))
    ]
    ins = [text for updated, text in pairs if not updated]
    if kernel.updates:
        outs = [text for updated, text in pairs if updated]
    else:
        outs = []
        for s in kernel.specs(arrays, attrs):
            outs.append(f"{np.dtype(s.dtype).name}:{'x'.join(str(n) for n in s.shape)}:none:0:0")
    numbers = " ".join(str(i) for i in ints), " ".join(repr(f) for f in floats)
    return f"{case} {case.op} | {' '.join(ins)} | {' '.join(outs)} | {numbers[0]} | {numbers[1]}"


def main():
    for case in sorted(all_cases(), key=str):
        text = line(case)
        if text is not None and len(text) <= LONGEST:
            sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
