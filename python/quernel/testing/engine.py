"""Engines: the backends and instruction sets that this machine can run kernels on."""

import contextlib

from .. import backend


class Engine:
    """A backend and, for native, an instruction set; `with engine:` runs kernels on it."""

    def __init__(self, backend_name, isa=None):
        self.backend, self.isa = backend_name, isa

    def __str__(self):
        return self.isa or self.backend

    __repr__ = __str__

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(backend.use_backend(self.backend))
        if self.isa:
            self._stack.enter_context(backend.use_isa(self.isa))
        return self

    def __exit__(self, *exc):
        return self._stack.__exit__(*exc)


def each_isa():
    """One native Engine for each instruction set that is built and runs here, best first."""
    return [Engine("native", isa) for isa in backend.isas()] if backend.available("native") else []


def each_backend():
    """One Engine for each backend that is available: native (best instruction set), numba, numpy."""
    found = each_isa()[:1]
    found += [Engine(name) for name in ("numba", "numpy") if backend.available(name)]
    return found


def engines():
    """Every Engine: all instruction sets of native, then numba and numpy."""
    return each_isa() + [e for e in each_backend() if e.backend != "native"]
