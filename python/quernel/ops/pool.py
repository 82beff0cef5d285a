"""Max and average pooling on Tensors, under keras.ops' names, and their gradient rules."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import apply, op, operand

max_pool_dx = op(kernels.max_pool_dx)
max_pool_gather = op(kernels.max_pool_gather)
average_pool_dx = op(kernels.average_pool_dx)


def _pool(kernel, inputs, pool_size, strides, padding, data_format):
    attrs = {"pool_size": pool_size, "strides": strides, "padding": padding}
    if data_format in (None, "channels_last"):
        return apply(kernel, (inputs,), attrs)
    if data_format != "channels_first":
        raise ValueError(
            f"{kernel.name}: data_format: expected 'channels_last' or 'channels_first', received {data_format!r}"
        )
    return ops.moveaxis(apply(kernel, (ops.moveaxis(operand(inputs), 1, -1),), attrs), -1, 1)


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """Max pooling: y[n, o, c] = max over the elements i of window o of inputs[n, i, c].

    Args:
        inputs: (n, spatial..., c) with 1 to 3 spatial axes.
        pool_size: int, or an int for each spatial axis.
        strides: the same; None means pool_size.
        padding: "valid" or "same".
        data_format: None or "channels_last"; "channels_first" reads and returns (n, c, spatial...).

    Returns:
        (n, out..., c). The gradient of a window goes to its first maximum.

    Raises:
        ValueError: a window is larger than an input axis ("valid"), or an argument is out of range.

    Example:
        >>> import quernel as qn
        >>> qn.ops.max_pool([[[1.0], [3.0], [2.0], [5.0]]], 2).numpy().ravel()
        array([3., 5.], dtype=float32)
    """
    return _pool(kernels.max_pool, inputs, pool_size, strides, padding, data_format)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """Average pooling: y[n, o, c] = mean over the elements i of window o of inputs[n, i, c].

    Args:
        inputs: (n, spatial..., c) with 1 to 3 spatial axes, floating.
        pool_size: int, or an int for each spatial axis.
        strides: the same; None means pool_size.
        padding: "valid" or "same"; with "same" the mean is over the elements that are there.
        data_format: None or "channels_last"; "channels_first" reads and returns (n, c, spatial...).

    Returns:
        (n, out..., c).

    Raises:
        ValueError: a window is larger than an input axis ("valid"), or an argument is out of range.

    Example:
        >>> import quernel as qn
        >>> qn.ops.average_pool([[[1.0], [3.0], [2.0], [5.0]]], 2).numpy().ravel()
        array([2. , 3.5], dtype=float32)
    """
    return _pool(kernels.average_pool, inputs, pool_size, strides, padding, data_format)


@gradient(kernels.max_pool)
def _(node, dy):
    return (ops.max_pool_dx(dy, node.inputs[0], node.outputs[0], **node.attrs),)


@gradient(kernels.max_pool_dx)
def _(node, ddx):
    _, x, y = node.inputs  # which element is the maximum is constant almost everywhere: no gradient for x and y
    return ops.max_pool_gather(ddx, x, y, **node.attrs), None, None


@gradient(kernels.max_pool_gather)
def _(node, dz):
    _, x, y = node.inputs
    return ops.max_pool_dx(dz, x, y, **node.attrs), None, None


@gradient(kernels.average_pool)
def _(node, dy):
    return (ops.average_pool_dx(dy, input_shape=node.inputs[0].shape, **node.attrs),)


@gradient(kernels.average_pool_dx)
def _(node, ddx):
    attrs = {name: node.attrs[name] for name in ("pool_size", "strides", "padding")}
    return (ops.average_pool(ddx, **attrs),)
