"""What elementwise ops share: operands brought to one dtype, gradients summed back to a broadcast operand's shape."""

import functools

import numpy as np

from .. import ops, recording
from ..dtypes import result_type
from ..reader import Reader
from ..tensor import Tensor
from ..variable import Variable
from .apply import operand

_WEAK = (bool, int, float)
_READY = (Tensor, Reader)


def meet(*values):
    """The operands in the dtype in which they meet (`dtypes.result_type`); a last argument `float` asks for a float.

    Python numbers are weak: they become arrays of the dtype of what they meet.
    """
    first, second = values[0], values[1]
    if type(first) is Variable:
        first = first.value
    if type(second) is Variable:
        second = second.value
    if type(first) in _READY:  # the common cases, without a look at the table: one float dtype, perhaps with a number
        dtype = first._array.dtype
        if type(second) in _READY:
            if second._array.dtype is dtype and (len(values) == 2 or dtype.kind == "f"):
                return first, second
        elif type(second) in _WEAK and dtype.kind == "f":
            return first, _weak(second, dtype)
    elif type(first) in _WEAK and type(second) in _READY and second._array.dtype.kind == "f":
        return _weak(first, second._array.dtype), second
    values = (first, second, *values[2:])
    wants_float = values[-1] is float
    numbers = values[:-1] if wants_float else values
    numbers = [v if type(v) in _WEAK else operand(v) for v in numbers]
    dtype = result_type(*[v if type(v) in _WEAK else v.dtype for v in numbers], *([float] * wants_float))
    return tuple(_in(v, dtype) for v in numbers)


def _in(value, dtype):
    if type(value) in _WEAK:
        return _weak(value, dtype)
    return value if value.dtype == dtype else ops.cast(value, dtype)


def _weak(value, dtype):
    """A Python number as a Tensor of dtype; the numbers that code repeats are kept."""
    return Tensor(np.asarray(value, dtype)) if value == 0 else _kept(type(value), value, dtype)  # 0.0 == -0.0


@functools.lru_cache(256)
def _kept(kind, value, dtype):
    array = np.asarray(value, dtype)
    recording.CONSTANTS[id(array)] = array
    return Tensor(array)


def as_float(x):
    """x, integers and bools in the default float dtype."""
    if type(x) is Variable:
        x = x.value
    if type(x) in _READY and x._array.dtype.kind == "f":
        return x
    x = operand(x)
    dtype = result_type(x.dtype, float)
    return x if x.dtype == dtype else ops.cast(x, dtype)


def as_bool(x):
    """x, numbers in bool."""
    x = operand(x)
    return x if x.dtype == "bool" else ops.cast(x, "bool")


def unbroadcast(dy, shape):
    """The gradient of an operand of `shape` that was broadcast to dy's shape: dy summed over the repeated axes."""
    shape = tuple(shape)
    if tuple(dy.shape) == shape:
        return dy
    lead = len(dy.shape) - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and dy.shape[lead + i] != 1)
    return ops.reshape(ops.sum(dy, axis=axes, keepdims=True), shape)
