"""LearningRateSchedule: the base of schedules, and what their arguments may be."""

from ... import ops, recording
from ...dtypes import floatx


class LearningRateSchedule(recording.Versioned):
    """A learning rate that follows from the number of updates made. Subclasses define `__call__(step)`, made of `ops`,
    so that a plan computes each update's rate itself, and `get_config`.

    An optimizer takes a schedule as its `learning_rate` and calls it once an update with `iterations`, an int64 scalar that
    is 0 at the first. Changing an attribute of a schedule counts from the next step on.

    Example:
        >>> import quernel as qn
        >>> class Noam(qn.optimizers.schedules.LearningRateSchedule):
        ...     def __init__(self, width, warmup):
        ...         self.width, self.warmup = width, warmup
        ...     def __call__(self, step):
        ...         step = qn.ops.cast(step, "float32") + 1.0
        ...         return self.width**-0.5 * qn.ops.minimum(qn.ops.rsqrt(step), step * self.warmup**-1.5)
        >>> float(Noam(64, 100)(99)).__round__(5)
        0.0125

    Source of the example: Vaswani et al., "Attention is all you need", 2017, section 5.3.
    """

    def __call__(self, step):
        raise TypeError(f"{type(self).__name__} has to define __call__(self, step)")

    def get_config(self):
        raise TypeError(f"{type(self).__name__} has to define get_config(self) to be saved")

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def as_step(step):
    """The number of updates as a float scalar."""
    return ops.cast(ops.convert_to_tensor(step), dtype=floatx())


def number(value, name, above=None, least=None):
    """The value, a finite number above `above` or of at least `least` where these are given."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
    if not good or (above is not None and value <= above) or (least is not None and value < least):
        limit = "" if above is None else f" above {above}"
        limit = limit if least is None else f" of at least {least}"
        raise ValueError(f"{name}: expected a number{limit}, received {value!r}")
    return value
