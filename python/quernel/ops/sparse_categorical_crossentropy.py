"""sparse_categorical_crossentropy, under keras.ops' name, and its gradient rules."""

import numpy as np

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.axes import canonical_axis
from ..kernels.kernel import is_float
from .apply import apply, op, operand

sparse_categorical_crossentropy_dx = op(kernels.sparse_categorical_crossentropy_dx)


def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """Cross-entropy of class numbers along an axis; see `quernel.kernels.sparse_categorical_crossentropy`.

    Args:
        target: class numbers, shaped like output without `axis`; a last axis of size 1 is dropped, floats are cast.
        output: predicted probabilities, or logits.
        from_logits: whether `output` holds logits.
        axis: the axis of the classes.

    Returns:
        loss, without that axis.

    Example:
        >>> import quernel as qn
        >>> qn.ops.sparse_categorical_crossentropy([1], [[0.75, 0.25]]).numpy().round(3)
        array([1.386], dtype=float32)
    """
    target, output = operand(target), operand(output)
    rank = len(output.shape)
    if not is_float(np.dtype(output.dtype)):
        output = ops.cast(output, "float32")
    if np.dtype(target.dtype).kind not in "iu":
        target = ops.cast(target, "int32")
    if rank and len(target.shape) == rank and target.shape[-1] == 1:
        target = ops.squeeze(target, -1)
    if rank and canonical_axis("sparse_categorical_crossentropy: axis", axis, rank) != rank - 1:
        output = ops.moveaxis(output, axis, -1)
    return apply(kernels.sparse_categorical_crossentropy, (target, output), {"from_logits": from_logits})


@gradient(kernels.sparse_categorical_crossentropy)
def _(node, dy):
    return None, sparse_categorical_crossentropy_dx(dy, *node.inputs, **node.attrs)


@gradient(kernels.sparse_categorical_crossentropy_dx)
def _(node, g):
    dy, t, x = node.inputs
    d_dy = d_x = None
    weight = ops.expand_dims(dy, -1)
    # Without dy: softmax(x) - one_hot(t), or -1 / x at the target.
    unit = sparse_categorical_crossentropy_dx(ops.ones_like(dy), t, x, **node.attrs)
    if node.needs(0):
        d_dy = ops.sum(ops.multiply(g, unit), -1)
    if node.needs(2):
        if node.attrs["from_logits"]:
            d_x = ops.multiply(weight, ops.softmax_dx(g, ops.softmax(x)))
        else:
            d_x = ops.multiply(ops.multiply(weight, g), ops.square(unit))
    return d_dy, None, d_x
