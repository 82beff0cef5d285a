"""Who records this thread's kernel calls, and which settings a recording depends on: the hooks that kernels, Tensors,
Variables and layers look at. The recorder itself is in plan/recorder.py.
"""

import contextlib
import threading
import weakref

from . import backend


class _Local(threading.local):
    recorder = None  # a context variable would follow the context into other threads: asyncio.to_thread copies it


_local = _Local()
_lock = threading.Lock()
count = 0  # recorders at work in the process; while it is 0 no hook asks further
STEPS = set()  # the Step of each of them
writes = 0  # attribute writes to Versioned objects; a plan that saw this number asks nobody else
ELSEWHERE = (
    weakref.WeakValueDictionary()
)  # id(array) -> array that a kernel made unrecorded while some step was recorded
CONSTANTS = weakref.WeakValueDictionary()  # id(array) -> array that nobody writes: the numbers that ops keep
LATE = {}  # id(array) -> what fills an array that a recorded step has noted and not computed: see plan/late.py
STORAGE = weakref.WeakValueDictionary()  # id(array) -> the Variable whose memory it is, for as long as that lives


class RecordingError(RuntimeError):
    """A step that cannot be recorded: it reads values in Python, or two runs of it differ."""


def variables():
    """All Variables of the process, while other threads may make some."""
    alive = (reference() for reference in STORAGE.valuerefs())  # whose list is made in one go
    return [variable for variable in alive if variable is not None]


class Step:
    """A running step that is being recorded.

    Attributes:
        disturbed: whether another thread wrote a Variable after the step had read it. The step goes on with the value it
            read, which no plan could know of: such a recording is not used.
    """

    __slots__ = ("disturbed",)

    def __init__(self):
        self.disturbed = False


def current():
    """The recorder of this thread, or None."""
    return _local.recorder if count else None


def current_step():
    """The Step that this thread records, or None."""
    recorder = current()
    return None if recorder is None else recorder.step


@contextlib.contextmanager
def use(recorder):
    """Within the `with` block `recorder` records this thread's kernel calls."""
    global count
    with _lock:
        count += 1
        backend.set_recorders(count)
        STEPS.add(recorder.step)
    before, _local.recorder = _local.recorder, recorder
    try:
        yield recorder
    finally:
        _local.recorder = before
        with _lock:
            count -= 1
            backend.set_recorders(count)
            STEPS.discard(recorder.step)


@contextlib.contextmanager
def paused():
    """Within the `with` block nothing is recorded: state is being made, which happens once and not in every step."""
    recorder = current()
    if recorder is None:
        yield
        return
    recorder.built = True
    _local.recorder = None
    try:
        yield
    finally:
        _local.recorder = recorder


def refuse_read(tensor, what):
    """Raises where a recorded step asks for the value of a Tensor that another step would give another value."""
    recorder = current()
    if recorder is not None and recorder.knows(tensor._array):
        raise RecordingError(
            f"{what}: the value of a Tensor was asked for inside a step that is being recorded, and would become a "
            f"constant. Keep it a Tensor (quernel.ops.where in place of `if`), return it and read it outside, "
            f"or run the step in Python: compile(run_eagerly=True)"
        )


class Versioned:
    """An object whose attributes are settings of a step: writing one makes plans that used the object be recorded anew.

    Attributes that never change a step are in `_free`. Writing an equal plain value counts for nothing, nor does a write
    while a step is recorded. `_trainable` is no change of version: a plan remembers it, and serves again when it comes
    back (the two halves of a GAN).
    """

    _version = 0
    _trainable = None
    _free = frozenset()

    def __setattr__(self, name, value):
        if is_change(self, name, value):
            bump(self, name)
        object.__setattr__(self, name, value)


_PLAIN = (bool, int, float, str, type(None))


def is_change(owner, name, value):
    """Whether writing attribute `name` changes the settings of `owner`."""
    if name in owner._free or (count and current() is not None):
        return False
    if isinstance(getattr(type(owner), name, None), property):
        return False  # its setter writes what it writes
    old = owner.__dict__.get(name, is_change)
    return not (old is value or (type(old) is type(value) and type(old) in _PLAIN and old == value))


def bump(owner, name=""):
    """Counts a change of `owner`'s settings."""
    global writes
    writes += 1
    if name != "_trainable":
        object.__setattr__(owner, "_version", owner._version + 1)


def touch(owner):
    """Tells the recorder that this step depends on the settings of `owner`."""
    recorder = current()
    if recorder is not None:
        recorder.touched[id(owner)] = owner


def touch_settings(owner):
    """Tells the recorder that this step may read any attribute of `owner`, where that counts its changes."""
    if hasattr(owner, "_version"):
        touch(owner)
        tracker = getattr(owner, "_tracker", None)  # of a layer: what its lists and dicts hold
        if tracker is not None:
            touch(tracker)
