"""Bidirectional: a recurrent layer run in both directions."""

from .. import ops, tree
from .layer import Layer

MERGE_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Layer):
    """Runs a recurrent layer over the time steps in both directions, and merges the outputs step by step.

    The two layers are made anew from the configuration of `layer`, with weights of their own and names that begin with
    "forward_" and "backward_". Where the outputs of all steps are returned, those of masked steps are zeros.

    Args:
        layer: an RNN, LSTM, GRU, SimpleRNN, or a layer with the same arguments.
        merge_mode: "concat", "sum", "mul", "ave" (the mean), or None for both outputs.
        weights: first values of the weights, those of the forward layer first; default: the layers' initializers.
        backward_layer: the layer for the other direction, with the other `go_backwards`; default: one like `layer`.

    Call arguments: as those of `layer`; the first half of initial_state is the forward layer's.

    Shapes: as `layer`'s, the last axis twice as long with "concat"; with return_state the forward states, then the
    backward states follow.

    Raises:
        ValueError: no layers, an unknown merge_mode, layers that do not fit each other.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Bidirectional(qn.layers.LSTM(4, return_sequences=True))(qn.ones((2, 5, 3))).shape
        (2, 5, 8)

    Source: Schuster and Paliwal, 1997.
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and not (name == "backward_layer" and value is None):
                raise ValueError(f"Bidirectional: {name}: expected a recurrent layer, received {value!r}")
            missing = [a for a in ("go_backwards", "return_sequences", "return_state", "stateful")
                       if value is not None and not hasattr(value, a)]  # fmt: skip
            if missing:
                raise ValueError(f"Bidirectional: {name}: expected a layer with {missing}, received {value!r}")
        if merge_mode not in MERGE_MODES:
            raise ValueError(f"merge_mode: expected one of {MERGE_MODES}, received {merge_mode!r}")
        super().__init__(**kwargs)
        self.forward_layer = _twin(layer, "forward_")
        if backward_layer is None:
            backward_layer = _twin(layer, "backward_", go_backwards=True)
        self.backward_layer = backward_layer
        _check_pair(self.forward_layer, backward_layer)
        for one in (self.forward_layer, backward_layer):
            if getattr(one, "zero_output_for_mask", None) is not None:
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self._first_weights = weights
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self._makes_masks = False  # `compute_mask` only passes on
        self.input_spec = layer.input_spec

    def build(self, sequences_shape, initial_state_shape=None):
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._first_weights is not None:
            self.set_weights(self._first_weights)
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, training=False):
        keywords = {"training": training} if self.forward_layer._call_has_training_arg else {}
        if mask is None:
            mask = getattr(sequences, "_keras_mask", None)
        if self.forward_layer._call_has_mask_arg:
            keywords["mask"] = mask
        states = [None, None]
        if initial_state is not None:
            leaves = tree.flatten(initial_state)
            if len(leaves) % 2:
                raise ValueError(
                    f"Bidirectional {self.name!r}: initial_state: expected those of the forward layer and as many of the "
                    f"backward layer, received {len(leaves)}"
                )
            states = [leaves[: len(leaves) // 2], leaves[len(leaves) // 2 :]]
        y, after = self._one_way(self.forward_layer, sequences, states[0], keywords)
        back, after_back = self._one_way(self.backward_layer, sequences, states[1], keywords)
        if self.return_sequences:
            back = ops.flip(back, axis=1)
        outputs = self._merge(y, back)
        return (*outputs, *after, *after_back) if len(outputs) > 1 or self.return_state else outputs[0]

    def _one_way(self, layer, sequences, states, keywords):
        if states is not None:
            keywords = {**keywords, "initial_state": states}
        result = layer(sequences, **keywords)
        return (result[0], tuple(result[1:])) if self.return_state else (result, ())

    def _merge(self, y, back):
        if self.merge_mode is None:
            return y, back
        if self.merge_mode == "concat":
            return (ops.concatenate([y, back], axis=-1),)
        if self.merge_mode == "mul":
            return (y * back,)
        return (y + back,) if self.merge_mode == "sum" else ((y + back) / 2,)

    # --- states

    @property
    def states(self):
        """The state Variables of a stateful layer, the forward ones first; None before it is built."""
        pair = self.forward_layer.states, self.backward_layer.states
        return None if None in pair else (*pair[0], *pair[1])

    def reset_state(self):
        """Sets the states of a stateful layer to zero."""
        if not self.stateful:
            raise AttributeError(f"Bidirectional {self.name!r}: reset_state: expected stateful=True, received False")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    # --- shapes, masks, configuration

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        shapes = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        states = ()
        if self.return_state:
            states = (*shapes[0][1:], *shapes[1][1:])
            shapes = [shapes[0][0], shapes[1][0]]
        if self.merge_mode is None:
            return (*shapes, *states)
        shape = shapes[0]
        if self.merge_mode == "concat":
            shape = (*shape[:-1], shape[-1] + shapes[1][-1])
        return (shape, *states) if self.return_state else shape

    def compute_mask(self, inputs, previous_mask):
        mask = tree.flatten(previous_mask)[0] if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            masks += [None] * len(tree.flatten([self.forward_layer.state_size, self.backward_layer.state_size]))
        return masks if len(masks) > 1 else mask

    def get_config(self):
        from ..saving.registry import serialize_object

        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_object(self.forward_layer),
            "backward_layer": serialize_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from ..saving.registry import deserialize_object

        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_object(config[name], custom_objects)
        return cls(**config)


def _twin(layer, prefix, **changes):
    """A layer of the same configuration with weights of its own, whose name begins with the prefix."""
    from ..saving.registry import deserialize_object, functions_as_they_are, serialize_object

    with functions_as_they_are():
        described = serialize_object(layer)
        described["config"] = {**described["config"], **changes, "name": prefix + layer.name.removeprefix(prefix)}
        return deserialize_object(described)


def _check_pair(forward, backward):
    if forward.go_backwards == backward.go_backwards:
        raise ValueError(
            f"Bidirectional: expected layers with different go_backwards, received {forward.go_backwards} for both"
        )
    for name in ("stateful", "return_sequences", "return_state"):
        a, b = getattr(forward, name), getattr(backward, name)
        if a != b:
            raise ValueError(f"Bidirectional: expected two layers with the same {name}, received {a} and {b}")
