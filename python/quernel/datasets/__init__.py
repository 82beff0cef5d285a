"""Data sets that come with the package: `mnist_sample`, 5,000 handwritten digits."""

import importlib

_MODULES = ("mnist_sample",)


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"quernel.datasets has no {name!r}; it has {', '.join(_MODULES)}")


def __dir__():
    return list(_MODULES)
