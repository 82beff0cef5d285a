"""What the recurrent ops share: steps made of other ops, for gradients that the fused kernels do not give."""

from .. import ops
from ..autograd import GradientTape


def squash(x, activation):
    """An activation by name; None and "linear" give x."""
    return x if activation in (None, "linear") else getattr(ops, activation)(x)


def slope(y, activation):
    """The slope of an activation as a function of its result."""
    if activation == "relu":
        return ops.relu_dx(ops.ones_like(y), y)
    if activation == "sigmoid":
        return ops.multiply(y, ops.subtract(1.0, y))
    return ops.subtract(1.0, ops.square(y)) if activation == "tanh" else ops.ones_like(y)


def times(t, go_backwards):
    """(step, time) in the order of the steps."""
    return [(s, t - 1 - s if go_backwards else s) for s in range(t)]


def counted(mask, at, new, old):
    """`new` in the rows whose step at time `at` counts, `old` in the others."""
    return new if mask is None else ops.where(ops.expand_dims(mask[:, at], 1), new, old)


def stacked(steps, shape, dtype, axis=1):
    """The steps' Tensors along `axis`; without steps zeros of `shape`."""
    return ops.stack(steps, axis=axis) if steps else ops.zeros(shape, dtype)


def through(steps, node, dys, passive=()):
    """The gradients of node.inputs, but of those in `passive`, through `steps`: the same op made of others."""
    inputs = [None if v is None else ops.reshape(v, v.shape) for v in node.inputs]  # each a Tensor of its own
    wanted = [i for i, v in enumerate(inputs) if v is not None and i not in passive and node.needs(i)]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([inputs[i] for i in wanted])
        outputs = steps(*inputs, **node.attrs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    pairs = [(v, dy) for v, dy in zip(outputs, dys) if dy is not None]
    found = tape.gradient([v for v, _ in pairs], [inputs[i] for i in wanted], [dy for _, dy in pairs])
    gradients = [None] * len(inputs)
    for i, value in zip(wanted, found):
        gradients[i] = value
    return gradients
