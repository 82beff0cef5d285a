"""Adam: steps scaled by running means of the gradient and of its square."""

from .. import kernels
from .optimizer import Optimizer


class Adam(Optimizer):
    """Adam, with t = iterations + 1:

        m = m + (1 - beta_1) * (g - m);  v = v + (1 - beta_2) * (g^2 - v)
        w = w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    With amsgrad the largest v so far takes v's place in the last line.

    Args:
        learning_rate: a number, a Variable or a schedule.
        beta_1: decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: added to the root.
        amsgrad: whether to use the largest v.
        weight_decay, clipnorm, clipvalue, global_clipnorm, name: see Optimizer.
        lazy: whether a table whose gradient comes as rows (`layers.Embedding`, or `ops.take` of a Variable's rows) is
            updated only there, at a cost that follows the batch: the updates of a row are added up in the order in which
            they occur, and the row takes the step above, with t of all steps; other rows, and their m and v, stay as
            they are. weight_decay is refused, a constraint still sees the whole table. Where the table is used otherwise
            too (a product with it, a regularizer), its gradient is dense and all rows take the step.

    Example:
        >>> import quernel as qn
        >>> v = qn.Variable([1.0, 2.0])
        >>> _ = qn.optimizers.Adam(0.1).apply_gradients([(qn.constant([1.0, -5.0]), v)])
        >>> v.numpy().round(3).tolist()
        [0.8999999761581421, 2.0999999046325684]

    Source: Kingma and Ba, 2014; Reddi et al., 2018 for amsgrad.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        name=None,
        lazy=False,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        for label, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if isinstance(beta, bool) or not isinstance(beta, (int, float)) or not 0 <= beta < 1:
                raise ValueError(f"{label}: expected a number of at least 0 and below 1, received {beta!r}")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self.lazy = bool(lazy)
        self._momentums = []
        self._velocities = []
        self._velocity_hats = []

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        for v in self._trainable_variables:
            self._momentums.append(self.add_variable_from_reference(v, "momentum"))
            self._velocities.append(self.add_variable_from_reference(v, "velocity"))
        if self.amsgrad:
            self._velocity_hats = [
                self.add_variable_from_reference(v, "velocity_hat") for v in self._trainable_variables
            ]

    def _update(self, grads, variables, scale, learning_rate):
        for vs, gs, rate, factor in self._groups(grads, variables, scale, learning_rate):

            def storage(variables):
                return [v._prepare_write() for v in variables]

            written = storage(vs)
            kernels.adam_update(
                written,
                [g._array for g in gs],
                storage(self.slots(self._momentums, vs)),
                storage(self.slots(self._velocities, vs)),
                rate._array,
                self._iterations._array,
                storage(self.slots(self._velocity_hats, vs)) if self.amsgrad else None,
                None if factor is None else factor._array,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
        for v, rows, values, rate, factor in self._row_updates(grads, variables, scale, learning_rate):
            kernels.adam_rows_update(
                v._prepare_write(),
                rows._array,
                values._array,
                self.slots(self._momentums, [v])[0]._prepare_write(),
                self.slots(self._velocities, [v])[0]._prepare_write(),
                rate._array,
                self._iterations._array,
                self.slots(self._velocity_hats, [v])[0]._prepare_write() if self.amsgrad else None,
                None if factor is None else factor._array,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )

    def get_config(self):
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
            "lazy": self.lazy,
        }
