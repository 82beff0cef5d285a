"""Every op as a function on arrays: `quernel.kernels.<op>(arrays, ..., out=None) -> arrays`.

`index.txt` names the ops of each module, one module a line, so that importing quernel imports none of them.
"""

import importlib
import os


def _read_index():
    table = {}
    with open(os.path.join(os.path.dirname(__file__), "index.txt"), encoding="ascii") as lines:
        for line in lines:
            module, _, names = line.partition(":")
            for name in names.split():
                table[name] = module.strip()
    return table


_index = _read_index()


def __getattr__(name):
    if name in _index:
        value = getattr(importlib.import_module(f"{__name__}.{_index[name]}"), name)
        globals()[name] = value  # next time it is found without this function
        return value
    raise AttributeError(f"quernel.kernels has no op {name!r}; dir(quernel.kernels) lists them")


def __dir__():
    return sorted(_index)
