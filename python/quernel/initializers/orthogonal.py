"""Orthogonal: rows or columns of length 1, at right angles to each other."""

import math

from .. import ops, random
from ..dtypes import standardize_dtype
from .random import RandomInitializer


class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal rows, or columns where there are more rows than columns; times `gain`.

    A tensor of more axes is the matrix (prod(shape[:-1]), shape[-1]). All such matrices are equally likely: the Q of a
    matrix of normal numbers whose R has a positive diagonal.

    Args:
        gain: factor.
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Raises:
        ValueError: the shape has fewer than two axes.

    Example:
        >>> import quernel as qn
        >>> q = qn.initializers.Orthogonal(seed=1)((3, 3))
        >>> bool(abs(qn.ops.matmul(q, qn.ops.transpose(q)).numpy() - [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).max() < 1e-6)
        True

    Source: Saxe et al., 2014.
    """

    def __init__(self, gain=1.0, seed=None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape, dtype=None):
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of two or more axes, received {shape}")
        n, m = math.prod(shape[:-1]), shape[-1]
        a = random.normal((min(n, m), max(n, m)), 0.0, 1.0, standardize_dtype(dtype), self.seed)
        if a.shape[0]:
            # The first pass leaves an error that grows with the condition of `a`; the second starts from a condition
            # of 1 and leaves rounding only.
            a = _orthonormal_rows(_orthonormal_rows(a))
        q = a if n <= m else ops.transpose(a)
        return ops.reshape(q * self.gain, shape)

    def get_config(self):
        return {"gain": self.gain, **super().get_config()}


def _orthonormal_rows(a):
    """Gram-Schmidt by halves: the lower half loses what lies along the upper half's rows, and follows by itself."""
    n = a.shape[0]
    if n == 1:
        return a * ops.rsqrt(ops.sum(a * a))
    upper = _orthonormal_rows(a[: n // 2])
    lower = a[n // 2 :]
    for _ in range(2):  # twice is enough (Kahan)
        lower = lower - ops.matmul(ops.matmul(lower, ops.transpose(upper)), upper)
    return ops.concatenate([upper, _orthonormal_rows(lower)], axis=0)
