"""Initializers without chance: Zeros, Ones, Constant."""

from .. import ops
from ..dtypes import standardize_dtype
from .initializer import Initializer


class Zeros(Initializer):
    """All zeros.

    Example:
        >>> import quernel as qn
        >>> qn.initializers.Zeros()((2,)).numpy()
        array([0., 0.], dtype=float32)
    """

    def __call__(self, shape, dtype=None):
        return ops.zeros(shape, dtype=standardize_dtype(dtype))


class Ones(Initializer):
    """All ones.

    Example:
        >>> import quernel as qn
        >>> qn.initializers.Ones()((2,)).numpy()
        array([1., 1.], dtype=float32)
    """

    def __call__(self, shape, dtype=None):
        return ops.ones(shape, dtype=standardize_dtype(dtype))


class Constant(Initializer):
    """One value everywhere.

    Args:
        value: a number, or values that broadcast to the shape.

    Example:
        >>> import quernel as qn
        >>> qn.initializers.Constant(3.0)((2,)).numpy()
        array([3., 3.], dtype=float32)
    """

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return ops.full(shape, self.value, dtype=standardize_dtype(dtype))

    def get_config(self):
        return {"value": self.value}
