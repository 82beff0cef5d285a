"""Regularizers: a number for a variable, added to the loss."""

import math

from .. import ops, recording


class Regularizer(recording.Versioned):
    """The base of regularizers: called with a Tensor or a Variable, it gives a scalar Tensor.

    Example:
        >>> import quernel as qn
        >>> class Sum(qn.regularizers.Regularizer):
        ...     def __call__(self, x):
        ...         return 0.1 * qn.ops.sum(x)
        >>> round(float(Sum()(qn.ones((3,)))), 3)
        0.3
    """

    def __call__(self, x):
        """The penalty of x; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has to define __call__(self, x)")

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _factor(value, name):
    value = 0.0 if value is None else value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, received {value!r}")
    return float(value)


class L1L2(Regularizer):
    """l1 * sum |x| + l2 * sum x^2.

    Args:
        l1: factor of the sum of absolute values.
        l2: factor of the sum of squares.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.regularizers.L1L2(0.1, 0.1)(qn.constant([1.0, 2.0]))), 3)
        0.8
    """

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _factor(l1, "l1")
        self.l2 = _factor(l2, "l2")

    def __call__(self, x):
        parts = []
        if self.l1:
            parts.append(self.l1 * ops.sum(ops.absolute(x)))
        if self.l2:
            parts.append(self.l2 * ops.sum(ops.square(x)))
        if not parts:
            return ops.zeros((), dtype=x.dtype)
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def get_config(self):
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 * sum |x|.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.regularizers.L1(0.1)(qn.constant([1.0, -2.0]))), 3)
        0.3
    """

    def __init__(self, l1=0.01):
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self):
        return {"l1": self.l1}


class L2(L1L2):
    """l2 * sum x^2.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.regularizers.L2(0.1)(qn.constant([1.0, -2.0]))), 3)
        0.5
    """

    def __init__(self, l2=0.01):
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self):
        return {"l2": self.l2}
