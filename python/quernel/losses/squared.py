"""The mean squared error, as a function and as a Loss."""

from .. import ops
from .loss import LossFunctionWrapper
from .reduction import floats, squeeze_or_expand_to_same_rank


def mean_squared_error(y_true, y_pred):
    """loss = mean over the last axis of (y_true - y_pred)^2.

    Args:
        y_true: targets (n, ..., d).
        y_pred: predictions (n, ..., d).

    Returns:
        A Tensor (n, ...).

    Example:
        >>> import quernel as qn
        >>> qn.losses.mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).numpy()
        array([0.5], dtype=float32)
    """
    y_true, y_pred = squeeze_or_expand_to_same_rank(*floats(y_true, y_pred))
    return ops.mean_squared_error(y_true, y_pred)


class MeanSquaredError(LossFunctionWrapper):
    """The mean of (y_true - y_pred)^2.

    Args:
        reduction: see Loss.
        name: name of the loss.
        dtype: dtype of the computation.

    Example:
        >>> import quernel as qn
        >>> float(qn.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]))
        0.5
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(mean_squared_error, name=name, reduction=reduction, dtype=dtype)
