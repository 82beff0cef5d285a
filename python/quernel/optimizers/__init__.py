"""optimizers: how gradients change weights."""

from ..identifiers import Family as _Family
from . import schedules as schedules
from .adam import Adam as Adam
from .optimizer import Optimizer as Optimizer
from .rmsprop import RMSprop as RMSprop
from .sgd import SGD as SGD

_family = _Family("optimizer", [Adam, RMSprop, SGD], {"sgd": SGD, "adam": Adam, "rmsprop": RMSprop})


def get(identifier):
    """The optimizer for a name, a configuration, or an Optimizer as it is.

    Example:
        >>> import quernel as qn
        >>> type(qn.optimizers.get("adam")).__name__
        'Adam'
    """
    optimizer = _family.get(identifier)
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer: expected an Optimizer, its name or its configuration, received {identifier!r}")
    return optimizer


def serialize(optimizer):
    """The configuration of an optimizer."""
    return _family.serialize(optimizer)


def deserialize(config, custom_objects=None):
    """The optimizer for what `serialize` returned."""
    return _family.deserialize(config, custom_objects)
