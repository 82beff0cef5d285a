"""Mean, and the metrics that are the mean of a function of targets and predictions."""

from .. import kernels, losses, ops
from ..losses.reduction import apply_mask, mask_of, squeeze_or_expand_to_same_rank, tensor_of
from ..tensor import as_tensor
from .metric import Metric


def _samplewise(values, sample_weight, dtype):
    """Values and weights with one entry for each sample: further axes are averaged, weighted entry by entry."""
    mask = mask_of(values)
    values = tensor_of(values, dtype)
    if sample_weight is not None:
        sample_weight = apply_mask(tensor_of(sample_weight, dtype), mask, dtype, "sum")
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        rank = len(sample_weight.shape)
        if len(values.shape) > rank:
            values = ops.mean(values, axis=tuple(range(rank, len(values.shape))))
        sample_weight = ops.broadcast_to(sample_weight, values.shape)
        values = values * sample_weight
        if rank > 1:
            sample_weight = ops.mean(sample_weight, axis=tuple(range(1, rank)))
    if len(values.shape) > 1:
        values = ops.mean(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


class Mean(Metric):
    """The weighted mean of all values seen: sum(w * v) / sum(w), 0 before the first.

    State: `total` and `count`, and `lost`, what rounding took from `total` so far (Kahan's compensated sum), so that a
    million batches lose no more than one.

    Args:
        name: name of the metric.
        dtype: dtype of state and result.

    Example:
        >>> import quernel as qn
        >>> m = qn.metrics.Mean()
        >>> m.update_state([1, 3, 5, 7])
        >>> float(m.result())
        4.0
        >>> m.reset_state()
        >>> m.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
        >>> float(m.result())
        2.0
    """

    def __init__(self, name="mean", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")
        self.lost = self.add_variable((), "zeros", name="lost")

    def update_state(self, values, sample_weight=None):
        """Adds values (n, ...) with weights that have their shape, or (n,), or are one number."""
        if isinstance(sample_weight, (int, float)) and getattr(values, "shape", None) == ():
            self._add(tensor_of(values, self.dtype), sample_weight, product=True)
            return
        values, sample_weight = _samplewise(values, sample_weight, self.dtype)
        if sample_weight is not None:
            weight = ops.sum(sample_weight)
        else:
            weight = values.shape[0] if values.shape else 1
        self._add(ops.sum(values) if values.shape else values, weight, product=False)

    def _add(self, value, weight, product):
        weight = as_tensor(weight, dtype=self.dtype)
        state = [v._prepare_write() for v in (self.total, self.count, self.lost)]
        kernels.mean_update(*state, value._array, weight._array, product=product)

    def result(self):
        return ops.divide_no_nan(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The mean of `fn(y_true, y_pred, **kwargs)`, which gives one value for each sample.

    Args:
        fn: the function.
        name: name of the metric.
        dtype: dtype of state and result.
        **kwargs: further arguments of fn.

    Example:
        >>> import quernel as qn
        >>> m = qn.metrics.MeanMetricWrapper(lambda t, p: qn.ops.absolute(t - p), name="distance")
        >>> float(m(qn.constant([0.0, 0.0]), qn.constant([1.0, 3.0])))
        2.0
    """

    def __init__(self, fn, name=None, dtype=None, **kwargs):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch of targets and predictions."""
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        sample_weight = apply_mask(sample_weight, mask_of(y_pred), self.dtype, "sum")
        super().update_state(values, sample_weight)

    def get_config(self):
        return {**super().get_config(), "fn": self._fn, **self._fn_kwargs}


class MeanSquaredError(MeanMetricWrapper):
    """The mean of (y_true - y_pred)^2.

    Example:
        >>> import quernel as qn
        >>> float(qn.metrics.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]))
        0.5
    """

    _direction = "down"

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(losses.mean_squared_error, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}
