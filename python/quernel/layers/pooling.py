"""Pooling layers: a window's largest value or mean, or that of a whole image."""

from .. import ops
from .input_spec import InputSpec
from .layer import Layer
from .parts import as_floats, channels_last, padding_name, window


class _Pooling(Layer):
    """What poolings with a window share."""

    rank = 2

    def __init__(self, pool_size, strides, padding, data_format, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = window(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else window(strides, self.rank, "strides")
        self.padding = padding_name(padding)
        self.data_format = channels_last(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


class MaxPooling2D(_Pooling):
    """The largest value of each window, for each channel.

    Args:
        pool_size: height and width of the window, an int or two.
        strides: step of the window; None: the window's size.
        padding: "valid" (only whole windows) or "same".
        data_format: "channels_last" or None.

    Shapes: (n, height, width, channels) -> (n, out_height, out_width, channels).

    Example:
        >>> import quernel as qn
        >>> qn.layers.MaxPooling2D(2)(qn.ones((1, 5, 4, 3))).shape
        (1, 2, 2, 3)
    """

    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name=name, **kwargs)

    def call(self, inputs):
        x = as_floats(inputs, self.compute_dtype)
        return ops.max_pool(x, pool_size=self.pool_size, strides=self.strides, padding=self.padding)


class AveragePooling2D(_Pooling):
    """The mean of each window, for each channel; what "same" adds around the image does not count.

    Args:
        pool_size: height and width of the window, an int or two.
        strides: step of the window; None: the window's size.
        padding: "valid" (only whole windows) or "same".
        data_format: "channels_last" or None.

    Shapes: (n, height, width, channels) -> (n, out_height, out_width, channels).

    Example:
        >>> import quernel as qn
        >>> qn.layers.AveragePooling2D(2)(qn.ones((1, 5, 4, 3))).shape
        (1, 2, 2, 3)
    """

    def __init__(self, pool_size, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name=name, **kwargs)

    def call(self, inputs):
        x = as_floats(inputs, self.compute_dtype)
        return ops.average_pool(x, pool_size=self.pool_size, strides=self.strides, padding=self.padding)


class _GlobalPooling(Layer):
    """What poolings over the whole image share."""

    rank = 2

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of the whole image, for each channel.

    Args:
        data_format: "channels_last" or None.
        keepdims: whether height and width stay as axes of size 1.

    Shapes: (n, height, width, channels) -> (n, channels), or (n, 1, 1, channels).

    Example:
        >>> import quernel as qn
        >>> qn.layers.GlobalAveragePooling2D()(qn.ones((1, 5, 4, 3))).shape
        (1, 3)
    """

    def call(self, inputs):
        return ops.global_average_pool(as_floats(inputs, self.compute_dtype), keepdims=self.keepdims)


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest value of the whole image, for each channel.

    Args:
        data_format: "channels_last" or None.
        keepdims: whether height and width stay as axes of size 1.

    Shapes: (n, height, width, channels) -> (n, channels), or (n, 1, 1, channels).

    Example:
        >>> import quernel as qn
        >>> qn.layers.GlobalMaxPooling2D()(qn.ones((1, 5, 4, 3))).shape
        (1, 3)
    """

    def call(self, inputs):
        return ops.global_max_pool(as_floats(inputs, self.compute_dtype), keepdims=self.keepdims)
