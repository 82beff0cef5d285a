"""ConvLayer: what convolutions share: window, strides, padding, dilation, activation, bias."""

from .. import activations, constraints, initializers, regularizers
from .input_spec import InputSpec
from .layer import Layer
from .parts import FUSED, as_floats, channels_last, padding_name, window


class ConvLayer(Layer):
    """The base of Conv2D and DepthwiseConv2D, which define `build` and `_convolve`; arguments are theirs."""

    rank = 2

    def __init__(
        self,
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
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.kernel_size = window(kernel_size, self.rank, "kernel_size")
        self.strides = window(strides, self.rank, "strides")
        self.padding = padding_name(padding)
        self.data_format = channels_last(data_format)
        self.dilation_rate = window(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides, dilation_rate: expected at least one of them to be 1, "
                f"received {self.strides} and {self.dilation_rate}"
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _channels(self, input_shape):
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                f"{type(self).__name__}: expected a known last axis, received the input shape {input_shape}"
            )
        return channels

    def _add_bias(self, filters):
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs):
        fused = FUSED.get(self.activation)
        y = self._convolve(as_floats(inputs, self.compute_dtype), fused)
        return y if fused or self.activation is activations.linear else self.activation(y)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
