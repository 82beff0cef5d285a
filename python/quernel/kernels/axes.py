"""Axes of reductions: normalised, as a bit mask for the native kernels, and as rows for the Numba fallbacks."""

import operator

import numpy as np


def canonical_axis(name, axis, rank):
    """One axis as a number in [0, rank); `name`: the op and its argument, for messages."""
    try:
        a = None if isinstance(axis, bool) else operator.index(axis)
    except TypeError:
        a = None
    if a is None:
        raise TypeError(f"{name}: expected an integer, received {axis!r}")
    if not -rank <= a < rank:
        raise ValueError(f"{name}: expected a value in [{-rank}, {rank}), received {axis}")
    return a % rank


def canonical_axes(name, axis, rank):
    """Distinct axes in the order given, for an integer or a sequence of them."""
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(canonical_axis(name, a, rank) for a in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: expected distinct axes, received {axis}")
    return axes


def folded_axes(name, axis, rank):
    """The reduced axes in increasing order; None stands for all of them."""
    return tuple(range(rank)) if axis is None else tuple(sorted(canonical_axes(f"{name}: axis", axis, rank)))


def folded_shape(name, shape, axis, keepdims):
    """The shape after reducing `axis`; entries may be None."""
    if not isinstance(keepdims, (bool, np.bool_)):
        raise TypeError(f"{name}: keepdims: expected True or False, received {keepdims!r}")
    axes = folded_axes(name, axis, len(shape))
    if keepdims:
        return tuple(1 if d in axes else n for d, n in enumerate(shape))
    return tuple(n for d, n in enumerate(shape) if d not in axes)


def kept_shape(shape, axis, keepdims):
    """`folded_shape` of arguments that have been checked."""
    return folded_shape("", shape, axis, keepdims)


def mask_of(axis, rank):
    """The reduced axes as bits, as csrc/reduce/reduce.hpp takes them."""
    mask = 0
    for a in folded_axes("", axis, rank):
        mask |= 1 << a
    return mask


def rows_of(x, axis):
    """x as a C-contiguous matrix (outputs, elements of a row), a row in C order of the reduced axes."""
    axes = folded_axes("", axis, x.ndim)
    kept = [d for d in range(x.ndim) if d not in axes]
    n = 1
    for a in axes:
        n *= x.shape[a]
    outputs = 1
    for d in kept:
        outputs *= x.shape[d]
    return np.ascontiguousarray(x.transpose([*kept, *axes])).reshape(outputs, n)
