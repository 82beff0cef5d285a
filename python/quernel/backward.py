"""The gradient rules of kernels, and the backward pass that runs them.

A gradient rule is registered for a kernel by `@gradient(kernel)` in ops/<room>.py. It takes a Node and the Tensors of
the output gradients, and returns one Tensor or None for each input. It calls `ops.*` only, so backward is itself
recorded by outer tapes.
"""

import importlib

from .kernels.kernel import is_float

RULES = {}  # kernel name -> rule, or None for ops whose outputs never carry a gradient
_MISSING = object()


def gradient(kernel):
    """Registers the decorated function as the gradient rule of `kernel`: rule(node, *dys) -> gradients of the inputs.

    `node.inputs` are Tensors (None where absent, lists where variadic), `node.outputs` Tensors, `node.attrs` a dict,
    and `node.needs(i)` tells whether the gradient of input i is wanted. An entry of `dys` is None when that output is
    not connected. For a variadic input the rule returns a list.
    """

    def decorate(rule):
        RULES[kernel.name] = rule
        return rule

    return decorate


def no_gradient(*kernels):
    """Registers kernels whose outputs never carry a gradient (comparisons, argmax, random numbers)."""
    for kernel in kernels:
        RULES[kernel.name] = None


def rule_of(kernel):
    """The gradient rule of a kernel, None if its outputs never carry a gradient; imports quernel.ops.<room> on
    first use.
    """
    rule = RULES.get(kernel.name, _MISSING)
    if rule is _MISSING:
        room = f"quernel.ops.{kernel.module}"
        if importlib.util.find_spec(room) is not None:
            importlib.import_module(room)
        rule = RULES.get(kernel.name, _MISSING)
        if rule is _MISSING:
            raise LookupError(
                f"the kernel {kernel.name!r} has no gradient rule: {room} must register one by @gradient or no_gradient"
            )
    return rule


class Node:
    """One recorded op."""

    __slots__ = ("kernel", "inputs", "outputs", "attrs", "wanted")

    def __init__(self, kernel, inputs, outputs, attrs):
        self.kernel, self.inputs, self.outputs, self.attrs = kernel, inputs, outputs, attrs

    def needs(self, index):
        """Whether the gradient of input `index` is wanted."""
        value = self.inputs[index]
        if value is None:
            return False
        if isinstance(value, list):
            return any(id(v) in self.wanted for v in value)
        return id(value) in self.wanted


def touches(inputs, ids):
    """Whether one of a node's inputs is in `ids`."""
    for value in inputs:
        if type(value) is list:
            if any(id(v) in ids for v in value):
                return True
        elif id(value) in ids:
            return True
    return False


def backward(summed, nodes, grads, wanted):
    """Runs the rules of the nodes between `wanted` Tensors and those in `grads`, last first; consumes `nodes`, fills
    `grads`.

    Several gradients of one Tensor are added in the reverse order of the ops that used it.
    """
    sources = set(wanted)
    path = []
    for node in nodes:
        if touches(node.inputs, wanted):
            path.append(node)
            wanted.update(id(o) for o in node.outputs if is_float(o._array.dtype))
    nodes.clear()
    while path:
        node = path.pop()
        dys = [grads.get(id(o)) if id(o) in sources else grads.pop(id(o), None) for o in node.outputs]
        if all(dy is None for dy in dys):
            continue
        node.wanted = wanted
        parts = rule_of(node.kernel)(node, *dys)
        if len(parts) != len(node.inputs):
            raise AssertionError(
                f"the gradient rule of {node.kernel.name} gave {len(parts)} gradients for {len(node.inputs)} inputs"
            )
        for value, part in zip(node.inputs, parts):
            if part is None:
                continue
            if type(value) is list:
                for v, p in zip(value, part):
                    if p is not None:
                        _accumulate(summed, node, grads, wanted, v, p)
            else:
                _accumulate(summed, node, grads, wanted, value, part)


def _accumulate(summed, node, grads, wanted, value, part):
    key = id(value)
    if key not in wanted:
        return
    if part.shape != value.shape or part.dtype != value.dtype:
        raise AssertionError(
            f"the gradient rule of {node.kernel.name} gave shape {part.shape} and dtype {part.dtype} "
            f"for an input of shape {value.shape} and dtype {value.dtype}"
        )
    before = grads.get(key)
    grads[key] = part if before is None else summed(before, part)
