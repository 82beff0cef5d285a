"""optimizers.schedules: learning rates that follow from the number of updates made."""

from ...lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "learning_rate_schedule": "LearningRateSchedule",
        "decay": "ExponentialDecay InverseTimeDecay PolynomialDecay PiecewiseConstantDecay",
        "cosine": "CosineDecay CosineDecayRestarts",
        "family": "serialize deserialize",
    },
)
