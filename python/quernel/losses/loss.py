"""Loss: the base of all losses; LossFunctionWrapper makes one of a function."""

from .. import ops, recording
from ..dtypes import floatx
from ..naming import auto_name
from .reduction import (
    mask_of,
    reduce_weighted_values,
    squeeze_or_expand_to_same_rank,
    standardize_reduction,
    tensor_of,
)


class Loss(recording.Versioned):
    """The base of losses: `call(y_true, y_pred)` gives one value for each sample, the reduction makes a scalar of them.

    Args:
        name: name of the loss; by default from the class's name.
        reduction: "sum_over_batch_size" or "mean" (sum / number of values), "sum", "mean_with_sample_weight"
            (sum / sum of the weights), "none" or None (no reduction).
        dtype: dtype of the computation, "float32" by default.

    Example:
        >>> import quernel as qn
        >>> class Absolute(qn.losses.Loss):
        ...     def call(self, y_true, y_pred):
        ...         return qn.ops.mean(qn.ops.absolute(y_true - y_pred), axis=-1)
        >>> float(Absolute()([[0.0, 0.0]], [[1.0, 3.0]]))
        2.0
    """

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        self.name = name or auto_name(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._dtype = floatx() if dtype is None else dtype

    @property
    def dtype(self):
        return self._dtype

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The reduced loss; `sample_weight` has the values' shape, or weighs whole samples."""
        if recording.count:
            recording.touch(self)
        y_pred = tensor_of(y_pred, self.dtype)
        values = self.call(self._target(y_true), y_pred)
        masks = [m for m in (mask_of(y_pred), mask_of(values)) if m is not None]
        mask = ops.logical_and(*masks) if len(masks) == 2 else masks[0] if masks else None
        return reduce_weighted_values(values, sample_weight, mask, self.reduction, self.dtype)

    def _target(self, y_true):
        return tensor_of(y_true, self.dtype)

    def call(self, y_true, y_pred):
        """The values of the loss, one for each sample; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has to define call(self, y_true, y_pred)")

    def get_config(self):
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class LossFunctionWrapper(Loss):
    """The loss made of a function `fn(y_true, y_pred, **kwargs)` that gives one value for each sample."""

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, dtype=None, **kwargs):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true, y_pred):
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self):
        return {**super().get_config(), **self._fn_kwargs}

    def __repr__(self):
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"
