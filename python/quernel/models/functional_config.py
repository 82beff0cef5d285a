"""The config of a functional model: its layers, and their calls by layer name, call index and output index."""

from .. import tree
from ..operation import KerasTensor, Operation
from ..saving.registry import deserialize_object, serialize_object

_TENSOR = "__keras_tensor__"
_ARRAY = "__array__"


def graph_config(model):
    """A dict of plain values from which `graph_from_config` makes an equal model with fresh weights."""
    nodes = {id(node) for node in model._graph.nodes}
    index = {}  # id(node) -> (operation name, index among its calls in this model)
    for operation in model._operations:
        calls = [n for n in operation._inbound_nodes if id(n) in nodes]
        index.update({id(n): (operation.name, i) for i, n in enumerate(calls)})

    def reference(tensor):
        node, position = tensor._keras_history
        if id(node) not in index:
            raise ValueError(
                f"model {model.name!r}: expected every input to be made by Input, received {tensor.name!r}, the "
                f"output of layer {node.operation.name!r}"
            )
        return [*index[id(node)], position]

    def plain(leaf):
        if isinstance(leaf, KerasTensor):
            return {_TENSOR: reference(leaf)}
        if hasattr(leaf, "__array__"):
            array = leaf.__array__()
            return {_ARRAY: array.tolist(), "dtype": array.dtype.name}
        if isinstance(leaf, Operation):
            return serialize_object(leaf)
        return leaf

    layers = []
    for operation in model._operations:
        calls = [n for n in operation._inbound_nodes if id(n) in nodes]
        layers.append(
            {
                **serialize_object(operation),
                "name": operation.name,
                "inbound_nodes": [
                    {"args": tree.map_structure(plain, list(n.args)), "kwargs": tree.map_structure(plain, n.kwargs)}
                    for n in calls
                ],
            }
        )
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": tree.map_structure(reference, model._inputs_structure),
        "output_layers": tree.map_structure(reference, model._outputs_structure),
    }


def _is_reference(value):
    return isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str)


def graph_from_config(cls, config, made=None):
    """The model of a config of `graph_config`; `made` gives layers by name that are used instead of new ones."""
    operations = {}
    waiting = []
    for entry in config["layers"]:
        name = entry["name"]
        made_here = None if made is None else made.get(name)
        operations[name] = deserialize_object(entry) if made_here is None else made_here
        waiting.extend((name, i, call) for i, call in enumerate(entry["inbound_nodes"]))
    outputs = {}  # (operation name, call index) -> flat outputs

    def find(reference):
        name, call, position = reference
        return outputs[(name, call)][position]

    def restore(value):
        if isinstance(value, dict):
            if _TENSOR in value:
                return find(value[_TENSOR])
            if _ARRAY in value:
                from ..tensor import convert_to_tensor

                return convert_to_tensor(value[_ARRAY], value["dtype"])
            return {key: restore(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(restore(part) for part in value)
        return value

    while waiting:
        left = []
        for name, i, call in waiting:
            operation = operations[name]
            if not call["args"] and not call["kwargs"]:  # an Input has been called when it was made
                outputs[(name, i)] = operation._inbound_nodes[-1].outputs
            elif (i == 0 or (name, i - 1) in outputs) and all(tuple(r[:2]) in outputs for r in _references(call)):
                outputs[(name, i)] = tree.flatten(operation(*restore(call["args"]), **restore(call["kwargs"])))
            else:
                left.append((name, i, call))
        if len(left) == len(waiting):
            raise ValueError(f"model config: layer {left[0][0]!r} needs the output of a layer that the config lacks")
        waiting = left

    def ends(structure):
        if _is_reference(structure):
            return find(structure)
        if isinstance(structure, dict):
            return {key: ends(part) for key, part in structure.items()}
        return type(structure)(ends(part) for part in structure)

    model = cls(inputs=ends(config["input_layers"]), outputs=ends(config["output_layers"]), name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _references(value):
    if isinstance(value, dict):
        if _TENSOR in value:
            return [value[_TENSOR]]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [r for part in value for r in _references(part)]
    return []
