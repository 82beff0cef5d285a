"""clone_model: the same architecture with fresh weights."""

from ..layers.input_layer import InputLayer
from ..saving.registry import functions_as_they_are
from .functional import Functional
from .functional_config import graph_config, graph_from_config
from .sequential import Sequential


def clone_model(model, clone_function=None):
    """A model with the same layers, and new weights from their initializers.

    Args:
        model: a functional model, a Sequential, or a subclass of Model that has `get_config`.
        clone_function: makes the new layer from the old one, for functional models and Sequentials; default: from its
            config.

    Returns:
        A new model. Functions in it, and classes that are not registered, are the same ones.

    Example:
        >>> import quernel as qn
        >>> model = qn.Sequential([qn.Input((3,)), qn.layers.Dense(2)])
        >>> [w.shape for w in qn.models.clone_model(model).weights]
        [(3, 2), (2,)]
    """

    with functions_as_they_are():
        return _clone(model, clone_function)


def _clone(model, clone_function):
    def make(layer):
        if clone_function is None or isinstance(layer, InputLayer):
            return type(layer).from_config(layer.get_config())
        return clone_function(layer)

    if isinstance(model, Sequential):
        return type(model)([make(layer) for layer in model._stack], trainable=model.trainable, name=model.name)
    if type(model) is Functional:
        made = {operation.name: make(operation) for operation in model._operations}
        return graph_from_config(Functional, graph_config(model), made=made)
    if clone_function is not None:
        raise ValueError(
            f"clone_model: expected a functional model or a Sequential with clone_function, received {model!r}"
        )
    return type(model).from_config(model.get_config())


def model_from_json(json_string, custom_objects=None):
    """The model, with fresh weights, of what `Model.to_json` returned.

    Args:
        json_string: the JSON.
        custom_objects: {class name: class} beside those of quernel and the registered ones.
    """
    import json

    from ..saving.registry import deserialize_object

    return deserialize_object(json.loads(json_string), custom_objects)
