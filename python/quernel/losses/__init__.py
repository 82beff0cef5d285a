"""losses: what training makes small."""

from ..identifiers import Family as _Family
from .crossentropy import BinaryCrossentropy as BinaryCrossentropy
from .crossentropy import CategoricalCrossentropy as CategoricalCrossentropy
from .crossentropy import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from .crossentropy import binary_crossentropy as binary_crossentropy
from .crossentropy import categorical_crossentropy as categorical_crossentropy
from .crossentropy import linear_cross_entropy as linear_cross_entropy
from .crossentropy import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from .loss import Loss as Loss
from .squared import MeanSquaredError as MeanSquaredError
from .squared import mean_squared_error as mean_squared_error

mse = mean_squared_error

_family = _Family(
    "loss",
    [BinaryCrossentropy, CategoricalCrossentropy, MeanSquaredError, SparseCategoricalCrossentropy],
    {
        "binary_crossentropy": binary_crossentropy,
        "bce": binary_crossentropy,
        "BCE": binary_crossentropy,
        "categorical_crossentropy": categorical_crossentropy,
        "mean_squared_error": mean_squared_error,
        "mse": mean_squared_error,
        "MSE": mean_squared_error,
        "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
    },
)


def get(identifier):
    """The loss for a name (a function for names in snake case, else an object), a configuration, or a callable as
    it is.

    Example:
        >>> import quernel as qn
        >>> qn.losses.get("mse").__name__, type(qn.losses.get("MeanSquaredError")).__name__
        ('mean_squared_error', 'MeanSquaredError')
    """
    return _family.get(identifier)


def serialize(loss):
    """The configuration of a loss, or the name of a function."""
    return _family.serialize(loss)


def deserialize(name, custom_objects=None):
    """The loss for what `serialize` returned."""
    return _family.deserialize(name, custom_objects)
