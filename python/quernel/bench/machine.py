"""The machine and the software of a run, as a dictionary for its JSON and the head of its report."""

import datetime
import importlib.util
import os
import platform

from .. import __version__, backend
from .roof import caches


def _processor():
    if importlib.util.find_spec("cpuinfo") is not None:
        import cpuinfo

        return cpuinfo.get_cpu_info().get("brand_raw") or platform.processor()
    return platform.processor() or platform.machine()


def describe(peers, missing):
    """Versions, processor, caches, compiler, the variables that matter, and the peers."""
    from .peers import MEANING

    core = backend._state.core
    first, second, third = caches()
    names = ("OMP_PROC_BIND", "OMP_NUM_THREADS", "QUERNEL_NUM_THREADS", "MKL_THREADING_LAYER", "MKL_NUM_THREADS",
             "OPENBLAS_THREAD_TIMEOUT", "OPENBLAS_NUM_THREADS")  # fmt: skip
    return {
        "quernel": __version__,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "caches": {"L1": first, "L2": second, "L3": third},
        "compiler": core.compiler,
        "environment": {n: os.environ[n] for n in names if os.environ.get(n)},
        "peers": {n: {"version": p.version, "what": MEANING[n]} for n, p in peers.items()},
        "missing": missing,
    }
