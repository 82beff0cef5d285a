"""RMSprop: steps divided by the root of a moving mean of squared gradients."""

from .. import ops
from ..checks import share
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """With v the moving mean of squares, and a that of gradients where they are centered (else a = 0):

        v = rho * v + (1 - rho) * g^2,  a = rho * a + (1 - rho) * g
        m = momentum * m + learning_rate * g / sqrt(v - a^2 + epsilon)
        w = w - m

    Args:
        learning_rate: a number, a Variable or a schedule.
        rho: share of the moving means that stays, a number in [0, 1].
        momentum: number in [0, 1].
        epsilon: number added under the root.
        centered: whether the gradients' own mean is taken off, so that v - a^2 is their variance.
        weight_decay, clipnorm, clipvalue, global_clipnorm, name: see Optimizer.

    Raises:
        ValueError: rho or momentum is outside [0, 1].

    Example:
        >>> import quernel as qn
        >>> v = qn.Variable([1.0, 2.0])
        >>> _ = qn.optimizers.RMSprop(0.1, rho=0.0).apply_gradients([(qn.constant([4.0, -4.0]), v)])
        >>> v.numpy()
        array([0.9, 2.1], dtype=float32)

    Source: Tieleman and Hinton, 2012; with momentum and centered, Graves, 2013.
    """

    def __init__(
        self,
        learning_rate=0.001,
        rho=0.9,
        momentum=0.0,
        epsilon=1e-7,
        centered=False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        name=None,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        self.rho = float(share(rho, "rho"))
        self.momentum = float(share(momentum, "momentum"))
        self.epsilon = float(epsilon)
        self.centered = bool(centered)
        self._velocities, self._momentums, self._average_gradients = [], [], []

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        if self.momentum:
            self._momentums = self.add_optimizer_variables(variables, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(variables, "average_gradient")

    def update_step(self, gradient, variable, learning_rate):
        at = self._get_variable_index(variable)
        g = ops.cast(gradient, dtype=variable.dtype)
        v = self._velocities[at]
        v.assign(v * self.rho + ops.square(g) * (1 - self.rho))
        spread = v.value
        if self.centered:
            a = self._average_gradients[at]
            a.assign(a * self.rho + g * (1 - self.rho))
            spread = spread - ops.square(a)
        step = g * learning_rate / ops.sqrt(spread + self.epsilon)
        if self.momentum:
            m = self._momentums[at]
            m.assign(m * self.momentum + step)
            step = m.value
        variable.assign_sub(step)

    def get_config(self):
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
