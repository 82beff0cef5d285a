"""LSTMCell and LSTM: long short-term memory."""

from .. import activations, initializers, ops
from .recurrent_cell import RecurrentCell
from .recurrent_layer import RecurrentLayer, cell_keywords, check_use_cudnn


class LSTMCell(RecurrentCell):
    """One step of an LSTM; the output is the new h.

    With s = recurrent_activation, w = [w_i, w_f, w_c, w_o] and r, b alike:
        i = s(x w_i + h r_i + b_i),  f = s(x w_f + h r_f + b_f),  o = s(x w_o + h r_o + b_o)
        c' = f * c + i * activation(x w_c + h r_c + b_c)
        h' = o * activation(c')

    Args:
        units: size of both states.
        activation: function, name of one, or None, for the candidate and the output.
        recurrent_activation: the same for the gates i, f and o.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: for w, r and b.
        unit_forget_bias: whether the forget gate's bias starts at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after updates.
        dropout: share of the inputs that is dropped in training, the same ones in all steps and for all gates.
        recurrent_dropout: the same for h where it meets r.
        seed: an int, or None for a fresh one.

    Weights: kernel w (inputs, 4 units), recurrent_kernel r (units, 4 units), bias b (4 units,). Order of the gates: i,
    f, c, o.

    Shapes: inputs (n, inputs), states [h (n, units), c (n, units)] -> (n, units), [h, c].

    Raises:
        ValueError: units is no positive int, or a rate lies outside [0, 1].

    Example:
        >>> import quernel as qn
        >>> cell = qn.layers.LSTMCell(4)
        >>> y, (h, c) = cell(qn.ones((2, 3)), cell.get_initial_state(batch_size=2))
        >>> y.shape, c.shape
        ((2, 4), (2, 4))

    Source: Hochreiter and Schmidhuber, 1997; the forget gate: Gers et al., 2000.
    """

    gates = 4
    options = (
        "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer",
        "bias_initializer", "unit_forget_bias", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
        "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "seed",
    )  # fmt: skip

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
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
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]

    def _first_bias(self):
        if not self.unit_forget_bias:
            return self.bias_initializer
        u = self.units

        def with_ones(shape, dtype=None):
            ones = initializers.Ones()((u,), dtype=dtype)
            rest = self.bias_initializer
            return ops.concatenate([rest((u,), dtype=dtype), ones, rest((2 * u,), dtype=dtype)], axis=0)

        return with_ones

    def call(self, inputs, states, training=False):
        h, c = self._states(states, inputs)
        x, h = self._dropped(inputs, h, training)
        products = ops.dense_forward(x, self.kernel, self.bias) + ops.matmul(h, self.recurrent_kernel)
        i, f, candidate, o = ops.split(products, 4, axis=-1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(candidate)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]


class LSTM(RecurrentLayer):
    """Long short-term memory; the formulas stand at `LSTMCell`.

    Args:
        units: size of the states and of the output.
        activation: function, name of one, or None, for the candidate and the output.
        recurrent_activation: the same for the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: for the weights.
        unit_forget_bias: whether the forget gate's bias starts at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss.
        activity_regularizer: for the outputs.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after updates.
        dropout: share of the inputs that is dropped in training, the same ones in all steps and for all gates.
        recurrent_dropout: the same for h where it meets recurrent_kernel. (With it Keras draws a mask for each gate.)
        seed: an int, or None for a fresh one.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        use_cudnn: "auto" or False; there is no cuDNN here, so True is refused.
        zero_output_for_mask: see `RNN`.

    Call arguments: as those of `RNN`.

    Weights: kernel (inputs, 4 units), recurrent_kernel (units, 4 units), bias (4 units,); gates i, f, c, o, which is
    the order of `torch.nn.LSTM`: kernel = weight_ih_l0.T, recurrent_kernel = weight_hh_l0.T,
    bias = bias_ih_l0 + bias_hh_l0.

    Shapes: (n, t, inputs) -> (n, units), with return_sequences (n, t, units).

    Raises:
        ValueError: units is no positive int, a rate lies outside [0, 1], inputs, mask or states of other shapes.

    Example:
        >>> import quernel as qn
        >>> y, h, c = qn.layers.LSTM(4, return_sequences=True, return_state=True)(qn.ones((2, 5, 3)))
        >>> y.shape, h.shape, c.shape
        ((2, 5, 4), (2, 4), (2, 4))

    Source: Hochreiter and Schmidhuber, 1997.
    """

    cell_class = LSTMCell

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        use_cudnn="auto",
        **kwargs,
    ):
        check_use_cudnn(use_cudnn)
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            **cell_keywords(kwargs, "lstm_cell"),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.use_cudnn = use_cudnn

    def _sequence(self, x, states, mask, recurrent_dropout, **keywords):
        cell = self.cell
        h, c = states if states is not None else (None, None)
        y, h, c = ops.lstm(x, cell.kernel, cell.recurrent_kernel, cell.bias, h, c, mask, recurrent_dropout, **keywords)
        return y, [h, c]
