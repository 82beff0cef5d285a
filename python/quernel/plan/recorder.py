"""Recorder: notes the kernel calls of a running step, as reads and writes of numbered buffers.

A buffer ("root") is an allocation, told apart by the identity of the array that owns it, never by its address; a view is
its root, an offset and strides. Roots are arguments of the step, the storage of Variables, results of recorded calls, or
arrays from outside (constants, captured arrays). Results are held by weak references only, so recording needs no more
memory than running, and whatever still lives at the end is held by somebody.
"""

import gc
import sys
import weakref
import zlib
from typing import NamedTuple

import numpy as np

from .. import recording

ARGUMENT, VARIABLE, MADE, OUTSIDE = "argument", "variable", "made", "outside"


class Root:
    """One buffer: kind, number, address of element (0, 0, ...) of the array that owns it, bytes, and what it is.

    `what` is the argument's position, the Variable, the recorded call that made it, or the array from outside.
    """

    __slots__ = ("kind", "number", "address", "bytes", "what", "line")

    def __init__(self, kind, number, array=None, what=None, line="", size=0):
        self.kind, self.number, self.what, self.line = kind, number, what, line
        self.address = 0 if array is None else address_of(array)
        self.bytes = size if array is None else array.nbytes


class Ref(NamedTuple):
    """An array as seen by a call: its root's number, the offset of element (0, 0, ...) in bytes, shape, strides in bytes."""

    root: int
    offset: int
    shape: tuple
    strides: tuple
    dtype: np.dtype


class Like:
    """Shape and dtype of an array, for the resolution of a call."""

    def __init__(self, ref):
        self.shape, self.dtype, self.ndim = ref.shape, ref.dtype, len(ref.shape)


def contiguous_strides(ref):
    """The strides of a C-contiguous array of that shape and dtype, and its bytes."""
    strides, step = [], ref.dtype.itemsize
    for n in reversed(ref.shape):
        strides.insert(0, step)
        step *= n
    return tuple(strides), step


def bytes_of(ref):
    """The bytes of an array, without what lies between its elements."""
    return contiguous_strides(ref)[1]


class Op:
    """One recorded kernel call. `inputs` are Refs, None, or lists of Refs; `outputs` Refs of fresh arrays."""

    __slots__ = ("kernel", "attrs", "resolved", "inputs", "outputs", "written", "line")

    def __init__(self, kernel, attrs, resolved, inputs, outputs, written, line):
        self.kernel, self.attrs, self.resolved = kernel, attrs, resolved
        self.inputs, self.outputs, self.written, self.line = inputs, outputs, written, line

    def reads(self):
        """The Refs of all inputs, flat, those written in place among them."""
        for value in self.inputs:
            if type(value) is list:
                yield from value
            elif value is not None:
                yield value

    def writes(self):
        """The Refs that it writes: fresh outputs, and arrays updated in place."""
        yield from self.outputs
        yield from self.written


def address_of(array):
    """The address of element (0, 0, ...)."""
    return array.__array_interface__["data"][0]


class _Memory:
    """Memory of an array, kept alive, under a new identity: an array made from it has no other array as its base."""

    def __init__(self, owner, address, like):
        self.owner = owner
        self.__array_interface__ = {
            "data": (address, not owner.flags.writeable),
            "shape": like.shape,
            "strides": like.strides,
            "typestr": like.dtype.str,
            "version": 3,
        }


def array_at(owner, address, like):
    """An array on memory of `owner` that is a root of its own, with the shape, strides and dtype of an array or Ref."""
    result = np.asarray(_Memory(owner, address, like))
    return result if result.dtype == like.dtype else result.view(like.dtype)


def alias(array):
    """An array on the same memory that is a root of its own."""
    return array_at(array, address_of(array), array)


def root_array(array):
    """The array that owns the memory of a view."""
    while type(array.base) is np.ndarray:
        array = array.base
    return array


def fingerprint(array):
    """A number that changes with an array's values; of a large one only some are looked at."""
    if array.nbytes > _LARGE:
        array = (
            array.reshape(-1)[:: array.size // 65536] if array.flags.c_contiguous else array[:: -(-len(array) // 64)]
        )
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data if array.ndim else array.tobytes())


_LARGE = 1 << 24


def _changed(root):
    return recording.RecordingError(
        f"NumPy or Python changed an array from outside while a step that uses it was recorded, and a plan would not: "
        f"{root.what.dtype} of shape {root.what.shape}, used in {root.line}. Keep what changes in a Variable, pass it "
        f"as an argument, or run the step in Python: compile(run_eagerly=True)"
    )


def user_line():
    """file:line in function, of the innermost frame outside of quernel."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != "quernel" and not name.startswith("quernel."):
            return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back
    return "quernel"


class Recorder:
    """Records the kernel calls made between `with recording.use(recorder)` and the block's end.

    Args:
        arguments: arrays that are roots of their own (see `alias`), the step's arguments in order.
        watched: arrays from outside whose values NumPy must not change before the step first uses them.

    Attributes:
        ops: list of Op. roots: list of Root, by number.
        touched: the objects whose settings the step used. built: whether state was made during it.
        tensors: weak references to the Tensors that recorded ops returned. step: the running Step.
    """

    def __init__(self, arguments, watched=()):
        self.ops = []
        self.roots = []
        self.touched = {}
        self.tensors = []
        self.lazy = []  # weak references to RowGradients
        self.built = False
        self.step = recording.Step()
        self._numbers = {}  # id(root array) -> number
        self._deaths = {}  # id -> weak reference that forgets the number when the array dies
        self._kept = []  # roots that are not results: alive until the recorder goes
        self._watched = {id(array): fingerprint(array) for array in watched}
        self._prints = {}  # number of a root from outside -> (array, fingerprint at its first use)
        for i, array in enumerate(arguments):
            self._add(ARGUMENT, array, i)

    def _add(self, kind, array, what, line=""):
        number = len(self.roots)
        self.roots.append(Root(kind, number, array, what, line))
        key = id(array)
        self._numbers[key] = number
        if kind is MADE:
            self._deaths[key] = weakref.ref(
                array, lambda _: (self._numbers.pop(key, None), self._deaths.pop(key, None))
            )
        else:
            self._kept.append(array)
        return number

    def knows(self, array):
        """Whether an array belongs to what changes between steps: arguments, Variables, results."""
        root = root_array(array)
        number = self._numbers.get(id(root))
        if number is None:
            return id(root) in recording.STORAGE
        return self.roots[number].kind is not OUTSIDE

    def ref(self, array, made_by=None):
        """The Ref of an array; an unknown root is a Variable's storage, or a result of `made_by`, or from outside."""
        root = root_array(array)
        number = self._numbers.get(id(root))
        if number is None:
            variable = recording.STORAGE.get(id(root))
            if variable is not None:
                number = self._add(VARIABLE, root, variable)
                for owner in (variable, variable._owner, variable._regularizer, variable._constraint):
                    if hasattr(owner, "_version"):
                        self.touched[id(owner)] = owner
            elif made_by is not None:
                number = self._add(MADE, root, made_by)
            else:
                number = self._add(OUTSIDE, root, root, user_line())
                self._see(number, root)
        offset = address_of(array) - self.roots[number].address
        return Ref(number, offset, array.shape, array.strides, array.dtype)

    def _see(self, number, array):
        seen = fingerprint(array)
        self._prints[number] = array, seen
        if self._watched.get(id(array), seen) != seen:
            raise _changed(self.roots[number])

    def check_outside(self):
        """Raises where NumPy changed an array from outside during the step: a plan would not."""
        for number, (array, seen) in self._prints.items():
            if fingerprint(array) != seen:
                raise _changed(self.roots[number])

    def _write(self, array):
        """An array that the call being noted has written."""
        self._watched.pop(id(root_array(array)), None)
        ref = self.ref(array)
        self._prints.pop(ref.root, None)
        if self.roots[ref.root].kind is ARGUMENT:
            raise recording.RecordingError(
                f"a step that is being recorded wrote into its argument {self.roots[ref.root].what}, in {user_line()}; "
                f"write into a Variable, or into an array made outside of the step"
            )
        return ref

    def note(self, kernel, resolved, arrays, attrs, out, result):
        """Notes a call that has just been made."""
        targets = ()
        if kernel.updates:
            named = [v for name, v in zip(kernel.inputs, arrays) if name in kernel.updates and v is not None]
            targets = [v for value in named for v in (value if type(value) is list else (value,))]
        elif out is not None:
            targets = out if type(out) is tuple else (out,)
        written = tuple(map(self._write, targets))
        inputs = [None if a is None else [self.ref(v) for v in a] if type(a) is list else self.ref(a) for a in arrays]
        made = () if written else result if type(result) is tuple else (result,)
        outputs = tuple(self.ref(v, len(self.ops)) for v in made)
        if kernel.view and made and not self._is_made(outputs[0].root, len(self.ops)):
            return  # shares memory: later calls refer to the root. A reshape of what is not contiguous is a copy
        self.ops.append(Op(kernel, dict(attrs), resolved, inputs, outputs, written, user_line()))

    def _is_made(self, number, index):
        root = self.roots[number]
        return root.kind is MADE and root.what == index

    def keep(self, tensors):
        """Notes Tensors that the step made or got."""
        self.tensors.extend(map(weakref.ref, tensors))

    def keep_lazy(self, gradient):
        """Notes a Tensor whose array may never be made: only if somebody holds it at the end."""
        self.lazy.append(weakref.ref(gradient))

    def settle(self):
        """Ends the step: RowGradients that somebody still holds become arrays, as calls of the step."""
        if any(reference() is not None for reference in self.lazy):
            gc.collect(1)  # what only a cycle holds, nobody will read
        for reference in self.lazy:
            gradient = reference()
            if gradient is not None:
                gradient.dense()
