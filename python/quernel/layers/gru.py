"""GRUCell and GRU: gated recurrent units."""

from .. import activations, ops
from .recurrent_cell import RecurrentCell
from .recurrent_layer import RecurrentLayer, cell_keywords, check_use_cudnn


class GRUCell(RecurrentCell):
    """One step of a GRU; the output is the new state.

    With s = recurrent_activation, w = [w_z, w_r, w_h] and r, b alike:
        z = s(x w_z + h r_z + b_z)
        g = s(x w_r + h r_r + b_r)
        c = activation(x w_h + b_h + g * (h r_h + d_h)), or with reset_after=False activation(x w_h + b_h + (g * h) r_h)
        h' = z * h + (1 - z) * c
    With reset_after=True the recurrent products have a bias d of their own.

    Args:
        units: size of the state.
        activation: function, name of one, or None, for c.
        recurrent_activation: the same for the gates z and g.
        use_bias: whether there are biases.
        kernel_initializer, recurrent_initializer, bias_initializer: for w, r and b.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after updates.
        dropout: share of the inputs that is dropped in training, the same ones in all steps and for all gates.
        recurrent_dropout: the same for the state where it meets r.
        reset_after: whether the gate g acts after the product with r_h, or before.
        seed: an int, or None for a fresh one.

    Weights: kernel w (inputs, 3 units), recurrent_kernel r (units, 3 units), bias (2, 3 units), rows b and d, or
    (3 units,) with reset_after=False. Order of the gates: z, g, c.

    Shapes: inputs (n, inputs), states [h (n, units)] -> (n, units), [h].

    Raises:
        ValueError: units is no positive int, or a rate lies outside [0, 1].

    Example:
        >>> import quernel as qn
        >>> cell = qn.layers.GRUCell(4)
        >>> y, (h,) = cell(qn.ones((2, 3)), cell.get_initial_state(batch_size=2))
        >>> y.shape, h.shape
        ((2, 4), (2, 4))

    Source: Cho et al., 2014, arXiv:1406.1078, version 3 (reset_after=False) and version 1 (reset_after=True).
    """

    gates = 3
    options = (
        "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer",
        "bias_initializer", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "kernel_constraint",
        "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "reset_after", "seed",
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
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        reset_after=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed, **kwargs,
        )  # fmt: skip
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def biases(self):
        """The biases of the input products and of the recurrent ones; None where there is none."""
        if self.bias is None or not self.reset_after:
            return self.bias, None
        return self.bias[0], self.bias[1]

    def call(self, inputs, states, training=False):
        (h,) = self._states(states, inputs)
        x, dropped = self._dropped(inputs, h, training)
        u = self.units
        b, d = self.biases()
        x_z, x_r, x_h = ops.split(ops.dense_forward(x, self.kernel, b), 3, axis=-1)
        r = self.recurrent_kernel
        if self.reset_after:
            h_z, h_r, h_h = ops.split(ops.dense_forward(dropped, r, d), 3, axis=-1)
        else:
            h_z, h_r = ops.split(ops.matmul(dropped, r[:, : 2 * u]), 2, axis=-1)
        z = self.recurrent_activation(x_z + h_z)
        gate = self.recurrent_activation(x_r + h_r)
        if self.reset_after:
            candidate = self.activation(x_h + gate * h_h)
        else:
            candidate = self.activation(x_h + ops.matmul(gate * dropped, r[:, 2 * u :]))
        y = z * h + (1 - z) * candidate
        return y, ([y] if isinstance(states, (list, tuple)) else y)


class GRU(RecurrentLayer):
    """Gated recurrent units; the formulas stand at `GRUCell`.

    Args:
        units: size of the state and of the output.
        activation: function, name of one, or None, for the candidate.
        recurrent_activation: the same for the gates.
        use_bias: whether there are biases.
        kernel_initializer, recurrent_initializer, bias_initializer: for the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss.
        activity_regularizer: for the outputs.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after updates.
        dropout: share of the inputs that is dropped in training, the same ones in all steps and for all gates.
        recurrent_dropout: the same for the state where it meets recurrent_kernel. (With it Keras draws a mask for each gate.)
        seed: an int, or None for a fresh one.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        reset_after: whether the reset gate acts after the recurrent product, or before.
        use_cudnn: "auto" or False; there is no cuDNN here, so True is refused.
        zero_output_for_mask: see `RNN`.

    Call arguments: as those of `RNN`.

    Weights: kernel (inputs, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or (3 units,) with
    reset_after=False; gates z, r, h. Those of `torch.nn.GRU`, which is reset_after=True with gates r, z, n: swap the
    first two thirds of weight_ih_l0, weight_hh_l0, bias_ih_l0 and bias_hh_l0, then transpose:

        def swapped(a):
            r, z, n = numpy.split(a, 3)
            return numpy.concatenate([z, r, n])

        kernel, recurrent_kernel = swapped(weight_ih_l0).T, swapped(weight_hh_l0).T
        bias = numpy.stack([swapped(bias_ih_l0), swapped(bias_hh_l0)])

    Shapes: (n, t, inputs) -> (n, units), with return_sequences (n, t, units).

    Raises:
        ValueError: units is no positive int, a rate lies outside [0, 1], inputs, mask or states of other shapes.

    Example:
        >>> import quernel as qn
        >>> y, h = qn.layers.GRU(4, return_sequences=True, return_state=True)(qn.ones((2, 5, 3)))
        >>> y.shape, h.shape
        ((2, 5, 4), (2, 4))

    Source: Cho et al., 2014.
    """

    cell_class = GRUCell

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
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
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        reset_after=True,
        use_cudnn="auto",
        **kwargs,
    ):
        check_use_cudnn(use_cudnn)
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after, seed,
            **cell_keywords(kwargs, "gru_cell"),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.use_cudnn = use_cudnn

    def _sequence(self, x, states, mask, recurrent_dropout, **keywords):
        cell = self.cell
        h = states[0] if states is not None else None
        b, d = cell.biases()
        y, h = ops.gru(
            x,
            cell.kernel,
            cell.recurrent_kernel,
            b,
            d,
            h,
            mask,
            recurrent_dropout,
            reset_after=cell.reset_after,
            **keywords,
        )
        return y, [h]
