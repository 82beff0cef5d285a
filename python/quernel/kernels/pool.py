"""Max and average pooling over (n, spatial..., c), and their gradients. Padding is absence, not zeros."""

import numpy as np

from . import pool_loops as loops
from .kernel import Decline, is_float, kernel, spec
from .window import counts, outputs, packed, sliding, taps, three, tiled


def _need_float32(array):
    if array.dtype.name != "float32":
        raise Decline(f"the input is {array.dtype}; native pooling takes float32")


def _need_floats(op, **arrays):
    for name, a in arrays.items():
        if not is_float(np.dtype(a.dtype)):
            raise TypeError(f"{op}: {name}: expected a floating dtype, received {np.dtype(a.dtype)}; cast it first")


def _need_shape(op, name, shape, expected):
    if len(shape) != len(expected) or any(a != b and a is not None and b is not None for a, b in zip(shape, expected)):
        raise ValueError(f"{op}: {name}: expected shape {tuple(expected)}, received {tuple(shape)}")


def _same_value(x, y):
    return (x == y) | (np.isnan(x) & np.isnan(y))


# ---- max_pool ----


def _max_pool_shape(x, *, pool_size, strides, padding):
    return spec(outputs(x.shape, sliding("max_pool", x.shape, pool_size, strides, padding)), x.dtype)


def _pool_native(x, *, pool_size, strides, padding):
    _need_float32(x)
    return packed(sliding("pool", x.shape, pool_size, strides, padding)), ()


def _max_pool_numba(outs, x, *, pool_size, strides, padding):
    loops.max_pool(outs[0], x, three(sliding("max_pool", x.shape, pool_size, strides, padding)))


@kernel(shape=_max_pool_shape, native=_pool_native, numba=_max_pool_numba)
def max_pool(x, *, pool_size, strides=None, padding="valid"):
    """Max pooling: y[n, o, c] = max over the elements i of window o of x[n, i, c].

    Window o of an axis covers pool_size elements from o * strides - pad on; "valid": pad = 0 and only whole windows;
    "same": ceil(size / strides) windows, pad as in TensorFlow, and what lies outside takes no part. A NaN in a window
    gives NaN.

    Args:
        x: (n, spatial..., c) with 1 to 3 spatial axes.
        pool_size: int, or an int for each spatial axis.
        strides: the same; None means pool_size.
        padding: "valid" or "same".

    Returns:
        y (n, out..., c), x's dtype.

    Raises:
        ValueError: a window is larger than an input axis ("valid"), or an argument is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([1, 3, 2, 5, 4], dtype="float32").reshape(1, 5, 1)
        >>> qn.kernels.max_pool(x, pool_size=2).ravel()
        array([3., 5.], dtype=float32)
        >>> qn.kernels.max_pool(x, pool_size=2, padding="same").ravel()
        array([3., 5., 4.], dtype=float32)
    """
    axes = sliding("max_pool", x.shape, pool_size, strides, padding)
    y = x
    for d, a in enumerate(axes, 1):  # the first element of each window
        y = np.take(y, np.maximum(np.arange(a.out) * a.stride - a.pad, 0), axis=d)
    for i, o in taps(axes):
        np.copyto(y[o], x[i], where=(x[i] > y[o]) | np.isnan(x[i]))
    return y


def _max_dx_shape(op, first, like, x, y, axes):
    _need_floats(op, **{first[0]: first[1]})
    if np.dtype(x.dtype) != np.dtype(first[1].dtype):
        raise TypeError(
            f"{op}: x: expected {np.dtype(first[1].dtype)} like {first[0]}, received {np.dtype(x.dtype)}; cast it"
        )
    _need_shape(op, first[0], first[1].shape, like)
    _need_shape(op, "y", y.shape, outputs(x.shape, axes))


def _max_pool_dx_shape(dy, x, y, *, pool_size, strides, padding):
    axes = sliding("max_pool_dx", x.shape, pool_size, strides, padding)
    _max_dx_shape("max_pool_dx", ("dy", dy), outputs(x.shape, axes), x, y, axes)
    return spec(x.shape, dy.dtype)


def _max_pool_dx_native(dy, x, y, **attrs):
    return _pool_native(x, **attrs)


def _max_pool_dx_numba(outs, dy, x, y, *, pool_size, strides, padding):
    loops.max_pool_dx(outs[0], dy, x, y, three(sliding("max_pool_dx", x.shape, pool_size, strides, padding)))


@kernel(shape=_max_pool_dx_shape, native=_max_pool_dx_native, numba=_max_pool_dx_numba)
def max_pool_dx(dy, x, y, *, pool_size, strides=None, padding="valid"):
    """Gradient of max_pool: dx[i] = sum of dy[o] over the windows o whose first element equal to y[o] is x[i].

    The first maximum in window order (rows, then columns) gets the whole gradient; NaN counts as equal to NaN.

    Args:
        dy: (n, out..., c), gradient of y.
        x: (n, spatial..., c), max_pool's input.
        y: (n, out..., c), max_pool's output for x.
        pool_size, strides, padding: as in max_pool.

    Returns:
        dx, x's shape and dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([1, 3, 5, 5], dtype="float32").reshape(1, 4, 1)
        >>> y = qn.kernels.max_pool(x, pool_size=2)
        >>> qn.kernels.max_pool_dx(np.ones_like(y), x, y, pool_size=2).ravel()
        array([0., 1., 1., 0.], dtype=float32)
    """
    dx = np.zeros_like(x)
    left = dy.copy()  # each window hands its gradient out once
    axes = sliding("max_pool_dx", x.shape, pool_size, strides, padding)
    alone = tiled(axes)
    for i, o in taps(axes):
        hit = _same_value(x[i], y[o])
        gradient = np.where(hit, left[o], 0)
        dx[i] = gradient if alone else dx[i] + gradient
        np.copyto(left[o], 0, where=hit)
    return dx


def _max_pool_gather_shape(v, x, y, *, pool_size, strides, padding):
    axes = sliding("max_pool_gather", x.shape, pool_size, strides, padding)
    _max_dx_shape("max_pool_gather", ("v", v), x.shape, x, y, axes)
    return spec(outputs(x.shape, axes), v.dtype)


def _max_pool_gather_numba(outs, v, x, y, *, pool_size, strides, padding):
    loops.max_pool_gather(outs[0], v, x, y, three(sliding("max_pool_gather", x.shape, pool_size, strides, padding)))


@kernel(shape=_max_pool_gather_shape, native=_max_pool_dx_native, numba=_max_pool_gather_numba)
def max_pool_gather(v, x, y, *, pool_size, strides=None, padding="valid"):
    """Reads v where max_pool found its maxima: z[o] = v[i], i the first element of window o with x[i] = y[o].

    It is the derivative of max_pool along v, and the gradient of max_pool_dx with respect to dy.

    Args:
        v: (n, spatial..., c).
        x: (n, spatial..., c), max_pool's input.
        y: (n, out..., c), max_pool's output for x.
        pool_size, strides, padding: as in max_pool.

    Returns:
        z, y's shape; 0 where no element equals y[o].

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([1, 3, 5, 4], dtype="float32").reshape(1, 4, 1)
        >>> y = qn.kernels.max_pool(x, pool_size=2)
        >>> qn.kernels.max_pool_gather(10 * x, x, y, pool_size=2).ravel()
        array([30., 50.], dtype=float32)
    """
    z = np.zeros_like(y)
    found = np.zeros(y.shape, bool)
    for i, o in taps(sliding("max_pool_gather", x.shape, pool_size, strides, padding)):
        hit = ~found[o] & _same_value(x[i], y[o])
        z[o] = np.where(hit, v[i], z[o])
        found[o] |= hit
    return z


# ---- average_pool ----


def _average_pool_shape(x, *, pool_size, strides, padding):
    _need_floats("average_pool", x=x)
    return spec(outputs(x.shape, sliding("average_pool", x.shape, pool_size, strides, padding)), x.dtype)


def _average_pool_numba(outs, x, *, pool_size, strides, padding):
    loops.average_pool(outs[0], x, three(sliding("average_pool", x.shape, pool_size, strides, padding)))


@kernel(shape=_average_pool_shape, native=_pool_native, numba=_average_pool_numba)
def average_pool(x, *, pool_size, strides=None, padding="valid"):
    """Average pooling: y[n, o, c] = mean over the elements i of window o of x[n, i, c].

    With padding "same" the mean is over the elements that are there, as in TensorFlow. Windows as in max_pool.

    Args:
        x: (n, spatial..., c) with 1 to 3 spatial axes, floating.
        pool_size: int, or an int for each spatial axis.
        strides: the same; None means pool_size.
        padding: "valid" or "same".

    Returns:
        y (n, out..., c), x's dtype.

    Raises:
        ValueError: a window is larger than an input axis ("valid"), or an argument is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([1, 3, 2, 5, 4], dtype="float32").reshape(1, 5, 1)
        >>> qn.kernels.average_pool(x, pool_size=2, padding="same").ravel()
        array([2. , 3.5, 4. ], dtype=float32)
    """
    axes = sliding("average_pool", x.shape, pool_size, strides, padding)
    total = np.zeros(outputs(x.shape, axes), x.dtype)
    for i, o in taps(axes):
        total[o] += x[i]
    return total / counts(axes).astype(x.dtype)


def _average_pool_dx_shape(dy, *, input_shape, pool_size, strides, padding):
    _need_floats("average_pool_dx", dy=dy)
    axes = sliding("average_pool_dx", input_shape, pool_size, strides, padding, "input_shape")
    _need_shape("average_pool_dx", "dy", dy.shape, outputs(input_shape, axes))
    return spec(input_shape, dy.dtype)


def _average_pool_dx_native(dy, *, input_shape, pool_size, strides, padding):
    return packed(sliding("average_pool_dx", input_shape, pool_size, strides, padding)), ()


def _average_pool_dx_numba(outs, dy, *, input_shape, pool_size, strides, padding):
    loops.average_pool_dx(outs[0], dy, three(sliding("average_pool_dx", input_shape, pool_size, strides, padding)))


@kernel(shape=_average_pool_dx_shape, native=_average_pool_dx_native, numba=_average_pool_dx_numba)
def average_pool_dx(dy, *, input_shape, pool_size, strides=None, padding="valid"):
    """Gradient of average_pool: dx[i] = sum over the windows o that hold i of dy[o] / (number of elements of o).

    Args:
        dy: (n, out..., c), gradient of y.
        input_shape: (n, spatial..., c), the shape of average_pool's input.
        pool_size, strides, padding: as in average_pool.

    Returns:
        dx of shape input_shape, dy's dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy = np.array([2, 4, 6], dtype="float32").reshape(1, 3, 1)
        >>> qn.kernels.average_pool_dx(dy, input_shape=(1, 5, 1), pool_size=2, padding="same").ravel()
        array([1., 1., 2., 2., 6.], dtype=float32)
    """
    axes = sliding("average_pool_dx", input_shape, pool_size, strides, padding)
    dx = np.zeros(input_shape, dy.dtype)
    share = dy / counts(axes).astype(dy.dtype)
    alone = tiled(axes)
    for i, o in taps(axes):
        dx[i] = share[o] if alone else dx[i] + share[o]
    return dx
