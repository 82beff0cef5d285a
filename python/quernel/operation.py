"""Operation: what runs at once on Tensors and becomes a node of a graph on KerasTensors; KerasTensor: a shape
and dtype without data.
"""

import inspect
import types

from . import dtypes, naming, tree
from .spec_scope import in_spec_scope, spec_scope
from .tensor import Operators, is_tensor


class KerasTensor(Operators):
    """A place in a functional model: shape (None where open) and dtype, no data. `Input` makes them, layers and ops
    take them.

    Args:
        shape: sizes, None where open.
        dtype: its name; default `floatx()`.
        name: default "keras_tensor", "keras_tensor_1", ...

    Example:
        >>> import quernel as qn
        >>> (qn.KerasTensor((None, 3)) * 2).shape
        (None, 3)
    """

    __slots__ = ("_keras_history", "_keras_mask", "_shape", "_dtype", "name", "__weakref__")
    _is_symbolic = True

    def __init__(self, shape, dtype=None, name=None):
        self._shape = standardize_shape(shape)
        self._dtype = dtypes.standardize_dtype(dtype)
        self.name = name or naming.auto_name("KerasTensor")

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return self._dtype

    @property
    def ndim(self):
        return len(self._shape)

    def __repr__(self):
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def _refuse(self, *_):
        raise TypeError(
            f"the KerasTensor {self.name!r} has a shape and no data: expected a Tensor; put this into a Layer's `call`"
        )

    __array__ = __bool__ = __int__ = __float__ = __index__ = _refuse

    def __iter__(self):
        if not self.shape or self.shape[0] is None:
            raise TypeError(
                f"cannot iterate over the KerasTensor {self.name!r}: the size of its first axis is not known"
            )
        return (self[i] for i in range(self.shape[0]))


def standardize_shape(shape):
    """A shape as a tuple of int and None."""
    if isinstance(shape, int):
        shape = (shape,)
    result = []
    for n in shape:
        if n is not None:
            if not hasattr(n, "__index__"):
                raise ValueError(f"shape: expected ints of 0 or more, or None, received {tuple(shape)}")
            n = n.__index__()
            if n < 0:
                raise ValueError(f"shape: expected sizes of 0 or more, or None, received {tuple(shape)}")
        result.append(n)
    return tuple(result)


def is_keras_tensor(value):
    """Whether `value` is a KerasTensor."""
    return isinstance(value, KerasTensor)


def any_symbolic(*structures):
    """Whether a KerasTensor is anywhere in the structures."""
    return any(isinstance(leaf, KerasTensor) for s in structures for leaf in tree.flatten(s))


class Node:
    """One symbolic call of an operation: its arguments, and the KerasTensors that came out.

    Attributes: operation, args, kwargs (KerasTensors in them are the inputs), inputs (flat), outputs (flat),
        structure (of the outputs).
    """

    def __init__(self, operation, args, kwargs, outputs):
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.inputs = [leaf for leaf in tree.flatten((args, kwargs)) if isinstance(leaf, KerasTensor)]
        self.structure = outputs
        self.outputs = tree.flatten(outputs)
        for i, output in enumerate(self.outputs):
            output._keras_history = (self, i)
        operation._inbound_nodes.append(self)

    def arguments(self, values):
        """args and kwargs with each KerasTensor replaced by `values[id(tensor)]`."""

        def fill(leaf):
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        return tree.map_structure(fill, self.args), tree.map_structure(fill, self.kwargs)


class Operation:
    """Something with a `call`: at once on Tensors, as a node of a graph on KerasTensors.

    Subclasses define `call(...)` and, unless `call` itself runs on KerasTensors, `compute_output_spec(...)`.

    Args:
        name: default: the class's name in snake case, made unique.
    """

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        object.__setattr__(self, "_init_arguments", (args, kwargs))  # for get_config
        return self

    def __init__(self, name=None):
        self.name = naming.auto_name(type(self).__name__) if name is None else naming.check_name(name)
        self._inbound_nodes = []

    def __call__(self, *args, **kwargs):
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def symbolic_call(self, *args, **kwargs):
        """Adds a node to the graph; returns its KerasTensors."""
        outputs = self.compute_output_spec(*args, **kwargs)
        if not in_spec_scope():
            Node(self, args, kwargs, outputs)
        return outputs

    def call(self, *args, **kwargs):
        raise TypeError(f"{type(self).__name__} defines no `call`")

    def compute_output_spec(self, *args, **kwargs):
        """KerasTensors like the results of `call`; by default `call` runs on the shapes."""
        with spec_scope():
            return self.call(*args, **kwargs)

    def _only_node(self, what):
        if not self._inbound_nodes:
            raise AttributeError(f"{self.name!r} has no {what} before it is called on a KerasTensor")
        return self._inbound_nodes[0]

    @property
    def input(self):
        """The KerasTensors of its first symbolic call."""
        inputs = self._only_node("input").inputs
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self):
        """The KerasTensors that its first symbolic call returned."""
        return self._only_node("output").structure

    def get_config(self):
        """The arguments of `__init__`, enough for `from_config`; classes with arguments beside `name` override it."""
        return self._config_of_init({"name": self.name})

    def _config_of_init(self, base):
        from .saving import registry

        args, kwargs = self._init_arguments
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs)
        given = dict(list(bound.arguments.items())[1:])
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                given.update(given.pop(parameter.name, {}))
        config = {**base, **{key: value for key, value in given.items() if key not in base}}
        for key, value in given.items():
            plain = all(
                leaf is None
                or isinstance(leaf, (str, int, float, bool))
                or (isinstance(leaf, _FUNCTIONS) and registry.copying())  # a copy has the very function
                for leaf in tree.flatten(value)
            )
            if key not in base and not plain:
                raise TypeError(
                    f"{type(self).__name__}: expected a `get_config` that returns the arguments of `__init__`: "
                    f"{key!r} is a {type(value).__name__}; define get_config and, if needed, from_config"
                )
        return config

    @classmethod
    def from_config(cls, config):
        """A new object from what `get_config` returned."""
        takes = inspect.signature(cls.__init__).parameters
        if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            return cls(**config)
        later = {key: config[key] for key in _SETTINGS if key in config and key not in takes}
        made = cls(**{key: value for key, value in config.items() if key not in later})
        for key, value in later.items():
            setattr(made, _SETTINGS[key], value)
        return made


_FUNCTIONS = types.FunctionType, types.MethodType, types.BuiltinFunctionType
# What every layer's configuration holds, though an `__init__` may not take it: the attributes to set instead.
_SETTINGS = {"name": "name", "trainable": "trainable", "dtype": "dtype_policy"}


class KernelOperation(Operation):
    """A function of quernel.ops in a graph: a kernel and its attributes."""

    def __init__(self, kernel, attrs, name=None):
        super().__init__(name or naming.auto_name(kernel if isinstance(kernel, str) else kernel.name))
        if isinstance(kernel, str):
            from . import kernels

            kernel = getattr(kernels, kernel)
        self.kernel = kernel
        self.attrs = kernel.freeze(dict(attrs))

    def call(self, *inputs):
        from .ops.apply import apply

        return apply(self.kernel, inputs, self.attrs)

    def compute_output_spec(self, *inputs):
        return _spec_outputs(self.kernel, inputs, self.attrs)

    def get_config(self):
        return {"kernel": self.kernel.name, "attrs": dict(self.attrs), "name": self.name}


class _Shaped:
    """The shape and dtype of an input, for a kernel's shape rule."""

    __slots__ = ("shape", "dtype")

    def __init__(self, value):
        import numpy as np

        self.shape = value.shape
        self.dtype = np.dtype(value.dtype)

    @property
    def ndim(self):
        return len(self.shape)


def _shaped(value):
    if value is None:
        return None
    return [_Shaped(v) for v in value] if isinstance(value, (list, tuple)) else _Shaped(value)


def _spec_outputs(kernel, inputs, attrs, name=None):
    """KerasTensors like the outputs; `name`: None for automatic names."""
    specs = kernel.specs([_shaped(v) for v in inputs], attrs)
    outputs = tuple(KerasTensor(s.shape, s.dtype.name, name) for s in specs)
    return outputs[0] if len(outputs) == 1 else outputs


def apply_symbolic(kernel, inputs, attrs):
    """Runs a kernel's shape rule on KerasTensors: KerasTensors, in the graph unless within a `spec_scope`."""
    if not in_spec_scope():
        for value in tree.flatten(list(inputs)):
            variable = value if hasattr(value, "__quernel_tensor__") else getattr(value, "_variable", None)
            if variable is not None:
                raise ValueError(
                    f"{kernel.name}: received the KerasTensor of a functional model and the Variable {variable.path}, "
                    f"which the model would not track; expected a Layer that owns the Variable"
                )
        return KernelOperation(kernel, attrs)(*inputs)
    return _spec_outputs(kernel, inputs, kernel.freeze(dict(attrs)), kernel.name)


def tensor_like(value):
    """Whether `value` is a Tensor, a Variable or a KerasTensor."""
    return isinstance(value, KerasTensor) or is_tensor(value)


def clear_session():
    """Automatic names start again: the next Dense is "dense"."""
    naming.clear_names()
