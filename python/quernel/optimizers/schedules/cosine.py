"""Schedules that fall along half a cosine."""

import math

from ... import ops
from .learning_rate_schedule import LearningRateSchedule, as_step, number


def _fallen(part, alpha):
    """From 1 at part = 0 to alpha at part = 1, along half a cosine."""
    return (ops.cos(part * math.pi) + 1.0) * (0.5 * (1 - alpha)) + alpha


class CosineDecay(LearningRateSchedule):
    """With t the number of updates made, w = warmup_steps and p = min((t - w) / decay_steps, 1):

        rate(t) = initial + (top - initial) * t / w                         for t < w
        rate(t) = top * ((1 - alpha) * (1 + cos(pi * p)) / 2 + alpha)       after that

    top is warmup_target; without one w = 0 and top = initial_learning_rate.

    Args:
        initial_learning_rate: rate at t = 0.
        decay_steps: updates of the fall, above 0.
        alpha: the last rate as a share of the top.
        name: text that is kept in the configuration.
        warmup_target: rate to which it rises first, or None.
        warmup_steps: updates of the rise, of at least 0; without a target they count for nothing.

    Raises:
        ValueError: an argument that is no number, or outside its limits.

    Example:
        >>> import quernel as qn
        >>> rate = qn.optimizers.schedules.CosineDecay(0.0, decay_steps=10, warmup_target=0.5, warmup_steps=4)
        >>> [round(float(rate(t)), 4) for t in (0, 2, 4, 9, 14, 99)]
        [0.0, 0.25, 0.5, 0.25, 0.0, 0.0]

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    def __init__(
        self, initial_learning_rate, decay_steps, alpha=0.0, name="CosineDecay", warmup_target=None, warmup_steps=0
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate")
        self.decay_steps = number(decay_steps, "decay_steps", above=0)
        self.alpha = number(alpha, "alpha")
        self.warmup_target = warmup_target if warmup_target is None else number(warmup_target, "warmup_target")
        self.warmup_steps = number(warmup_steps, "warmup_steps", least=0)
        self.name = name

    def __call__(self, step):
        step, first = as_step(step), float(self.initial_learning_rate)
        warm = self.warmup_target is not None
        top = float(self.warmup_target) if warm else first
        begin = float(self.warmup_steps) if warm else 0.0
        part = ops.clip((step - begin) / float(self.decay_steps), 0.0, 1.0)
        rate = _fallen(part, self.alpha) * top
        if not begin:
            return rate
        return ops.where(step < begin, step / begin * (top - first) + first, rate)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(LearningRateSchedule):
    """Falls along half a cosine again and again: fall k takes first_decay_steps * t_mul^k updates and begins at
    initial_learning_rate * m_mul^k; with p the part of the fall that has passed,

        rate = initial_learning_rate * ((1 - alpha) * m_mul^k * (1 + cos(pi * p)) / 2 + alpha)

    Args:
        initial_learning_rate: rate at the first update.
        first_decay_steps: updates of the first fall, above 0.
        t_mul: length of a fall as a multiple of the one before, of at least 1.
        m_mul: height of a fall as a multiple of the one before.
        alpha: the last rate as a share of the first.
        name: text that is kept in the configuration.

    Raises:
        ValueError: an argument that is no number, or outside its limits.

    Example:
        >>> import quernel as qn
        >>> rate = qn.optimizers.schedules.CosineDecayRestarts(0.5, 10, t_mul=2.0, m_mul=0.5)
        >>> [round(float(rate(t)), 4) for t in (0, 5, 10, 20, 30)]
        [0.5, 0.25, 0.25, 0.125, 0.125]

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    def __init__(
        self,
        initial_learning_rate,
        first_decay_steps,
        t_mul=2.0,
        m_mul=1.0,
        alpha=0.0,
        name="SGDRDecay",
    ):
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate")
        self.first_decay_steps = number(first_decay_steps, "first_decay_steps", above=0)
        self._t_mul = number(t_mul, "t_mul", least=1)
        self._m_mul = number(m_mul, "m_mul", least=0)
        self.alpha = number(alpha, "alpha")
        self.name = name

    def __call__(self, step):
        passed, t_mul = as_step(step) / float(self.first_decay_steps), float(self._t_mul)
        if t_mul == 1:
            k = ops.floor(passed)
            part = passed - k
        else:  # falls before k take (t_mul^k - 1) / (t_mul - 1) times the first one's updates
            k = ops.floor(ops.log(passed * (t_mul - 1) + 1.0) * (1 / math.log(t_mul)))
            ended = passed * (t_mul - 1) + 1.0 >= ops.power(t_mul, k + 1.0)  # the logarithm's last bit at a restart
            k = ops.where(ended, k + 1.0, k)
            length = ops.power(t_mul, k)
            part = (passed - (length - 1.0) * (1 / (t_mul - 1))) / length
        height = ops.power(float(self._m_mul), k)
        share = (ops.cos(part * math.pi) + 1.0) * height * (0.5 * (1 - self.alpha)) + self.alpha
        return share * self.initial_learning_rate

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
