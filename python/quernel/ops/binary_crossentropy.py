"""binary_crossentropy, under keras.ops' name, and its gradient rules."""

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.loss import HIGH, LOW
from .apply import apply, op
from .loss import floats

binary_crossentropy_dx = op(kernels.binary_crossentropy_dx)


def binary_crossentropy(target, output, from_logits=False):
    """Cross-entropy of yes-or-no targets, element by element; see `quernel.kernels.binary_crossentropy`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.binary_crossentropy([1.0, 0.0], [0.5, 0.5]).numpy().round(3)
        array([0.693, 0.693], dtype=float32)
    """
    return apply(kernels.binary_crossentropy, floats(target, output), {"from_logits": from_logits})


@gradient(kernels.binary_crossentropy)
def _(node, dy):
    target, output = node.inputs
    d_target = None
    if node.needs(0):
        if node.attrs["from_logits"]:
            slope = ops.negative(output)
        else:
            p = ops.clip(output, LOW, HIGH)
            slope = ops.subtract(ops.log(ops.subtract(1, p)), ops.log(p))
        d_target = ops.multiply(slope, dy)
    return d_target, binary_crossentropy_dx(dy, target, output, **node.attrs)


@gradient(kernels.binary_crossentropy_dx)
def _(node, g):
    dy, t, x = node.inputs
    weight = ops.multiply(g, dy)
    d_dy = binary_crossentropy_dx(g, t, x, **node.attrs)
    if node.attrs["from_logits"]:
        p = ops.sigmoid(x)
        return d_dy, ops.negative(weight), ops.multiply(weight, ops.multiply(p, ops.subtract(1, p)))
    # dx is linear in t: its values at t = 0 and t = 1 are 1 / (1 - x) and -1 / x inside the clip, 0 outside.
    ones = ops.ones_like(x)
    at_zero = binary_crossentropy_dx(ones, ops.zeros_like(x), x)
    at_one = binary_crossentropy_dx(ones, ones, x)
    curvature = ops.add(
        ops.multiply(ops.subtract(1, t), ops.multiply(at_zero, at_zero)), ops.multiply(t, ops.multiply(at_one, at_one))
    )
    return d_dy, ops.multiply(weight, ops.subtract(at_one, at_zero)), ops.multiply(weight, curvature)
