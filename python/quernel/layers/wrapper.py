"""Wrapper, the base of layers around a layer; TimeDistributed, which applies one to every step of a sequence."""

from .. import ops
from ..operation import tensor_like
from .dropout import Dropout
from .layer import Layer


class Wrapper(Layer):
    """The base of layers that hold another layer, `layer`, which is built with them.

    Args:
        layer: the layer inside.

    Raises:
        ValueError: `layer` is no Layer.
    """

    def __init__(self, layer, **kwargs):
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{type(self).__name__}: layer: expected a Layer, received {layer!r} ({type(layer).__name__})"
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build(input_shape)
        self.built = True

    def get_config(self):
        from ..saving.registry import serialize_object

        return {**super().get_config(), "layer": serialize_object(self.layer)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from ..saving.registry import deserialize_object

        config = dict(config)
        return cls(deserialize_object(config.pop("layer"), custom_objects), **config)


class TimeDistributed(Wrapper):
    """Applies a layer to every step of a sequence: y[:, t] = layer(x[:, t]), with the same weights.

    Steps of a layer that treats each sample alone (those of quernel without state other than weights) are computed as
    one batch of n * t samples; any other layer is called step by step, from the first to the last.

    Args:
        layer: the layer.

    Shapes: (n, t, ...) -> (n, t, ...). A mask (n, t, ...) goes on with the output; a layer that takes masks gets its
        step's. Where the outputs lack the axes of a longer mask (n, t, words), (n, t) goes on: whether anything in the
        step counts.

    Raises:
        ValueError: `layer` is no Layer, or has several outputs; an input of fewer than 3 axes or with an unknown number
            of steps where the layer is called step by step; a mask that does not fit the input.

    Example:
        >>> import quernel as qn
        >>> layer = qn.layers.TimeDistributed(qn.layers.Flatten())
        >>> layer(qn.ones((2, 5, 3, 4))).shape
        (2, 5, 12)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True
        self._makes_masks = False  # `compute_mask` only passes on

    def _step_shape(self, input_shape):
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(
                f"TimeDistributed: expected an input (n, steps, ...) of at least 3 axes, received shape {input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape):
        super().build(self._step_shape(input_shape))

    def call(self, inputs, training=None, mask=None):
        shape = tuple(inputs.shape)
        self._step_shape(shape)
        if mask is not None and not tensor_like(mask):
            raise TypeError(f"TimeDistributed: mask: expected an array or a Tensor, received {mask!r}")
        if mask is not None and (len(mask.shape) < 2 or tuple(mask.shape[:2]) != shape[:2]):
            raise ValueError(
                f"TimeDistributed: mask: expected shape {shape[:2]}, the input's first axes, received "
                f"{tuple(mask.shape)}"
            )
        given = {}
        if self.layer._call_has_training_arg:
            given["training"] = training
        masked = mask is not None and self.layer._call_has_mask_arg
        if _samples_alone(self.layer):
            x = ops.reshape(inputs, (shape[0] * shape[1], *shape[2:]))
            if masked:
                given["mask"] = ops.reshape(mask, (shape[0] * shape[1], *mask.shape[2:]))
            y = self._one_output(self.layer(x, **given))
            return ops.reshape(y, (*shape[:2], *y.shape[1:]))
        if shape[1] == 0:
            return ops.zeros(self.compute_output_shape(shape), dtype=self.compute_dtype)
        steps = []
        for t in range(shape[1]):
            if masked:
                given["mask"] = mask[:, t]
            steps.append(self._one_output(self.layer(inputs[:, t], **given)))
        return ops.stack(steps, axis=1)

    def _one_output(self, y, kind=tensor_like):
        if not kind(y):
            raise ValueError(
                f"TimeDistributed {self.name!r}: expected a layer with one output, received one with several: "
                f"{type(self.layer).__name__} {self.layer.name!r}; leave out return_state, or choose an output in a model"
            )
        return y

    def compute_mask(self, inputs, mask=None):
        """The mask, or (n, t): in which steps anything counts, where the outputs lack the mask's other axes."""
        if mask is None or len(mask.shape) == 2:
            return mask
        fits = len(mask.shape) < len(self.compute_output_shape(tuple(inputs.shape)))
        return mask if fits and self.layer.supports_masking else ops.any(mask, axis=tuple(range(2, len(mask.shape))))

    def compute_output_shape(self, input_shape):
        y = self.layer.compute_output_shape(self._step_shape(input_shape))
        self._one_output(y, lambda shape: isinstance(shape, tuple) and not any(isinstance(n, tuple) for n in shape))
        return (y[0], input_shape[1], *y[1:])


def _samples_alone(layer):
    """Whether a layer gives a sample the same result in any batch, and changes no state but random ones: known of
    quernel's own layers, and Sequentials of them, only.
    """
    for part in layer._flatten_layers():
        if not type(part).__module__.startswith(("quernel.layers.", "quernel.models.sequential")):
            return False
        if getattr(part, "stateful", False) or (part.trainable and part.non_trainable_weights):
            return False
        if isinstance(part, Dropout) and part.noise_shape is not None:
            return False
        function = getattr(part, "activation", None)
        if function is not None and not getattr(function, "__module__", "").startswith("quernel."):
            return False
        if getattr(part, "axis", -1) == 0:
            return False
    return True
