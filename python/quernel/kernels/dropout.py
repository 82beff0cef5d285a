"""dropout and dropout_dx: a random mask made from a state, the same forward and backward."""

import math

import numpy as np

from . import philox
from .kernel import is_float, jit, kernel, spec


def _checked(name, x, state, rate):
    philox.check_state(state, name)
    if not is_float(np.dtype(x.dtype)):
        raise TypeError(f"{name}: expected an array of floats, received dtype {np.dtype(x.dtype)}")
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.floating)) or not 0 <= rate <= 1:
        raise ValueError(f"{name}: rate: expected a number in [0, 1], received {rate!r}")
    return spec(x.shape, x.dtype)


def _shape(x, state, rate):
    return _checked("dropout", x, state, rate)


def _dx_shape(dy, state, rate):
    return _checked("dropout_dx", dy, state, rate)


def _threshold_and_scale(rate):
    """A word w keeps its element where w >> 8 is at least the threshold; kept elements are scaled."""
    return math.ceil(rate * 2**24), (1 / (1 - rate) if rate < 1 else 0.0)


def _native(x, state, rate):
    threshold, scale = _threshold_and_scale(rate)
    return (threshold,), (scale,)


@jit
def _loop(y, x, words, threshold, scale):
    for i in range(y.size):
        if words[i] >> 8 >= threshold:
            y[i] = x[i] * scale
        else:
            y[i] = 0


def _numba(outs, x, state, rate):
    (y,) = outs
    threshold, scale = _threshold_and_scale(rate)
    words = philox.numba_groups(state, -(-x.size // philox.GROUP)).reshape(-1)
    _loop(y.reshape(-1), np.ascontiguousarray(x).reshape(-1), words, np.uint32(threshold), x.dtype.type(scale))


def _definition(x, state, rate):
    threshold, scale = _threshold_and_scale(rate)
    kept = (philox.words(state, x.size) >> 8).reshape(x.shape) >= threshold
    return np.where(kept, x * x.dtype.type(scale), x.dtype.type(0))


@kernel(shape=_shape, native=_native, numba=_numba)
def dropout(x, state, *, rate):
    """Sets elements to zero at random and scales the others: y[i] = x[i] / (1 - rate) if u[i] >= rate else 0.

    u[i] is the number that random_uniform makes of the same state; 1 / (1 - rate) is rounded once, then multiplied.

    Args:
        x: array of floats.
        state: int64 array [seed, step, call].
        rate: share of the elements that is dropped, in [0, 1].

    Returns:
        An array of x's shape and dtype. A dropped element is zero, also where x is NaN.

    Raises:
        ValueError, TypeError: where the rate is out of range, x no floats, or the state is not int64 of shape (3,).

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.dropout(np.ones(6, "float32"), np.array([8, 0, 0], "int64"), rate=0.5)
        array([2., 0., 0., 2., 2., 0.], dtype=float32)

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    """
    return _definition(x, state, rate)


@kernel(shape=_dx_shape, native=_native, numba=_numba)
def dropout_dx(dy, state, *, rate):
    """The gradient of dropout, with the mask of the same state: dx[i] = dy[i] / (1 - rate) if u[i] >= rate else 0.

    Args:
        dy: array of floats.
        state: the int64 array [seed, step, call] that the forward call had.
        rate: the rate that the forward call had.

    Returns:
        An array of dy's shape and dtype.

    Raises:
        ValueError, TypeError: as `dropout`.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.dropout_dx(np.ones(6, "float32"), np.array([8, 0, 0], "int64"), rate=0.5)
        array([2., 0., 0., 2., 2., 0.], dtype=float32)
    """
    return _definition(dy, state, rate)
