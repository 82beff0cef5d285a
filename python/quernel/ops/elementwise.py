"""What elementwise ops share: operands brought to one dtype, gradients summed back to a broadcast operand's shape."""

import numpy as np

from .. import ops
from ..dtypes import result_type
from ..tensor import Tensor
from .apply import operand


def meet(*values):
    """The operands in the dtype in which they meet (`dtypes.result_type`); a last argument `float` asks for a float.

    Python numbers are weak: they become arrays of the dtype of what they meet.
    """
    wants_float = values[-1] is float
    numbers = values[:-1] if wants_float else values
    if all(type(v) is Tensor for v in numbers):
        kinds = {v._array.dtype for v in numbers}
        if len(kinds) == 1 and not (wants_float and kinds.pop().kind != "f"):
            return numbers  # the common case, without a look at the table
    numbers = [v if type(v) in (bool, int, float) else operand(v) for v in numbers]
    dtype = result_type(*[v if type(v) in (bool, int, float) else v.dtype for v in numbers], *([float] * wants_float))
    return tuple(_in(v, dtype) for v in numbers)


def _in(value, dtype):
    if type(value) in (bool, int, float):
        return Tensor(np.asarray(value, dtype))
    return value if value.dtype == dtype else ops.cast(value, dtype)


def as_float(x):
    """x, integers and bools in the default float dtype."""
    if type(x) is Tensor and x._array.dtype.kind == "f":
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
