"""softmax and log_softmax along an axis, and their gradients."""

import numpy as np

from .axes import canonical_axis
from .kernel import is_float, jit, kernel, spec


def _check(name, x, axis):
    if not is_float(np.dtype(x.dtype)):
        raise TypeError(f"{name}: x: expected a float dtype, received {np.dtype(x.dtype)}; cast it first")
    canonical_axis(f"{name}: axis", axis, len(x.shape))


def _shape(name):
    def shape(x, axis):
        _check(name, x, axis)
        return spec(x.shape, x.dtype)

    return shape


def _dx_shape(name):
    def shape(dy, y, axis):
        _check(name, y, axis)
        if len(dy.shape) != len(y.shape) or any(None not in (a, b) and a != b for a, b in zip(dy.shape, y.shape)):
            raise ValueError(f"{name}: dy: expected y's shape {tuple(y.shape)}, received {tuple(dy.shape)}")
        return spec(y.shape, y.dtype)

    return shape


def _native(x, axis):
    return (axis % x.ndim,), ()


def _dx_native(dy, y, axis):
    return (axis % y.ndim,), ()


# Sums are float64: one chain of float32 additions would lose digits on long rows.
@jit
def _softmax_rows(y, x):
    for r in range(x.shape[0]):
        top = x[r, 0]
        for i in range(x.shape[1]):
            if x[r, i] > top or x[r, i] != x[r, i]:
                top = x[r, i]
        total = 0.0
        for i in range(x.shape[1]):
            e = np.exp(x[r, i] - top)
            y[r, i] = e
            total += e
        for i in range(x.shape[1]):
            y[r, i] /= total


@jit
def _log_softmax_rows(y, x):
    for r in range(x.shape[0]):
        top = x[r, 0]
        for i in range(x.shape[1]):
            if x[r, i] > top or x[r, i] != x[r, i]:
                top = x[r, i]
        total = 0.0
        for i in range(x.shape[1]):
            total += np.exp(x[r, i] - top)
        total = np.log(total)
        for i in range(x.shape[1]):
            y[r, i] = (x[r, i] - top) - total


@jit
def _softmax_dx_rows(dx, dy, y):
    for r in range(y.shape[0]):
        total = 0.0
        for i in range(y.shape[1]):
            total += dy[r, i] * y[r, i]
        for i in range(y.shape[1]):
            dx[r, i] = (dy[r, i] - total) * y[r, i]


@jit
def _log_softmax_dx_rows(dx, dy, y):
    for r in range(y.shape[0]):
        total = 0.0
        for i in range(y.shape[1]):
            total += dy[r, i]
        for i in range(y.shape[1]):
            dx[r, i] = dy[r, i] - np.exp(y[r, i]) * total


def _numba(loop):
    """Runs `loop(out, *inputs)` on matrices whose rows lie along `axis`."""

    def run(outs, *inputs, axis):
        out = outs[0]
        if not out.size:
            return
        last = np.moveaxis(out, axis, -1)
        rows = [np.ascontiguousarray(np.moveaxis(a, axis, -1)).reshape(-1, last.shape[-1]) for a in inputs]
        result = np.empty_like(rows[0])
        loop(result, *rows)
        np.copyto(last, result.reshape(last.shape))

    return run


@kernel(shape=_shape("softmax"), native=_native, numba=_numba(_softmax_rows))
def softmax(x, *, axis=-1):
    """Softmax along an axis: y_i = exp(x_i - max(x)) / sum(exp(x - max(x))).

    Args:
        x: array of floats, any shape with at least one axis.
        axis: the axis that sums to 1.

    Returns:
        y, with x's shape. A row that holds a NaN or inf, or only -inf, is NaN.

    Raises:
        ValueError: the axis is out of range.
        TypeError: x is not floating.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.softmax(np.array([0, 0, -np.inf, 0], "float32")).round(3)
        array([0.333, 0.333, 0.   , 0.333], dtype=float32)
    """
    if not x.size:
        return x.copy()
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@kernel(shape=_shape("log_softmax"), native=_native, numba=_numba(_log_softmax_rows))
def log_softmax(x, *, axis=-1):
    """Logarithm of softmax: y_i = (x_i - max(x)) - log(sum(exp(x - max(x)))).

    Args:
        x: array of floats, any shape with at least one axis.
        axis: the axis along which exp(y) sums to 1.

    Returns:
        y, with x's shape. A row that holds a NaN or inf, or only -inf, is NaN.

    Raises:
        ValueError: the axis is out of range.
        TypeError: x is not floating.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.log_softmax(np.array([0, 0], "float32")).round(3)
        array([-0.693, -0.693], dtype=float32)
    """
    if not x.size:
        return x.copy()
    z = x - np.max(x, axis=axis, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


@kernel(shape=_dx_shape("softmax_dx"), native=_dx_native, numba=_numba(_softmax_dx_rows))
def softmax_dx(dy, y, *, axis=-1):
    """Gradient of softmax from its output: dx_i = (dy_i - sum(dy * y)) * y_i.

    Args:
        dy: gradient of the output, shaped like y.
        y: `softmax(x, axis=axis)`.
        axis: the axis that sums to 1.

    Returns:
        dx, with y's shape.

    Raises:
        ValueError: shapes differ or the axis is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.softmax_dx(np.array([1, 0], "float32"), np.array([0.5, 0.5], "float32"))
        array([ 0.25, -0.25], dtype=float32)
    """
    return (dy - np.sum(dy * y, axis=axis, keepdims=True)) * y


@kernel(shape=_dx_shape("log_softmax_dx"), native=_dx_native, numba=_numba(_log_softmax_dx_rows))
def log_softmax_dx(dy, y, *, axis=-1):
    """Gradient of log_softmax from its output: dx_i = dy_i - exp(y_i) * sum(dy).

    Args:
        dy: gradient of the output, shaped like y.
        y: `log_softmax(x, axis=axis)`.
        axis: the axis along which exp(y) sums to 1.

    Returns:
        dx, with y's shape.

    Raises:
        ValueError: shapes differ or the axis is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.log_softmax_dx(np.array([1, 0], "float32"), np.log(np.array([0.5, 0.5], "float32")))
        array([ 0.5, -0.5], dtype=float32)
    """
    return dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True)
