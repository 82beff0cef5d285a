"""regularizers: numbers for weights or outputs that are added to the loss."""

from ..identifiers import Family as _Family
from .penalties import L1 as L1
from .penalties import L1L2 as L1L2
from .penalties import L2 as L2
from .penalties import Regularizer as Regularizer

l1, l2, l1_l2 = L1, L2, L1L2

_family = _Family("regularizer", [L1, L2, L1L2], {"l1": L1, "l2": L2, "l1_l2": L1L2})


def get(identifier):
    """The regularizer for a name, a configuration, or a callable as it is.

    Example:
        >>> import quernel as qn
        >>> qn.regularizers.get("l2").get_config()
        {'l2': 0.01}
    """
    return _family.get(identifier)


def serialize(regularizer):
    """The configuration of a regularizer."""
    return _family.serialize(regularizer)


def deserialize(config, custom_objects=None):
    """The regularizer for what `serialize` returned."""
    return _family.deserialize(config, custom_objects)
