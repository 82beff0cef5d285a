"""SimpleRNNCell and SimpleRNN: h = activation(x w + h r + b)."""

from .. import ops
from .recurrent_cell import RecurrentCell
from .recurrent_layer import RecurrentLayer, cell_keywords


class SimpleRNNCell(RecurrentCell):
    """One step of a SimpleRNN: h' = activation(x w + h r + b); the output is the new state.

    Args:
        units: size of the state.
        activation: function, name of one, or None.
        use_bias: whether there is a bias b.
        kernel_initializer, recurrent_initializer, bias_initializer: for w, r and b.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after updates.
        dropout: share of the inputs that is dropped in training, the same ones in all steps.
        recurrent_dropout: the same for the state where it meets r.
        seed: an int, or None for a fresh one.

    Weights: kernel w (inputs, units), recurrent_kernel r (units, units), bias b (units,).

    Shapes: inputs (n, inputs), states [h (n, units)] -> (n, units), [h].

    Raises:
        ValueError: units is no positive int, or a rate lies outside [0, 1].

    Example:
        >>> import quernel as qn
        >>> cell = qn.layers.SimpleRNNCell(4)
        >>> y, (h,) = cell(qn.ones((2, 3)), cell.get_initial_state(batch_size=2))
        >>> y.shape, h.shape
        ((2, 4), (2, 4))

    Source: Elman, 1990.
    """

    options = (
        "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
        "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "kernel_constraint", "recurrent_constraint",
        "bias_constraint", "dropout", "recurrent_dropout", "seed",
    )  # fmt: skip

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed, **kwargs,
        )  # fmt: skip

    def call(self, sequence, states, training=False):
        (h,) = self._states(states, sequence)
        x, h = self._dropped(sequence, h, training)
        y = self.activation(ops.dense_forward(x, self.kernel, self.bias) + ops.matmul(h, self.recurrent_kernel))
        return y, ([y] if isinstance(states, (list, tuple)) else y)


class SimpleRNN(RecurrentLayer):
    """A recurrent layer: h[t] = activation(x[t] w + h[t-1] r + b).

    Args:
        units: size of the state and of the output.
        activation: function, name of one, or None.
        use_bias: whether there is a bias b.
        kernel_initializer, recurrent_initializer, bias_initializer: for w, r and b.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss.
        activity_regularizer: for the outputs.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after updates.
        dropout: share of the inputs that is dropped in training, the same ones in all steps.
        recurrent_dropout: the same for the state where it meets r.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        seed: an int, or None for a fresh one.
        zero_output_for_mask: see `RNN`.

    Call arguments: as those of `RNN`.

    Weights: kernel w (inputs, units), recurrent_kernel r (units, units), bias b (units,). Those of `torch.nn.RNN`:
    w = weight_ih_l0.T, r = weight_hh_l0.T, b = bias_ih_l0 + bias_hh_l0.

    Shapes: (n, t, inputs) -> (n, units), with return_sequences (n, t, units).

    Raises:
        ValueError: units is no positive int, a rate lies outside [0, 1], inputs, mask or states of other shapes.

    Example:
        >>> import quernel as qn
        >>> y, h = qn.layers.SimpleRNN(4, return_sequences=True, return_state=True)(qn.ones((2, 5, 3)))
        >>> y.shape, h.shape
        ((2, 5, 4), (2, 4))

    Source: Elman, 1990.
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        seed=None,
        **kwargs,
    ):
        cell = SimpleRNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed, **cell_keywords(kwargs, "simple_rnn_cell"),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip

    def _sequence(self, x, states, mask, recurrent_dropout, **keywords):
        cell = self.cell
        h = states[0] if states is not None else None
        y, h = ops.simple_rnn(x, cell.kernel, cell.recurrent_kernel, cell.bias, h, mask, recurrent_dropout, **keywords)
        return y, [h]
