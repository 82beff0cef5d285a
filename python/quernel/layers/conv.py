"""Conv2D and DepthwiseConv2D; what they share is in conv_layer.py."""

from .. import constraints, initializers, ops, regularizers
from ..checks import positive_int
from .conv_layer import ConvLayer
from .input_spec import InputSpec


class Conv2D(ConvLayer):
    """A 2-D convolution, with stride s and dilation d:

        y[n, h, w, o] = activation(sum over i, j, c of x[n, h s + i d, w s + j d, c] k[i, j, c, o] + b[o])

    Args:
        filters: number of output channels.
        kernel_size: height and width of the window, an int or two.
        strides: step of the window, an int or two.
        padding: "valid" (only whole windows), or "same" (zeros around, output size = input size / stride, rounded up).
        data_format: "channels_last" or None; the kernels have no other layout.
        dilation_rate: distance between the window's elements, an int or two.
        groups: number of groups that the channels are cut into, each convolved on its own.
        activation: function, name of one, or None.
        use_bias: whether there is a bias b.
        kernel_initializer, bias_initializer: first values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: added to the loss.
        kernel_constraint, bias_constraint: applied after updates.

    Weights: kernel (kh, kw, channels / groups, filters), bias (filters,).

    Shapes: (n, height, width, channels) -> (n, out_height, out_width, filters).

    Raises:
        ValueError: a size is not positive; channels or filters are no multiple of groups.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Conv2D(8, 3, padding="same")(qn.ones((2, 5, 5, 1))).shape
        (2, 5, 5, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            bias_constraint,
            activity_regularizer,
            **kwargs,
        )
        self.filters = positive_int(filters, "filters")
        self.groups = positive_int(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(f"filters: expected a multiple of groups={self.groups}, received {self.filters}")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def build(self, input_shape):
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"Conv2D: expected channels that are a multiple of groups={self.groups}, received {channels}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self._add_bias(self.filters)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={-1: channels})
        self.built = True

    def _convolve(self, x, activation):
        return ops.conv_forward(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
            activation=activation,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
        }


class DepthwiseConv2D(ConvLayer):
    """A 2-D convolution of each channel on its own, with stride s and dilation d:

        y[n, h, w, c m + o] = activation(sum over i, j of x[n, h s + i d, w s + j d, c] k[i, j, c, o] + b[c m + o])

    Args:
        kernel_size: height and width of the window, an int or two.
        strides: step of the window, an int or two.
        padding: "valid" or "same".
        depth_multiplier: number m of output channels for each input channel.
        data_format: "channels_last" or None.
        dilation_rate: distance between the window's elements, an int or two.
        activation: function, name of one, or None.
        use_bias: whether there is a bias b.
        depthwise_initializer, bias_initializer: first values of the weights.
        depthwise_regularizer, bias_regularizer, activity_regularizer: added to the loss.
        depthwise_constraint, bias_constraint: applied after updates.

    Weights: kernel (kh, kw, channels, m), bias (channels * m,).

    Shapes: (n, height, width, channels) -> (n, out_height, out_width, channels * m).

    Raises:
        ValueError: a size is not positive.

    Example:
        >>> import quernel as qn
        >>> qn.layers.DepthwiseConv2D(3, depth_multiplier=2)(qn.ones((2, 5, 5, 4))).shape
        (2, 3, 3, 8)
    """

    def __init__(
        self,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=(1, 1),
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            bias_constraint,
            activity_regularizer,
            **kwargs,
        )
        self.depth_multiplier = positive_int(depth_multiplier, "depth_multiplier")
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape):
        channels = self._channels(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self._add_bias(channels * self.depth_multiplier)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={-1: channels})
        self.built = True

    def _convolve(self, x, activation):
        return ops.depthwise_conv_forward(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            activation=activation,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
        }
