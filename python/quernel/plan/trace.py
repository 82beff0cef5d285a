"""Trace: one finished recording of a step: its live calls, what it returns, what it depends on, and how two of them differ."""

import gc
import weakref

import numpy as np

from .. import backend, dtypes, recording, tree
from ..kernels.values import attribute_key
from ..reader import Reader
from ..tensor import Tensor
from .recorder import ARGUMENT, MADE, OUTSIDE, VARIABLE, root_array

TENSOR, ARRAY, VALUE = "tensor", "array", "value"
FLAGGING = frozenset(  # kernels that may find an index out of range
    (
        "gather",
        "scatter_add",
        "sparse_categorical_crossentropy",
        "sparse_categorical_crossentropy_dx",
        "linear_cross_entropy",
        "linear_cross_entropy_dx",
        "embedding",
        "rows_merge",
    )
)


def world():
    """What every plan depends on: backend and instruction set, and the default float dtype."""
    return backend._state.backend, backend._state.isa, dtypes.floatx()


class Trace:
    """What a Recorder saw.

    Attributes:
        ops, roots: as recorded. form: the structure that the step returned, with None for its leaves.
        leaves: for each leaf of the result (TENSOR | ARRAY, Ref) or (VALUE, object).
        alive: (weak reference to a Tensor made in the step that somebody still holds, Ref).
        lasting: weak references to the arrays of results and of Tensors alive. written: roots that calls write in place.
        conditions: Conditions that a plan of it holds under.
        effects: numbers of the calls that change state or find bad indices; needed: those and what the results need.
    """

    def __init__(self, recorder, result):
        self.roots = recorder.roots
        self.ops = recorder.ops
        self.built = recorder.built
        self.form = tree.map_structure(lambda _: None, result)
        self.leaves = [self._leaf(recorder, leaf) for leaf in tree.flatten(result)]
        self.alive = self._alive(recorder)
        self.lasting = self._lasting(result, self.alive)
        self.written = {ref.root for op in self.ops for ref in op.written}
        recorder.check_outside()
        self.conditions = Conditions(recorder.touched.values())
        self.effects = self._needed(())
        self.needed = self._needed([ref for kind, ref in self.leaves if kind is not VALUE])
        self.captured = set()  # roots from outside that are the same array in every step, and are read where they are

    @staticmethod
    def _leaf(recorder, leaf):
        if isinstance(leaf, Tensor):
            return TENSOR, recorder.ref(leaf._array)
        if isinstance(leaf, np.ndarray):
            return ARRAY, recorder.ref(leaf)
        return VALUE, leaf

    @staticmethod
    def _alive(recorder):
        for tensor in (reference() for reference in recorder.tensors):
            variable = tensor._variable if type(tensor) is Reader else None
            if variable is not None and variable._reader is tensor:
                variable._reader = None  # the one that reads share, which nobody else may hold
        if any(reference() is not None for reference in recorder.tensors):
            gc.collect(1)  # what only a cycle holds, nobody will read
        found = {}
        for reference in recorder.tensors:
            tensor = reference()
            if tensor is not None and id(tensor) not in found:
                found[id(tensor)] = reference, recorder.ref(tensor._array)
        return list(found.values())

    @staticmethod
    def _lasting(result, alive):
        """Weak references to the arrays of Tensors that outlive the step."""
        tensors = [leaf for leaf in tree.flatten(result) if isinstance(leaf, Tensor)]
        tensors += [tensor for tensor in (reference() for reference, _ in alive) if tensor is not None]
        return [weakref.ref(root_array(tensor._array)) for tensor in tensors]

    def _needed(self, refs):
        """The numbers of the calls that write state, check indices, or make what `refs` show, and of all they need."""
        live = {ref.root for ref in refs}
        needed = set()
        for i in range(len(self.ops) - 1, -1, -1):
            op = self.ops[i]
            writes_state = any(self.roots[ref.root].kind is not MADE for ref in op.written)
            if writes_state or op.kernel.name in FLAGGING or any(ref.root in live for ref in op.writes()):
                needed.add(i)
                live.update(ref.root for ref in op.reads())
                live.update(ref.root for ref in op.written)
        return needed


class Conditions:
    """The settings that a step depended on: those of the objects it used, and of the process.

    Args:
        objects: what has `_version` and `_trainable`.
    """

    def __init__(self, objects):
        self.seen = recording.writes
        self._objects = [(o, o._version, o._trainable) for o in objects]
        self._world = world()

    def hold(self):
        """Whether all settings are as they were."""
        if self._world != world():
            return False
        if self.seen == recording.writes:
            return True
        if all(o._version == version and o._trainable is trainable for o, version, trainable in self._objects):
            self.seen = recording.writes
            return True
        return False

    def may_return(self):
        """Whether they can be as they were again: versions only grow, what is trainable goes back and forth."""
        return all(o._version == version for o, version, _ in self._objects)


def difference(first, second):
    """What is not the same in two recordings of a step, as text, or None. Marks in `second` what it captured."""
    a, b = sorted(first.needed), sorted(second.needed)
    pair = _Pairing(first, second)
    for i, j in zip(a, b):
        found = pair.ops(first.ops[i], second.ops[j])
        if found:
            return f"{found}, in {second.ops[j].line}"
    if len(a) != len(b):
        longer, at = (first.ops, a) if len(a) > len(b) else (second.ops, b)
        op = longer[at[min(len(a), len(b))]]
        return (
            f"one step made {len(a)} kernel calls, the other {len(b)}: {op.kernel.name} is one too many, in {op.line}"
        )
    if len(first.leaves) != len(second.leaves):
        return f"one step returned {len(first.leaves)} values, the other {len(second.leaves)}"
    for (kind, x), (other, y) in zip(first.leaves, second.leaves):
        if kind != other:
            return "the steps returned values of different kinds"
        if kind is VALUE:
            if x is not y and (not isinstance(x, _COMPARED) or _value_key(x) != _value_key(y)):
                return (
                    f"the steps returned the Python values {x!r} and {y!r}, and a plan would return the second forever"
                )
        else:
            found = pair.refs(x, y)
            if found:
                return f"the steps returned different arrays: {found}"
    second.captured = pair.captured
    return None


class _Pairing:
    """Which root of one recording is which of the other."""

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.numbers = {}
        self.captured = set()

    def ops(self, a, b):
        if a.kernel is not b.kernel:
            return f"one step called {a.kernel.name}, the other {b.kernel.name}"
        name = a.kernel.name
        if a.resolved.backend != b.resolved.backend:
            return f"{name}: one call ran on {a.resolved.backend}, the other on {b.resolved.backend}"
        for key, value in a.attrs.items():
            if attribute_key(value) != attribute_key(b.attrs[key]):
                return f"{name}: {key} was {value!r} in one step and {b.attrs[key]!r} in the other"
        for x, y in zip([*a.reads(), *a.writes()], [*b.reads(), *b.writes()]):
            found = self.refs(x, y)
            if found:
                return f"{name}: {found}"
        return None

    def refs(self, x, y):
        if (x.shape, x.strides, x.dtype, x.offset) != (y.shape, y.strides, y.dtype, y.offset):
            return f"one step passed an array of shape {x.shape} and dtype {x.dtype}, the other {y.shape} and {y.dtype}"
        if x.root in self.numbers:
            return None if self.numbers[x.root] == y.root else "the steps passed different arrays"
        self.numbers[x.root] = y.root
        a, b = self.first.roots[x.root], self.second.roots[y.root]
        if a.kind is not b.kind:
            return f"one step passed {_what(a)}, the other {_what(b)}"
        if a.kind is ARGUMENT and a.what != b.what:
            return f"one step passed argument {a.what}, the other argument {b.what}"
        if a.kind is VARIABLE and a.what is not b.what:
            return f"one step used {_what(a)}, the other {_what(b)}; Variables are made once, outside of the step"
        if a.kind is OUTSIDE:
            if a.what is b.what:
                self.captured.add(y.root)
            elif y.root in self.second.written:
                return "an array made in Python during the step is written by the call"
            elif recording.ELSEWHERE.get(id(b.what)) is b.what:
                return "a Tensor was computed in another thread during the step, where nothing is recorded"
            elif any(reference() is b.what for reference in self.first.lasting):
                return "the second step used a Tensor that Python kept from the first"
            elif a.what.dtype != b.what.dtype or a.what.tobytes() != b.what.tobytes():
                return (
                    f"an array made in Python during the step had other values in the second step "
                    f"({_short(a.what)}, then {_short(b.what)})"
                )
        return None


_COMPARED = (bool, int, float, complex, str, bytes, range, slice, np.generic)


def _value_key(value):
    return value.dtype.str + value.tobytes().hex() if isinstance(value, np.generic) else attribute_key(value)


def _short(array):
    return str(array.tolist()) if array.size <= 4 else f"shape {array.shape}, first value {array.ravel()[0]}"


def _what(root):
    if root.kind is VARIABLE:
        return f"the Variable {root.what.path}"
    return {ARGUMENT: f"argument {root.what}", MADE: "a result of the step", OUTSIDE: "an array from outside"}[
        root.kind
    ]
