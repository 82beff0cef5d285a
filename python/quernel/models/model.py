"""Model: a Layer that is trained, summarised and saved as a whole."""

from .. import tree
from ..layers.layer import Layer
from ..operation import KerasTensor
from ..spec_scope import spec_scope
from .trainer import Trainer


def _is_functional(args, kwargs):
    return len(args) == 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


class Model(Trainer, Layer):
    """Layers that belong together. Three ways to make one:

    * `Model(inputs, outputs)`: the graph between KerasTensors that `Input` and calls of layers made;
    * `Sequential(layers)`;
    * a subclass that makes layers in `__init__` and uses them in `call`.

    Example:
        >>> import quernel as qn
        >>> class Twice(qn.Model):
        ...     def call(self, x):
        ...         return x * 2
        >>> float(Twice()(qn.constant([1.5]))[0])
        3.0
    """

    def __new__(cls, *args, **kwargs):
        if cls is Model and _is_functional(args, kwargs):
            from .functional import Functional

            return Functional.__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args, **kwargs):
        if _is_functional(args, kwargs):
            from .functional import Functional

            _make_functional(type(self))
            Functional.__init__(self, *args, **kwargs)
            return
        super().__init__(*args, **kwargs)

    def build(self, input_shape=None):
        """Makes the weights of a subclassed model, by running its `call` on this shape (or structure of shapes)
        alone.
        """
        self._check_super_called()
        if input_shape is None:
            return
        with spec_scope():
            self.call(tree.map_shapes(KerasTensor, input_shape))

    def _maybe_build(self, call):
        if not self.built and type(self).build is Model.build:
            self._mark_built(call.shapes())
            return
        super()._maybe_build(call)

    @property
    def layers(self):
        """Its direct sublayers, in the order in which they were attached."""
        return self._flatten_layers(include_self=False, recursive=False)

    def get_layer(self, name=None, index=None):
        """The layer of this name or position.

        Raises:
            ValueError: when there is none.
        """
        if (name is None) == (index is None):
            raise ValueError(f"get_layer: expected a name or an index, received name={name!r}, index={index!r}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: expected an index below {len(layers)}, received {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"get_layer: expected one of {[layer.name for layer in layers]}, received {name!r}")

    def summary(self, line_length=None, print_fn=None, expand_nested=False, show_trainable=False):
        """Prints a table of its layers, output shapes and numbers of parameters.

        Args:
            line_length: width in characters; default: 80, or less in a narrower terminal.
            print_fn: called with each line instead of `print`.
            expand_nested: whether the layers of nested models have lines of their own.
            show_trainable: whether a column says which layers are trained.
        """
        from .summary import print_summary

        print_summary(self, line_length, print_fn, expand_nested, show_trainable)

    def save_weights(self, filepath, overwrite=True):
        """Writes `weights` to a `.safetensors` file: a new file beside it first, then a rename.

        Args:
            filepath: ends in ".weights.safetensors" or ".safetensors".
            overwrite: False refuses a file that exists.
        """
        from ..saving.weights import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath, skip_mismatch=False):
        """Reads `weights` from a file of `save_weights`: all of them, or none where the file does not fit.

        Args:
            filepath: ends in ".weights.safetensors" or ".safetensors".
            skip_mismatch: True passes over weights that the file lacks or has in another shape, with a warning.

        Raises:
            ValueError: naming the weights that do not fit.
        """
        from ..saving.weights import load_weights

        load_weights(self, filepath, skip_mismatch)

    def to_json(self, **kwargs):
        """The architecture as JSON, for `models.model_from_json`; `kwargs` go to `json.dumps`."""
        import json

        from ..saving.registry import serialize_object

        return json.dumps(serialize_object(self), **kwargs)

    def get_config(self):
        """The arguments of `__init__`; subclasses with arguments that are not plain values define their own."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self._dtype_policy.name}
        if type(self).get_config is Model.get_config:
            return self._config_of_init(config)
        return config


def _make_functional(cls):
    """Puts Functional in the place of Model among the bases of a subclass that calls `super().__init__(inputs,
    outputs)`.
    """
    from .functional import Functional

    if issubclass(cls, Functional) or cls is Model:
        return
    for base in cls.__bases__:
        if issubclass(base, Model) and base is not Model:
            _make_functional(base)
    cls.__bases__ = tuple(Functional if base is Model else base for base in cls.__bases__)
