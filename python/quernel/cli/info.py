"""`quernel info`, `quernel.show_config()` and `quernel.explain()`: what is installed, what was chosen, and why."""

import importlib.metadata
import os
import platform
import sys

import numpy as np

from .. import __version__, backend


def _package(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def info():
    """The configuration as text, one fact a line.

    Example:
        >>> from quernel.cli.info import info
        >>> info().startswith("quernel ")
        True
    """
    core = backend._state.core
    rows = [
        ("quernel", __version__),
        ("Python", f"{platform.python_version()} ({sys.platform}, {platform.machine()})"),
        ("NumPy", np.__version__),
    ]
    rows += [(name, _package(name)) for name in ("tqdm", "safetensors", "numba", "matplotlib")]
    if core is not None:
        features = core.cpu()
        rows.append(("compiler", core.compiler))
        rows.append(("OpenMP", "yes" if core.openmp else "no: built without it, one thread"))
        rows.append(("CPU features", " ".join(f for f, here in features.items() if here) or "none that matter"))
        for later in ("amx_bf16", "neon"):
            if features[later]:
                rows.append((later, "detected; its kernels come in a later release"))
    for isa in reversed(backend.ISAS):
        reason = backend.why_missing(isa)
        rows.append((f"kernels for {isa}", f"missing: {reason}" if reason else "available"))
    rows.append(("instruction set", f"{backend.isa()} ({backend._state.isa_source})" if backend.isa() else "none"))
    for name in backend.BACKENDS:
        reason = backend.why_missing(name)
        rows.append((f"backend {name}", f"missing: {reason}" if reason else "available"))
    rows.append(("backend in use", f"{backend.backend()} ({backend._state.backend_source})"))
    rows.append(("threads", f"{backend.get_num_threads()} ({backend.thread_source()})"))
    names = ("QUERNEL_BACKEND", "QUERNEL_ISA", "QUERNEL_REQUIRE", "QUERNEL_NUM_THREADS", "OMP_NUM_THREADS")
    for name in names:
        rows.append((name, os.environ.get(name) or "unset"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def show_config():
    """Prints what `quernel info` prints: versions, CPU features, instruction set, backends, threads, and why.

    Example:
        >>> import quernel as qn
        >>> qn.show_config()  # doctest: +ELLIPSIS
        quernel ...
    """
    print(info())


def explain(op, *args, **keywords):
    """Prints which backend answers a kernel call, and why the others declined; nothing is computed.

    Args:
        op: the name of a kernel.
        *args: its arrays.
        **keywords: its arrays by name, and its attributes.

    Raises:
        ValueError: when there is no such kernel.

    Example:
        >>> import numpy as np, quernel as qn
        >>> with qn.backend.use_backend("numpy"):
        ...     qn.explain("copy", np.ones(3))
        numpy: answers
    """
    from .. import kernels

    if op not in dir(kernels):
        raise ValueError(f"explain: expected one of dir(quernel.kernels), received {op!r}")
    print(getattr(kernels, op).explain(*args, **keywords))
