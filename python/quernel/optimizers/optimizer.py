"""Optimizer: the base of all optimizers, and what an update does; what they keep is in state.py."""

import re
import warnings
from typing import NamedTuple

from .. import ops, recording
from ..row_gradient import RowGradient
from ..tensor import Tensor, as_tensor
from ..variable import Variable
from . import schedules
from .clipping import clip_by_norm, global_scale
from .state import State


class Rows(NamedTuple):
    """The gradient of some rows of a table: `rows` int64 (k,), each row once, -1 where there is none; `values` (k, u)."""

    rows: Tensor
    values: Tensor


class Optimizer(State):
    """The base of optimizers. Subclasses define `update_step(gradient, variable, learning_rate)`, and `build` for
    their state.

    Before an update, gradients are clipped and weights decay: w = w - w * weight_decay * learning_rate. After it, the
    variables' constraints are applied.

    Args:
        learning_rate: a number, a Variable that others may assign to, or a `schedules.LearningRateSchedule`, which gives
            each update its own.
        weight_decay: share of the weights taken away per update and unit of learning rate, or None.
        clipnorm: each gradient is scaled down to at most this norm, or None.
        clipvalue: the elements of gradients are clipped to -clipvalue .. clipvalue, or None.
        global_clipnorm: all gradients together are scaled down to at most this norm, or None.
        name: name of the optimizer; by default from the class's name.

    Raises:
        ValueError: more than one way of clipping; a learning rate that is none of these.

    Example:
        >>> import quernel as qn
        >>> class Sign(qn.optimizers.Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         step = qn.ops.where(gradient > 0, learning_rate, -learning_rate)
        ...         variable.assign(variable - step)
        >>> v = qn.Variable([1.0, 2.0])
        >>> _ = Sign(0.5).apply_gradients([(qn.constant([3.0, -3.0]), v)])
        >>> v.numpy()
        array([0.5, 2.5], dtype=float32)
    """

    lazy = False  # whether `_update` takes Rows; subclasses set it

    def __init__(
        self, learning_rate, weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None, name=None
    ):
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(c is not None for c in clips.values()) > 1:
            raise ValueError(f"clipnorm, clipvalue, global_clipnorm: expected at most one of them, received {clips}")
        for label, value in {"weight_decay": weight_decay, **clips}.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
                raise ValueError(f"{label}: expected a number of at least 0 or None, received {value!r}")
        super().__init__(learning_rate, name)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self._no_decay = (), None  # variables, pattern of names

    # --- updates

    def apply_gradients(self, grads_and_vars):
        """One update from (gradient, variable) pairs; returns `iterations`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads, trainable_variables=None):
        """One update.

        Args:
            grads: list of gradients; None for a variable that has none.
            trainable_variables: their variables, by default those that the optimizer was built with.

        Raises:
            ValueError: no gradient at all; a variable that the optimizer was not built with; lists that differ in
                length.
        """
        grads = [None if g is None else as_tensor(g, "apply: gradient") for g in grads]
        if not grads:
            return
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    "apply: expected variables, or an optimizer that is built; call build(variables) first"
                )
            variables = self._trainable_variables
        else:
            variables = list(trainable_variables)
            if not self.built:
                with recording.paused():
                    self.build(variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"apply: expected {len(variables)} gradients, one for each variable, received {len(grads)}"
            )
        for v in variables:
            if id(v) not in self._index:
                raise ValueError(
                    f"apply: expected the variables that {self.name!r} was built with, received {v.path!r}; "
                    f"make a new optimizer for other variables"
                )
        grads, variables = self._connected(grads, variables)
        grads = [self._in_form(g, v) if type(g) is RowGradient else g for g, v in zip(grads, variables)]
        grads, scale = self._clip(grads)
        rate = self.learning_rate
        self._decay(variables, rate)
        self._update(grads, variables, scale, rate)
        self._iterations.assign_add(1)
        for v in variables:
            if v.constraint is not None:
                v.assign(v.constraint(v))

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has to define update_step(self, gradient, variable, learning_rate)")

    def _update(self, grads, variables, scale, learning_rate):
        for g, v in zip(grads, variables):
            self.update_step(g if scale is None else g * scale, v, ops.cast(learning_rate, dtype=v.dtype))

    def _groups(self, grads, variables, scale, learning_rate):
        """(variables, gradients, learning rate, scale) by dtype: a kernel takes one float dtype at a time."""
        groups = {}
        for g, v in zip(grads, variables):
            if type(g) is Rows:
                continue
            groups.setdefault(v.dtype, ([], []))[0].append(v)
            groups[v.dtype][1].append(ops.cast(g, dtype=v.dtype) if g.dtype != v.dtype else g)
        for dtype, (vs, gs) in groups.items():
            yield vs, gs, ops.cast(learning_rate, dtype=dtype), None if scale is None else ops.cast(scale, dtype=dtype)

    def _row_updates(self, grads, variables, scale, learning_rate):
        """(variable, rows, values, learning rate, scale) of the tables of which some rows change."""
        for g, v in zip(grads, variables):
            if type(g) is Rows:
                factor = None if scale is None else ops.cast(scale, dtype=v.dtype)
                yield v, g.rows, ops.cast(g.values, dtype=v.dtype), ops.cast(learning_rate, dtype=v.dtype), factor

    def _in_form(self, gradient, variable):
        """A RowGradient as this optimizer takes it: Rows if it is lazy, else dense."""
        if not self.lazy:
            return gradient.dense()
        if self._decays(variable):
            raise ValueError(
                f"{self.name}: weight_decay: with lazy=True only the rows of the batch change, and decay would change "
                f"all of {variable.path!r}: leave the table out by exclude_from_weight_decay, or use lazy=False"
            )
        return Rows(*gradient.rows())

    def _connected(self, grads, variables):
        if all(g is not None for g in grads):
            return grads, variables
        kept = [(g, v) for g, v in zip(grads, variables) if g is not None]
        if not kept:
            raise ValueError("apply: expected a gradient for at least one variable, received None for all")
        missing = [v.path for g, v in zip(grads, variables) if g is None]
        warnings.warn(
            f"No gradients for the variables {missing}: the loss does not depend on them. "
            f"With compile(), was `loss` left out?",
            stacklevel=4,
        )
        return [g for g, _ in kept], [v for _, v in kept]

    def _clip(self, grads):
        """The gradients, and the factor that the update still has to apply to all of them, or None."""
        if not (self.clipnorm or self.clipvalue or self.global_clipnorm):
            return grads, None
        scale = None
        values = [g.values if type(g) is Rows else g for g in grads]  # rows that are not there are 0
        if self.global_clipnorm:
            values, scale = global_scale(values, self.global_clipnorm)
        elif self.clipnorm:
            values = [clip_by_norm(g, self.clipnorm) for g in values]
        else:
            values = [ops.clip(g, -self.clipvalue, self.clipvalue) for g in values]
        return [Rows(g.rows, v) if type(g) is Rows else v for g, v in zip(grads, values)], scale

    # --- weight decay

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Leaves variables out of weight decay.

        Args:
            var_list: the variables.
            var_names: texts; variables whose name holds one of them are left out too.

        Raises:
            ValueError: the optimizer is built already.
        """
        if self.built:
            raise ValueError("exclude_from_weight_decay: expected an optimizer that is not built yet")
        pattern = re.compile("|".join(var_names)) if var_names else None
        self._no_decay = tuple(var_list or ()), pattern

    def _decays(self, variable):
        variables, pattern = self._no_decay
        left_out = any(v is variable for v in variables) or (pattern and pattern.search(variable.name))
        return self.weight_decay is not None and not left_out

    def _decay(self, variables, rate):
        for v in variables:
            if self._decays(v):
                v.assign(v - v * self.weight_decay * ops.cast(rate, dtype=v.dtype))

    # --- configuration

    def get_config(self):
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else schedules.serialize(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }

    @classmethod
    def from_config(cls, config):
        rate = config.get("learning_rate")
        return cls(**{**config, "learning_rate": schedules.deserialize(rate)} if isinstance(rate, dict) else config)
