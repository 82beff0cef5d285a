"""Layer: an Operation with state. What a call does, in which order, is in `__call__`; how a layer is built, in
building.py; its dtypes, in casting.py; what it owns, in state.py; how state is found, in tracking.py.
"""

import functools
import inspect
import warnings

from .. import dtypes, recording, tree
from ..operation import KerasTensor, Node, any_symbolic, standardize_shape, tensor_like
from ..spec_scope import in_spec_scope, spec_scope
from ..tensor import Tensor, is_tensor
from ..tracking import Tracker
from ..tracking import local as _local
from .arguments import Call, shapes_for
from .building import Building, building_lock
from .casting import Casting
from .input_spec import InputSpec, assert_input_compatibility
from .state import State


class _Context:
    """What an outermost layer call shares with the calls inside it."""

    __slots__ = ("training",)

    def __init__(self):
        self.training = None


class Layer(Building, Casting, State):
    """A function with state: weights, sublayers, losses. Subclasses define `call`, and `build(input_shape)` where
    weights depend on it.

    Args:
        activity_regularizer: a function of the outputs whose result is added to `losses`.
        trainable: whether its variables are updated by training.
        dtype: a dtype name or DTypePolicy for its variables and computation; default `floatx()`.
        autocast: whether floating-point inputs are cast to the compute dtype.
        name: default: the class's name in snake case, made unique.
        input_shape: the shape of one sample, for the first layer of a Sequential.
        input_dim: the same for one axis.

    Example:
        >>> import quernel as qn
        >>> class Scale(qn.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        ...     def call(self, x):
        ...         return x * self.scale
        >>> layer = Scale()
        >>> layer([[1.0, 2.0]] * qn.ones((1, 2))).shape, [w.path for w in layer.weights]
        ((1, 2), ['scale/scale'])
    """

    _tracked_as = "layers"

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls, *args, **kwargs)
        put = functools.partial(object.__setattr__, self)
        put("_tracker", Tracker())
        put("_building", False)
        put("_super_called", False)
        return self

    def __init__(self, *, activity_regularizer=None, trainable=True, dtype=None, autocast=True, name=None, **kwargs):
        super().__init__(name=name)
        self._super_called = True
        self._dtype_policy = dtypes.policy(dtype)
        if activity_regularizer is not None:
            from .. import regularizers

            activity_regularizer = regularizers.get(activity_regularizer)
        self.activity_regularizer = activity_regularizer
        input_dim = kwargs.pop("input_dim", None)
        input_shape = kwargs.pop("input_shape", None if input_dim is None else (input_dim,))
        self._input_shape_argument = None if input_shape is None else standardize_shape(input_shape)
        if kwargs:
            raise TypeError(f"{type(self).__name__}: unknown argument {next(iter(kwargs))!r}")
        if not isinstance(trainable, bool):
            raise ValueError(f"trainable: expected True or False, received {trainable!r}")
        if not isinstance(autocast, bool):
            raise ValueError(f"autocast: expected True or False, received {autocast!r}")
        self.autocast = autocast
        self.built = False
        self._trainable = trainable
        self._input_spec = None
        self._path = None
        self._parent_path = None
        self._build_shapes = None
        object.__setattr__(self, "_losses", {})  # number of a thread -> the scalars of its last call
        signature = inspect.signature(self.call)
        object.__setattr__(self, "_call_signature", signature)
        first = next(iter(signature.parameters.values()), None)
        plain = first is not None and first.kind is first.POSITIONAL_OR_KEYWORD
        self._first_argument = first.name if plain else None
        self._call_has_training_arg = "training" in signature.parameters
        self._call_has_mask_arg = "mask" in signature.parameters
        self._makes_masks = type(self).compute_mask is not Layer.compute_mask
        self._supports_masking = self._makes_masks
        self._convert_input_args = True
        self._allow_non_tensor_positional_args = False

    # --- attributes

    _version = 0  # of its attributes, for plans (recording.py)
    _free = frozenset({"stop_training", "history"})  # attributes that change no step

    def __setattr__(self, name, value):
        if getattr(_local, "context", None) is None and recording.is_change(self, name, value):
            recording.bump(self, name)  # what `call` itself writes is no setting
        object.__setattr__(self, name, self._tracker.track(value))

    def __delattr__(self, name):
        value = getattr(self, name)
        recording.bump(self)
        object.__delattr__(self, name)
        self._tracker.remove(value)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def _check_super_called(self):
        if not self._super_called:
            raise RuntimeError(
                f"layer {type(self).__name__}: expected `super().__init__()` first in `__init__`; it was not called"
            )

    @property
    def path(self):
        """The names of the layers that it was built in and its own, joined by "/"; None until it is built."""
        return self._path

    @property
    def input_spec(self):
        """InputSpec, or structure of them, that inputs are checked against; or None."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value):
        for spec in tree.flatten(value):
            if spec is not None and not isinstance(spec, InputSpec):
                raise TypeError(f"input_spec: expected InputSpec, received {type(spec).__name__}")
        self._input_spec = value

    @property
    def supports_masking(self):
        """Whether masks pass through this layer."""
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value):
        self._supports_masking = bool(value)

    # --- calling

    def _assert_input_compatibility(self, value):
        if self._input_spec is not None:
            assert_input_compatibility(self._input_spec, value, self.name)

    def __call__(self, *args, **kwargs):
        """Runs `call`, in this order: convert and cast inputs, check them against `input_spec`, build, settle
        `training` (argument, else outer call, else `call`'s default, else False), hand over masks, call, collect
        losses, set output masks.
        """
        self._check_super_called()
        original = args, kwargs
        if self._first_argument is not None and not kwargs and len(args) == 1 and isinstance(args[0], Tensor):
            symbolic = False
            value = self._convert_one(args[0]) if self._convert_input_args else args[0]
            call = Call.of_tensor(self._first_argument, value)
        else:
            if self._convert_input_args:
                args, kwargs = (
                    tree.map_structure(self._convert_one, args),
                    tree.map_structure(self._convert_one, kwargs),
                )
            symbolic = any_symbolic(args, kwargs)
            call = Call(self._call_signature, args, kwargs, self._allow_non_tensor_positional_args, self.name)
        self._assert_input_compatibility(call.first)
        if not self.built:
            with building_lock, recording.paused(), self._scope():
                self._maybe_build(call)  # or another thread has just built it
        if recording.count:
            recording.touch(self)
            recording.touch(self._tracker)
            if isinstance(self.activity_regularizer, recording.Versioned):
                recording.touch(self.activity_regularizer)
        context = getattr(_local, "context", None)
        outermost = context is None
        if outermost:
            context = _local.context = _Context()
            self._clear_losses()
        inherited = context.training
        try:
            self._settle_training(call, context)
            masks = call.hand_over_masks(self._call_signature)
            if self._tracker.layers:
                with self._scope():
                    outputs = self._run(call, symbolic)
            else:
                outputs = self._run(call, symbolic)
            if not symbolic and self.activity_regularizer is not None:
                for output in tree.flatten(outputs):
                    if is_tensor(output):
                        loss = self.activity_regularizer(output)
                        self.add_loss(loss / max(output.shape[0], 1) if output.shape else loss)  # the mean over samples
            if masks is not None or (self._makes_masks and self._supports_masking):
                self._set_masks(call, outputs, masks)
        finally:
            context.training = inherited
            if outermost:
                _local.context = None
        if symbolic and not in_spec_scope():
            Node(self, *original, outputs)
        return outputs

    def _run(self, call, symbolic):
        if symbolic:
            return self.compute_output_spec(*call.args, **call.kwargs)
        return self.call(*call.args, **call.kwargs)

    def _settle_training(self, call, context):
        given = call.given.get("training")
        if given is not None:
            context.training = given
        if not self._call_has_training_arg:
            call.kwargs.pop("training", None)
            return
        value = context.training
        if value is None:
            value = self._call_signature.parameters["training"].default
            value = False if value is None or value is inspect.Parameter.empty else value
        call.set("training", value)

    def _set_masks(self, call, outputs, masks):
        if not self.supports_masking:
            warnings.warn(
                f"layer {self.name!r} ({type(self).__name__}) received an input with a mask and does not pass it on: "
                "layers after it will not see the mask",
                stacklevel=3,
            )
            return
        flat = tree.flatten(outputs)
        if all(getattr(o, "_keras_mask", None) is not None for o in flat):
            return
        new = self.compute_mask(call.first, masks)
        if new is None:
            return
        for output, mask in zip(flat, tree.flatten(new)):
            if mask is not None and getattr(output, "_keras_mask", None) is None:
                output._keras_mask = mask

    def compute_mask(self, inputs, previous_mask):
        """The mask of the outputs for the mask of the inputs; by default the same."""
        return previous_mask

    def call(self, *args, **kwargs):
        raise TypeError(f"layer {type(self).__name__} defines no `call`")

    def compute_output_shape(self, *args, **kwargs):
        """The shape of the outputs for the shape of the inputs; by default the layer is built and runs on the
        shapes alone.
        """
        args = [tree.map_shapes(KerasTensor, a) for a in args]
        kwargs = {k.removesuffix("_shape"): tree.map_shapes(KerasTensor, v) for k, v in kwargs.items()}
        with spec_scope():
            outputs = self(*args, **kwargs)
        return tree.map_structure(lambda t: t.shape, outputs)

    def compute_output_spec(self, *args, **kwargs):
        """KerasTensors like the outputs: from `compute_output_shape` where the class has one, else `call` runs
        on the shapes.
        """
        if type(self).compute_output_shape is not Layer.compute_output_shape:
            call = Call(self._call_signature, args, kwargs, True, self.name)
            shapes = self.compute_output_shape(**shapes_for(self.compute_output_shape, call, type(self).__name__))
            return tree.map_shapes(lambda s: KerasTensor(s, self.compute_dtype), shapes)
        with spec_scope():
            outputs = self.call(*args, **kwargs)
        return tree.map_structure(lambda t: KerasTensor(t.shape, t.dtype) if tensor_like(t) else t, outputs)

    # --- configuration

    def get_config(self):
        """The arguments of `__init__`. A subclass with arguments of its own that are not plain values extends it."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self._dtype_policy.name}
        if self.activity_regularizer is not None:
            from .. import regularizers

            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is Layer.get_config:
            return self._config_of_init(config)
        return config
