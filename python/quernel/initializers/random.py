"""Random initializers: normal, uniform, and those whose spread follows the number of inputs and outputs."""

import math

from .. import random
from ..dtypes import standardize_dtype
from ..random.seed_generator import SeedGenerator, check_seed, make_default_seed
from .initializer import Initializer


class RandomInitializer(Initializer):
    """The base of random initializers.

    Args:
        seed: an int, or None for a fresh one (the same values at every call), or a SeedGenerator (other values at
            every call).
    """

    def __init__(self, seed=None):
        self._init_seed = seed
        if seed is None:
            seed = make_default_seed()
        elif isinstance(seed, dict):
            seed = SeedGenerator.from_config(seed.get("config", seed))
        elif not isinstance(seed, SeedGenerator):
            seed = check_seed(seed)
        self.seed = seed

    def get_config(self):
        seed = self._init_seed
        return {"seed": seed.get_config() if isinstance(seed, SeedGenerator) else seed}


class RandomNormal(RandomInitializer):
    """Normal distribution with a mean and a standard deviation.

    Example:
        >>> import quernel as qn
        >>> qn.initializers.RandomNormal(stddev=0.1, seed=1)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None):
        return random.normal(shape, self.mean, self.stddev, standardize_dtype(dtype), self.seed)

    def get_config(self):
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomInitializer):
    """Normal distribution, cut off two standard deviations from the mean.

    Example:
        >>> import quernel as qn
        >>> qn.initializers.TruncatedNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None):
        return random.truncated_normal(shape, self.mean, self.stddev, standardize_dtype(dtype), self.seed)

    def get_config(self):
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class RandomUniform(RandomInitializer):
    """Uniform distribution over [minval, maxval).

    Example:
        >>> import quernel as qn
        >>> qn.initializers.RandomUniform(seed=1)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape, dtype=None):
        return random.uniform(shape, self.minval, self.maxval, standardize_dtype(dtype), self.seed)

    def get_config(self):
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class VarianceScaling(RandomInitializer):
    """Mean 0 and variance scale / n, where n is the number of inputs, of outputs, or their mean.

    Args:
        scale: positive number.
        mode: "fan_in" (inputs of a unit), "fan_out" (outputs), "fan_avg" (their mean).
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Raises:
        ValueError: scale <= 0, unknown mode or distribution.

    Example:
        >>> import quernel as qn
        >>> w = qn.initializers.VarianceScaling(2.0, "fan_in", "uniform", seed=1)((6, 4))
        >>> float(qn.ops.max(w)) < 1.0  # sqrt(3 * 2 / 6)
        True
    """

    def __init__(self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None):
        if scale <= 0:
            raise ValueError(f"scale: expected a positive number, received {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode: expected 'fan_in', 'fan_out' or 'fan_avg', received {mode!r}")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                f"distribution: expected 'uniform', 'truncated_normal' or 'untruncated_normal', "
                f"received {distribution!r}"
            )
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = compute_fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        dtype = standardize_dtype(dtype)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)
        # 0.8796: the standard deviation of a standard normal truncated to (-2, 2)
        return random.truncated_normal(shape, 0.0, math.sqrt(variance) / 0.87962566103423978, dtype, self.seed)

    def get_config(self):
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, **super().get_config()}


def compute_fans(shape):
    """(fan_in, fan_out) of a kernel: how many inputs an output reads, and how many outputs an input reaches."""
    shape = tuple(shape)
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class _Fixed(VarianceScaling):
    """A VarianceScaling with settings of its own; only the seed is free."""

    _settings = (1.0, "fan_in", "uniform")

    def __init__(self, seed=None):
        super().__init__(*self._settings, seed=seed)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


class GlorotUniform(_Fixed):
    """Uniform over (-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Args:
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Example:
        >>> import quernel as qn
        >>> w = qn.initializers.GlorotUniform(seed=1)((6, 4))
        >>> float(qn.ops.max(qn.ops.absolute(w))) < 0.7747  # sqrt(6 / (6 + 4))
        True
    """

    _settings = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Fixed):
    """Truncated normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    Args:
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Example:
        >>> import quernel as qn
        >>> w = qn.initializers.GlorotNormal(seed=1)((6, 4))
        >>> float(qn.ops.max(qn.ops.absolute(w))) < 1.0168  # 2 * sqrt(2 / (6 + 4)) / 0.8796
        True
    """

    _settings = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Fixed):
    """Uniform over (-a, a) with a = sqrt(6 / fan_in) (He et al., 2015).

    Args:
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Example:
        >>> import quernel as qn
        >>> w = qn.initializers.HeUniform(seed=1)((6, 4))
        >>> float(qn.ops.max(qn.ops.absolute(w))) < 1.0001  # sqrt(6 / 6)
        True
    """

    _settings = (2.0, "fan_in", "uniform")


class HeNormal(_Fixed):
    """Truncated normal with variance 2 / fan_in (He et al., 2015).

    Args:
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Example:
        >>> import quernel as qn
        >>> w = qn.initializers.HeNormal(seed=1)((6, 4))
        >>> float(qn.ops.max(qn.ops.absolute(w))) < 1.3128  # 2 * sqrt(2 / 6) / 0.8796
        True
    """

    _settings = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Fixed):
    """Uniform over (-a, a) with a = sqrt(3 / fan_in) (Klambauer et al., 2017).

    Args:
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Example:
        >>> import quernel as qn
        >>> w = qn.initializers.LecunUniform(seed=1)((6, 4))
        >>> float(qn.ops.max(qn.ops.absolute(w))) < 0.7072  # sqrt(3 / 6)
        True
    """

    _settings = (1.0, "fan_in", "uniform")


class LecunNormal(_Fixed):
    """Truncated normal with variance 1 / fan_in (Klambauer et al., 2017).

    Args:
        seed: an int or None (the same values at every call), or a SeedGenerator.

    Example:
        >>> import quernel as qn
        >>> w = qn.initializers.LecunNormal(seed=1)((6, 4))
        >>> float(qn.ops.max(qn.ops.absolute(w))) < 0.9283  # 2 * sqrt(1 / 6) / 0.8796
        True
    """

    _settings = (1.0, "fan_in", "truncated_normal")
