"""How the values of a loss, sample weights and masks become one number."""

import math

from .. import ops
from ..dtypes import is_float
from ..ops.apply import is_symbolic, operand

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def standardize_reduction(reduction):
    """The reduction itself, or ValueError."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction: expected one of {_REDUCTIONS}, received {reduction!r}")
    return reduction


def tensor_of(value, dtype):
    """`value` as a Tensor of `dtype`: the very same Tensor where nothing changes, which keeps its logits and mask."""
    tensor = operand(value)
    return tensor if tensor.dtype == dtype else ops.cast(tensor, dtype=dtype)


def floats(y_true, y_pred):
    """Both as Tensors of y_pred's dtype (float32 where that is an integer dtype)."""
    y_pred = operand(y_pred)
    y_pred = y_pred if is_float(y_pred.dtype) else ops.cast(y_pred, dtype="float32")
    return tensor_of(y_true, y_pred.dtype), y_pred


def mask_of(tensor):
    """The mask that a layer left on `tensor`, or None."""
    return getattr(tensor, "_keras_mask", None)


def count(tensor):
    """The number of elements of a Tensor; None for a KerasTensor whose batch size is open."""
    return None if None in tensor.shape else math.prod(tensor.shape)


def squeeze_or_expand_to_same_rank(x1, x2, expand_rank_1=True):
    """Where the ranks differ by one and the longer shape ends in 1, drops that axis or gives the other one such an
    axis.

    An operand of rank 1 is expanded (if `expand_rank_1`), a longer one stays and the other is squeezed.
    """
    n1, n2 = len(x1.shape), len(x2.shape)
    if n1 == n2 + 1 and x1.shape[-1] == 1:
        if n2 == 1 and expand_rank_1:
            x2 = ops.expand_dims(x2, axis=-1)
        else:
            x1 = ops.squeeze(x1, axis=-1)
    elif n2 == n1 + 1 and x2.shape[-1] == 1:
        if n1 == 1 and expand_rank_1:
            x1 = ops.expand_dims(x1, axis=-1)
        else:
            x2 = ops.squeeze(x2, axis=-1)
    return x1, x2


def apply_mask(sample_weight, mask, dtype, reduction):
    """The sample weights with masked entries at 0; for means the others grow, so that only valid entries count."""
    if mask is None:
        return sample_weight
    mask = tensor_of(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        mask = mask * ops.divide_no_nan(float(count(mask)), ops.sum(mask))
    if sample_weight is None:
        return mask
    mask, sample_weight = squeeze_or_expand_to_same_rank(mask, tensor_of(sample_weight, dtype))
    return weights_for(mask, sample_weight) * with_axes_of(mask, sample_weight)


def with_axes_of(tensor, other):
    """`tensor` with axes of size 1 behind its own, as many as `other` has more."""
    missing = len(other.shape) - len(tensor.shape)
    return ops.reshape(tensor, tensor.shape + (1,) * missing) if missing > 0 else tensor


def weights_for(values, sample_weight):
    """The weights of samples as those of their positions, too; ValueError where they fit neither."""
    wide = with_axes_of(sample_weight, values)
    pairs = zip(reversed(wide.shape), reversed(values.shape))
    if any(a != b and None not in (a, b) and 1 not in (a, b) for a, b in pairs):
        raise ValueError(
            f"sample_weight: expected a weight for each sample, shape {tuple(values.shape[:1])}, or for each value, shape "
            f"{tuple(values.shape)}, received shape {tuple(sample_weight.shape)}"
        )
    return wide


def reduce_values(values, sample_weight=None, reduction="sum_over_batch_size"):
    """One number of the (weighted) values, as the reduction says."""
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return ops.divide_no_nan(total, ops.sum(sample_weight))
    if is_symbolic(values):
        return total
    return total / float(max(count(values), 1))


def reduce_weighted_values(values, sample_weight=None, mask=None, reduction="sum_over_batch_size", dtype="float32"):
    """Applies weights and mask to the values, then reduces them."""
    values = tensor_of(values, dtype)
    if sample_weight is not None:
        sample_weight = tensor_of(sample_weight, dtype)
    sample_weight = apply_mask(sample_weight, mask, dtype, reduction)
    if sample_weight is not None:
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        sample_weight = weights_for(values, sample_weight)
        values = values * sample_weight
    return reduce_values(values, sample_weight, reduction)
