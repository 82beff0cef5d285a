"""recurrent: what the kernels of recurrent layers share: gate functions, checks of their operands."""

import numpy as np

from .dense import ACTIVATIONS as FUSED
from .dense import activate
from .kernel import jit

ACTIVATIONS = ("linear", *FUSED[1:])  # the same numbers; slopes follow from the result


def gate_code(activation, name, op):
    """The number of a fused gate function, None being "linear"; ValueError naming the op for any other."""
    if activation is None:
        return 0
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(
            f"{op}: {name}: expected one of {ACTIVATIONS} or None, received {activation!r}; compute the steps one by "
            f"one with others"
        )
    return ACTIVATIONS.index(activation)


def gate_codes(op, activation, recurrent_activation):
    """The numbers of both functions of a gated layer."""
    return gate_code(activation, "activation", op), gate_code(recurrent_activation, "recurrent_activation", op)


def times(t, go_backwards):
    """(step, time) in the order of the steps."""
    return [(s, t - 1 - s if go_backwards else s) for s in range(t)]


def squash(x, code):
    """The definition of the gate functions: the fused activations of a dense layer."""
    return activate(x, FUSED[code])


def slope(y, code):
    """Their slopes as functions of their results."""
    if code == 1:
        return np.where(y <= 0, y.dtype.type(0), y.dtype.type(1))
    if code == 2:
        return y * (1 - y)
    return 1 - y * y if code == 3 else np.ones_like(y)


@jit
def squash_loop(x, code):
    """x[i, j] = squash(x[i, j]) on a C-contiguous array."""
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[i, j]
            if code == 1:
                if v <= 0:
                    v = one - one
            elif code == 2:
                e = np.exp(-abs(v))
                v = e / (one + e) if v < 0 else one / (one + e)
            elif code == 3:
                v = np.tanh(v)
            x[i, j] = v


@jit
def slope_loop(y, code):
    """y[i, j] = slope(y[i, j]) on a C-contiguous array."""
    one = y.dtype.type(1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            v = y[i, j]
            if code == 1:
                v = one - one if v <= 0 else one
            elif code == 2:
                v = v * (one - v)
            elif code == 3:
                v = one - v * v
            else:
                v = one
            y[i, j] = v


def check_floats(op, **arrays):
    """TypeError unless every array given is floating."""
    for name, a in arrays.items():
        if a is not None and np.dtype(a.dtype).kind in "iub":
            raise TypeError(f"{op}: {name}: expected floats, received {np.dtype(a.dtype)}; cast with astype first")


def check_shape(op, name, a, axes, sizes):
    """`a` (or None) has the axes that `axes` names, as "n t k", of the sizes in the dict; None fits any size."""
    if a is None:
        return
    wanted = tuple(sizes[axis] for axis in axes.split())
    shape = tuple(a.shape)
    if len(shape) != len(wanted) or any(None not in (have, want) and have != want for have, want in zip(shape, wanted)):
        raise ValueError(f"{op}: {name}: expected shape ({axes.replace(' ', ', ')}) = {wanted}, received {shape}")


def check_mask(op, mask, sizes):
    """mask (n, t), boolean, or None."""
    check_shape(op, "mask", mask, "n t", sizes)
    if mask is not None and np.dtype(mask.dtype) != np.bool_:
        raise TypeError(f"{op}: mask: expected bool, received {np.dtype(mask.dtype)}; compare or cast it first")


def zeros_or(a, like, shape):
    """`a`, or zeros of `like`'s dtype where it is None."""
    return np.zeros(shape, like.dtype) if a is None else a
