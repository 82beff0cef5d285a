"""Depthwise and separable convolutions on Tensors: keras.ops.depthwise_conv, separable_conv, and gradient rules."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op
from .conv import before_activation, channels_last, conv, where

depthwise_conv_forward = op(kernels.depthwise_conv_forward)
depthwise_conv_dx = op(kernels.depthwise_conv_dx)
depthwise_conv_dw = op(kernels.depthwise_conv_dw)


@gradient(kernels.depthwise_conv_forward)
def _(node, dy):
    x, w, _ = node.inputs
    dy = before_activation(node, dy)
    return (
        depthwise_conv_dx(dy, w, input_shape=x.shape, **where(node)) if node.needs(0) else None,
        depthwise_conv_dw(x, dy, kernel_shape=w.shape, **where(node)) if node.needs(1) else None,
        ops.bias_db(dy) if node.needs(2) else None,
    )


@gradient(kernels.depthwise_conv_dx)
def _(node, dz):
    dy, w = node.inputs
    return (
        depthwise_conv_forward(dz, w, **where(node)) if node.needs(0) else None,
        depthwise_conv_dw(dz, dy, kernel_shape=w.shape, **where(node)) if node.needs(1) else None,
    )


@gradient(kernels.depthwise_conv_dw)
def _(node, dz):
    x, dy = node.inputs
    return (
        depthwise_conv_dx(dy, dz, input_shape=x.shape, **where(node)) if node.needs(0) else None,
        depthwise_conv_forward(x, dz, **where(node)) if node.needs(1) else None,
    )


def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Depthwise convolution: y[n, p, c * M + m] = sum over t of x[n, p * strides + t * dilation_rate, c] * w[t, c, m].

    Args:
        inputs: (n, spatial..., channels).
        kernel: (kernel..., channels, M).
        strides: int, or one for each spatial dimension.
        padding: "valid" or "same".
        data_format: None or "channels_last".
        dilation_rate: int, or one for each spatial dimension.

    Returns:
        Tensor (n, positions..., channels * M).

    Raises:
        ValueError: shapes that do not fit, or another data format.

    Example:
        >>> import quernel as qn
        >>> qn.ops.depthwise_conv(qn.ops.ones((1, 4, 4, 2)), qn.ops.ones((3, 3, 2, 3))).shape
        (1, 2, 2, 6)
    """
    channels_last("depthwise_conv", data_format)
    return depthwise_conv_forward(inputs, kernel, strides=strides, padding=padding, dilation_rate=dilation_rate)


def separable_conv(
    inputs, depthwise_kernel, pointwise_kernel, strides=1, padding="valid", data_format=None, dilation_rate=1
):
    """A depthwise convolution followed by a 1x1 convolution that mixes its channels.

    Args:
        inputs: (n, spatial..., channels).
        depthwise_kernel: (kernel..., channels, M).
        pointwise_kernel: (1..., channels * M, filters).
        strides: of the depthwise convolution: int, or one for each spatial dimension.
        padding: "valid" or "same".
        data_format: None or "channels_last".
        dilation_rate: int, or one for each spatial dimension.

    Returns:
        Tensor (n, positions..., filters).

    Raises:
        ValueError: shapes that do not fit, or another data format.

    Example:
        >>> import quernel as qn
        >>> ones = qn.ops.ones
        >>> qn.ops.separable_conv(ones((1, 4, 4, 2)), ones((3, 3, 2, 3)), ones((1, 1, 6, 5))).shape
        (1, 2, 2, 5)
    """
    mixed = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(mixed, pointwise_kernel)
