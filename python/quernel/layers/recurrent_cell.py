"""RecurrentCell: what SimpleRNNCell, GRUCell and LSTMCell share: weights, dropout masks, configuration."""

from .. import activations, constraints, initializers, ops, random, regularizers, tree
from ..checks import positive_int, share
from ..random.seed_generator import SeedGenerator
from .input_spec import InputSpec
from .layer import Layer
from .parts import as_floats

# The names under which the whole-sequence kernels know activations; others go step by step.
KERNEL_NAMES = {
    activations.tanh: "tanh",
    activations.sigmoid: "sigmoid",
    activations.relu: "relu",
    activations.linear: "linear",
}
SERIALIZED = {
    "activation": activations.serialize,
    "recurrent_activation": activations.serialize,
    "kernel_initializer": initializers.serialize,
    "recurrent_initializer": initializers.serialize,
    "bias_initializer": initializers.serialize,
    "kernel_regularizer": regularizers.serialize,
    "recurrent_regularizer": regularizers.serialize,
    "bias_regularizer": regularizers.serialize,
    "kernel_constraint": constraints.serialize,
    "recurrent_constraint": constraints.serialize,
    "bias_constraint": constraints.serialize,
}


class RecurrentCell(Layer):
    """One step of a recurrence whose `gates` gates lie side by side in the weights.

    A subclass gives `gates`, `options` (the names of its arguments, in order), `call`, and where they differ
    `state_size` and `_bias_shape`.
    """

    gates = 1
    options = ()

    def __init__(
        self,
        units,
        activation,
        use_bias,
        kernel_initializer,
        recurrent_initializer,
        bias_initializer,
        kernel_regularizer,
        recurrent_regularizer,
        bias_regularizer,
        kernel_constraint,
        recurrent_constraint,
        bias_constraint,
        dropout,
        recurrent_dropout,
        seed,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = positive_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = share(dropout, "dropout")
        self.recurrent_dropout = share(recurrent_dropout, "recurrent_dropout")
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.state_size = self.units
        self.output_size = self.units
        object.__setattr__(self, "_masks", {})  # of the present sequence; no state of the layer

    def _bias_shape(self):
        return (self.gates * self.units,)

    def _first_bias(self):
        return self.bias_initializer

    def build(self, input_shape):
        inputs = input_shape[-1]
        if inputs is None:
            raise ValueError(
                f"{type(self).__name__}: expected a known last axis, received the input shape {input_shape}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(inputs, self.gates * self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, self.gates * self.units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=self._bias_shape(),
                initializer=self._first_bias(),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=2, axes={-1: inputs})
        self.built = True

    # --- dropout: one mask for all steps of a call

    def _mask(self, name, shape, rate):
        if rate > 0 and name not in self._masks:
            mask = ops.zeros(shape, dtype=self.compute_dtype)
            if rate < 1:
                ones = ops.ones(shape, dtype=self.compute_dtype)
                mask = random.dropout(ones, rate, seed=self.seed_generator)
            self._masks[name] = mask
        return self._masks.get(name)

    def get_dropout_mask(self, step_input):
        """The factors, 0 or 1 / (1 - dropout), for inputs like `step_input`; None without dropout. They stay the same
        until `reset_dropout_mask`, which RNN calls after every sequence.
        """
        return self._mask("inputs", tuple(step_input.shape), self.dropout)

    def get_recurrent_dropout_mask(self, step_input):
        """The factors for the states, as `get_dropout_mask`; all gates share them."""
        return self._mask("states", tuple(step_input.shape), self.recurrent_dropout)

    def reset_dropout_mask(self):
        """The next step draws a new mask of the inputs."""
        self._masks.pop("inputs", None)

    def reset_recurrent_dropout_mask(self):
        """The next step draws a new mask of the states."""
        self._masks.pop("states", None)

    def _states(self, states, inputs):
        """The states as a list of floats; ValueError unless their number and shapes are those of `state_size`."""
        given, sizes = tree.flatten(states), tree.flatten(self.state_size)
        expected = [(inputs.shape[0], size) for size in sizes]
        shapes = [tuple(getattr(state, "shape", ())) for state in given]
        if len(shapes) != len(expected) or not all(map(_fits, shapes, expected)):
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: states: expected {len(sizes)} of shapes {expected}, received "
                f"{len(given)} of shapes {shapes}"
            )
        return [as_floats(state, self.compute_dtype) for state in given]

    def _dropped(self, inputs, h, training):
        """The inputs and the state as the products see them."""
        x = as_floats(inputs, self.compute_dtype)
        if training:
            mask = self.get_dropout_mask(x)
            recurrent = self.get_recurrent_dropout_mask(h)
            x = x if mask is None else x * mask
            h = h if recurrent is None else h * recurrent
        return x, h

    def sequence_masks(self, sequences):
        """Both masks for sequences (n, t, inputs) of at least one step, drawn in the order in which `call` draws them."""
        n, _, inputs = sequences.shape
        masks = self._mask("inputs", (n, inputs), self.dropout)
        return masks, self._mask("states", (n, self.units), self.recurrent_dropout)

    # --- shapes and configuration

    def get_initial_state(self, batch_size=None):
        """The states before the first step: zeros (batch_size, units)."""
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in sizes]

    def get_config(self):
        return {
            **super().get_config(),
            **{name: SERIALIZED.get(name, _same)(getattr(self, name)) for name in self.options},
        }


def _fits(shape, expected):
    return len(shape) == len(expected) and all(a == b or None in (a, b) for a, b in zip(shape, expected))


def _same(value):
    return value
