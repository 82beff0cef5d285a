"""quernel: a deep-learning library whose kernels are its own, under Keras 3's names."""

__version__ = "0.1.0"

import importlib as _importlib

from . import backend as backend

_SUBMODULES = ("kernels", "ops", "testing")


def __getattr__(name):
    if name in _SUBMODULES:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'quernel' has no attribute {name!r}")
