"""What a layer owns: variables, seeds, metrics, losses, sublayers, and how they are listed; the base of Layer."""

import math
import threading

from .. import dtypes, tree
from ..operation import KerasTensor, Operation
from ..tensor import as_tensor, is_tensor


class State(Operation):
    """The state of a layer, found by its tracker (tracking.py): membership and order are those of Keras."""

    def add_weight(
        self, shape=None, initializer=None, dtype=None, trainable=True, regularizer=None, constraint=None, name=None
    ):
        """Makes a Variable that belongs to this layer.

        Args:
            shape: without None; default () .
            initializer: name, function or array; default "glorot_uniform" for floats and "zeros" for others.
            dtype: default: the layer's variable dtype.
            trainable: whether training updates it.
            regularizer: function of it whose result is added to `losses`, or its name.
            constraint: function applied after each update, or its name.
            name: the last part of its path.
        """
        self._check_super_called()
        from ..variable import Variable

        dtype = self.variable_dtype if dtype is None else dtypes.standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        if isinstance(initializer, (str, dict)):
            from .. import initializers

            initializer = initializers.get(initializer)
        with self._scope():
            variable = Variable(
                initializer, shape=() if shape is None else shape, dtype=dtype, trainable=trainable, name=name
            )
        if regularizer is not None:
            from .. import regularizers

            variable.regularizer = regularizers.get(regularizer)
        if constraint is not None:
            from .. import constraints

            variable.constraint = constraints.get(constraint)
        self._tracker.add(variable)
        if not self.trainable:
            variable.trainable = False
        return variable

    def add_loss(self, loss):
        """Adds a scalar Tensor, or a structure of them, to `losses`, from within `call`."""
        for value in tree.flatten(loss):
            if isinstance(value, KerasTensor):
                continue  # only shapes are wanted
            if not is_tensor(value):
                raise ValueError(f"add_loss: expected a Tensor, received {type(value).__name__}")
            self._losses.setdefault(threading.get_ident(), []).append(value)

    @property
    def losses(self):
        """Scalars of the last outermost call of this thread: from `add_loss`, here and in sublayers, and from the
        regularizers of weights.
        """
        me = threading.get_ident()
        losses = [loss for layer in self._flatten_layers() for loss in layer._losses.get(me, ())]
        losses.extend(v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None)
        return losses

    def _clear_losses(self):
        if self._losses:
            self._losses.pop(threading.get_ident(), None)
            for ended in set(self._losses) - {thread.ident for thread in threading.enumerate()}:
                self._losses.pop(ended, None)
        for layer in self._tracker.layers:
            layer._clear_losses()

    def _flatten_layers(self, include_self=True, recursive=True):
        found = [self] if include_self else []
        seen, queue = set(), list(self._tracker.layers)
        while queue:
            layer = queue.pop(0)
            if id(layer) not in seen:
                seen.add(id(layer))
                found.append(layer)
                if recursive:
                    queue[:0] = layer._tracker.layers
        return found

    @property
    def _layers(self):
        return self._tracker.layers

    def _own_weights(self):
        return self._tracker.trainable_variables + self._tracker.non_trainable_variables

    @property
    def variables(self):
        """All its state: weights and seeds, here and in sublayers; not that of metrics."""
        own = self._own_weights() + [g.state for g in self._tracker.seed_generators]
        return _unique(own, *(layer.variables for layer in self._tracker.layers))

    @property
    def weights(self):
        """Its variables and those of its sublayers, without seeds and metrics: trainable ones of a layer first."""
        return _unique(self._own_weights(), *(layer.weights for layer in self._tracker.layers))

    @property
    def trainable_variables(self):
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self):
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable_weights(self):
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self):
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def metrics(self):
        """The metrics among its attributes and those of its sublayers."""
        return [*self._tracker.metrics, *(m for layer in self._tracker.layers for m in layer.metrics)]

    @property
    def metrics_variables(self):
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self):
        """Whether training updates its weights; setting it sets it for its weights and sublayers too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        value = bool(value)
        self._trainable = value
        for variable in self._tracker.trainable_variables:
            variable.trainable = value
        for layer in self._tracker.layers:
            layer.trainable = value

    def get_weights(self):
        """The values of `weights` as fresh NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights):
        """Gives `weights` new values, all or none: a list of arrays as `get_weights` returns."""
        mine = self.weights
        if len(mine) != len(weights):
            raise ValueError(f"set_weights: layer {self.name!r}: expected {len(mine)} arrays, received {len(weights)}")
        values = [as_tensor(w, name=v.path) for v, w in zip(mine, weights)]
        for variable, value in zip(mine, values):
            if variable.shape != value.shape:
                raise ValueError(
                    f"set_weights: {variable.path}: expected shape {variable.shape}, received {value.shape}"
                )
        for variable, value in zip(mine, values):
            variable.assign(value)

    def __deepcopy__(self, memo):
        """An equal layer with variables of its own: from the config, the shapes it was built with, and the weights."""
        from ..saving.registry import custom_object_scope, functions_as_they_are

        own = {type(layer).__name__: type(layer) for layer in self._flatten_layers()}  # registered or not
        with custom_object_scope(own), functions_as_they_are():
            twin = memo[id(self)] = type(self).from_config(self.get_config())
        if self.built and not twin.built:
            twin.build_from_config(self.get_build_config())
        twin.set_weights(self.get_weights())
        return twin

    def count_params(self):
        """How many numbers its weights hold."""
        if not self.built:
            raise ValueError(
                f"count_params: layer {self.name!r}: expected a layer that is built; call it, or `build` it"
            )
        return sum(math.prod(v.shape) for v in self.weights)


def _unique(*groups):
    """The variables of the groups in order, each once."""
    found = {}
    for group in groups:
        for variable in group:
            found.setdefault(id(variable), variable)
    return list(found.values())
