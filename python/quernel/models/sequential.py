"""Sequential: a model in which each layer takes the output of the one before."""

from .. import tree
from ..layers.input_layer import InputLayer
from ..layers.layer import Layer
from ..operation import KerasTensor
from .functional import Functional
from .model import Model


class Sequential(Model):
    """A stack of layers. It is built when the shape of its input is known: from an `Input` as first element, from
    the first layer's `input_shape`, from `build(input_shape)`, or from the first data.

    Args:
        layers: list of layers, or None.
        trainable: whether its weights are trained.
        name: default "sequential", "sequential_1", ...

    Example:
        >>> import quernel as qn
        >>> model = qn.Sequential([qn.Input((4,)), qn.layers.Dense(2, "relu"), qn.layers.Dense(1)])
        >>> model.count_params()
        13
    """

    _locks_state = False  # layers may be added later

    def __init__(self, layers=None, trainable=True, name=None):
        super().__init__(trainable=trainable, name=name)
        object.__setattr__(self, "_stack", [])  # the layers, an InputLayer first where there is one
        object.__setattr__(self, "_tensors", [])  # their outputs, while the model is a graph
        object.__setattr__(self, "_functional", None)
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()

    def add(self, layer, rebuild=True):
        """Puts a layer (or an `Input`) on top.

        Args:
            layer: a Layer, or what `Input` returned.
            rebuild: whether weights are made at once when the input shape is known.
        """
        if isinstance(layer, KerasTensor):
            origin = layer._keras_history[0].operation
            layer = origin if isinstance(origin, InputLayer) else layer
        if not isinstance(layer, Layer):
            raise ValueError(f"Sequential.add: expected a Layer, received {layer!r} ({type(layer).__name__})")
        if any(other.name == layer.name for other in self._stack):
            raise ValueError(
                f"Sequential.add: expected unique layer names, received {layer.name!r} twice; pass `name=`"
            )
        if isinstance(layer, InputLayer) and self._stack:
            raise ValueError(
                f"Sequential.add: expected an Input only as the first element, received it after {len(self._stack)}"
            )
        if not self._stack and not isinstance(layer, InputLayer):
            shape = _known_input(layer)
            if shape is not None:
                self._stack.append(InputLayer(batch_shape=shape[0], dtype=shape[1]))
        self._stack.append(layer)
        self._changed()
        if rebuild:
            self._rebuild()

    def pop(self, rebuild=True):
        """Takes the top layer off and returns it."""
        if not self.layers:
            raise ValueError("Sequential.pop: expected a model with layers, received an empty one")
        layer = self._stack.pop()
        del self._tensors[len(self._stack) :]
        self._changed()
        if rebuild:
            self._rebuild()
        return layer

    def _changed(self):
        self._tracker.layers[:] = self._stack
        self.built = False
        object.__setattr__(self, "_functional", None)
        if not self.trainable:
            self._tracker.layers[-1].trainable = False

    def _rebuild(self):
        if len(self._stack) > 1 and isinstance(self._stack[0], InputLayer):
            self.build(self._stack[0].batch_shape)

    def build(self, input_shape=None):
        """Makes the weights for inputs of this shape, batch axis included."""
        if not self._stack:
            raise ValueError(
                f"Sequential {self.name!r}: expected layers before it is built, received none; use add(layer)"
            )
        if not isinstance(self._stack[0], InputLayer):
            if input_shape is None:
                raise ValueError(f"Sequential {self.name!r}: build: expected an input shape, received None")
            if not tree.is_shape(input_shape):
                return  # a structure of inputs: the layers are called one by one
            self._stack.insert(0, InputLayer(batch_shape=input_shape, dtype=self._stack[0].input_dtype))
            self._tracker.layers[:] = self._stack
        elif input_shape is not None and tuple(input_shape) != self._stack[0].batch_shape:
            raise ValueError(
                f"Sequential {self.name!r}: build: expected its Input's shape {self._stack[0].batch_shape}, "
                f"received {tuple(input_shape)}"
            )
        if not self._tensors:
            self._tensors.append(self._stack[0].output)
        for layer in self._stack[len(self._tensors) :]:
            output = layer(self._tensors[-1])
            if tree.is_nested(output):
                raise ValueError(
                    f"Sequential {self.name!r}: layer {layer.name!r}: expected one output, received "
                    f"{len(tree.flatten(output))}; use Model(inputs, outputs)"
                )
            self._tensors.append(output)
        object.__setattr__(self, "_functional", Functional(self._tensors[0], self._tensors[-1], name=self.name))

    def _maybe_build(self, call):
        shape = call.first_shape()
        if shape is not None and tree.is_shape(shape):
            if not isinstance(self._stack[0] if self._stack else None, InputLayer):
                self.build((None, *shape[1:]))
                return
            self.build(self._stack[0].batch_shape)
            return
        self._mark_built({})

    def call(self, inputs, training=None, mask=None):
        if self._functional is not None:
            return self._functional.call(inputs, mask=mask)
        for layer in self.layers:
            if mask is not None and layer._call_has_mask_arg:
                inputs = layer(inputs, mask=mask)
            else:
                inputs = layer(inputs)
            mask = None
        return inputs

    @property
    def layers(self):
        """Its layers, without the one of the Input."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    @property
    def input_dtype(self):
        return self._stack[0].dtype if self._stack and isinstance(self._stack[0], InputLayer) else self.compute_dtype

    def _graph_attribute(self, name):
        if self._functional is None:
            raise AttributeError(
                f"Sequential {self.name!r} has no {name} before it is built: call it, or build(input_shape)"
            )
        return getattr(self._functional, name)

    @property
    def input_shape(self):
        return self._graph_attribute("input_shape")

    @property
    def output_shape(self):
        return self._graph_attribute("output_shape")

    @property
    def inputs(self):
        return self._graph_attribute("inputs")

    @property
    def outputs(self):
        return self._graph_attribute("outputs")

    @property
    def input(self):
        return self._graph_attribute("input")

    @property
    def output(self):
        return self._graph_attribute("output")

    def get_config(self):
        from ..saving.registry import serialize_object

        config = super().get_config()
        config["layers"] = [serialize_object(layer) for layer in self._stack]
        if self._functional is not None:
            config["build_input_shape"] = self._stack[0].batch_shape
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from ..saving.registry import custom_object_scope, deserialize_object

        with custom_object_scope(custom_objects or {}):
            layers = [deserialize_object(entry) for entry in config["layers"]]
        return cls(layers, trainable=config.get("trainable", True), name=config.get("name"))


def _known_input(layer):
    """(batch shape, dtype) of a layer that says what it takes: by `input_shape=`, or a model that is built;
    else None.
    """
    if layer._input_shape_argument is not None:
        return (None, *layer._input_shape_argument), None
    functional = layer if isinstance(layer, Functional) else getattr(layer, "_functional", None)
    if functional is not None and len(functional.inputs) == 1:
        return functional.inputs[0].shape, functional.inputs[0].dtype
    return None
