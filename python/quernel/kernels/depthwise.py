"""depthwise_conv_forward, depthwise_conv_dx, depthwise_conv_dw: every channel convolved with filters of its own."""

import numpy as np

from . import conv_loops
from .conv_shape import (
    check_float,
    check_rank,
    check_shape,
    geometry,
    pack,
)
from .dense import activate, activation_code
from .kernel import kernel, spec


def _check(op, images, channels, w):
    check_rank(op, "x", images)
    check_rank(op, "w", w, len(images))
    if None in tuple(w):
        raise ValueError(f"{op}: w: expected known sizes, received {tuple(w)}")
    if channels is not None and channels != w[-2]:
        raise ValueError(f"{op}: expected as many input channels as the kernel's {w[-2]}, received {channels}")


def _forward_shape(x, w, b, *, strides, padding, dilation_rate, activation):
    op = "depthwise_conv_forward"
    check_float(op, x=x, w=w, b=b)
    _check(op, x.shape, x.shape[-1] if len(x.shape) else 0, w.shape)
    activation_code(activation, op)
    filters = w.shape[-2] * w.shape[-1]
    if b is not None:
        check_shape(op, "b", b.shape, (filters,))
    g = geometry(op, x.shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    return spec((x.shape[0], *g.outputs, filters), x.dtype)


def _dx_shape(dy, w, *, input_shape, strides, padding, dilation_rate):
    op = "depthwise_conv_dx"
    check_float(op, dy=dy, w=w)
    _check(op, input_shape, input_shape[-1] if len(input_shape) else 0, w.shape)
    g = geometry(op, input_shape[1:-1], w.shape[:-2], strides, padding, dilation_rate)
    check_shape(op, "dy", dy.shape, (input_shape[0], *g.outputs, w.shape[-2] * w.shape[-1]))
    return spec(input_shape, dy.dtype)


def _dw_shape(x, dy, *, kernel_shape, strides, padding, dilation_rate):
    op = "depthwise_conv_dw"
    check_float(op, x=x, dy=dy)
    _check(op, x.shape, x.shape[-1] if len(x.shape) else 0, kernel_shape)
    g = geometry(op, x.shape[1:-1], kernel_shape[:-2], strides, padding, dilation_rate)
    check_shape(op, "dy", dy.shape, (x.shape[0], *g.outputs, kernel_shape[-2] * kernel_shape[-1]))
    return spec(kernel_shape, x.dtype)


def _geometry(inputs, kernel_shape, strides, padding, dilation_rate):
    return geometry("depthwise_conv", inputs[1:-1], kernel_shape[:-2], strides, padding, dilation_rate)


def _forward_native(x, w, b, *, activation, **where):
    return pack(_geometry(x.shape, w.shape, **where), 1, activation), ()


def _dx_native(dy, w, *, input_shape, **where):
    return pack(_geometry(input_shape, w.shape, **where), 1), ()


def _dw_native(x, dy, *, kernel_shape, **where):
    return pack(_geometry(x.shape, kernel_shape, **where), 1), ()


def _forward_numba(outs, x, w, b, *, activation, **where):
    conv_loops.depthwise_forward(outs[0], x, w, b, _geometry(x.shape, w.shape, **where), activation)


def _dx_numba(outs, dy, w, *, input_shape, **where):
    conv_loops.depthwise_dx(outs[0], dy, w, _geometry(input_shape, w.shape, **where))


def _dw_numba(outs, x, dy, *, kernel_shape, **where):
    conv_loops.depthwise_dw(outs[0], x, dy, _geometry(x.shape, kernel_shape, **where))


@kernel(shape=_forward_shape, native=_forward_native, numba=_forward_numba)
def depthwise_conv_forward(x, w, b=None, *, strides=1, padding="valid", dilation_rate=1, activation=None):
    """Depthwise convolution: y[n, p, c * M + m] = activation(b[c * M + m] + sum over t of x[n, i, c] * w[t, c, m]).

    i = p * strides + t * dilation_rate - low, over kernel taps t; taps outside x contribute nothing.

    Args:
        x: (n, spatial..., channels), one to three spatial dimensions.
        w: (kernel..., channels, M), M filters for each channel.
        b: (channels * M,) or None.
        strides: int, or one for each spatial dimension.
        padding: "valid" or "same" (outputs = ceil(inputs / strides); the odd padding goes to the end).
        dilation_rate: distance between taps: int, or one for each spatial dimension.
        activation: None, "relu", "sigmoid" or "tanh".

    Returns:
        (n, positions..., channels * M).

    Raises:
        ValueError: shapes that do not fit, or a window larger than the unpadded input.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([[1, 10], [2, 20], [3, 30]], "float32").reshape(1, 3, 2)
        >>> qn.kernels.depthwise_conv_forward(x, np.ones((2, 2, 1), "float32"))
        array([[[ 3., 30.],
                [ 5., 50.]]], dtype=float32)
    """
    g = _geometry(x.shape, w.shape, strides, padding, dilation_rate)
    y = np.zeros((x.shape[0], *g.outputs, *w.shape[-2:]), x.dtype)
    for tap, at, source in g.taps():
        y[at] += x[source][..., None] * w[tap]
    y = y.reshape(*y.shape[:-2], w.shape[-2] * w.shape[-1])
    return activate(y if b is None else y + b, activation)


@kernel(shape=_dx_shape, native=_dx_native, numba=_dx_numba)
def depthwise_conv_dx(dy, w, *, input_shape, strides=1, padding="valid", dilation_rate=1):
    """Gradient of depthwise_conv_forward with respect to x: dx[n, i, c] = sum of dy[n, p, c * M + m] * w[t, c, m].

    The sum takes taps t, filters m and positions p that read i through t: p * strides + t * dilation_rate - low = i.

    Args:
        dy: (n, positions..., channels * M).
        w: (kernel..., channels, M).
        input_shape: shape of x, (n, spatial..., channels).
        strides: as in depthwise_conv_forward.
        padding: as in depthwise_conv_forward.
        dilation_rate: as in depthwise_conv_forward.

    Returns:
        dx, of shape input_shape.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy = np.array([1, 10], "float32").reshape(1, 2, 1)
        >>> w = np.array([1, 2], "float32").reshape(2, 1, 1)
        >>> qn.kernels.depthwise_conv_dx(dy, w, input_shape=(1, 3, 1)).ravel()
        array([ 1., 12., 20.], dtype=float32)
    """
    g = _geometry(input_shape, w.shape, strides, padding, dilation_rate)
    dx = np.zeros(input_shape, dy.dtype)
    dy = dy.reshape(*dy.shape[:-1], *w.shape[-2:])
    for tap, at, source in g.taps():
        dx[source] += (dy[at] * w[tap]).sum(-1)
    return dx


@kernel(shape=_dw_shape, native=_dw_native, numba=_dw_numba)
def depthwise_conv_dw(x, dy, *, kernel_shape, strides=1, padding="valid", dilation_rate=1):
    """Gradient of depthwise_conv_forward with respect to w: dw[t, c, m] = sum of x[n, i, c] * dy[n, p, c * M + m].

    The sum takes images n and positions p, with i = p * strides + t * dilation_rate - low where that lies inside x.

    Args:
        x: (n, spatial..., channels).
        dy: (n, positions..., channels * M).
        kernel_shape: shape of w, (kernel..., channels, M).
        strides: as in depthwise_conv_forward.
        padding: as in depthwise_conv_forward.
        dilation_rate: as in depthwise_conv_forward.

    Returns:
        dw, of shape kernel_shape.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([1, 2, 3], "float32").reshape(1, 3, 1)
        >>> dy = np.array([1, 10], "float32").reshape(1, 2, 1)
        >>> qn.kernels.depthwise_conv_dw(x, dy, kernel_shape=(2, 1, 1)).ravel()
        array([21., 32.], dtype=float32)
    """
    g = _geometry(x.shape, kernel_shape, strides, padding, dilation_rate)
    dw = np.zeros(kernel_shape, x.dtype)
    dy = dy.reshape(*dy.shape[:-1], *kernel_shape[-2:])
    for tap, at, source in g.taps():
        dw[tap] = (x[source][..., None] * dy[at]).sum(tuple(range(x.ndim - 1)))
    return dw
