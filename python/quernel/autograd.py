"""GradientTape: records ops on Tensors while they run, and replays their gradient rules backwards.

A gradient rule is registered for a kernel by `@gradient(kernel)` in ops/<op>.py. It takes a Node and the Tensors of the output
gradients, and returns one Tensor or None for each input. It calls `ops.*` only, so backward is itself recorded by outer tapes.
"""

import threading

_RULES = {}  # kernel name -> rule, or None for ops whose outputs never carry a gradient
_local = threading.local()


def gradient(kernel):
    """Registers the decorated function as the gradient rule of `kernel`: rule(node, *dys) -> gradients of the inputs.

    `node.inputs` are Tensors (None where absent, lists where variadic), `node.outputs` Tensors, `node.attrs` a dict, and
    `node.needs(i)` tells whether the gradient of input i is wanted. An entry of `dys` is None when that output is not connected.
    For a variadic input the rule returns a list.
    """

    def decorate(rule):
        _RULES[kernel.name] = rule
        return rule

    return decorate


def no_gradient(*kernels):
    """Registers kernels whose outputs never carry a gradient (comparisons, argmax, random numbers)."""
    for kernel in kernels:
        _RULES[kernel.name] = None


def tapes():
    """The stack of this thread's recording tapes, innermost last."""
    try:
        return _local.stack
    except AttributeError:
        _local.stack = []
        return _local.stack


def is_watched(tensor):
    """Whether a recording tape of this thread follows `tensor`."""
    return any(tape._recording and id(tensor) in tape._tracked for tape in tapes())


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
