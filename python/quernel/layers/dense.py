"""Dense: y = activation(x w + b)."""

from .. import activations, constraints, initializers, ops, regularizers
from ..checks import positive_int
from .input_spec import InputSpec
from .layer import Layer
from .parts import FUSED, as_floats


class Dense(Layer):
    """A fully connected layer: y = activation(x w + b), along the last axis.

    Args:
        units: size of the output's last axis.
        activation: function, name of one, or None.
        use_bias: whether there is a bias b.
        kernel_initializer: for w.
        bias_initializer: for b.
        kernel_regularizer: for w.
        bias_regularizer: for b.
        activity_regularizer: for the output.
        kernel_constraint: for w.
        bias_constraint: for b.

    Weights: kernel (inputs, units), bias (units,).

    Shapes: (n, ..., inputs) -> (n, ..., units).

    Raises:
        ValueError: units is no positive int; the input's last axis is not the one the layer was built for.

    Example:
        >>> import quernel as qn
        >>> layer = qn.layers.Dense(2, activation="relu", kernel_initializer="ones")
        >>> layer(qn.constant([[1.0, 2.0, 3.0]])).numpy()
        array([[6., 6.]], dtype=float32)
    """

    def __init__(
        self,
        units,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        inputs = input_shape[-1]
        if inputs is None:
            raise ValueError(f"Dense: expected a known last axis, received the input shape {input_shape}")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(inputs, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: inputs})
        self.built = True

    def call(self, inputs):
        x = as_floats(inputs, self.compute_dtype)
        fused = FUSED.get(self.activation)
        y = ops.dense_forward(x, self.kernel, self.bias, activation=fused)
        return y if fused or self.activation is activations.linear else self.activation(y)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
