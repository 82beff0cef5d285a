"""apply: runs a kernel on Tensors and tells the tapes; `op` makes a function of quernel.ops out of a kernel."""

import functools

from .. import autograd, recording
from ..reader import Reader, derived
from ..tensor import Tensor, as_tensor
from ..tensor import convert_to_tensor as convert_to_tensor


def is_symbolic(value):
    """Whether `value` is a KerasTensor (a shape and a dtype without data)."""
    return getattr(value, "_is_symbolic", False)


def operand(value, name="value"):
    """What may be asked for `.shape` and `.dtype`: a KerasTensor as it is, a Tensor of anything else."""
    return value if is_symbolic(value) else as_tensor(value, name)


def shape(x):
    """The shape as a tuple of ints, with None where an axis of a KerasTensor is open.

    Example:
        >>> import quernel as qn
        >>> qn.ops.shape([[1.0, 2.0, 3.0]])
        (1, 3)
    """
    return tuple(operand(x).shape)


def apply(kernel, inputs, attrs):
    """Runs `kernel` on `inputs` (Tensors, Variables, arrays, None; lists where variadic): a Tensor, or a tuple."""
    result = kernel.quick(inputs, attrs)
    if result is not None:
        return result
    tensors = []
    arrays = []
    readers = False
    for i, value in enumerate(inputs):
        kind = type(value)
        if kind is Tensor:
            arrays.append(value._array)
        elif value is None:
            arrays.append(None)
        elif kernel.variadic and kernel.inputs[i] in kernel.variadic:
            if any(map(is_symbolic, value)):
                return _symbolic(kernel, inputs, attrs)
            value = [as_tensor(v, name=kernel.inputs[i]) for v in value]
            arrays.append([v._array for v in value])
        elif is_symbolic(value):
            return _symbolic(kernel, inputs, attrs)
        else:
            value = as_tensor(value, name=kernel.inputs[i])
            readers = readers or type(value) is Reader
            arrays.append(value._array)
        tensors.append(value)
    if recording.count:
        result = kernel.run(arrays, kernel.freeze(attrs))
    else:
        if "out" in attrs:
            raise TypeError(f"{kernel.name}: unknown argument 'out'; Tensors are immutable")
        result = kernel(*arrays, **attrs)  # which the core may know
    if type(result) is tuple:
        outputs = tuple(map(Tensor, result))
        single = False
    else:
        outputs = (derived(result, tensors) if readers else Tensor(result),)
        single = True
    if recording.count:
        recorder = recording.current()
        if recorder is not None:
            recorder.keep(outputs)
    for tape in autograd.tapes():
        tape._record(kernel, tensors, outputs, attrs)
    return outputs[0] if single else outputs


def _symbolic(kernel, inputs, attrs):
    from ..operation import apply_symbolic

    return apply_symbolic(kernel, inputs, attrs)


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
