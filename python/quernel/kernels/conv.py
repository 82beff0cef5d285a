"""conv_forward, conv_dx, conv_dw: convolution of channels-last arrays over one to three dimensions, with groups."""

import numpy as np

from . import conv_loops
from .conv_shape import (
    check_float,
    check_rank,
    check_shape,
    geometry,
    pack,
    per_dimension,
)
from .dense import activate, activation_code
from .kernel import kernel, spec


def _groups(op, groups, channels, filters, kernel_channels):
    """Checks that `groups` divides the channels as the kernel's shape says."""
    (groups,) = per_dimension(op, "groups", groups, 1)
    if channels is not None and channels != kernel_channels * groups:
        raise ValueError(
            f"{op}: expected input channels = groups * the kernel's input channels = {groups} * {kernel_channels}, "
            f"received {channels} channels"
        )
    if filters % groups:
        raise ValueError(f"{op}: expected filters divisible by groups, received {filters} filters and {groups} groups")


def _check_kernel(op, name, w, rank):
    check_rank(op, name, w, rank)
    if None in tuple(w):
        raise ValueError(f"{op}: {name}: expected known sizes, received {tuple(w)}")


def _forward_shape(x, w, b, *, strides, padding, dilation_rate, groups, activation):
    op = "conv_forward"
    check_float(op, x=x, w=w, b=b)
    check_rank(op, "x", x.shape)
    _check_kernel(op, "w", w.shape, len(x.shape))
    _groups(op, groups, x.shape[-1], w.shape[-1], w.shape[-2])
    activation_code(activation, op)
    if b is not None:
        check_shape(op, "b", b.shape, w.shape[-1:])
    g = geometry(op, x.shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    return spec((x.shape[0], *g.outputs, w.shape[-1]), x.dtype)


def _dx_shape(dy, w, *, input_shape, strides, padding, dilation_rate, groups):
    op = "conv_dx"
    check_float(op, dy=dy, w=w)
    check_rank(op, "input_shape", input_shape)
    _check_kernel(op, "w", w.shape, len(input_shape))
    _groups(op, groups, input_shape[-1], w.shape[-1], w.shape[-2])
    g = geometry(op, input_shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    check_shape(op, "dy", dy.shape, (input_shape[0], *g.outputs, w.shape[-1]))
    return spec(input_shape, dy.dtype)


def _dw_shape(x, dy, *, kernel_shape, strides, padding, dilation_rate, groups):
    op = "conv_dw"
    check_float(op, x=x, dy=dy)
    check_rank(op, "x", x.shape)
    _check_kernel(op, "kernel_shape", kernel_shape, len(x.shape))
    _groups(op, groups, x.shape[-1], kernel_shape[-1], kernel_shape[-2])
    g = geometry(op, x.shape[1:-1], kernel_shape[:-2], strides, padding, dilation_rate)
    check_shape(op, "dy", dy.shape, (x.shape[0], *g.outputs, kernel_shape[-1]))
    return spec(kernel_shape, x.dtype)


def _forward_native(x, w, b, *, strides, padding, dilation_rate, groups, activation):
    g = geometry("conv_forward", x.shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    return pack(g, groups, activation), ()


def _dx_native(dy, w, *, input_shape, strides, padding, dilation_rate, groups):
    return pack(geometry("conv_dx", input_shape[1:-1], w.shape[:-2], strides, padding, dilation_rate), groups), ()


def _dw_native(x, dy, *, kernel_shape, strides, padding, dilation_rate, groups):
    return pack(geometry("conv_dw", x.shape[1:-1], kernel_shape[:-2], strides, padding, dilation_rate), groups), ()


def _forward_numba(outs, x, w, b, *, strides, padding, dilation_rate, groups, activation):
    g = geometry("conv_forward", x.shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    conv_loops.forward(outs[0], x, w, b, g, groups, activation)


def _dx_numba(outs, dy, w, *, input_shape, strides, padding, dilation_rate, groups):
    g = geometry("conv_dx", input_shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    conv_loops.dx(outs[0], dy, w, g, groups)


def _dw_numba(outs, x, dy, *, kernel_shape, strides, padding, dilation_rate, groups):
    g = geometry("conv_dw", x.shape[1:-1], kernel_shape[:-2], strides, padding, dilation_rate)
    conv_loops.dw(outs[0], x, dy, g, groups)


def _channels(groups, w_shape):
    """For every group its slice of input channels and its slice of filters."""
    c, o = w_shape[-2], w_shape[-1] // groups
    for i in range(groups):
        yield slice(i * c, (i + 1) * c), slice(i * o, (i + 1) * o)


@kernel(shape=_forward_shape, native=_forward_native, numba=_forward_numba)
def conv_forward(x, w, b=None, *, strides=1, padding="valid", dilation_rate=1, groups=1, activation=None):
    """Convolution: y[n, p, o] = activation(b[o] + sum over t, c of x[n, i, c] * w[t, c, o]).

    i = p * strides + t * dilation_rate - low, for positions p and kernel taps t; taps outside x contribute nothing.
    With groups, filter o reads the channels of its group only.

    Args:
        x: (n, spatial..., channels), one to three spatial dimensions.
        w: (kernel..., channels // groups, filters).
        b: (filters,) or None.
        strides: int, or one for each spatial dimension.
        padding: "valid" (no padding) or "same" (outputs = ceil(inputs / strides); the odd padding goes to the end).
        dilation_rate: distance between taps: int, or one for each spatial dimension.
        groups: number of groups; divides channels and filters.
        activation: None, "relu", "sigmoid" or "tanh".

    Returns:
        (n, positions..., filters).

    Raises:
        ValueError: shapes that do not fit, or a window larger than the unpadded input.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.ones((1, 3, 3, 1), "float32")
        >>> qn.kernels.conv_forward(x, np.ones((3, 3, 1, 1), "float32"), padding="same")[0, :, :, 0]
        array([[4., 6., 4.],
               [6., 9., 6.],
               [4., 6., 4.]], dtype=float32)
    """
    g = geometry("conv_forward", x.shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    y = np.zeros((x.shape[0], *g.outputs, w.shape[-1]), x.dtype)
    for tap, at, source in g.taps():
        for c, o in _channels(groups, w.shape):
            y[(*at, o)] += np.matmul(x[(*source, c)], w[tap][:, o])
    return activate(y if b is None else y + b, activation)


@kernel(shape=_dx_shape, native=_dx_native, numba=_dx_numba)
def conv_dx(dy, w, *, input_shape, strides=1, padding="valid", dilation_rate=1, groups=1):
    """Gradient of conv_forward with respect to x: dx[n, i, c] = sum over t, o of dy[n, p, o] * w[t, c, o].

    The sum takes the positions p that read i through tap t: p * strides + t * dilation_rate - low = i.

    Args:
        dy: (n, positions..., filters).
        w: (kernel..., channels // groups, filters).
        input_shape: shape of x, (n, spatial..., channels).
        strides: as in conv_forward.
        padding: as in conv_forward.
        dilation_rate: as in conv_forward.
        groups: as in conv_forward.

    Returns:
        dx, of shape input_shape.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy = np.array([1, 10], "float32").reshape(1, 2, 1)
        >>> w = np.array([1, 2], "float32").reshape(2, 1, 1)
        >>> qn.kernels.conv_dx(dy, w, input_shape=(1, 3, 1)).ravel()
        array([ 1., 12., 20.], dtype=float32)
    """
    g = geometry("conv_dx", input_shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    dx = np.zeros(input_shape, dy.dtype)
    for tap, at, source in g.taps():
        for c, o in _channels(groups, w.shape):
            dx[(*source, c)] += np.matmul(dy[(*at, o)], w[tap][:, o].T)
    return dx


@kernel(shape=_dw_shape, native=_dw_native, numba=_dw_numba)
def conv_dw(x, dy, *, kernel_shape, strides=1, padding="valid", dilation_rate=1, groups=1):
    """Gradient of conv_forward with respect to w: dw[t, c, o] = sum over n, p of x[n, i, c] * dy[n, p, o].

    i = p * strides + t * dilation_rate - low; positions that fall outside x contribute nothing.

    Args:
        x: (n, spatial..., channels).
        dy: (n, positions..., filters).
        kernel_shape: shape of w, (kernel..., channels // groups, filters).
        strides: as in conv_forward.
        padding: as in conv_forward.
        dilation_rate: as in conv_forward.
        groups: as in conv_forward.

    Returns:
        dw, of shape kernel_shape.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([1, 2, 3], "float32").reshape(1, 3, 1)
        >>> dy = np.array([1, 10], "float32").reshape(1, 2, 1)
        >>> qn.kernels.conv_dw(x, dy, kernel_shape=(2, 1, 1)).ravel()
        array([21., 32.], dtype=float32)
    """
    g = geometry("conv_dw", x.shape[1:-1], kernel_shape[:-2], strides, padding, dilation_rate)
    dw = np.zeros(kernel_shape, x.dtype)
    for tap, at, source in g.taps():
        for c, o in _channels(groups, kernel_shape):
            dw[tap][:, o] = np.tensordot(x[(*source, c)], dy[(*at, o)], axes=(range(x.ndim - 1), range(x.ndim - 1)))
    return dw
