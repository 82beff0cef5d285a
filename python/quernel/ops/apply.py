"""apply: runs a kernel on Tensors and tells the tapes; `op` makes a function of quernel.ops out of a kernel."""

import functools

import numpy as np

from .. import autograd
from ..tensor import Tensor


def as_tensor(value, name="value"):
    """A Tensor for a Tensor, a Variable, an array or a nested list; arrays are not copied. Plain floats become float32."""
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "__quernel_tensor__"):  # Variable: reading it is watched
        return value.__quernel_tensor__()
    if isinstance(value, (np.ndarray, np.generic)):
        return Tensor(np.asarray(value))
    array = np.asarray(value)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    elif array.dtype == np.int64:
        array = array.astype(np.int32)
    return Tensor(array)


def is_symbolic(value):
    """Whether `value` is a KerasTensor (a shape and a dtype without data)."""
    return getattr(value, "_is_symbolic", False)


def operand(value, name="value"):
    """What may be asked for `.shape` and `.dtype`: a KerasTensor as it is, a Tensor of anything else."""
    return value if is_symbolic(value) else as_tensor(value, name)


def apply(kernel, inputs, attrs):
    """Runs `kernel` on `inputs` (Tensors, Variables, arrays, None; lists where variadic): one Tensor, or a tuple of them."""
    tensors = []
    for name, value in zip(kernel.inputs, inputs):
        if value is None:
            tensors.append(None)
        elif name in kernel.variadic:
            tensors.append([v if is_symbolic(v) else as_tensor(v, name) for v in value])
        else:
            tensors.append(value if is_symbolic(value) else as_tensor(value, name))
    for value in tensors:
        if is_symbolic(value) or (type(value) is list and any(map(is_symbolic, value))):
            from ..operation import apply_symbolic

            return apply_symbolic(kernel, tensors, attrs)
    attrs = kernel.freeze(attrs)
    arrays = [None if t is None else [v._array for v in t] if type(t) is list else t._array for t in tensors]
    result = kernel.run(arrays, attrs)
    single = type(result) is not tuple
    outputs = (Tensor(result),) if single else tuple(map(Tensor, result))
    for tape in autograd.tapes():
        tape._record(kernel, tensors, outputs, attrs)
    return outputs[0] if single else outputs


def op(kernel):
    """The function of quernel.ops for `kernel`: the same signature without `out`, on Tensors, differentiable."""

    def function(*args, **keywords):
        inputs = list(args)
        if len(inputs) > len(kernel.inputs):
            raise TypeError(f"{kernel.name}: expected at most {len(kernel.inputs)} inputs, received {len(inputs)}")
        for name in kernel.inputs[len(inputs) :]:
            if name not in keywords and name not in kernel.optional:
                raise TypeError(f"{kernel.name}: the input {name!r} is missing")
            inputs.append(keywords.pop(name, None))
        return apply(kernel, inputs, keywords)

    functools.update_wrapper(function, kernel.definition)
    del function.__wrapped__
    signature = kernel.__signature__
    function.__signature__ = signature.replace(parameters=[p for n, p in signature.parameters.items() if n != "out"])
    return function
