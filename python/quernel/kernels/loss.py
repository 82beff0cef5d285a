"""mean_squared_error and its gradient; the checks that the loss kernels share."""

import numpy as np

from .kernel import is_float, jit, kernel, spec

LOW, HIGH = (
    float(np.float32(1e-7)),
    float(np.float32(1 - 1e-7)),
)  # probabilities are clipped to [LOW, HIGH], in every dtype


def check_floats(name, **arrays):
    """Every array is floating."""
    for label, a in arrays.items():
        if not is_float(np.dtype(a.dtype)):
            raise TypeError(f"{name}: {label}: expected a float dtype, received {np.dtype(a.dtype)}; cast it first")


def check_shape(name, label, value, expected, why, fix=""):
    """`value` has the shape `expected`; None on either side stands for any size. `fix` ends the message."""
    if len(value.shape) != len(expected) or any(None not in (a, b) and a != b for a, b in zip(value.shape, expected)):
        raise ValueError(f"{name}: {label}: expected {why} {tuple(expected)}, received {tuple(value.shape)}{fix}")


def check_rows(name, label, value):
    """There is a last axis to reduce; returns the shape without it."""
    if len(value.shape) < 1:
        raise ValueError(f"{name}: {label}: expected at least one axis, received a scalar")
    return tuple(value.shape[:-1])


def check_flag(name, from_logits):
    """from_logits is a bool."""
    if not isinstance(from_logits, (bool, np.bool_)):
        raise TypeError(f"{name}: from_logits: expected True or False, received {from_logits!r}")


def rows(array):
    """A C-contiguous matrix with the last axis along its rows."""
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1]) if array.size else np.empty((0, 1), array.dtype)


def column(array):
    """A C-contiguous vector."""
    return np.ascontiguousarray(array).reshape(-1)


def _shape(y_true, y_pred):
    name = "mean_squared_error"
    check_floats(name, y_true=y_true, y_pred=y_pred)
    kept = check_rows(name, "y_pred", y_pred)
    check_shape(name, "y_true", y_true, y_pred.shape, "y_pred's shape")
    return spec(kept, y_pred.dtype)


def _dx_shape(dy, y_true, y_pred):
    name = "mean_squared_error_dx"
    check_floats(name, dy=dy, y_true=y_true, y_pred=y_pred)
    kept = check_rows(name, "y_pred", y_pred)
    check_shape(name, "y_true", y_true, y_pred.shape, "y_pred's shape")
    check_shape(name, "dy", dy, kept, "the loss's shape")
    return spec(y_pred.shape, y_pred.dtype)


def _native(*arrays):
    return (), ()


@jit
def _loop(loss, t, x):
    n = x.shape[1]
    for r in range(x.shape[0]):
        total = 0.0  # float64: one chain of float32 additions would lose digits on long rows
        for i in range(n):
            d = t[r, i] - x[r, i]
            total += d * d
        loss[r] = total / n


@jit
def _dx_loop(dx, dy, t, x):
    n = x.shape[1]
    for r in range(x.shape[0]):
        scale = x.dtype.type(2) * dy[r] / x.dtype.type(n)
        for i in range(n):
            dx[r, i] = (x[r, i] - t[r, i]) * scale


def _numba(outs, y_true, y_pred):
    if y_pred.size:
        _loop(outs[0].reshape(-1), rows(y_true), rows(y_pred))
    else:
        outs[0].fill(np.nan)


def _dx_numba(outs, dy, y_true, y_pred):
    if y_pred.size:
        _dx_loop(rows(outs[0]), column(dy), rows(y_true), rows(y_pred))


@kernel(shape=_shape, native=_native, numba=_numba)
def mean_squared_error(y_true, y_pred):
    """Mean squared error over the last axis: loss = sum((y_true - y_pred)^2) / n.

    Args:
        y_true: targets (..., n).
        y_pred: predictions, the same shape.

    Returns:
        loss (...); NaN where n is 0.

    Raises:
        ValueError: the shapes differ, or there is no axis.
        TypeError: an input is not floating.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.mean_squared_error(np.array([[0, 2]], "float32"), np.array([[1, 4]], "float32"))
        array([2.5], dtype=float32)
    """
    difference = y_true - y_pred
    return np.sum(difference * difference, axis=-1) / y_pred.dtype.type(y_pred.shape[-1])


@kernel(shape=_dx_shape, native=_native, numba=_dx_numba)
def mean_squared_error_dx(dy, y_true, y_pred):
    """Gradient of mean_squared_error for y_pred: dx_i = (y_pred_i - y_true_i) * (2 dy / n). For y_true it is -dx.

    Args:
        dy: gradient of the loss (...).
        y_true: targets (..., n).
        y_pred: predictions (..., n).

    Returns:
        dx, with y_pred's shape.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import numpy as np, quernel as qn
        >>> t, x = np.array([[0, 2]], "float32"), np.array([[1, 4]], "float32")
        >>> qn.kernels.mean_squared_error_dx(np.ones(1, "float32"), t, x)
        array([[1., 2.]], dtype=float32)
    """
    n = y_pred.dtype.type(y_pred.shape[-1])
    return (y_pred - y_true) * (2 * dy / n)[..., None]
