"""Metric: the base of all metrics; its state lives in Variables."""

import functools

from .. import initializers, ops, recording
from ..dtypes import floatx
from ..naming import auto_name, name_scope
from ..variable import Variable


def _touching(method):
    """The method, which also tells a recorder that the step depends on the metric's attributes."""

    @functools.wraps(method)
    def touching(self, *args, **kwargs):
        if recording.count:
            recording.touch(self)
        return method(self, *args, **kwargs)

    return touching


class Metric(recording.Versioned):
    """The base of metrics: `update_state` adds a batch to Variables, `result` computes from them, `reset_state`
    clears them.

    Args:
        dtype: dtype of state and result, "float32" by default.
        name: name of the metric; by default from the class's name.

    Example:
        >>> import quernel as qn
        >>> class Largest(qn.metrics.Metric):
        ...     def __init__(self, name="largest", **kwargs):
        ...         super().__init__(name=name, **kwargs)
        ...         self.largest = self.add_variable((), "zeros", name="largest")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.largest.assign(qn.ops.maximum(self.largest, qn.ops.max(y_pred)))
        ...     def result(self):
        ...         return self.largest.value
        >>> float(Largest()([0.0, 0.0], [3.0, 1.0]))
        3.0
    """

    _tracked_as = "metrics"
    _direction = None  # "up" or "down", where it is known what is better; EarlyStopping asks

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        for name in {"update_state", "result"} & set(cls.__dict__):
            setattr(cls, name, _touching(cls.__dict__[name]))

    def __init__(self, dtype=None, name=None):
        self.name = name or auto_name(type(self).__name__)
        self._dtype = floatx() if dtype is None else dtype
        self._metrics = []
        self._variables = []

    def __setattr__(self, name, value):
        if isinstance(value, Metric) and value not in self._own("_metrics"):
            self._metrics.append(value)
        elif isinstance(value, Variable) and all(v is not value for v in self._own("_variables")):
            self._variables.append(value)
            value._owner = self
        super().__setattr__(name, value)

    def _own(self, name):
        try:
            return self.__dict__[name]
        except KeyError:
            raise RuntimeError(
                f"{type(self).__name__}.__init__ has to call super().__init__() before it sets attributes"
            ) from None

    @property
    def dtype(self):
        return self._dtype

    @property
    def variables(self):
        """The Variables of this metric, then those of the metrics that it holds."""
        return [*self._own("_variables"), *(v for m in self._metrics for v in m.variables)]

    def add_variable(self, shape, initializer, dtype=None, name=None):
        """A non-trainable Variable that belongs to this metric.

        Args:
            shape: tuple of ints.
            initializer: an initializer, its name or a callable (shape, dtype) -> Tensor.
            dtype: the metric's dtype by default.
            name: name of the variable.
        """
        variables = self._own("_variables")
        with name_scope(self.name.replace("/", ">")):
            variable = Variable(
                initializers.get(initializer), shape=shape, dtype=dtype or self.dtype, trainable=False, name=name
            )
        variables.append(variable)
        variable._owner = self
        return variable

    def add_weight(self, shape=(), initializer=None, dtype=None, name=None):
        """add_variable under its older name."""
        return self.add_variable(shape, initializer or "zeros", dtype, name)

    def reset_state(self):
        """Sets every variable to zero."""
        for v in self.variables:
            v.assign(ops.zeros(v.shape, dtype=v.dtype))

    def update_state(self, *args, **kwargs):
        """Adds a batch to the state; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has to define update_state")

    def result(self):
        """The metric as a scalar Tensor, or a dict of them; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has to define result")

    def __call__(self, *args, **kwargs):
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"
