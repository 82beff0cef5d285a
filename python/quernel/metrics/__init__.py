"""metrics: numbers that tell how good predictions are."""

from .. import losses as _losses
from ..identifiers import Family as _Family
from .accuracy import Accuracy as Accuracy
from .accuracy import BinaryAccuracy as BinaryAccuracy
from .accuracy import CategoricalAccuracy as CategoricalAccuracy
from .accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from .accuracy import binary_accuracy as binary_accuracy
from .accuracy import categorical_accuracy as categorical_accuracy
from .accuracy import sparse_categorical_accuracy as sparse_categorical_accuracy
from .mean import Mean as Mean
from .mean import MeanMetricWrapper as MeanMetricWrapper
from .mean import MeanSquaredError as MeanSquaredError
from .metric import Metric as Metric

_family = _Family(
    "metric",
    [Accuracy, BinaryAccuracy, CategoricalAccuracy, Mean, MeanSquaredError, SparseCategoricalAccuracy],
    {
        "mse": MeanSquaredError,
        "MSE": MeanSquaredError,
        "binary_crossentropy": _losses.binary_crossentropy,
        "categorical_crossentropy": _losses.categorical_crossentropy,
        "sparse_categorical_crossentropy": _losses.sparse_categorical_crossentropy,
    },
)


def get(identifier):
    """The metric for a name, a configuration, or an object or function as it is.

    Example:
        >>> import quernel as qn
        >>> type(qn.metrics.get("mse")).__name__
        'MeanSquaredError'
    """
    return _family.get(identifier)


def serialize(metric):
    """The configuration of a metric, or the name of a function."""
    return _family.serialize(metric)


def deserialize(config, custom_objects=None):
    """The metric for what `serialize` returned."""
    return _family.deserialize(config, custom_objects)
