"""Program: a trace made ready to run: the calls in order, what becomes of each buffer, outputs, and the state to put back
when a step aborts. Engines (native.py, python.py) run it.
"""

from .. import kernels
from . import rewrite
from .recorder import ARGUMENT, MADE, OUTSIDE, VARIABLE, Like, Op, Ref, Root, contiguous_strides
from .trace import FLAGGING, VALUE

OUTPUT = "output"


class Program:
    """The calls that a step needs.

    Args:
        trace: the second of two recordings that agree.

    Attributes:
        calls: list of (Op, epilogue): epilogue calls only make outputs. roots: {number: Root} of those used.
        outputs: list of Refs, each with a root of kind OUTPUT: memory that every run brings along.
        leaves: for each leaf of the result (kind, position in outputs) or (VALUE, object).
        alive: (weak reference to a Tensor, position in outputs).
        arguments: the positions of the arguments that it uses.
        written: the Variables that the step changes. kept: objects that must live as long as the plan.
        captured: roots from outside that are read where they are; other arrays from outside are copies.
        abort_after: the last call that may find a bad index, or -1; undo: [(root, bytes)] of state written before.
    """

    def __init__(self, trace):
        self.roots = {}
        self.kept = []
        self.calls = []
        keep = set(trace.needed)
        alive = [(reference, ref) for reference, ref in trace.alive if reference() is not None]
        if alive:
            keep |= trace._needed([ref for _, ref in alive])
        wanted = [ref for kind, ref in trace.leaves if kind is not VALUE] + [ref for _, ref in alive]
        self.captured = trace.captured
        self._trace = trace
        for i in sorted(keep):
            self.calls.append((trace.ops[i], i not in trace.effects))
        for ref in self._all_refs():
            self._use(ref.root)
        self.outputs = [self._output(ref) for ref in wanted]
        positions = iter(range(len(self.outputs)))
        self.leaves = [(k, v) if k is VALUE else (k, next(positions)) for k, v in trace.leaves]
        self.alive = [(reference, next(positions)) for reference, _ in alive]
        self.form = trace.form
        self.arguments = sorted(root.what for root in self.roots.values() if root.kind is ARGUMENT)
        for rule in rewrite.REWRITES:
            rule(self)
        self.written = self._written()
        self.abort_after, self.undo = self._abort()
        del self._trace

    def users(self):
        """{root: the calls that read or write it}."""
        found = {}
        for i, (op, _) in enumerate(self.calls):
            for ref in (*op.reads(), *op.writes()):
                found.setdefault(ref.root, set()).add(i)
        return found

    def fresh(self, like):
        """The Ref of a new buffer with the shape and dtype of an array, Ref or Spec."""
        number = max(self.roots) + 1
        strides, size = contiguous_strides(like)
        self.roots[number] = Root(MADE, number, size=size)
        return Ref(number, 0, tuple(like.shape), strides, like.dtype)

    def _all_refs(self):
        for op, _ in self.calls:
            yield from op.reads()
            yield from op.writes()

    def _use(self, number):
        root = self._trace.roots[number]
        if number in self.roots:
            return
        if root.kind is OUTSIDE and number not in self._trace.captured:
            constant = root.what.copy()
            root = Root(OUTSIDE, number, constant, constant, line=root.line)
        self.roots[number] = root
        if root.kind in (VARIABLE, OUTSIDE):
            self.kept.append(root.what)

    def _output(self, ref):
        """The Ref of an output: the buffer itself where the step made it whole, else a copy at the end."""
        source = self._trace.roots[ref.root]
        strides, size = contiguous_strides(ref)
        flat = all(n == 1 or stride == want for n, stride, want in zip(ref.shape, ref.strides, strides))
        whole = source.kind is MADE and ref.offset == 0 and flat and size == source.bytes
        if whole and self.roots[ref.root].kind is not OUTPUT:
            self.roots[ref.root] = Root(OUTPUT, ref.root, size=size)
            return ref
        self._use(ref.root)
        number = max(len(self._trace.roots), max(self.roots) + 1)
        target = Ref(number, 0, ref.shape, strides, ref.dtype)
        self.roots[number] = Root(OUTPUT, number, size=size)
        resolved = kernels.copy.resolve([Like(ref)], {})
        self.calls.append((Op(kernels.copy, {}, resolved, [ref], (target,), (), "the end of the step"), True))
        return target

    def _written(self):
        found = {}
        for op, _ in self.calls:
            for ref in op.written:
                root = self.roots[ref.root]
                if root.kind is VARIABLE:
                    found[id(root.what)] = root.what
        return list(found.values())

    def _abort(self):
        """The last call that may find a bad index, and the state written until then: a second check finds nothing new."""
        checked, writes, last = set(), {}, -1
        for i, (op, _) in enumerate(self.calls):
            if op.kernel.name in FLAGGING:
                for indices in _indices(op):
                    n, negative = _limit(op)
                    check = indices, writes.get(indices.root, 0), n
                    if (*check, False) not in checked and (*check, negative) not in checked:
                        last = i
                    checked.add((*check, negative))
            for ref in op.written:
                writes[ref.root] = writes.get(ref.root, 0) + 1
        undo = {}
        for op, _ in self.calls[: last + 1]:
            for ref in op.written:
                if self.roots[ref.root].kind in (VARIABLE, OUTSIDE):
                    undo[ref.root] = self.roots[ref.root].bytes
        return last, list(undo.items())


def _limit(op):
    """What the indices of a call have to stay below, and whether negative ones count from the end."""
    if op.kernel.name == "gather":
        return op.inputs[0].shape[op.attrs["axis"]], True
    if op.kernel.name == "scatter_add":
        return op.attrs["shape"][op.attrs["axis"]], True
    if op.kernel.module == "linear_cross_entropy":
        return op.inputs[op.kernel.inputs.index("w")].shape[1], False
    if op.kernel.name == "rows_merge":
        return op.attrs["n"], True
    if op.kernel.name == "embedding":
        return op.inputs[0].shape[0], False
    return op.inputs[-1].shape[-1], False


def _indices(op):
    """The arrays of indices of a call; the array that `gather` reads by indices may hold integers itself."""
    if op.kernel.name == "rows_merge":
        return op.inputs[0]
    if op.kernel.name == "gather":
        return [op.inputs[1]]
    return [next(ref for ref in op.reads() if ref.dtype.kind in "iu")]
