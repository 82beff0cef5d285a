"""Peers: other people's code that does the work of a case. What is not installed is named with the reason."""

import ctypes
import ctypes.util
import importlib.metadata
import importlib.util
from pathlib import Path

from .. import backend
from ..cli import PEERS
from . import families
from .contestants import Contestant, python_loop
from .torch_calls import row_calls
from .torch_images import fused, image_calls

NAMES = PEERS
MEANING = {
    "torch": "PyTorch, the best of its layouts and thread counts",
    "onednn": "oneDNN through PyTorch, weights reordered beforehand (forward only)",
    "mkl": "MKL's cblas_sgemm, called from C++",
    "blas": "the cblas_sgemm of the BLAS behind NumPy, called from C++",
    "numba": "our Numba fallback",
    "numpy": "our NumPy definition",
}


class Torch:
    """PyTorch, in this process. Forward-only ops run in inference mode; subnormals are flushed as ours are."""

    name, against = "torch", "call"

    def __init__(self):
        import torch

        self.torch = torch
        torch.set_flush_denormal(True)
        self.version = torch.__version__

    def start(self, threads):
        """Starts its pool."""
        self.torch.set_num_threads(threads)

    def settings(self, threads):
        """How many threads it may try."""
        return sorted({1, threads}, reverse=True)

    def contestants(self, ours, threads):
        """Every way that is tried; the fastest one plays."""
        case, arrays, torch = ours.case, ours.arrays, self.torch
        with torch.inference_mode():
            calls = image_calls(torch, case, arrays) or row_calls(torch, case, ours.attrs, arrays)
        return [self.contestant(call, setting, t) for setting, call in calls for t in self.settings(threads)]

    def contestant(self, call, setting, threads):
        torch = self.torch
        loop = python_loop(call)

        def run(n):
            with torch.inference_mode():
                return loop(n)

        def run_taped(n):  # a gradient needs the tape that made it
            return loop(n)

        taped = setting.startswith(("after its forward", "torch.optim"))
        words = [w for w in (setting, f"{threads} thread{'s' * (threads > 1)}") if w]
        return Contestant(
            self.name, run_taped if taped else run, ", ".join(words), enter=lambda: torch.set_num_threads(threads)
        )


class OneDnn(Torch):
    """oneDNN's fused convolutions through PyTorch."""

    name = "onednn"

    def contestants(self, ours, threads):
        if ours.case.op not in ("conv_forward", "depthwise_conv_forward"):
            return []
        with self.torch.inference_mode():
            call = fused(self.torch, ours.case, ours.arrays)
        return [self.contestant(call, "channels_last, weights reordered", t) for t in self.settings(threads)]


class Blas:
    """A cblas_sgemm found in a shared library, called from C++ without Python between the calls."""

    against = "kernel"

    def __init__(self, name, path, symbols, set_threads, version):
        self.name, self.version, self.set_threads = name, version, set_threads
        library = ctypes.CDLL(str(path))
        symbol = next((s for s in symbols if hasattr(library, s)), None)
        if symbol is None:
            raise ImportError(f"{path} has none of {', '.join(symbols)}")
        self.wide = "64_" in symbol
        self.library = library
        self.address = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
        self.start = set_threads  # its pool

    def contestants(self, ours, threads):
        import numpy as np

        op, attrs = ours.case.op, ours.attrs
        if op == "gemm" and ours.arrays[2] is None and ours.arrays[0].ndim == ours.arrays[1].ndim == 2:
            a, b, ta, tb = *ours.arrays[:2], attrs["transpose_a"], attrs["transpose_b"]
        elif op == "dense_dx":
            a, b, ta, tb = *ours.arrays, False, True
        elif op == "dense_dw":
            a, b, ta, tb = *ours.arrays, True, False
        else:
            return []
        m, k = a.shape[::-1] if ta else a.shape
        n = b.shape[0] if tb else b.shape[1]
        c = np.empty((m, n), np.float32)
        core, where = backend._state.core, (a.ctypes.data, a.strides[0] // 4, b.ctypes.data, b.strides[0] // 4)

        def run(times, keep=(a, b, c)):
            return core.repeat_sgemm(self.address, self.wide, ta, tb, m, n, k, *where, c.ctypes.data, times)

        return [
            Contestant(self.name, run, f"{t} thread{'s' * (t > 1)}", enter=lambda t=t: self.set_threads(t))
            for t in sorted({1, threads}, reverse=True)
        ]


def _mkl():
    """MKL from the `mkl` package of this Python, or wherever the loader finds it."""
    try:
        files = importlib.metadata.files("mkl") or []
        path = next((Path(f.locate()).resolve() for f in files if "libmkl_rt" in f.name or "mkl_rt." in f.name), None)
        version = importlib.metadata.version("mkl")
    except importlib.metadata.PackageNotFoundError:
        path, version = ctypes.util.find_library("mkl_rt"), "of the system"
    if path is None:
        raise ImportError("MKL is not installed (pip install mkl)")
    set_threads = ctypes.CDLL(str(path)).MKL_Set_Num_Threads
    return Blas("mkl", path, ["cblas_sgemm"], lambda n: set_threads(ctypes.c_int(n)), version)


def _blas_of_numpy():
    """(threadpoolctl's controller of the OpenBLAS that NumPy has loaded or None, what was found)."""
    import numpy as np
    import threadpoolctl

    np.ones((2, 2)) @ np.ones((2, 2))
    found = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    own = (c for c in found if c.internal_api == "openblas" and "numpy" in c.filepath)
    return next(own, None), ", ".join(c.internal_api for c in found) or "none"


def _numpy_blas():
    one, found = _blas_of_numpy()
    if one is None:
        raise ImportError(f"NumPy's BLAS is not an OpenBLAS of its own (found: {found})")
    names = [f"{p}cblas_sgemm{s}" for p in ("scipy_", "") for s in ("64_", "")]
    return Blas("blas", one.filepath, names, one.set_num_threads, f"OpenBLAS {one.version}")


class Plain:
    """Our own NumPy definition, its BLAS on all threads where threadpoolctl can tell it, or the Numba fallback."""

    against = "call"

    def __init__(self, name):
        if not backend.available(name):
            raise ImportError(backend.why_missing(name))
        self.name, self.version, self.blas = name, importlib.metadata.version(name), None
        if name == "numpy" and importlib.util.find_spec("threadpoolctl") is not None:
            self.blas, _ = _blas_of_numpy()

    def start(self, threads):
        """Starts the pool of NumPy's BLAS."""
        if self.blas is not None:
            self.blas.set_num_threads(threads)

    def contestants(self, ours, threads):
        if self.name == "numba" and ours.kernel.numba is None:
            return []
        one = ours.plain(self.name)
        if self.blas is not None and families.arithmetic(families.family(ours.case)):
            one.enter = lambda: self.blas.set_num_threads(threads)
            one.setting = f"its BLAS on {threads} thread{'s' * (threads > 1)}"
        return [one]


_MAKERS = {
    "torch": Torch,
    "onednn": OneDnn,
    "mkl": _mkl,
    "blas": _numpy_blas,
    "numba": lambda: Plain("numba"),
    "numpy": lambda: Plain("numpy"),
}
_PACKAGES = {"torch": "torch", "onednn": "torch", "blas": "threadpoolctl", "numba": "numba"}


def find(names):
    """({name: peer}, {name: why it is missing}) of the peers asked for."""
    found, missing = {}, {}
    for name in names:
        package = _PACKAGES.get(name)
        if package and importlib.util.find_spec(package) is None:
            missing[name] = f"not installed (pip install {package})"
            continue
        try:
            found[name] = _MAKERS[name]()
        except (ImportError, OSError) as error:
            missing[name] = str(error)
    return found, missing
