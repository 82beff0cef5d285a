"""Schedules by name and configuration."""

from ...identifiers import Family
from .cosine import CosineDecay, CosineDecayRestarts
from .decay import ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay

_family = Family(
    "schedule",
    [CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay],
)


def serialize(learning_rate_schedule):
    """The configuration of a schedule.

    Example:
        >>> import quernel as qn
        >>> schedules = qn.optimizers.schedules
        >>> config = schedules.serialize(schedules.CosineDecay(0.1, 100))
        >>> schedules.deserialize(config).decay_steps
        100
    """
    return _family.serialize(learning_rate_schedule)


def deserialize(config, custom_objects=None):
    """The schedule for what `serialize` returned; custom_objects: {name: class} of schedules that are not quernel's."""
    return _family.deserialize(config, custom_objects)
