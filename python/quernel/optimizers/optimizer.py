"""Optimizer: the base of all optimizers; their state lives in Variables."""

import re
import warnings
from typing import NamedTuple

from .. import initializers, ops, recording
from ..dtypes import floatx
from ..naming import auto_name, name_scope
from ..row_gradient import RowGradient
from ..tensor import Tensor, as_tensor
from ..variable import Variable
from . import schedules
from .schedules.learning_rate_schedule import LearningRateSchedule


class Rows(NamedTuple):
    """The gradient of some rows of a table: `rows` int64 (k,), each row once, -1 where there is none; `values` (k, u)."""

    rows: Tensor
    values: Tensor


class Optimizer(recording.Versioned):
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
        self.name = name or auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.built = False
        self._variables = []
        self._trainable_variables = []
        self._index = {}  # id(variable) -> position
        self._no_decay = (), None  # variables, pattern of names
        with name_scope(self.name):
            self._iterations = Variable(0, dtype="int64", trainable=False, name="iteration")
            if not isinstance(learning_rate, (Variable, LearningRateSchedule)):
                if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float)):
                    raise ValueError(
                        f"learning_rate: expected a number, a Variable or a LearningRateSchedule, "
                        f"received {learning_rate!r}"
                    )
                learning_rate = Variable(float(learning_rate), dtype=floatx(), trainable=False, name="learning_rate")
        self._learning_rate = learning_rate
        self._variables.append(self._iterations)
        if isinstance(learning_rate, Variable):
            self._variables.append(learning_rate)
        self._iterations._owner = self

    # --- state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._index = _positions(self._trainable_variables)  # of a copy's or pickle's own

    @property
    def iterations(self):
        """The Variable that counts updates."""
        return self._iterations

    @property
    def learning_rate(self):
        """The Variable of the learning rate; assigning a number changes its value. With a schedule, what it gives the next
        update, as a Tensor; assigning another schedule takes its place.
        """
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            recording.touch_settings(rate)
            return rate(self._iterations.value)
        return rate

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(value, LearningRateSchedule):
            if isinstance(self._learning_rate, Variable):
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = value
        elif isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"learning_rate: {self.name!r} follows a {type(self._learning_rate).__name__}: expected another "
                f"LearningRateSchedule, received {value!r}; make an optimizer with a number to assign numbers"
            )
        else:
            self._learning_rate.assign(value)

    @property
    def variables(self):
        """iteration, learning_rate (none with a schedule), then what `build` adds, variable by variable."""
        return list(self._variables)

    def build(self, variables):
        """Makes the state for these variables; subclasses add theirs. Called by the first update."""
        self._trainable_variables = list(variables)
        self._index = _positions(self._trainable_variables)
        self.built = True

    def add_variable(self, shape, initializer="zeros", dtype=None, name=None):
        """A Variable of this optimizer."""
        with name_scope(self.name):
            variable = Variable(
                initializers.get(initializer), shape=shape, dtype=dtype or floatx(), trainable=False, name=name
            )
        self._variables.append(variable)
        variable._owner = self
        return variable

    def add_variable_from_reference(self, reference_variable, name="var", initializer="zeros"):
        """A Variable with the shape and dtype of another one."""
        name = f"{reference_variable.path.replace('/', '_')}_{name}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name)

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """For each variable one of this optimizer, or with several names a tuple of lists."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        initializers_ = [initializer] * len(name) if isinstance(initializer, str) else initializer
        made = [
            [self.add_variable_from_reference(v, n, i) for n, i in zip(name, initializers_)]
            for v in trainable_variables
        ]
        return tuple(list(column) for column in zip(*made)) if made else tuple([] for _ in name)

    def assign(self, variable, value):
        """Gives a variable a new value."""
        variable.assign(value)

    def assign_add(self, variable, value):
        """Adds to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable, value):
        """Subtracts from a variable."""
        variable.assign_sub(value)

    def _get_variable_index(self, variable):
        return self._index[id(variable)]

    def slots(self, table, variables):
        """The entries for these variables of a list made in `build`."""
        return [table[self._index[id(v)]] for v in variables]

    def set_weights(self, weights):
        """Sets the values of `variables`, in their order."""
        if len(weights) != len(self._variables):
            raise ValueError(
                f"set_weights: expected {len(self._variables)} arrays, received {len(weights)}; build first"
            )
        for variable, weight in zip(self._variables, weights):
            variable.assign(weight)

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
        values = [g.values if type(g) is Rows else g for g in grads]  # rows that are not there are 0
        if self.global_clipnorm:
            return grads, _global_scale(values, self.global_clipnorm)
        if self.clipnorm:
            values = [_clip_by_norm(g, self.clipnorm) for g in values]
        else:
            values = [ops.clip(g, -self.clipvalue, self.clipvalue) for g in values]
        return [Rows(g.rows, v) if type(g) is Rows else v for g, v in zip(grads, values)], None

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


def _positions(variables):
    return {id(v): i for i, v in enumerate(variables)}


def _clip_by_norm(g, limit):
    norm = ops.sqrt(ops.sum(ops.square(g)))
    return g * float(limit) / ops.maximum(norm, float(limit))


def _global_scale(grads, limit):
    """limit / max(norm of all gradients, limit)."""
    total = None
    for g in grads:
        part = ops.cast(ops.sum(ops.square(g)), dtype=floatx())
        total = part if total is None else total + part
    return float(limit) / ops.maximum(ops.sqrt(total), float(limit))
