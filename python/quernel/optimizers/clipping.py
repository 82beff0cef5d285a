"""Clipping of gradients by their norm; one whose square is beyond the largest float counts like any other."""

from .. import ops
from ..dtypes import floatx
from ..ops.norm import SQUARE_FACTOR, factor_where


def clip_by_norm(g, limit):
    """g * (limit / max(norm of g, limit)), which leaves a norm up to `limit` as it is.

    Args:
        g: Tensor.
        limit: number above 0.

    Example:
        >>> import quernel as qn
        >>> from quernel.optimizers.clipping import clip_by_norm
        >>> clip_by_norm(qn.constant([3e30, 4e30]), 1.0).numpy().round(3).tolist()
        [0.6000000238418579, 0.800000011920929]
    """
    (g,), scale = global_scale([g], limit, g.dtype)
    return g * scale


def global_scale(grads, limit, dtype=None):
    """(gradients, limit / max(norm of all of them, limit)): their products have the norm `limit` at most.

    Args:
        grads: list of Tensors. Where the sum of their squares overflows, all come back times a power of two.
        limit: number above 0.
        dtype: of the second result; None means floatx().
    """
    dtype = dtype or floatx()
    least = limit = float(limit)
    total = _sum_of_squares(grads, dtype)
    if total.dtype in SQUARE_FACTOR:
        # Twice the sums and once a product cost less than one look for the largest magnitude.
        factor = factor_where(ops.equal(total, float("inf")), total.dtype)
        grads = [g * ops.cast(factor, dtype=g.dtype) for g in grads]
        total = _sum_of_squares(grads, dtype)
        least = factor * limit
    return grads, limit / ops.maximum(ops.sqrt(total), least)


def _sum_of_squares(grads, dtype):
    """By products of a row and a column, which read a gradient once and write nothing."""
    total = None
    for g in grads:
        part = ops.reshape(ops.matmul(ops.reshape(g, (1, -1)), ops.reshape(g, (-1, 1))), ())
        part = ops.cast(part, dtype=dtype)
        total = part if total is None else total + part
    return total
