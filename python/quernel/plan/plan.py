"""Plan: a program with an engine and the memory that each run brings along."""

from .. import tree
from ..kernels.kernel import empty
from ..reader import Reader
from ..tensor import Tensor
from .arguments import advance_of, array_of
from .native import NativeEngine, can_run
from .program import Program
from .python import PythonEngine
from .trace import TENSOR, VALUE


class BadIndex(Exception):
    """A step found an index out of range; nothing of it happened. `done` steps before it stand."""

    def __init__(self, done):
        self.done = done


class Plan:
    """What `Function` keeps for a signature.

    Args:
        trace: the second of two recordings that agree.
        leaves: the arrays of its arguments: ndarrays, Tensors, Rows.
    """

    def __init__(self, trace, leaves):
        self.conditions = trace.conditions
        program = self.program = Program(trace)
        self.engine = NativeEngine(program) if can_run(program) else PythonEngine(program)
        self.written = program.written
        self._alive = program.alive
        self.runs = 0
        self._specs = [(ref.shape, ref.dtype) for ref in program.outputs]
        self._still = (0,) * len(self._specs)
        self._used = program.arguments
        self._moves = tuple(
            [advance_of(leaves[i]) for i in program.arguments]
        )  # the same in every run: part of the key
        self._wrap = _wrapper(program)

    def run(self, leaves, steps, seconds, into):
        """Runs up to `steps` steps; (steps done, result of the last one, or None with `into`).

        Args:
            leaves: the arrays of the arguments: ndarrays, Tensors, Rows.
            into: flat list of arrays for the outputs of all steps, or None.

        Raises:
            BadIndex: step `done` found an index out of range.
        """
        args = self._ready(leaves)
        outs = [empty(shape, dtype) for shape, dtype in self._specs]
        if into is None:
            done, bad = self.engine.run(args, self._moves, tuple(outs), self._still, steps, False, seconds)
        else:
            strides = [0] * len(outs)
            for i, target in enumerate(into):
                outs[i] = target
                strides[i] = self._specs[i][0][0] * target.strides[0]
            done, bad = self.engine.run(args, self._moves, tuple(outs), tuple(strides), steps, True, seconds)
        self.runs += done
        if self._alive and done:
            for reference, position in self._alive:
                tensor = reference()
                if type(tensor) is Reader:
                    tensor._leave(outs[position])
                elif tensor is not None:
                    tensor._array = outs[position]
        if bad:
            raise BadIndex(done)
        return done, None if into is not None else self._wrap(outs)

    def _ready(self, leaves):
        for variable in self.written:
            if variable._reader is not None or variable._readers:
                variable._prepare_write()  # Tensors read before keep the old value
        return tuple([array_of(leaves[i]) for i in self._used])  # after that: one may be such a Tensor

    @property
    def takes_turns(self):
        """Whether `turn` is possible: the engine is native, and no Tensor that Python holds gets new values."""
        return self.engine.kind == "native" and not self._alive

    def turn(self, leaves, steps, turns, outs=None):
        """(what `_core.run_turns` needs for `steps` steps a turn, function from a number of turns to the last one's result).

        Args:
            outs: list of the arrays that each turn fills, or None for new ones for each turn.
        """
        size = 1 if outs is not None else turns
        if outs is None:
            outs = [empty((turns, *shape), dtype) for shape, dtype in self._specs]
        moves = tuple([a.strides[0] if size > 1 else 0 for a in outs])
        job = self.engine.plan, self._ready(leaves), self._moves, tuple(outs), moves, steps
        return job, lambda turn: self._wrap([a[turn] for a in outs])


def _wrapper(program):
    """A function that gives the step's result from the list of output arrays."""
    leaves, result = program.leaves, program.form

    def leaf(kind, value, outs):
        return value if kind is VALUE else Tensor(outs[value]) if kind is TENSOR else outs[value]

    if not tree.is_nested(result):
        kind, value = leaves[0]
        if kind is TENSOR:
            return lambda outs: Tensor(outs[0])
        return lambda outs: leaf(kind, value, outs)
    flat = not any(map(tree.is_nested, result.values() if type(result) is dict else result))
    if type(result) is dict and flat:
        entries = [(key, *pair) for key, pair in zip(sorted(result), leaves)]
        order = {key: position for position, key in enumerate(result)}
        entries.sort(key=lambda entry: order[entry[0]])
        return lambda outs: {key: leaf(kind, value, outs) for key, kind, value in entries}
    if type(result) in (tuple, list) and flat:
        make = type(result)
        return lambda outs: make([leaf(kind, value, outs) for kind, value in leaves])
    return lambda outs: tree.pack(result, [leaf(kind, value, outs) for kind, value in leaves])
