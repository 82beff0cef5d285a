"""RecurrentLayer: what SimpleRNN, GRU and LSTM share: an RNN around a cell of their own, whose arguments it shows."""

from .input_spec import InputSpec
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
    """An RNN of one cell of the class `cell_class`; the cell's arguments are its own and stand in its config."""

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
