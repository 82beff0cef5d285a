"""Schedules that fall by powers, fractions and steps."""

from ... import ops
from .learning_rate_schedule import LearningRateSchedule, as_step, number


class ExponentialDecay(LearningRateSchedule):
    """rate(t) = initial_learning_rate * decay_rate ^ (t / decay_steps), t the number of updates made.

    Args:
        initial_learning_rate: rate at t = 0.
        decay_steps: updates after which the rate has decay_rate times its value, above 0.
        decay_rate: number of at least 0.
        staircase: whether t / decay_steps is rounded down, so that the rate falls every decay_steps updates only.
        name: text that is kept in the configuration.

    Raises:
        ValueError: an argument that is no number, or outside its limits.

    Example:
        >>> import quernel as qn
        >>> rate = qn.optimizers.schedules.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.25)
        >>> float(rate(0)), float(rate(5)), float(rate(10))
        (0.5, 0.25, 0.125)
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate")
        self.decay_steps = number(decay_steps, "decay_steps", above=0)
        self.decay_rate = number(decay_rate, "decay_rate", least=0)
        self.staircase = bool(staircase)
        self.name = name

    def _passed(self, step):
        passed = as_step(step) / float(self.decay_steps)
        return ops.floor(passed) if self.staircase else passed

    def __call__(self, step):
        return ops.power(float(self.decay_rate), self._passed(step)) * self.initial_learning_rate

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class InverseTimeDecay(ExponentialDecay):
    """rate(t) = initial_learning_rate / (1 + decay_rate * t / decay_steps), t the number of updates made.

    Args: those of ExponentialDecay.

    Example:
        >>> import quernel as qn
        >>> rate = qn.optimizers.schedules.InverseTimeDecay(0.5, decay_steps=10, decay_rate=1.0)
        >>> float(rate(0)), float(rate(10)), float(rate(30))
        (0.5, 0.25, 0.125)
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"):
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step):
        return self.initial_learning_rate / (self._passed(step) * self.decay_rate + 1.0)


class PolynomialDecay(LearningRateSchedule):
    """rate(t) = (initial_learning_rate - end_learning_rate) * (1 - t / T) ^ power + end_learning_rate for t up to
    T = decay_steps, end_learning_rate after that; with `cycle`, T is the least multiple of decay_steps that is not below t.

    Args:
        initial_learning_rate: rate at t = 0.
        decay_steps: updates until the end rate, above 0.
        end_learning_rate: the last rate.
        power: number of at least 0; 1 falls in a straight line.
        cycle: whether the rate rises again after decay_steps updates, each time less.
        name: text that is kept in the configuration.

    Raises:
        ValueError: an argument that is no number, or outside its limits.

    Example:
        >>> import quernel as qn
        >>> rate = qn.optimizers.schedules.PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.25)
        >>> float(rate(0)), float(rate(5)), float(rate(99))
        (0.5, 0.375, 0.25)
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate")
        self.decay_steps = number(decay_steps, "decay_steps", above=0)
        self.end_learning_rate = number(end_learning_rate, "end_learning_rate")
        self.power = number(power, "power", least=0)
        self.cycle = bool(cycle)
        self.name = name

    def __call__(self, step):
        step, whole = as_step(step), float(self.decay_steps)
        if self.cycle:
            rounds = ops.maximum(-ops.floor(-step / whole), 1.0)
            left = 1.0 - step / (rounds * whole)
        else:
            left = 1.0 - ops.minimum(step, whole) / whole
        fall = ops.power(left, float(self.power)) * (self.initial_learning_rate - self.end_learning_rate)
        return fall + self.end_learning_rate

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class PiecewiseConstantDecay(LearningRateSchedule):
    """rate(t) = values[k], k the number of boundaries below t.

    Args:
        boundaries: list of rising numbers of updates.
        values: list of rates, one more than boundaries.
        name: text that is kept in the configuration.

    Raises:
        ValueError: boundaries that do not rise; lists whose lengths do not fit; a value that is no number.

    Example:
        >>> import quernel as qn
        >>> rate = qn.optimizers.schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
        >>> float(rate(10)), float(rate(11)), float(rate(21))
        (1.0, 0.5, 0.25)
    """

    def __init__(self, boundaries, values, name="PiecewiseConstantDecay"):
        boundaries = [number(b, f"boundaries[{i}]") for i, b in enumerate(boundaries)]
        values = [number(v, f"values[{i}]") for i, v in enumerate(values)]
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"values: expected one more than boundaries ({len(boundaries) + 1}), received {len(values)} values"
            )
        if sorted(set(boundaries)) != boundaries:
            raise ValueError(f"boundaries: expected rising numbers, received {boundaries}")
        self.boundaries = tuple(boundaries)
        self.values = tuple(values)
        self.name = name

    def __call__(self, step):
        step = ops.convert_to_tensor(step)
        rate = ops.convert_to_tensor(float(self.values[0]))
        for boundary, value in zip(self.boundaries, self.values[1:]):
            rate = ops.where(step > boundary, float(value), rate)
        return rate

    def get_config(self):
        return {"boundaries": list(self.boundaries), "values": list(self.values), "name": self.name}
