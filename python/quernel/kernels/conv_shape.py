"""Geometry of convolutions: output sizes, padding, which taps meet which positions; shared by conv and depthwise.

One spatial dimension: output o and tap t read input o * stride + t * dilation - low, where that lies inside the input.
Padding is absence: a tap outside contributes nothing, not zero times a weight (an infinite weight makes no NaN there).
"""

import itertools
import operator
from typing import NamedTuple

import numpy as np

from .dense import ACTIVATIONS
from .kernel import is_float


class Geometry(NamedTuple):
    """Sizes of one convolution, an entry for each spatial dimension; `low` is the padding before the first element."""

    inputs: tuple
    outputs: tuple
    kernel: tuple
    strides: tuple
    dilation: tuple
    low: tuple

    def taps(self):
        """For every tap in C order: its index, slices of outputs that it serves, slices of inputs that it reads."""
        for tap in itertools.product(*map(range, self.kernel)):
            at, source = [], []
            for t, i, o, s, d, low in zip(tap, self.inputs, self.outputs, self.strides, self.dilation, self.low):
                shift = t * d - low
                begin, end = max(0, -(shift // s)), min(o, (i - 1 - shift) // s + 1)
                if begin >= end:
                    break
                at.append(slice(begin, end))
                source.append(slice(begin * s + shift, (end - 1) * s + shift + 1, s))
            else:
                yield tap, (slice(None), *at), (slice(None), *source)


def per_dimension(op, name, value, rank):
    """`value` as a tuple of `rank` positive ints; one int counts for all dimensions."""
    values = value if isinstance(value, (tuple, list)) else (value,) * rank
    try:
        values = tuple(operator.index(v) for v in values)
    except TypeError:
        raise TypeError(f"{op}: {name}: expected an int or a tuple of {rank} ints, received {value!r}") from None
    if len(values) != rank or min(values) < 1:
        raise ValueError(f"{op}: {name}: expected a positive int or {rank} of them, received {value!r}")
    return values


def geometry(op, inputs, kernel, strides, padding, dilation_rate):
    """The Geometry of sizes `inputs` (entries may be None) under a kernel; raises on a window that does not fit."""
    rank = len(inputs)
    strides = per_dimension(op, "strides", strides, rank)
    dilation = per_dimension(op, "dilation_rate", dilation_rate, rank)
    kernel = tuple(kernel)
    if padding not in ("valid", "same"):
        raise ValueError(f'{op}: padding: expected "valid" or "same", received {padding!r}')
    if min(kernel) < 1:
        raise ValueError(
            f"{op}: expected a kernel of at least one tap in each dimension, received a window of {kernel}"
        )
    outputs, lows = [], []
    for d, (i, k, s, r) in enumerate(zip(inputs, kernel, strides, dilation)):
        span = (k - 1) * r + 1
        if i is None:
            outputs.append(None)
            lows.append(0)
        elif padding == "same":
            o = -(-i // s)
            outputs.append(o)
            lows.append(max((o - 1) * s + span - i, 0) // 2)  # the odd one goes to the end
        elif 0 < i < span:
            raise ValueError(
                f"{op}: spatial dimension {d} has {i} elements, fewer than the window's {span}; "
                f'pass padding="same", a smaller kernel or a larger input'
            )
        else:
            outputs.append(max((i - span) // s + 1, 0))
            lows.append(0)
    return Geometry(tuple(inputs), tuple(outputs), kernel, strides, dilation, tuple(lows))


def check_float(op, **arrays):
    """Refuses arrays that are not floating point."""
    for name, a in arrays.items():
        if a is not None and not is_float(np.dtype(a.dtype)):
            raise TypeError(f"{op}: {name}: expected a floating dtype, received {a.dtype}; cast with astype first")


def check_rank(op, name, shape, rank=None):
    """Refuses shapes that are not (n, 1 to 3 spatial sizes, channels), or not of the given rank."""
    if rank is None and len(shape) in (3, 4, 5) or len(shape) == rank:
        return
    wanted = "3 to 5 dimensions (n, spatial..., channels)" if rank is None else f"{rank} dimensions"
    raise ValueError(f"{op}: {name}: expected {wanted}, received shape {tuple(shape)}")


def check_shape(op, name, shape, expected):
    """Refuses a shape that differs from the expected one; None matches anything."""
    if len(shape) != len(expected) or any(a != b for a, b in zip(shape, expected) if a is not None and b is not None):
        raise ValueError(f"{op}: {name}: expected shape {tuple(expected)}, received {tuple(shape)}")


def pack(g, groups, activation=None):
    """The native int attributes: rank, groups, activation, then strides, dilation, low padding of each dimension."""
    return (len(g.inputs), groups, ACTIVATIONS.index(activation), *g.strides, *g.dilation, *g.low)
