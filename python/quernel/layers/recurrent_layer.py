"""RecurrentLayer: what SimpleRNN, GRU and LSTM share: an RNN around a cell of their own, whose arguments it shows."""

from .. import ops, recording
from .input_spec import InputSpec
from .parts import as_floats
from .recurrent_cell import KERNEL_NAMES
from .rnn import RNN


def cell_keywords(kwargs, name):
    """The keyword arguments of a layer that go to its cell, too."""
    return {"dtype": kwargs.get("dtype"), "trainable": kwargs.get("trainable", True), "name": name}


def check_use_cudnn(value):
    """Refuses use_cudnn=True."""
    if value not in ("auto", True, False):
        raise ValueError(f"use_cudnn: expected 'auto' or False, received {value!r}")
    if value is True:
        raise ValueError("use_cudnn: expected 'auto' or False, received True; there is no cuDNN here")


class RecurrentLayer(RNN):
    """An RNN of one cell of the class `cell_class`; the cell's arguments are its own and stand in its config.

    A subclass gives `_sequence(x, states, mask, recurrent_dropout, **activations)`: outputs and last states of the whole
    sequence by one op.
    """

    cell_class = None

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        for name in cls.cell_class.options:
            if name not in cls.__dict__:
                setattr(cls, name, property(_of_cell(name)))

    def __init__(self, cell, *arguments, **keywords):
        super().__init__(cell, *arguments, **keywords)
        self.input_spec = InputSpec(ndim=3)

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def _kernel_names(self):
        """The activations by the names that the whole-sequence op knows; None where it lacks one."""
        found = {
            name: KERNEL_NAMES.get(getattr(self.cell, name))
            for name in ("activation", "recurrent_activation")
            if name in self.cell_class.options
        }
        return None if None in found.values() else found

    def inner_loop(self, sequences, initial_state, mask, training=False):
        names = self._kernel_names()
        if names is None:
            return super().inner_loop(sequences, initial_state, mask, training=training)
        cell = self.cell
        if recording.count:  # the cell itself is not called: a plan asks for its settings all the same
            recording.touch(cell)
        if initial_state is None and type(self).get_initial_state is not RNN.get_initial_state:
            initial_state = self.get_initial_state(sequences.shape[0])
        x, recurrent_dropout = as_floats(sequences, cell.compute_dtype), None
        if training and x.shape[1]:
            dropout, recurrent_dropout = cell.sequence_masks(x)
            x = x if dropout is None else x * ops.expand_dims(dropout, 1)
        y, states = self._sequence(x, initial_state, mask, recurrent_dropout, go_backwards=self.go_backwards, **names)
        last = states[0]
        if mask is not None and self.zero_output_for_mask and x.shape[1]:
            on = ops.flip(mask, axis=1) if self.go_backwards else mask
            y = ops.where(ops.expand_dims(on, -1), y, 0)
            last = y[:, -1]
        return last, y, states

    def get_config(self):
        from .. import regularizers

        config = super().get_config()
        of_cell = config.pop("cell")["config"]
        return {
            **config,
            **{name: of_cell[name] for name in self.cell_class.options},
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _of_cell(name):
    def read(self):
        return getattr(self.cell, name)

    return read
