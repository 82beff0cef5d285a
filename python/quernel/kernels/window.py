"""Windows that slide over the spatial axes of (n, spatial..., c): their arguments, their geometry, their taps."""

import math
import operator
from typing import NamedTuple

import numpy as np

_MOST = 2**31 - 1


class Axis(NamedTuple):
    """One spatial axis: window o covers the inputs [o*stride - pad, o*stride - pad + pool), clipped to [0, size)."""

    size: int  # None when symbolic, like `out` and `pad` then
    out: int
    pool: int
    stride: int
    pad: int


def numbers(op, name, value, rank):
    """`rank` positive ints from an int or a sequence of `rank` ints."""
    values = value if isinstance(value, tuple) else (value,) * rank
    if len(values) != rank:
        raise ValueError(f"{op}: {name}: expected an int or {rank} ints (one a spatial axis), received {value}")
    try:
        values = tuple(operator.index(v) for v in values)
    except TypeError:
        raise TypeError(f"{op}: {name}: expected an int or {rank} ints, received {value!r}") from None
    if any(v < 1 or v > _MOST for v in values):
        raise ValueError(f"{op}: {name}: expected numbers from 1 to {_MOST}, received {value}")
    return values


def spatial_rank(op, name, shape):
    """How many spatial axes (n, spatial..., c) has: 1, 2 or 3."""
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"{op}: {name}: expected shape (n, spatial..., c) with 1 to 3 spatial axes, received {tuple(shape)}; "
            f"add a batch or channel axis with reshape"
        )
    return len(shape) - 2


def sliding(op, shape, pool_size, strides, padding, name="x"):
    """The Axis of every spatial axis of an input of `shape` (entries may be None)."""
    rank = spatial_rank(op, name, shape)
    pool = numbers(op, "pool_size", pool_size, rank)
    stride = pool if strides is None else numbers(op, "strides", strides, rank)
    if padding not in ("valid", "same"):
        raise ValueError(f"{op}: padding: expected 'valid' or 'same', received {padding!r}")
    axes = []
    for size, k, s in zip(shape[1:-1], pool, stride):
        if size is None:
            axes.append(Axis(None, None, k, s, None))
        elif padding == "same":
            out = -(-size // s)
            axes.append(Axis(size, out, k, s, max((out - 1) * s + k - size, 0) // 2 if size else 0))
        elif 0 < size < k:
            raise ValueError(
                f"{op}: expected spatial sizes of at least pool_size {pool}, received {name} of shape {tuple(shape)}; "
                f"use a smaller pool_size or padding='same'"
            )
        else:
            axes.append(Axis(size, (size - k) // s + 1 if size else 0, k, s, 0))
    return tuple(axes)


def outputs(shape, axes):
    """The shape (n, out..., c)."""
    return (shape[0], *(a.out for a in axes), shape[-1])


def tiled(axes):
    """Whether each element is in at most one window and no window sticks out; `axes` or the rows of `three(axes)`."""
    return all(pool == stride and pad == 0 and out * pool <= size for size, out, pool, stride, pad in axes)


def packed(axes):
    """The attributes of csrc/pool/pool.hpp: [rank, then for each axis pool, stride, pad]."""
    return (len(axes), *(v for a in axes for v in (a.pool, a.stride, a.pad)))


def taps(axes):
    """For each tap in window order: where it lies in the big array, and which windows have it, as two index tuples.

    A tap that no window has inside the array (padding is absence) is left out.
    """
    counts = [a.pool for a in axes]
    for tap in range(math.prod(counts)):
        big, small, rest = [], [], tap
        for a in reversed(axes):
            k = rest % a.pool - a.pad
            rest //= a.pool
            first = max(0, -(k // a.stride))
            last = min(a.out, (a.size - 1 - k) // a.stride + 1)
            big.append(slice(first * a.stride + k, (last - 1) * a.stride + k + 1, a.stride))
            small.append(slice(first, last))
            if last <= first:
                break
        else:
            yield (slice(None), *reversed(big)), (slice(None), *reversed(small))


def counts(axes):
    """How many taps of each window are inside: an int array (1, out..., 1)."""
    total = np.ones((1,) * (len(axes) + 2), int)
    for i, a in enumerate(axes):
        start = np.arange(a.out) * a.stride - a.pad
        inside = np.minimum(start + a.pool, a.size) - np.maximum(start, 0)
        total = total * inside.reshape((1,) * (i + 1) + (-1,) + (1,) * (len(axes) - i))
    return total


def three(axes):
    """The axes with leading ones of size 1, as rows (size, out, pool, stride, pad): what the Numba loops take."""
    full = (Axis(1, 1, 1, 1, 0),) * (3 - len(axes)) + tuple(axes)
    return np.array(full, np.int64)
