"""Contestants: whatever is timed in a round, as a function that runs n times and says how long that took."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .. import backend, kernels
from ..kernels.kernel import empty

LONG = 1e-2  # seconds: a call that takes longer warms itself up; of 3 ms on 50 MB a half was spent on bringing them into L3


@dataclass
class Contestant:
    """One way to do the work of a case.

    Args:
        name: "kernel", "call", a peer ("torch", "mkl", ...) or a roof ("fma", "copy", ...).
        run: run(n) makes n calls and returns the seconds.
        setting: layout, threads and the like, for the report.
        enter: called before a sample, outside its time.
        work: what one call does, where `run` knows it better than the case (probes).
        waits: what crowding.Waits tells of the process that it runs in, where that is another one.
    """

    name: str
    run: Callable[[int], float]
    setting: str = ""
    enter: Callable[[], None] | None = None
    work: float = 0.0
    calls: int = 1  # of one sample
    warm: int = 1  # calls before a sample that are not counted
    once: float = 0.0  # seconds of one call, roughly
    waits: Callable[[], dict] | None = None

    def sample(self):
        """Seconds of one call, over `calls` of them after `warm` that are not counted."""
        if self.enter is not None:
            self.enter()
        if self.once < LONG:
            self.run(self.warm)
        return self.run(self.calls) / self.calls

    def calibrate(self, seconds):
        """Finds how many calls a sample of `seconds` has; the first call compiles, allocates and fills caches."""
        if self.enter is not None:
            self.enter()
        first = self.run(1)
        self.once = first if first > 0.1 else min(self.run(1) for _ in range(1 if first > LONG else 2))
        self.calls = max(1, min(100_000, int(seconds / max(self.once, 1e-8))))
        return self


def python_loop(call):
    """run(n) for a function without arguments, called from Python."""

    def run(n):
        steps = range(n)
        start = time.perf_counter()
        for _ in steps:
            call()
        return time.perf_counter() - start

    return run


def placed(case, arrays):
    """The inputs where another kernel would have left them, in the allocator's memory: NumPy's cross cache lines.

    PyTorch's twins, which clone theirs, get whole lines, too. What a case puts somewhere on purpose stays there.
    """

    def move(spec, array):
        if isinstance(array, list):
            return [move(s, a) for s, a in zip(spec if isinstance(spec, list) else [None] * len(array), array)]
        if array is None or (spec is not None and (spec.row or spec.offset is not None)):
            return array
        copy = empty(array.shape, array.dtype)
        copy[...] = array
        return copy

    return [move(spec, array) for spec, array in zip(case.inputs, arrays, strict=True)]


class Ours:
    """The kernel of a case on one backend: its arrays, its estimate, and the two ways to call it."""

    def __init__(self, case, arrays):
        self.case, self.arrays = case, arrays
        self.kernel = getattr(kernels, case.op)
        self.attrs = self.kernel.freeze(dict(case.attrs))
        self.resolved = self.kernel.resolve(arrays, self.attrs)
        self.outs = tuple(empty(s.shape, s.dtype) for s in self.resolved.outs) if not self.kernel.updates else ()
        names, updates = self.kernel.inputs, self.kernel.updates
        self.ins = self.kernel._flat([a for n, a in zip(names, arrays) if n not in updates])
        self.written = self.kernel._flat([a for n, a in zip(names, arrays) if n in updates]) if updates else self.outs

    @property
    def native(self):
        """Whether a native kernel answers."""
        return self.resolved.backend == "native"

    def estimate(self):
        """flops, bytes and ranks as the native kernel's prepare reports them."""
        _, isa, op, ints, floats = self.resolved.payload
        return backend._state.core.estimate(isa, op, self.ins, self.written, ints, floats)

    def footprint(self):
        """(bytes of the arrays that are read, of those that are written); one that is both counts as written."""
        written = {id(a) for a in self.written}
        read = sum(_held(a) for a in self.ins if a is not None and id(a) not in written)
        return read, sum(_held(a) for a in self.written if a is not None)

    def alone(self, threads):
        """The kernel without Python: prepared once, run n times."""
        core = backend._state.core
        _, isa, op, ints, floats = self.resolved.payload

        def run(n):
            return core.repeat(isa, op, self.ins, self.written, ints, floats, threads, n)

        return Contestant("kernel", run, enter=lambda: core.set_num_threads(threads))

    def called(self, threads):
        """The kernel as Python calls it, its outputs new each time."""
        call = lambda: self.kernel(*self.arrays, **self.case.attrs)  # noqa: E731
        return Contestant("call", python_loop(call), enter=lambda: backend.set_num_threads(threads))

    def plain(self, which):
        """The NumPy definition, or the Numba fallback into new outputs, without the checks around them."""
        copies = [copied(a) for a in self.arrays] if self.kernel.updates else self.arrays
        if which == "numpy":
            function = self.kernel.definition

            def call():
                with np.errstate(all="ignore"):
                    function(*copies, **self.attrs)

        else:
            function, specs = self.kernel.numba, self.resolved.outs

            def call():
                function(tuple(np.empty(s.shape, s.dtype) for s in specs), *copies, **self.attrs)

        return Contestant(which, python_loop(call), setting="1 thread" if which == "numba" else "")


def copied(value):
    """A copy of an input: an array, a list of arrays, or None."""
    return [np.copy(v) for v in value] if isinstance(value, list) else None if value is None else np.copy(value)


def _held(array):
    return array.size * array.itemsize


def nearest(ours, room):
    """The case cut to its first rows so that its arrays take about `room` bytes, as a new Ours; None where that is no cut.

    Rows are those of the largest array. They are cut in every array and attribute that has as many, else in those of its rank
    (a row that is added to a square).
    """
    largest = max(_arrays(ours.arrays), key=_held, default=None)
    whole = sum(ours.footprint())
    if largest is None or not largest.ndim or not whole:
        return None
    rows = largest.shape[0]
    keep = max(1, int(rows * room / whole))
    if keep >= rows:
        return None

    def cut(value, rank):
        if isinstance(value, list):
            return [cut(v, rank) for v in value]
        same = value is not None and value.ndim >= rank and value.shape[0] == rows
        return value[:keep] if same else value

    attrs = dict(ours.case.attrs)
    for name in ("input_shape", "shape"):
        shape = attrs.get(name)
        if shape and shape[0] == rows:
            attrs[name] = (keep, *shape[1:])
    case = replace(ours.case, name=f"{ours.case.name}-near", attrs=attrs)
    for rank in (1, largest.ndim):
        try:
            near = Ours(case, [cut(a, rank) for a in ours.arrays])
        except ValueError:  # the shapes do not fit each other: the op's own rule says so
            continue
        return near if near.native and sum(near.footprint()) <= min(8 * room, 0.7 * whole) else None
    return None


def _arrays(values):
    for value in values:
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value
