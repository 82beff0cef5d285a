"""SGD: gradient descent, with momentum."""

from .. import kernels
from ..checks import share
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent: w = w - learning_rate * g; with momentum

        v = momentum * v - learning_rate * g
        w = w + v, or with nesterov w = w + momentum * v - learning_rate * g

    Args:
        learning_rate: a number, a Variable or a schedule.
        momentum: number in [0, 1].
        nesterov: whether to look one step ahead.
        weight_decay, clipnorm, clipvalue, global_clipnorm, name: see Optimizer.
        lazy: whether a table whose gradient comes as rows (`layers.Embedding`, or `ops.take` of a Variable's rows) is
            updated only there, at a cost that follows the batch: the updates of a row are added up in the order in which
            they occur, and the row takes the step above; other rows, and their v, stay as they are. weight_decay is
            refused, a constraint still sees the whole table. Where the table is used otherwise too (a product with it, a
            regularizer), its gradient is dense and all rows take the step.

    Raises:
        ValueError: momentum is outside [0, 1].

    Example:
        >>> import quernel as qn
        >>> v = qn.Variable([1.0, 2.0])
        >>> _ = qn.optimizers.SGD(0.5).apply_gradients([(qn.constant([1.0, 1.0]), v)])
        >>> v.numpy()
        array([0.5, 1.5], dtype=float32)

    Source: Sutskever et al., 2013.
    """

    def __init__(
        self,
        learning_rate=0.01,
        momentum=0.0,
        nesterov=False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        name=None,
        lazy=False,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        self.momentum = float(share(momentum, "momentum"))
        self.nesterov = nesterov
        self.lazy = bool(lazy)
        self.momentums = []

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self.momentums = [self.add_variable_from_reference(v, "momentum") for v in self._trainable_variables]

    def _update(self, grads, variables, scale, learning_rate):
        for vs, gs, rate, factor in self._groups(grads, variables, scale, learning_rate):
            velocities = self.slots(self.momentums, vs) if self.momentum else None
            written = [v._prepare_write() for v in vs]
            kernels.sgd_update(
                written,
                [g._array for g in gs],
                rate._array,
                None if velocities is None else [v._prepare_write() for v in velocities],
                None if factor is None else factor._array,
                momentum=self.momentum,
                nesterov=bool(self.nesterov and self.momentum),
            )
        for v, rows, values, rate, factor in self._row_updates(grads, variables, scale, learning_rate):
            kernels.sgd_rows_update(
                v._prepare_write(),
                rows._array,
                values._array,
                rate._array,
                self.slots(self.momentums, [v])[0]._prepare_write() if self.momentum else None,
                None if factor is None else factor._array,
                momentum=self.momentum,
                nesterov=bool(self.nesterov and self.momentum),
            )

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov, "lazy": self.lazy}
