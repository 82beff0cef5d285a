"""Differentiable functions on Tensors, under keras.ops' names, and every kernel under its own name.

`index.txt` names the functions of each module, one module a line; an op of `kernels/<room>.py` is found in `ops/<room>.py`.
Inputs may be Tensors, Variables, arrays, Python numbers or KerasTensors (then the result is symbolic).
"""

import importlib
import os
import sys

from ..kernels import Namespace
from ..kernels import _index as _kernel_index


def _read_index():
    folder = os.path.dirname(__file__)
    rooms = {entry.partition(".")[0] for entry in os.listdir(folder)}
    table = {
        name: room for name, room in _kernel_index.items() if room in rooms
    }  # in-place kernels have no function here
    with open(os.path.join(folder, "index.txt"), encoding="ascii") as lines:
        for line in lines:
            module, _, names = line.partition(":")
            for name in names.split():
                table[name] = module.strip()
    return table


_index = _read_index()
sys.modules[__name__].__class__ = Namespace


def __getattr__(name):
    if name in _index:
        value = getattr(importlib.import_module(f"{__name__}.{_index[name]}"), name)
        globals()[name] = value  # next time it is found without this function
        return value
    raise AttributeError(f"quernel.ops has no function {name!r}; dir(quernel.ops) lists them")


def __dir__():
    return sorted(_index)
