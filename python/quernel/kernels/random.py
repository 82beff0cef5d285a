"""random_uniform, random_normal, random_truncated_normal: floats by Philox from a state; philox.py has the order."""

import math
from statistics import NormalDist

import numpy as np

from . import philox
from .kernel import Decline, is_float, jit, kernel, spec


def sizes_of(shape, name):
    """`shape` (a size or a tuple) as a tuple of ints >= 0."""
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sizes):
        raise ValueError(f"{name}: shape: expected sizes >= 0, received {shape}")
    return tuple(int(n) for n in sizes)


def _float_rule(name, state, shape, dtype, **numbers):
    philox.check_state(state, name)
    if not is_float(np.dtype(dtype)):
        raise TypeError(f"{name}: dtype: expected a floating dtype, received {dtype}")
    for label, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{name}: {label}: expected a number, received {value!r}")
    return spec(sizes_of(shape, name), dtype)


def _pack(shape, dtype, *floats):
    if np.dtype(dtype) != np.float32:
        raise Decline(f"dtype is {dtype}; native kernels make float32")
    if isinstance(shape, tuple) and len(shape) > 8:
        raise Decline("more than 8 dimensions")
    return (), floats


def _wide(dtype):
    """The dtype to compute in: narrow floats are made in float32 and rounded once."""
    return np.dtype(dtype) if np.dtype(dtype).name in ("float32", "float64") else np.dtype("float32")


def _uniform_shape(state, shape, minval, maxval, dtype):
    return _float_rule("random_uniform", state, shape, dtype, minval=minval, maxval=maxval)


def _uniform_native(state, shape, minval, maxval, dtype):
    return _pack(shape, dtype, minval, maxval)


@jit
def _uniform_loop(y, words, low, span):
    unit = y.dtype.type(2.0**-24)
    for i in range(y.size):
        y[i] = y.dtype.type(words[i] >> 8) * unit * span + low


@jit
def _units_loop(y, words):
    for i in range(y.size):
        y[i] = np.float32(words[i] >> 8) * np.float32(2.0**-24)


@jit
def _affine_loop(y, x, scale, shift):
    for i in range(y.size):
        y[i] = x[i] * scale + shift


def _affine(outs, values, scale, shift):
    """outs[0] = values * scale + shift, in the float type of the numbers, rounded to the output's dtype last."""
    (y,) = outs
    if y.dtype == scale.dtype:
        _affine_loop(y.reshape(-1), values.astype(y.dtype), scale, shift)
    else:
        y[...] = (values.astype(scale.dtype) * scale + shift).reshape(y.shape)


def _uniform_numba(outs, state, shape, minval, maxval, dtype):
    n = outs[0].size
    wide = _wide(dtype).type
    low = wide(minval)
    units = np.empty(n, np.float32)
    _units_loop(units, philox.numba_groups(state, -(-n // philox.GROUP)).reshape(-1))
    _affine(outs, units, wide(maxval) - low, low)


@kernel(shape=_uniform_shape, native=_uniform_native, numba=_uniform_numba)
def random_uniform(state, *, shape, minval=0.0, maxval=1.0, dtype="float32"):
    """Numbers spread evenly: y[i] = u * (maxval - minval) + minval, u = (word[i] >> 8) / 2^24 in [0, 1).

    Args:
        state: int64 array [seed, step, call].
        shape: a size or a tuple of sizes.
        minval, maxval: the limits; where the rounding of the sum goes up, a number may equal maxval.
        dtype: a floating dtype. Numbers have 24 random bits in any of them.

    Returns:
        An array of that shape and dtype, the same bits on every backend.

    Raises:
        ValueError, TypeError: where the state is not int64 of shape (3,), or the dtype no float.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.random_uniform(np.array([7, 0, 0], "int64"), shape=2)
        array([0.9545971 , 0.40696037], dtype=float32)
    """
    wide = _wide(dtype).type
    sizes = sizes_of(shape, "random_uniform")
    u = (philox.words(state, math.prod(sizes)) >> 8).astype(wide) * wide(2.0**-24)
    return (u * (wide(maxval) - wide(minval)) + wide(minval)).astype(dtype).reshape(sizes)


def _normal_shape(state, shape, mean, stddev, dtype):
    return _float_rule("random_normal", state, shape, dtype, mean=mean, stddev=stddev)


def _normal_native(state, shape, mean, stddev, dtype):
    return _pack(shape, dtype, mean, stddev)


@jit
def _normal_loop(z, words):
    for g in range(words.shape[0]):
        for pair in range(0, 4, 2):
            for lane in range(16):
                r = math.sqrt(-2.0 * math.log(((words[g, pair, lane] >> 8) + 1) * 2.0**-24))
                angle = (words[g, pair + 1, lane] >> 8) * (2.0 * math.pi * 2.0**-24)
                z[g, pair, lane] = r * math.cos(angle)
                z[g, pair + 1, lane] = r * math.sin(angle)


def _normal_numba(outs, state, shape, mean, stddev, dtype):
    n = outs[0].size
    words = philox.numba_groups(state, -(-n // philox.GROUP))
    z = np.empty(words.shape, np.float64)
    _normal_loop(z, words)
    wide = _wide(dtype).type
    _affine(outs, z.reshape(-1)[:n], wide(stddev), wide(mean))


@kernel(shape=_normal_shape, native=_normal_native, numba=_normal_numba)
def random_normal(state, *, shape, mean=0.0, stddev=1.0, dtype="float32"):
    """Numbers from the normal distribution, by Box and Muller: y[i] = z * stddev + mean.

        a, b = two words of a block;  r = sqrt(-2 log(((a >> 8) + 1) / 2^24));  t = 2 pi (b >> 8) / 2^24
        z = r cos t in the place of a, r sin t in the place of b

    Args:
        state: int64 array [seed, step, call].
        shape: a size or a tuple of sizes.
        mean, stddev: mean and standard deviation.
        dtype: a floating dtype.

    Returns:
        An array of that shape and dtype. No z is larger than 5.77.

    Raises:
        ValueError, TypeError: where the state is not int64 of shape (3,), or the dtype no float.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = qn.kernels.random_normal(np.array([7, 0, 0], "int64"), shape=(100, 100))
        >>> bool(abs(x.mean()) < 0.03), bool(abs(x.std() - 1) < 0.03)
        (True, True)

    Source: G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", 1958.
    """
    wide = _wide(dtype).type
    sizes = sizes_of(shape, "random_normal")
    n = math.prod(sizes)
    words = philox.groups(state, -(-n // philox.GROUP)) >> 8
    r = np.sqrt(-2 * np.log((words[:, 0::2] + 1.0) * 2.0**-24))
    angle = words[:, 1::2] * (2 * np.pi * 2.0**-24)
    z = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=2).reshape(-1)[:n].astype(wide)
    return (z * wide(stddev) + wide(mean)).astype(dtype).reshape(sizes)


def _truncated_shape(state, shape, mean, stddev, dtype):
    return _float_rule("random_truncated_normal", state, shape, dtype, mean=mean, stddev=stddev)


def _inside():
    """The share of a normal distribution within two standard deviations."""
    return math.erf(math.sqrt(2.0))


@jit
def _truncated_loop(z, words, inside):
    for i in range(z.size):
        odd = 2.0 * (words[i] >> 8) + 1.0 - 2.0**24
        q = odd * (inside * 2.0**-25)
        if abs(q) <= 0.425:
            t = 0.180625 - q * q
            top = ((59.10937472 * t + 159.29113202) * t + 50.434271938) * t + 3.3871327179
            z[i] = q * top / (((67.187563600 * t + 78.757757664) * t + 17.895169469) * t + 1.0)
        else:
            s = math.sqrt(-math.log(0.5 - abs(q))) - 1.6
            top = ((0.17023821103 * s + 1.3067284816) * s + 2.75681539) * s + 1.4234372777
            size = min(top / ((0.12021132975 * s + 0.7370016425) * s + 1.0), 2.0)
            z[i] = math.copysign(size, q)


def _truncated_numba(outs, state, shape, mean, stddev, dtype):
    n = outs[0].size
    z = np.empty(n, np.float64)
    _truncated_loop(z, philox.numba_groups(state, -(-n // philox.GROUP)).reshape(-1), _inside())
    wide = _wide(dtype).type
    _affine(outs, z, wide(stddev), wide(mean))


@kernel(shape=_truncated_shape, native=_normal_native, numba=_truncated_numba)
def random_truncated_normal(state, *, shape, mean=0.0, stddev=1.0, dtype="float32"):
    """Numbers from the normal distribution within two standard deviations: y[i] = z * stddev + mean, |z| <= 2.

        q = ((word[i] >> 8) + 1/2) / 2^24 - 1/2
        z = quantile of the normal distribution at 1/2 + q * (Phi(2) - Phi(-2))

    Args:
        state: int64 array [seed, step, call].
        shape: a size or a tuple of sizes.
        mean, stddev: mean and standard deviation of the distribution before truncation.
        dtype: a floating dtype.

    Returns:
        An array of that shape and dtype.

    Raises:
        ValueError, TypeError: where the state is not int64 of shape (3,), or the dtype no float.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = qn.kernels.random_truncated_normal(np.array([7, 0, 0], "int64"), shape=1000)
        >>> bool(np.abs(x).max() <= 2)
        True

    Source: M. J. Wichura, algorithm AS 241 (PPND7), 1988, stands behind the native kernel and Numba; it errs by 1e-7.
    """
    wide = _wide(dtype).type
    sizes = sizes_of(shape, "random_truncated_normal")
    odd = 2.0 * (philox.words(state, math.prod(sizes)) >> 8) + 1 - 2.0**24
    quantile = NormalDist().inv_cdf
    z = np.array([quantile(p) for p in 0.5 + odd * (_inside() * 2.0**-25)], dtype=wide)
    return (z * wide(stddev) + wide(mean)).astype(dtype).reshape(sizes)
