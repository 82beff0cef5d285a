"""RNN: runs a cell over the time axis."""

from .. import ops, tree
from ..operation import tensor_like
from ..variable import Variable
from .input_spec import InputSpec
from .layer import Layer
from .rnn_steps import run_steps
from .stacked_rnn_cells import StackedRNNCells, check_cell, initial_state_of, output_size_of, pack_states


class RNN(Layer):
    """Runs a cell over the time steps of its inputs: output, states = cell(inputs[:, t], states).

    A cell is a layer, or any object, with a method `call(inputs, states)` that returns (output, new states), and an
    attribute `state_size`: an int, or a list of ints, one for each state. It may have `output_size` (default: the first
    state size) and `get_initial_state(batch_size=None)` (default: zeros (batch_size, size)).

    Args:
        cell: a cell, or a list of cells, which are stacked.
        return_sequences: whether to return the outputs of all steps, or that of the last one.
        return_state: whether to return the last states, too.
        go_backwards: whether to begin with the last step; the outputs come in the order of the calls.
        stateful: whether a call begins with the states that the last one ended with: sample i goes on where sample i
            of the batch before ended. The batch size is fixed then. No gradient flows back into earlier calls.
        unroll: accepted for Keras's sake: the results and the recorded plan are the same either way.
        zero_output_for_mask: whether the outputs of masked steps are zeros, and not the state before.

    Call arguments:
        sequences: (n, t, ...).
        initial_state: the states before the first step, a Tensor or a list; also in a functional model.
        mask: booleans (n, t): where it is False, the states stay as they were. By default the mask that comes with
            `sequences`, also where initial_state is given.
        training: whether the cell drops out.

    Shapes: (n, t, ...) -> (n, output_size), with return_sequences (n, t, output_size); with return_state a tuple of
    that and the states, (n, size) each.

    Raises:
        ValueError: the cell lacks something; states, mask or batch size do not fit.

    Example:
        >>> import quernel as qn
        >>> class Sum(qn.layers.Layer):
        ...     state_size = 3
        ...     def call(self, inputs, states):
        ...         total = states[0] + inputs
        ...         return total, [total]
        >>> qn.layers.RNN(Sum())(qn.ones((1, 4, 3))).numpy()
        array([[4., 4., 4.]], dtype=float32)
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(cell)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self._makes_masks = False  # `compute_mask` only passes on
        self.input_spec = InputSpec(min_ndim=3)
        size = cell.state_size
        self.single_state = isinstance(size, int)
        self.state_size = [size] if self.single_state else list(size)
        self._set_states(None)

    # --- states

    def _set_states(self, states):
        object.__setattr__(self, "states", states)  # as in Keras, they are none of its weights

    def build(self, sequences_shape, initial_state_shape=None):
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            n = sequences_shape[0]
            if n is None:
                raise ValueError(
                    f"{type(self).__name__} {self.name!r}: expected a fixed batch size with stateful=True, received the "
                    f"input shape {tuple(sequences_shape)}; use Input(batch_shape=(n, t, features))"
                )
            with self._scope():
                self._set_states(
                    tree.map_structure(
                        lambda value: Variable(value, dtype=self.variable_dtype, trainable=False, name="rnn_state"),
                        self.get_initial_state(n),
                    )
                )
        self.built = True

    def get_initial_state(self, batch_size):
        """The states before the first step, as a list in the structure of `state_size`."""
        states = initial_state_of(self.cell, batch_size, self.compute_dtype)
        return [states] if self.single_state else states

    def reset_state(self, states=None):
        """Sets the states of a stateful layer to zero, or to `states`, arrays of their shapes."""
        variables = tree.flatten(self.states) if self.states is not None else []
        if states is None:
            values = [ops.zeros(v.shape, dtype=v.dtype) for v in variables]
        else:
            values = tree.flatten(states)
            if len(values) != len(variables):
                raise ValueError(f"reset_state: expected {len(variables)} states, received {len(values)}")
        for variable, value in zip(variables, values):
            variable.assign(value)

    reset_states = reset_state

    def _check_states(self, shapes, n):
        sizes = tree.flatten(self.state_size)
        expected = [(n, size) for size in sizes]
        fits = len(shapes) == len(sizes) and all(
            len(shape) > 1 and all(a in (None, b) or b is None for a, b in zip((shape[0], shape[-1]), pair))
            for shape, pair in zip(shapes, expected)
        )
        if not fits:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: initial_state: expected {len(sizes)} of shapes {expected}, "
                f"received {len(shapes)} of shapes {shapes}"
            )

    def _first_states(self, initial_state, n):
        """The states to begin with; None for zeros."""
        if initial_state is None and self.stateful:
            of_before = tree.flatten(self.states)[0].shape[0]
            if n != of_before:
                raise ValueError(
                    f"{type(self).__name__} {self.name!r}: expected batches of {of_before} samples, as its states are of "
                    f"(stateful=True), received {n}"
                )
            initial_state = tree.map_structure(lambda v: v.value, self.states)
        if initial_state is None:
            return None
        leaves = tree.flatten(initial_state)
        check_tensors(leaves, f"{type(self).__name__} {self.name!r}: initial_state")
        self._check_states([tuple(leaf.shape) for leaf in leaves], n)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        leaves = [leaf if leaf.dtype == dtype else ops.cast(leaf, dtype) for leaf in leaves]
        return tree.pack(list(self.state_size), leaves)

    # --- running

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """(last output, all outputs or None, last states); initial_state is None where nobody gave one."""
        n = sequences.shape[0]
        states = self.get_initial_state(n) if initial_state is None else initial_state
        call = self.cell if callable(self.cell) else self.cell.call

        def step(inputs, states):
            output, new_states = call(inputs, states)  # a layer takes `training` from the outer call
            return output, pack_states(states, new_states, self.cell)

        stacked = isinstance(self.cell, StackedRNNCells) or tree.is_nested(self.state_size[0])
        last, outputs, states = run_steps(
            step, sequences, states, mask, self.go_backwards, self.zero_output_for_mask, self.return_sequences, stacked
        )
        if outputs is None and self.return_sequences:  # no steps
            outputs = ops.zeros((n, 0, output_size_of(self.cell)), dtype=self.compute_dtype)
        return last, outputs, states

    def call(self, sequences, initial_state=None, mask=None, training=False):
        n, t = sequences.shape[:2]
        if mask is None:
            mask = getattr(sequences, "_keras_mask", None)
        if mask is not None:
            mask = tree.flatten(mask)[0]
            check_tensors([mask], f"{type(self).__name__} {self.name!r}: mask")
            if tuple(mask.shape) != (n, t):
                raise ValueError(
                    f"{type(self).__name__} {self.name!r}: mask: expected shape {(n, t)}, received {tuple(mask.shape)}"
                )
            mask = ops.cast(mask, "bool")
        states = self._first_states(initial_state, n)
        reset_dropout(self.cell)
        try:
            last, outputs, states = self.inner_loop(sequences, states, mask, training=training)
        finally:
            reset_dropout(self.cell)
        if self.stateful:
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states)):
                variable.assign(state)
        output = outputs if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def compute_mask(self, inputs, previous_mask):
        mask = tree.flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *[None for _ in tree.flatten(self.state_size)]] if self.return_state else mask

    # --- shapes and configuration

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        n, t = sequences_shape[:2]
        if initial_state_shape is not None:
            shapes = []
            tree.map_shapes(shapes.append, initial_state_shape)
            self._check_states(shapes, n)
        size = output_size_of(self.cell)
        output = (n, t, size) if self.return_sequences else (n, size)
        if not self.return_state:
            return output
        return (output, *tree.map_structure(lambda s: (n, s), list(self.state_size)))

    def get_config(self):
        from ..saving.registry import serialize_object

        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": serialize_object(self.cell),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from ..saving.registry import deserialize_object

        config = dict(config)
        cell = deserialize_object(config.pop("cell"), custom_objects)
        return cls(cell, **config)


def check_tensors(values, label):
    """Refuses what has no shape, such as None and plain Python numbers."""
    for value in values:
        if not tensor_like(value):
            raise TypeError(
                f"{label}: expected arrays or Tensors, received {value!r} ({type(value).__name__}); make an array of "
                f"lists and numbers"
            )


def reset_dropout(cell):
    """Makes a cell, and those stacked in it, draw new dropout masks in the next step."""
    for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
        reset = getattr(cell, name, None)
        if reset is not None:
            reset()
    for inner in getattr(cell, "cells", ()):
        reset_dropout(inner)
