"""categorical_crossentropy, under keras.ops' name, and its gradient rules."""

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.axes import canonical_axis
from ..kernels.loss import HIGH, LOW
from .apply import apply, op
from .loss import floats

categorical_crossentropy_dx = op(kernels.categorical_crossentropy_dx)


def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """Cross-entropy of a target distribution along an axis; see `quernel.kernels.categorical_crossentropy`.

    Args:
        target: probabilities.
        output: predicted probabilities (scaled to sum to 1), or logits; the same shape.
        from_logits: whether `output` holds logits.
        axis: the axis of the classes.

    Returns:
        loss, without that axis.

    Example:
        >>> import quernel as qn
        >>> qn.ops.categorical_crossentropy([[0.0, 1.0]], [[0.75, 0.25]]).numpy().round(3)
        array([1.386], dtype=float32)
    """
    target, output = floats(target, output)
    if (
        len(output.shape) > 0
        and canonical_axis("categorical_crossentropy: axis", axis, len(output.shape)) != len(output.shape) - 1
    ):
        target, output = ops.moveaxis(target, axis, -1), ops.moveaxis(output, axis, -1)
    return apply(kernels.categorical_crossentropy, (target, output), {"from_logits": from_logits})


def _row_sum(x):
    return ops.sum(x, -1, keepdims=True)


@gradient(kernels.categorical_crossentropy)
def _(node, dy):
    target, output = node.inputs
    d_target = None
    if node.needs(0):
        if node.attrs["from_logits"]:
            logs = ops.log_softmax(output)
        else:
            logs = ops.log(ops.clip(ops.divide(output, _row_sum(output)), LOW, HIGH))
        d_target = ops.negative(ops.multiply(logs, ops.expand_dims(dy, -1)))
    return d_target, categorical_crossentropy_dx(dy, target, output, **node.attrs)


@gradient(kernels.categorical_crossentropy_dx)
def _(node, g):
    dy, t, x = node.inputs
    weight = ops.expand_dims(dy, -1)
    d_dy = d_t = d_x = None
    if node.needs(0):
        unit = categorical_crossentropy_dx(ops.ones_like(dy), t, x, **node.attrs)
        d_dy = ops.sum(ops.multiply(g, unit), -1)
    if node.attrs["from_logits"]:
        p = ops.softmax(x)
        if node.needs(1):
            d_t = ops.multiply(weight, ops.subtract(_row_sum(ops.multiply(g, p)), g))
        if node.needs(2):
            d_x = ops.multiply(ops.multiply(weight, _row_sum(t)), ops.softmax_dx(g, p))
        return d_dy, d_t, d_x
    # dx_i = (C / S - u_i) dy with S = sum(x), C = sum of t inside the clip, u_i = t_i / x_i there and 0 outside.
    total = _row_sum(x)
    q = ops.divide(x, total)
    inside = ops.logical_and(ops.greater_equal(q, LOW), ops.less_equal(q, HIGH))
    zeros = ops.zeros_like(x)
    if node.needs(1):
        slope = ops.subtract(ops.divide(_row_sum(g), total), ops.divide(g, x))
        d_t = ops.multiply(weight, ops.where(inside, slope, zeros))
    if node.needs(2):
        kept = ops.where(inside, t, zeros)
        share = ops.divide(ops.multiply(_row_sum(kept), _row_sum(g)), ops.square(total))
        own = ops.where(inside, ops.divide(ops.multiply(g, t), ops.square(x)), zeros)
        d_x = ops.multiply(weight, ops.subtract(own, share))
    return d_dy, d_t, d_x
