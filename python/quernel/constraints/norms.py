"""Constraints: what a variable is mapped to after each update."""

from .. import ops, recording
from ..ops.norm import square_factor

_EPSILON = 1e-7  # Keras's backend.epsilon()


class Constraint(recording.Versioned):
    """The base of constraints: called with a Tensor or a Variable, it gives the Tensor to put in its place.

    Example:
        >>> import quernel as qn
        >>> class Clip(qn.constraints.Constraint):
        ...     def __call__(self, w):
        ...         return qn.ops.clip(w, -1, 1)
        >>> Clip()(qn.constant([3.0])).numpy()
        array([1.], dtype=float32)
    """

    def __call__(self, w):
        """The value that w is mapped to; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has to define __call__(self, w)")

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _scaled_norm(w, axis):
    """(w * factor, its norm, factor): 1, or a power of two where the sum of the squares of w could overflow."""
    w = ops.convert_to_tensor(w)
    factor = square_factor(w, axis)
    factor = 1.0 if factor is None else factor
    w = w * factor
    return w, ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True)), factor


class MaxNorm(Constraint):
    """Scales weights down so that their norm along `axis` is at most `max_value`.

    Args:
        max_value: largest norm.
        axis: axes of the norm: 0 for a dense kernel (i, o), (0, 1, 2) for a convolution's (h, w, i, o).

    Example:
        >>> import quernel as qn
        >>> qn.constraints.MaxNorm(1.0)(qn.constant([[3.0], [4.0]])).numpy().round(3).tolist()
        [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w):
        w, norm, factor = _scaled_norm(w, self.axis)
        return w * (ops.clip(norm / factor, 0, self.max_value) / (norm + factor * _EPSILON))

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Sets negative weights to 0.

    Example:
        >>> import quernel as qn
        >>> qn.constraints.NonNeg()(qn.constant([-1.0, 2.0])).numpy()
        array([0., 2.], dtype=float32)
    """

    def __call__(self, w):
        return ops.relu(w)


class UnitNorm(Constraint):
    """Scales weights to norm 1 along `axis`.

    Example:
        >>> import quernel as qn
        >>> qn.constraints.UnitNorm()(qn.constant([[3.0], [4.0]])).numpy().round(3).tolist()
        [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        w, norm, factor = _scaled_norm(w, self.axis)
        return w / (norm + factor * _EPSILON)

    def get_config(self):
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Scales weights so that their norm along `axis` lies between two values.

    Args:
        min_value: smallest norm.
        max_value: largest norm.
        rate: share of the way to go: w = rate * scaled + (1 - rate) * w.
        axis: axes of the norm.

    Example:
        >>> import quernel as qn
        >>> qn.constraints.MinMaxNorm(0.0, 1.0)(qn.constant([[3.0], [4.0]])).numpy().round(3).tolist()
        [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w):
        scaled, norm, factor = _scaled_norm(w, self.axis)
        clipped = ops.clip(norm / factor, self.min_value, self.max_value)
        if self.rate == 1:  # the quotient of `clipped` and the whole norm could be too small for a float
            return scaled * (clipped / (norm + factor * _EPSILON))
        wanted = self.rate * (clipped * factor) + (1 - self.rate) * norm
        return w * (wanted / (norm + factor * _EPSILON))

    def get_config(self):
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}
