"""Activation, ReLU and Softmax: activation functions as layers."""

from .. import activations, ops
from .layer import Layer
from .parts import as_floats


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: function, or name of one.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Activation("relu")(qn.constant([-1.0, 2.0])).numpy()
        array([0., 2.], dtype=float32)
    """

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs):
        return self.activation(as_floats(inputs, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class ReLU(Layer):
    """Rectified linear unit; see activations.relu.

    Args:
        max_value: largest value of the output, None for no limit.
        negative_slope: slope below the threshold.
        threshold: values at or below it are damped.

    Raises:
        ValueError: a negative argument.

    Example:
        >>> import quernel as qn
        >>> qn.layers.ReLU(max_value=1.0)(qn.constant([-1.0, 2.0])).numpy()
        array([0., 1.], dtype=float32)
    """

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        for name, value in (
            ("max_value", max_value or 0.0),
            ("negative_slope", negative_slope),
            ("threshold", threshold),
        ):
            if value is None or value < 0:
                raise ValueError(f"{name}: expected a number of at least 0, received {value!r}")
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.supports_masking = True

    def call(self, inputs):
        return activations.relu(
            as_floats(inputs, self.compute_dtype), self.negative_slope, self.max_value, self.threshold
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class Softmax(Layer):
    """y[i] = exp(x[i]) / sum over j of exp(x[j]), along `axis`.

    Args:
        axis: the axis along which the output sums to 1.

    `mask`, of the input's shape, or of its first axes as layers before hand it on, is False where an element takes no
    part.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Softmax()(qn.constant([[1.0, 1.0]])).numpy()
        array([[0.5, 0.5]], dtype=float32)
        >>> qn.layers.Softmax()(qn.constant([[1.0, 1.0]]), mask=qn.constant([[True, False]])).numpy()
        array([[1., 0.]], dtype=float32)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True

    def call(self, inputs, mask=None):
        x = as_floats(inputs, self.compute_dtype)
        if mask is not None:
            x = self._without(x, mask)
        return activations.softmax(x, axis=self.axis)

    def _without(self, x, mask):
        """x with what takes no part at -1e9. A mask of steps says nothing about sums within a step."""
        missing = len(x.shape) - len(mask.shape)
        axes = self.axis if isinstance(self.axis, (list, tuple)) else (self.axis,)
        if missing and all(axis % len(x.shape) >= len(mask.shape) for axis in axes):
            return x
        for _ in range(missing):
            mask = ops.expand_dims(mask, axis=-1)
        return ops.where(mask, x, -1e9)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
