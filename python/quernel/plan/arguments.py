"""The arguments of a recorded step: which of them are arrays, the key that tells signatures apart, and putting them back."""

import numpy as np

from .. import kernels
from ..kernels.values import as_array, attribute_key
from ..reader import Reader
from ..tensor import Tensor
from .recorder import alias
from .rows import Rows

_PLAIN = (bool, int, float, str, bytes, complex, type(None))


def describe(value, leaves):
    """The signature of an argument: a key for a dictionary. Its arrays are appended to `leaves`.

    Arrays count by shape, strides and dtype, plain Python values by type and value, other objects by identity.
    """
    kind = type(value)
    if kind is np.ndarray:
        if not _plain(value):
            value = as_array(value, "argument")
        for i, leaf in enumerate(leaves):
            if leaf is value:  # an autoencoder's targets: the step is recorded with one array, and reads it once
                leaves.append(value)
                return "same", i
        leaves.append(value)
        return "array", value.shape, value.strides, value.dtype.num
    if kind is Rows:
        array = value.array
        if type(array) is not np.ndarray or not _plain(array):
            value = Rows(_array(array), value.size)
            array = value.array
        leaves.append(value)
        return "rows", value.size, array.shape[1:], array.strides, array.dtype.num
    if isinstance(value, Tensor):
        array, mask = value._array, getattr(value, "_keras_mask", None)
        if kind is Reader and not array.flags.c_contiguous:  # a write to the Variable would give it other strides
            array = kernels.copy(array)
            leaves.append(array)
        else:
            leaves.append(value)
        key = "tensor", array.shape, array.strides, array.dtype.num
        return key if mask is None else (key, describe(mask, leaves))
    if isinstance(value, (list, tuple)):
        return (kind, *[describe(v, leaves) for v in value])
    if isinstance(value, dict):
        return ("dict", *[(k, describe(value[k], leaves)) for k in sorted(value)])
    if kind in _PLAIN:
        return attribute_key(value)
    if isinstance(value, (np.ndarray, np.generic)) or (hasattr(value, "__dlpack__") and not hasattr(value, "_array")):
        return describe(_array(value), leaves)
    return Identity(value)


def _plain(array):
    """Whether native code reads the memory as it is: numbers in this machine's byte order, strides of whole elements."""
    dtype = array.dtype
    if dtype.num > 12 or not dtype.isnative:
        return False
    item = dtype.itemsize
    for stride in array.strides:  # noqa: SIM110, a generator costs 0.2 us a call
        if stride % item:
            return False
    return True


def _array(value):
    return as_array(value._array if isinstance(value, Tensor) else value, "argument")


class Identity:
    """An object that counts by what it is, not by what it equals; the key keeps it alive, so its id stays its own."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is Identity and other.value is self.value

    def __hash__(self):
        return id(self.value)


def array_of(leaf):
    """The array of a leaf; of Rows the whole one, whose start is the first step's."""
    kind = type(leaf)
    return leaf if kind is np.ndarray else leaf.array if kind is Rows else leaf._array


def advance_of(leaf):
    """How many bytes the leaf's data move from step to step."""
    return leaf.size * leaf.array.strides[0] if type(leaf) is Rows else 0


def first_step(leaves):
    """For each leaf an array of the first step's data that is a root of its own (see recorder.alias); one for the same
    ndarray.
    """
    arrays, known = [], {}
    for leaf in leaves:
        if type(leaf) is Reader:  # a Variable's memory, which the step may write: it reads what was there before
            arrays.append(kernels.copy(leaf._array))
        elif type(leaf) is np.ndarray:
            arrays.append(known.setdefault(id(leaf), alias(leaf)))
        else:
            arrays.append(alias(leaf.at(0) if type(leaf) is Rows else array_of(leaf)))
    return arrays


def fill(value, arrays):
    """The argument with Tensors on `arrays` (an iterator, in the order of `describe`) in place of its arrays."""
    kind = type(value)
    if kind is np.ndarray or kind is Rows:
        return Tensor(next(arrays))
    if isinstance(value, Tensor):
        tensor = Tensor(next(arrays))
        mask = getattr(value, "_keras_mask", None)
        if mask is not None:
            tensor._keras_mask = fill(mask, arrays)
        return tensor
    if isinstance(value, dict):
        filled = {k: fill(value[k], arrays) for k in sorted(value)}
        return {k: filled[k] for k in value}
    if isinstance(value, (list, tuple)):
        parts = [fill(v, arrays) for v in value]
        return kind(*parts) if hasattr(value, "_fields") else kind(parts)
    if isinstance(value, (np.ndarray, np.generic)) or (hasattr(value, "__dlpack__") and not hasattr(value, "_array")):
        return Tensor(next(arrays))
    return value


def fill_step(value, leaves, step):
    """The argument with Tensors on the arrays of a step in place of its arrays, `leaves`."""
    return fill(value, iter([_at(leaf, step) for leaf in leaves]))


def _at(leaf, step):
    """The array of a step; of a Variable's memory, which the step may write, a copy."""
    if type(leaf) is Reader:
        return kernels.copy(leaf._array)
    return leaf.at(step) if type(leaf) is Rows else array_of(leaf)
