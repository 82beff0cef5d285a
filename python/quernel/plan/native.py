"""NativeEngine: a program as one `_core.Plan`, with one workspace laid out for all its buffers."""

from .. import backend
from .in_place import in_place, joined
from .layout import Layout
from .program import OUTPUT
from .recorder import ARGUMENT, MADE

_WORKSPACE, _FIXED, _ARGUMENT, _OUTPUT = range(4)
_EPILOGUE, _IN_PLACE = 1, 2


def can_run(program):
    """Whether native kernels take every call."""
    return backend._state.core is not None and all(op.resolved.backend == "native" for op, _ in program.calls)


class NativeEngine:
    """Runs a program's calls in C++; see csrc/core/plan.hpp."""

    kind = "native"

    def __init__(self, program):
        taken, self.in_place = in_place(program)
        self.layout = Layout(joined(lifetimes(program), taken))
        roots, self._index = [], {}
        outputs = {ref.root: i for i, ref in enumerate(program.outputs)}
        for number, root in program.roots.items():
            self._index[number] = len(roots)
            if root.kind is MADE:
                roots.append((_WORKSPACE, self.layout.offsets.get(taken.get(number, number), 0), root.bytes))
            elif root.kind is ARGUMENT:
                begin, end = _reach(program, number)
                roots.append((_ARGUMENT, program.arguments.index(root.what), end, -begin))
            elif root.kind is OUTPUT:
                roots.append((_OUTPUT, outputs[number], root.bytes))
            else:
                roots.append((_FIXED, root.address, root.bytes))
        ops, isa = [], None
        for i, (op, epilogue) in enumerate(program.calls):
            _, isa, index, ints, floats = op.resolved.payload
            ins, outs = operands(op)
            flags = _EPILOGUE * epilogue + _IN_PLACE * (i in self.in_place)
            ops.append((index, self._views(ins), self._views(outs), ints, floats, flags))
        undo = [(self._index[number], 0, size) for number, size in program.undo]
        if isa is None:
            isa = backend.native_op("copy")[1]
        self.plan = backend._state.core.Plan(isa, self.layout.size, roots, ops, program.abort_after, undo)
        self.run = self.plan.run

    def profile(self, on):
        """Whether runs measure their calls from now on."""
        self.plan.profile(on)

    def times(self):
        """(runs, seconds) of each call, over all profiled runs."""
        return self.plan.times()

    def describe(self):
        """(floating-point operations, bytes, ranks) of each call."""
        return [(op["flops"], op["bytes"], op["ranks"]) for op in self.plan.describe()]

    def _views(self, refs):
        codes = backend._state.core.dtypes
        views = []
        for ref in refs:
            if ref is None:
                views.append(None)
                continue
            item = ref.dtype.itemsize
            strides = tuple(s // item for s in ref.strides)
            views.append((self._index[ref.root], ref.offset, codes.index(ref.dtype.name), ref.shape, strides))
        return views


def _reach(program, number):
    """The bytes that the calls touch of an argument, relative to its first element: negative strides reach before it."""
    begin = end = 0
    for op, _ in program.calls:
        for ref in (*op.reads(), *op.writes()):
            if ref.root == number and 0 not in ref.shape:
                steps = [(n - 1) * stride for n, stride in zip(ref.shape, ref.strides)]
                begin = min(begin, ref.offset + sum(s for s in steps if s < 0))
                end = max(end, ref.offset + ref.dtype.itemsize + sum(s for s in steps if s > 0))
    return begin, end


def operands(op):
    """The Refs of a native call's inputs and outputs: arrays updated in place are outputs."""
    kernel = op.kernel
    ins, outs = [], list(op.outputs)
    if kernel.updates:
        for name, value in zip(kernel.inputs, op.inputs):
            target = outs if name in kernel.updates else ins
            target.extend(value) if type(value) is list else target.append(value)
        return ins, outs
    for value in op.inputs:
        ins.extend(value) if type(value) is list else ins.append(value)
    return ins, outs or list(op.written)


def lifetimes(program):
    """(root, bytes, first call, last call) of each buffer of the workspace."""
    first, last = {}, {}
    for i, (op, _) in enumerate(program.calls):
        for ref in (*op.reads(), *op.writes()):
            if program.roots[ref.root].kind is MADE:
                first.setdefault(ref.root, i)
                last[ref.root] = i
    return [(number, program.roots[number].bytes, first[number], last[number]) for number in first]
