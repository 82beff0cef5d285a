"""random_integers and random_permutation: integers by Philox from a state; see philox.py for the order."""

import math

import numpy as np

from . import philox
from .kernel import Decline, jit, kernel, spec
from .random import sizes_of


def _integers_shape(state, shape, minval, maxval, dtype):
    philox.check_state(state, "random_integers")
    if np.dtype(dtype).kind not in "iu":
        raise TypeError(f"random_integers: dtype: expected an integer dtype, received {dtype}")
    for label, value in (("minval", minval), ("maxval", maxval)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"random_integers: {label}: expected an integer, received {value!r}")
    limits = np.iinfo(dtype)
    if not limits.min <= minval < maxval <= limits.max + 1 or maxval - minval == 2**64:
        raise ValueError(
            f"random_integers: expected {limits.min} <= minval < maxval <= {limits.max} + 1 for {dtype}, "
            f"received minval {minval} and maxval {maxval}"
        )
    return spec(sizes_of(shape, "random_integers"), dtype)


def _signed(value):
    """The int64 with the low 64 bits of an integer."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def _integers_native(state, shape, minval, maxval, dtype):
    if np.dtype(dtype).name not in ("int32", "int64", "uint8"):
        raise Decline(f"dtype is {dtype}; native kernels make int32, int64 and uint8")
    if isinstance(shape, tuple) and len(shape) > 8:
        raise Decline("more than 8 dimensions")
    return (int(minval), _signed(int(maxval) - int(minval))), ()


def _range(minval, maxval):
    """(minval modulo 2^64, maxval - minval) as uint64."""
    return np.uint64(int(minval) & (2**64 - 1)), np.uint64(int(maxval) - int(minval))


@jit
def _integers_loop(y, words, low, span):
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    b0, b1 = span & mask, span >> shift
    for i in range(y.size):
        g, pair, lane = i // 32, i % 32 // 16 * 2, i % 16
        a0, a1 = np.uint64(words[g, pair, lane]), np.uint64(words[g, pair + 1, lane])
        middle = a1 * b0 + (a0 * b0 >> shift)
        other = a0 * b1 + (middle & mask)
        y[i] = low + (a1 * b1 + (middle >> shift) + (other >> shift))


def _integers_numba(outs, state, shape, minval, maxval, dtype):
    (y,) = outs
    _integers_loop(y.reshape(-1), philox.numba_groups(state, -(-y.size // 32)), *_range(minval, maxval))


@kernel(shape=_integers_shape, native=_integers_native, numba=_integers_numba)
def random_integers(state, *, shape, minval, maxval, dtype="int32"):
    """Integers spread evenly over [minval, maxval): y[i] = minval + floor(number[i] * (maxval - minval) / 2^64).

    Args:
        state: int64 array [seed, step, call].
        shape: a size or a tuple of sizes.
        minval, maxval: the smallest value, and the limit that is not reached; both suit the dtype.
        dtype: an integer dtype.

    Returns:
        An array of that shape and dtype, the same on every backend. A probability is off by less than
        (maxval - minval) / 2^64.

    Raises:
        ValueError, TypeError: where the range is empty or leaves the dtype, or the state is not int64 of shape (3,).

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.random_integers(np.array([7, 0, 0], "int64"), shape=6, minval=1, maxval=7)
        array([5, 5, 1, 2, 6, 3], dtype=int32)

    Source: D. Lemire, "Fast random integer generation in an interval", 2019, without the rejection.
    """
    sizes = sizes_of(shape, "random_integers")
    low, span = _range(minval, maxval)
    numbers = philox.numbers(state, math.prod(sizes))
    return (low + philox.multiply_high(numbers, span)).astype(dtype).reshape(sizes)


def _permutation_shape(state, n):
    philox.check_state(state, "random_permutation")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"random_permutation: n: expected an integer >= 0, received {n!r}")
    return spec((int(n),), "int64")


def _permutation_native(state, n):
    return (), ()


@jit
def _permutation_loop(p, words):
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    n = p.size
    for i in range(n):
        p[i] = i
    for e in range(n - 1):
        g, pair, lane = e // 32, e % 32 // 16 * 2, e % 16
        a0, a1 = np.uint64(words[g, pair, lane]), np.uint64(words[g, pair + 1, lane])
        i = n - 1 - e
        b0, b1 = np.uint64(i + 1) & mask, np.uint64(i + 1) >> shift
        middle = a1 * b0 + (a0 * b0 >> shift)
        other = a0 * b1 + (middle & mask)
        j = np.int64(a1 * b1 + (middle >> shift) + (other >> shift))
        kept = p[i]
        p[i] = p[j]
        p[j] = kept


def _permutation_numba(outs, state, n):
    _permutation_loop(outs[0], philox.numba_groups(state, -(-n // 32)))


@kernel(shape=_permutation_shape, native=_permutation_native, numba=_permutation_numba)
def random_permutation(state, *, n):
    """The integers 0 ... n - 1 in random order, by Fisher and Yates.

        p = 0 ... n - 1;  for e = 0 ... n - 2 with i = n - 1 - e: swap p[i] and p[floor(number[e] * (i + 1) / 2^64)]

    Args:
        state: int64 array [seed, step, call].
        n: how many.

    Returns:
        An int64 array of shape (n,), the same on every backend.

    Raises:
        ValueError, TypeError: where n is negative, or the state is not int64 of shape (3,).

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.random_permutation(np.array([7, 0, 0], "int64"), n=5)
        array([1, 2, 0, 4, 3])
    """
    bounds = np.arange(n, 1, -1, dtype=np.uint64)
    partners = philox.multiply_high(philox.numbers(state, len(bounds)), bounds).tolist()
    p = list(range(n))
    for i, j in zip(range(n - 1, 0, -1), partners):
        p[i], p[j] = p[j], p[i]
    return np.array(p, dtype="int64")
