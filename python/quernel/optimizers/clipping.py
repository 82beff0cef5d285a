"""Clipping of gradients by their norm; one whose square is beyond the largest float counts like any other."""

from .. import ops
from ..dtypes import floatx
from ..ops.norm import square_factor


def clip_by_norm(g, limit):
    """g * limit / max(norm of g, limit), which leaves a norm up to `limit` as it is.

    Args:
        g: Tensor.
        limit: number above 0.

    Example:
        >>> import quernel as qn
        >>> from quernel.optimizers.clipping import clip_by_norm
        >>> clip_by_norm(qn.constant([3e30, 4e30]), 1.0).numpy().round(3).tolist()
        [0.6000000238418579, 0.800000011920929]
    """
    limit = float(limit)
    factor = square_factor([g])
    if factor is None:
        return g * limit / ops.maximum(ops.sqrt(ops.sum(ops.square(g))), limit)
    g = g * factor
    return g * limit / ops.maximum(ops.sqrt(ops.sum(ops.square(g))), factor * limit)


def global_scale(grads, limit):
    """(gradients, limit / max(norm of all of them, limit)): their products have the norm `limit` at most.

    Args:
        grads: list of Tensors. Where the square of one is large, all come back times a power of two.
        limit: number above 0.
    """
    least = limit = float(limit)
    factor = square_factor(grads)
    if factor is not None:
        grads = [g * ops.cast(factor, dtype=g.dtype) for g in grads]
        least = ops.cast(factor, dtype=floatx()) * limit
    total = None
    for g in grads:
        part = ops.cast(ops.sum(ops.square(g)), dtype=floatx())
        total = part if total is None else total + part
    return grads, limit / ops.maximum(ops.sqrt(total), least)
