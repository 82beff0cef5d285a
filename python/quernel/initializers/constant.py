"""Initializers without chance: Zeros, Ones, Constant, Identity."""

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


class Identity(Initializer):
    """A matrix with `gain` on its diagonal and zeros elsewhere, as for the recurrent kernel of a SimpleRNN with relu.

    Args:
        gain: factor.

    Raises:
        ValueError: the shape has not two axes.

    Example:
        >>> import quernel as qn
        >>> qn.initializers.Identity(2.0)((2, 3)).numpy().tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]

    Source: Le, Jaitly and Hinton, 2015.
    """

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        if len(shape) != 2:
            raise ValueError(f"Identity: expected a shape of two axes, received {shape}")
        dtype, n, m = standardize_dtype(dtype), min(shape), max(shape)
        # Rows of m + 1 values, each a gain and zeros: read in rows of m, every gain moves one place to the right.
        rows = ops.concatenate([ops.full((n, 1), self.gain, dtype=dtype), ops.zeros((n, m), dtype=dtype)], axis=1)
        matrix = ops.reshape(ops.reshape(rows, (-1,))[: n * m], (n, m))
        return matrix if shape[0] <= shape[1] else ops.transpose(matrix)

    def get_config(self):
        return {"gain": self.gain}
