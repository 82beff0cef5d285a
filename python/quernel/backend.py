"""Which code answers a kernel call: the chain native -> numpy, or numba -> numpy, and the instruction set of `native`.

Chosen once from the environment, changed by `use_backend` and `use_isa`:

* `QUERNEL_BACKEND`  native, numba or numpy; default: native where the compiled core is installed, else numba, else numpy.
* `QUERNEL_ISA`      base, avx2 or avx512; default: the best one that is built and that this CPU runs.
* `QUERNEL_REQUIRE`  comma list of backends and ISAs; anything missing is an ImportError (CI sets it).

Only an *absent* core falls back. One that is present and fails to load raises its own linker error.
"""

import contextlib
import importlib
import importlib.util
import os

BACKENDS = ("native", "numba", "numpy")
ISAS = ("avx512", "avx2", "base")  # best first

_MOST_THREADS = 2**31 - 1  # what the core counts with


class _State:
    """The process's choice; `generation` counts changes, so that kernels drop what they resolved before."""

    def __init__(self):
        self.generation = 0
        self.core = None  # the _core module, or None when it is not installed
        self.tables = {}  # isa -> (index, compiler, {op: (index, inputs, outputs)})
        self.missing = {}  # backend or isa -> why it is not here
        self.backend = None
        self.isa = None
        self.isa_source = ""
        self.backend_source = ""


_state = _State()


def _load_core():
    if importlib.util.find_spec("quernel._core") is None:
        _state.missing["native"] = "the compiled core is not installed (QUERNEL_PURE build)"
        return
    _state.core = importlib.import_module("quernel._core")


def _isa_available(isa):
    """Whether `isa` is built and runs here; loads its table on first use."""
    if isa in _state.tables:
        return True
    if _state.core is None:
        _state.missing[isa] = _state.missing["native"]
        return False
    name = f"quernel._core_{isa}"
    if importlib.util.find_spec(name) is None:
        _state.missing[isa] = "not built into this installation"
        return False
    if not _state.core.cpu_runs(isa):
        _state.missing[isa] = "this CPU or its operating system lacks it"
        return False
    index, compiler, ops = _state.core.load(importlib.import_module(name).table)
    table = {op: (i, inputs, outputs) for i, (op, inputs, outputs) in enumerate(ops)}
    _state.tables[isa] = (index, compiler, table)
    return True


def numba_available():
    """Whether the numba package can be imported (it is not imported here)."""
    if importlib.util.find_spec("numba") is not None:
        return True
    _state.missing["numba"] = "the numba package is not installed (pip install 'quernel[numba]')"
    return False


def available(name):
    """Whether a backend ("native", "numba", "numpy") or an ISA ("avx512", "avx2", "base") can be used here."""
    if name == "native":
        return _state.core is not None and _state.isa is not None
    if name == "numba":
        return numba_available()
    if name == "numpy":
        return True
    if name in ISAS:
        return _isa_available(name)
    raise ValueError(f"expected one of {BACKENDS + ISAS}, received {name!r}")


def why_missing(name):
    """The reason for which `available(name)` is false, or None."""
    return None if available(name) else _state.missing.get(name)


def backend():
    """The name of the backend in use."""
    return _state.backend


def isa():
    """The instruction set of the native kernels in use, or None without a compiled core."""
    return _state.isa


def chain():
    """The backends that a call asks, in order. A dtype that native lacks goes straight to NumPy."""
    return ("numpy",) if _state.backend == "numpy" else (_state.backend, "numpy")


def isas():
    """The instruction sets that can be used here, best first."""
    return tuple(i for i in ISAS if _isa_available(i))


def _forget():
    """Makes kernels ask again who computes."""
    _state.generation += 1
    if _state.core is not None:
        _state.core.set_generation(_state.generation)


def set_backend(name, source="set_backend"):
    """Uses the backend `name` from now on, in the whole process."""
    if name not in BACKENDS:
        raise ValueError(f"backend: expected one of {BACKENDS}, received {name!r}")
    if not available(name):
        raise ImportError(f"backend {name!r} is not available: {_state.missing[name]}")
    _state.backend = name
    _state.backend_source = source
    _forget()


def set_isa(name, source="set_isa"):
    """Uses the native kernels of the instruction set `name` from now on, in the whole process."""
    if name not in ISAS:
        raise ValueError(f"isa: expected one of {ISAS}, received {name!r}")
    if not _isa_available(name):
        raise ImportError(f"instruction set {name!r} is not available: {_state.missing[name]}")
    _state.isa = name
    _state.isa_source = source
    _forget()


@contextlib.contextmanager
def use_backend(name):
    """Within the `with` block, kernels of the whole process run on the backend `name`.

    Example:
        >>> import quernel as qn
        >>> with qn.backend.use_backend("numpy"):
        ...     qn.backend.backend()
        'numpy'
    """
    before, source = _state.backend, _state.backend_source
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before, source)


@contextlib.contextmanager
def use_isa(name):
    """Within the `with` block, native kernels of the whole process are those of the instruction set `name`."""
    before, source = _state.isa, _state.isa_source
    set_isa(name)
    try:
        yield
    finally:
        set_isa(before, source)


def native_op(name):
    """(core.call, isa index, op index) of a native op, or None when the loaded table has no such op."""
    index, _, ops = _state.tables[_state.isa]
    return (_state.core.call, index, ops[name][0]) if name in ops else None


def native_ops():
    """{op: (inputs, outputs)} of the loaded native table; empty without a compiled core."""
    if _state.isa is None:
        return {}
    return {op: (inputs, outputs) for op, (_, inputs, outputs) in _state.tables[_state.isa][2].items()}


def _check_thread_variable():
    text = os.environ.get("QUERNEL_NUM_THREADS", "").strip()
    if text and not (text.isdecimal() and 1 <= int(text) <= _MOST_THREADS):
        raise ValueError(f"QUERNEL_NUM_THREADS: expected an integer from 1 to {_MOST_THREADS}, received {text!r}")


def _start():
    _check_thread_variable()
    _load_core()
    if _state.core is not None:
        forced = os.environ.get("QUERNEL_ISA")
        if forced:
            set_isa(forced, "QUERNEL_ISA")
        else:
            best = next((i for i in ISAS if _isa_available(i)), None)
            if best is None:
                raise ImportError(f"quernel._core is installed without any kernel module: {_state.missing}")
            set_isa(best, "the best one that is built and that this CPU runs")
    forced = os.environ.get("QUERNEL_BACKEND")
    if forced:
        set_backend(forced, "QUERNEL_BACKEND")
    elif _state.core is not None:
        set_backend("native", "the compiled core is installed")
    elif numba_available():
        set_backend("numba", "there is no compiled core, and numba is installed")
    else:
        set_backend("numpy", "there is neither a compiled core nor numba")
    for name in filter(None, os.environ.get("QUERNEL_REQUIRE", "").split(",")):
        if not available(name.strip()):
            raise ImportError(f"QUERNEL_REQUIRE names {name!r}: {_state.missing[name.strip()]}")


class _Entry:
    """What kernels inherit without a compiled core, where no call is a known one; csrc/core/entry.cpp is the other."""

    def __call__(self, *args, **keywords):
        return self.long_way(args, keywords, False)

    def describe_inputs(self, lists, updates, count):
        pass

    def quick(self, inputs, attributes):
        return None


def get_num_threads():
    """The number of threads native kernels may use (1 without a compiled core)."""
    return _state.core.get_num_threads() if _state.core is not None else 1


def set_num_threads(count):
    """Sets the number of threads native kernels may use; results do not depend on it.

    Raises:
        ValueError: count is not an integer from 1 to 2^31 - 1.
    """
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_THREADS:
        raise ValueError(f"set_num_threads: expected an integer from 1 to {_MOST_THREADS}, received {count!r}")
    if _state.core is not None:
        _state.core.set_num_threads(count)


def thread_source():
    """Where the number of threads came from."""
    return _state.core.thread_source() if _state.core is not None else "there is no compiled core: one thread"


def set_recorders(count):
    """Tells the core how many recorders are at work: they see every call of a kernel."""
    if _state.core is not None:
        _state.core.set_recorders(count)


def set_tapes(count):
    """Tells the core how many tapes record this thread's ops."""
    if _state.core is not None:
        _state.core.set_tapes(count)


def set_watch(function):
    """Tells the core whom to tell of the calls it makes while tapes record."""
    if _state.core is not None:
        _state.core.set_watch(function)


def set_tensors(tensor, variable):
    """Tells the core the classes whose objects it takes for their arrays."""
    if _state.core is not None:
        _state.core.set_tensors(tensor, variable)


_start()
Entry = _Entry if _state.core is None else _state.core.Entry
