"""constraints: what weights are mapped to after each update."""

from ..identifiers import Family as _Family
from .norms import Constraint as Constraint
from .norms import MaxNorm as MaxNorm
from .norms import MinMaxNorm as MinMaxNorm
from .norms import NonNeg as NonNeg
from .norms import UnitNorm as UnitNorm

max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_family = _Family("constraint", [MaxNorm, MinMaxNorm, NonNeg, UnitNorm])


def get(identifier):
    """The constraint for a name, a configuration, or a callable as it is.

    Example:
        >>> import quernel as qn
        >>> type(qn.constraints.get("non_neg")).__name__
        'NonNeg'
    """
    return _family.get(identifier)


def serialize(constraint):
    """The configuration of a constraint."""
    return _family.serialize(constraint)


def deserialize(config, custom_objects=None):
    """The constraint for what `serialize` returned."""
    return _family.deserialize(config, custom_objects)
