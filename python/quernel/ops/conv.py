"""Convolutions on Tensors: keras.ops.conv, depthwise_conv, separable_conv, and the gradients of the kernels."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import as_tensor, is_symbolic, op

conv_forward = op(kernels.conv_forward)
conv_dx = op(kernels.conv_dx)
conv_dw = op(kernels.conv_dw)


def before_activation(node, dy):
    """The gradient before the fused activation, from the gradient after it and the output."""
    activation = node.attrs["activation"]
    return dy if activation is None else getattr(ops, f"{activation}_dx")(dy, node.outputs[0])


def where(node):
    """The attributes that forward, dx and dw share."""
    return {k: v for k, v in node.attrs.items() if k not in ("activation", "input_shape", "kernel_shape")}


@gradient(kernels.conv_forward)
def _(node, dy):
    x, w, _ = node.inputs
    dy = before_activation(node, dy)
    return (
        conv_dx(dy, w, input_shape=x.shape, **where(node)) if node.needs(0) else None,
        conv_dw(x, dy, kernel_shape=w.shape, **where(node)) if node.needs(1) else None,
        ops.bias_db(dy) if node.needs(2) else None,
    )


@gradient(kernels.conv_dx)
def _(node, dz):
    dy, w = node.inputs
    return (
        conv_forward(dz, w, **where(node)) if node.needs(0) else None,
        conv_dw(dz, dy, kernel_shape=w.shape, **where(node)) if node.needs(1) else None,
    )


@gradient(kernels.conv_dw)
def _(node, dz):
    x, dy = node.inputs
    return (
        conv_dx(dy, dz, input_shape=x.shape, **where(node)) if node.needs(0) else None,
        conv_forward(x, dz, **where(node)) if node.needs(1) else None,
    )


def channels_last(name, data_format):
    """Refuses data formats that the kernels do not have."""
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f'{name}: data_format: expected None or "channels_last", received {data_format!r}; '
            f"transpose the inputs to (n, spatial..., channels) first"
        )


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Convolution: y[n, p, o] = sum over t, c of x[n, p * strides + t * dilation_rate - low, c] * w[t, c, o].

    The number of groups is the input's channels over the kernel's.

    Args:
        inputs: (n, spatial..., channels).
        kernel: (kernel..., channels // groups, filters).
        strides: int, or one for each spatial dimension.
        padding: "valid" or "same".
        data_format: None or "channels_last".
        dilation_rate: int, or one for each spatial dimension.

    Returns:
        Tensor (n, positions..., filters).

    Raises:
        ValueError: shapes that do not fit, or another data format.

    Example:
        >>> import quernel as qn
        >>> qn.ops.conv(qn.ops.ones((1, 4, 4, 2)), qn.ops.ones((3, 3, 2, 5))).shape
        (1, 2, 2, 5)
    """
    channels_last("conv", data_format)
    inputs, kernel = _inputs(inputs, kernel)
    channels = inputs.shape[-1] if len(inputs.shape) else 0
    depth = kernel.shape[-2] if len(kernel.shape) > 1 else 0
    if depth and channels and channels % depth:
        raise ValueError(
            f"conv: expected input channels that are a multiple of the kernel's {depth}, received {channels} channels"
        )
    groups = channels // depth if depth and channels else 1
    return conv_forward(inputs, kernel, strides=strides, padding=padding, dilation_rate=dilation_rate, groups=groups)


def _inputs(*values):
    return [v if is_symbolic(v) else as_tensor(v) for v in values]
