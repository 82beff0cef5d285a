"""Accuracies: how often predictions are right."""

from .. import ops
from ..dtypes import floatx
from ..losses.reduction import squeeze_or_expand_to_same_rank, tensor_of
from ..tensor import as_tensor
from .mean import MeanMetricWrapper


def _hits(equal):
    """1.0 where true, and the mean over the last axis where there are several axes."""
    hits = ops.cast(equal, dtype=floatx())
    return ops.mean(hits, axis=-1) if len(hits.shape) > 1 else hits


def exact_accuracy(y_true, y_pred):
    """1 where y_true equals y_pred, 0 elsewhere."""
    y_pred = as_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(tensor_of(y_true, y_pred.dtype), y_pred)
    return ops.cast(ops.equal(y_true, y_pred), dtype=floatx())


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """1 where y_pred > threshold is what y_true (0 or 1) says, averaged over the last axis where there are several.

    Example:
        >>> import quernel as qn
        >>> qn.metrics.binary_accuracy([[1], [1]], [[0.9], [0.2]]).numpy()
        array([1., 0.], dtype=float32)
    """
    y_true, y_pred = squeeze_or_expand_to_same_rank(as_tensor(y_true), as_tensor(y_pred))
    return _hits(ops.equal(y_true, ops.cast(ops.greater(y_pred, threshold), dtype=y_true.dtype)))


def categorical_accuracy(y_true, y_pred):
    """1 where the largest of y_pred is at the largest of y_true (one-hot labels), along the last axis.

    Example:
        >>> import quernel as qn
        >>> qn.metrics.categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]).numpy()
        array([1., 0.], dtype=float32)
    """
    y_true = ops.argmax(as_tensor(y_true), axis=-1)
    return sparse_categorical_accuracy(y_true, y_pred)


def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest of y_pred along the last axis is at the integer label y_true (n, ...) or (n, ..., 1).

    Example:
        >>> import quernel as qn
        >>> qn.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]]).numpy()
        array([1., 0.], dtype=float32)
    """
    y_true, y_pred = as_tensor(y_true), as_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    guess = ops.argmax(y_pred, axis=-1)
    return ops.cast(ops.equal(tensor_of(y_true, guess.dtype), guess), dtype=floatx())


class Accuracy(MeanMetricWrapper):
    """How often predictions equal labels.

    Example:
        >>> import quernel as qn
        >>> float(qn.metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]]))
        0.75
    """

    _direction = "up"

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(exact_accuracy, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions above `threshold` match labels of 0 and 1.

    Example:
        >>> import quernel as qn
        >>> float(qn.metrics.BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]))
        0.75
    """

    _direction = "up"

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(f"threshold: expected a number between 0 and 1, received {threshold}")
        super().__init__(binary_accuracy, name=name, dtype=dtype, threshold=threshold)
        self.threshold = threshold

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is at the 1 of a one-hot label.

    Example:
        >>> import quernel as qn
        >>> float(qn.metrics.CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]]))
        0.5
    """

    _direction = "up"

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is at the integer label.

    Example:
        >>> import quernel as qn
        >>> float(qn.metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]]))
        0.5
    """

    _direction = "up"

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}
