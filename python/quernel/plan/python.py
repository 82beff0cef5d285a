"""PythonEngine: a program as a Python loop over its calls, for backends without native code and for steps with a call
that only NumPy takes. Slower than the native engine, with the same results as the step itself.
"""

import time

import numpy as np

from .program import OUTPUT
from .recorder import ARGUMENT, MADE, VARIABLE, address_of, array_at, bytes_of


def view(owner, move, ref):
    """The array that `ref` describes, `move` bytes behind the start of `owner`."""
    at = move + ref.offset
    if not at and owner.shape == ref.shape and owner.strides == ref.strides and owner.dtype == ref.dtype:
        return owner
    return array_at(owner, address_of(owner) + at, ref)


class PythonEngine:
    """Runs a program's calls one by one."""

    kind = "python"
    layout = None
    in_place = frozenset()

    def __init__(self, program):
        self.program = program
        self.arguments = {position: i for i, position in enumerate(program.arguments)}
        self._profiled = False
        self._times = [(0, 0.0)] * len(program.calls)
        self.slots = {ref.root: i for i, ref in enumerate(program.outputs)}

    def profile(self, on):
        """Whether runs measure their calls from now on."""
        self._profiled = on

    def times(self):
        """(runs, seconds) of each call, over all profiled runs."""
        return self._times

    def describe(self):
        """(floating-point operations, bytes, ranks) of each call; the operations are not known here."""
        sizes = [sum(bytes_of(ref) for ref in (*op.reads(), *op.writes())) for op, _ in self.program.calls]
        return [(0.0, float(size), 1) for size in sizes]

    def run(self, args, arg_advance, outs, out_advance, steps, every, seconds):
        """As `_core.Plan.run`: (steps done, whether the next one found a bad index, whose state writes are undone)."""
        start = time.perf_counter()
        for step in range(steps):
            last = step == steps - 1 or bool(seconds and time.perf_counter() - start > seconds)
            saved = [(self._fixed(number), self._fixed(number).copy()) for number, _ in self.program.undo]
            owners = {}
            try:
                for i, (op, epilogue) in enumerate(self.program.calls):
                    if not epilogue or every or last:
                        begin = time.perf_counter()
                        self._call(op, owners, args, arg_advance, outs, out_advance, step)
                        if self._profiled:
                            runs, spent = self._times[i]
                            self._times[i] = runs + 1, spent + time.perf_counter() - begin
            except IndexError:
                for array, before in saved:
                    array[...] = before
                return step, True
            if last:
                return step + 1, False
        return steps, False

    def _fixed(self, number):
        root = self.program.roots[number]
        return root.what._array if root.kind is VARIABLE else root.what

    def _call(self, op, owners, args, arg_advance, outs, out_advance, step):
        roots = self.program.roots

        def array_of(ref):
            root = roots[ref.root]
            if root.kind is MADE:
                return view(owners[ref.root], 0, ref)
            if root.kind is ARGUMENT:
                slot = self.arguments[root.what]
                owner, move = args[slot], step * arg_advance[slot]
            elif root.kind is OUTPUT:
                slot = self.slots[ref.root]
                owner, move = outs[slot], step * out_advance[slot]
            else:
                owner, move = self._fixed(ref.root), 0
            return view(owner, move, ref)

        arrays = [
            None if v is None else [array_of(r) for r in v] if type(v) is list else array_of(v) for v in op.inputs
        ]
        out = None
        if op.written and not op.kernel.updates:
            out = tuple(map(array_of, op.written))
            out = out[0] if op.resolved.single else out
        result = op.kernel._execute(op.resolved, arrays, op.attrs, out)
        for ref, value in zip(op.outputs, result if type(result) is tuple else (result,)):
            if roots[ref.root].kind is OUTPUT:
                np.copyto(array_of(ref), value)
            else:
                owners[ref.root] = value
