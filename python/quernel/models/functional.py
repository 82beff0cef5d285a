"""Functional: a model that is a graph of layers between inputs and outputs."""

import functools

from .. import tree
from ..layers.layer import Layer
from ..operation import KerasTensor
from ..tensor import Tensor, as_tensor
from .graph import Graph
from .model import Model


class Functional(Model):
    """What `Model(inputs, outputs)` makes: calling it runs the layers between the two.

    Args:
        inputs: a KerasTensor, or a list, tuple or dict of them.
        outputs: the same, computed from `inputs`.
        name: default "functional", "functional_1", ...
        trainable: if given, set for all its layers.

    Raises:
        ValueError: when the outputs need a tensor that the inputs do not give, or layer names are not unique.

    Example:
        >>> import quernel as qn
        >>> x = qn.Input((4,))
        >>> model = qn.Model(x, [x * 2, x + 1])
        >>> [t.shape for t in model(qn.ones((3, 4)))]
        [(3, 4), (3, 4)]
    """

    _locks_state = False  # layers may be attached to it later

    def __init__(self, inputs, outputs, name=None, trainable=None):
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for value in tree.flatten(structure):
                if not isinstance(value, KerasTensor):
                    raise ValueError(
                        f"Model: {what}: expected KerasTensors, received {value!r} ({type(value).__name__})"
                    )
        Layer.__init__(self, name=name)
        put = self._put
        put("_inputs_structure", inputs)
        put("_outputs_structure", outputs)
        put("_inputs", tree.flatten(inputs))
        put("_outputs", tree.flatten(outputs))
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        for operation in self._graph.operations:
            if isinstance(operation, Layer):
                self._tracker.add(operation)
        self.built = True
        if trainable is not None:
            self.trainable = trainable

    def _put(self, name, value):
        object.__setattr__(self, name, value)  # past attribute tracking

    def __getstate__(self):
        state = super().__getstate__()
        for name in ("_graph", "_plan"):  # made of addresses
            state.pop(name, None)
        return {"_nodes": self._graph.nodes, **state}  # in the order in which they run: a chain is no recursion

    def __setstate__(self, state):
        del state["_nodes"]
        self.__dict__.update(state)

    @functools.cached_property
    def _graph(self):
        return Graph(self._inputs, self._outputs)

    @functools.cached_property
    def _plan(self):
        """Steps (operation, node, id of its only input or None, ids of its outputs, ids that nobody needs
        afterwards).
        """
        keep = {id(t) for t in self._outputs}
        given = {id(t) for t in self._inputs}
        last = {}
        nodes = [n for n in self._graph.nodes if not all(id(t) in given for t in n.outputs)]
        for i, node in enumerate(nodes):
            for tensor in (*node.inputs, *node.outputs):
                last[id(tensor)] = i
        plan = []
        for i, node in enumerate(nodes):
            lone = len(node.args) == 1 and not node.kwargs and isinstance(node.args[0], KerasTensor)
            single = id(node.args[0]) if lone else None
            drops = tuple(
                key
                for key in {id(t): None for t in (*node.inputs, *node.outputs)}
                if last[key] == i and key not in keep
            )
            plan.append((node.operation, node, single, tuple(id(t) for t in node.outputs), drops))
        return plan

    # --- running

    def call(self, inputs, training=None, mask=None):
        """Runs the graph; `training` reaches the layers through the outer call, `mask` as masks of the inputs."""
        flat = self._standardize(inputs)
        if mask is not None:
            for tensor, one in zip(flat, tree.flatten(mask)):
                if one is not None:
                    tensor._keras_mask = one
        values = {id(t): value for t, value in zip(self._inputs, flat)}
        for operation, node, single, outputs, drops in self._plan:
            if single is not None:
                result = operation(values[single])
            else:
                args, kwargs = node.arguments(values)
                result = operation(*args, **kwargs)
            if len(outputs) == 1 and not tree.is_nested(result):
                values[outputs[0]] = result
            else:
                values.update(zip(outputs, tree.flatten(result)))
            for key in drops:
                del values[key]
        if isinstance(self._outputs_structure, KerasTensor):
            return values[id(self._outputs_structure)]
        return tree.pack(self._outputs_structure, [values[id(t)] for t in self._outputs])

    def _assert_input_compatibility(self, value):
        """Inputs are checked one by one as they are converted."""

    def _standardize(self, inputs):
        """The inputs in the order of the graph's, as Tensors of their dtype and rank."""
        flat = self._match(inputs)
        return [self._convert_input(value, tensor) for value, tensor in zip(flat, self._inputs)]

    def _match(self, inputs):
        structure = self._inputs_structure
        names = [t.name for t in self._inputs]
        if isinstance(structure, KerasTensor):
            if isinstance(inputs, dict) and set(inputs) == set(names):
                return [inputs[names[0]]]
            if isinstance(inputs, (list, tuple)) and len(inputs) == 1 and hasattr(inputs[0], "shape"):
                return [inputs[0]]
            if not isinstance(inputs, dict):
                return [inputs]
        elif isinstance(structure, dict):
            if isinstance(inputs, dict) and all(key in inputs for key in structure):
                return tree.flatten({key: inputs[key] for key in structure})
            if isinstance(inputs, (list, tuple)) and list(structure) == sorted(structure) and len(inputs) == len(names):
                return list(inputs)
        elif isinstance(inputs, dict):
            if all(name in inputs for name in names):
                return [inputs[name] for name in names]
        elif isinstance(inputs, (list, tuple)):
            flat = tree.flatten(inputs)
            if len(flat) == len(names):
                return flat
        elif len(names) == 1:
            return [inputs]
        expected = tree.map_structure(lambda t: t.name, structure)
        received = tree.map_structure(lambda v: tuple(getattr(v, "shape", ())), inputs)
        raise ValueError(f"model {self.name!r}: inputs: expected the structure {expected}, received shapes {received}")

    def _convert_input(self, value, tensor):
        if isinstance(value, KerasTensor):
            if value.dtype != tensor.dtype:
                cast = KerasTensor(value.shape, tensor.dtype, name=value.name)
                if getattr(value, "_keras_mask", None) is not None:
                    cast._keras_mask = value._keras_mask
                value = cast
        elif type(value) is not Tensor or value.dtype != tensor.dtype:
            mask = getattr(value, "_keras_mask", None)
            value = as_tensor(value, tensor.name, tensor.dtype)
            if mask is not None:
                value._keras_mask = mask
        shape, wanted = value.shape, tensor.shape
        if len(shape) != len(wanted):
            from .. import ops

            mask = getattr(value, "_keras_mask", None)
            if len(shape) == len(wanted) + 1 and shape[-1] == 1:
                value = ops.squeeze(value, -1)
            elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
                value = ops.expand_dims(value, -1)
            else:
                self._refuse_shape(tensor, shape)
            if mask is not None:
                value._keras_mask = mask
            shape = value.shape
        for size, expected in zip(shape[1:], wanted[1:]):
            if size != expected and size is not None and expected is not None:
                self._refuse_shape(tensor, shape)
        return value

    def _refuse_shape(self, tensor, shape):
        raise ValueError(
            f"model {self.name!r}: input {tensor.name!r}: expected shape {tensor.shape}, received {tuple(shape)}"
        )

    # --- what it is made of

    @property
    def layers(self):
        """Its layers, inputs first."""
        return list(self._tracker.layers)

    @property
    def _operations(self):
        return self._graph.operations

    @property
    def inputs(self):
        """Its input KerasTensors as a flat list."""
        return list(self._inputs)

    @property
    def outputs(self):
        """Its output KerasTensors as a flat list."""
        return list(self._outputs)

    @property
    def input(self):
        """Its input KerasTensors in the structure that it was made with."""
        return self._inputs_structure

    @property
    def output(self):
        """Its output KerasTensors in the structure that it was made with."""
        return self._outputs_structure

    @property
    def input_names(self):
        return [t.name for t in self._inputs]

    @property
    def output_names(self):
        return [t._keras_history[0].operation.name for t in self._outputs]

    @property
    def input_shape(self):
        return _shapes(self._inputs)

    @property
    def output_shape(self):
        return _shapes(self._outputs)

    def get_config(self):
        from .functional_config import graph_config

        if type(self) is not Functional:
            return super().get_config()
        return graph_config(self)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from ..saving.registry import custom_object_scope
        from .functional_config import graph_from_config

        if cls is not Functional and "layers" not in config:
            return super().from_config(config)
        with custom_object_scope(custom_objects or {}):
            return graph_from_config(cls, config)


def _shapes(tensors):
    shapes = [t.shape for t in tensors]
    return shapes[0] if len(shapes) == 1 else shapes
