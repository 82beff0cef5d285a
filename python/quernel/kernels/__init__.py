"""Every op as a function on arrays: `quernel.kernels.<op>(arrays, ..., out=None) -> arrays`.

`index.txt` names the ops of each module, one module a line, so that importing quernel imports none of them.
"""

import importlib
import os
import sys
import types


def _read_index():
    table = {}
    with open(os.path.join(os.path.dirname(__file__), "index.txt"), encoding="ascii") as lines:
        for line in lines:
            module, _, names = line.partition(":")
            for name in names.split():
                table[name] = module.strip()
    return table


_index = _read_index()


class Namespace(types.ModuleType):
    """A package whose ops win over its modules: importing the module `copy` binds the op `copy` to the package."""

    def __setattr__(self, name, value):
        if isinstance(value, types.ModuleType) and self._index.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = Namespace


def __getattr__(name):
    if name in _index:
        value = getattr(importlib.import_module(f"{__name__}.{_index[name]}"), name)
        globals()[name] = value  # next time it is found without this function
        return value
    raise AttributeError(f"quernel.kernels has no op {name!r}; dir(quernel.kernels) lists them")


def __dir__():
    return sorted(_index)
