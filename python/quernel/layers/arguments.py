"""Call: the arguments of one layer call, sorted into tensors and others; and which shapes `build` gets from them."""

import inspect

from .. import tree
from ..operation import tensor_like

_MASK = "_keras_mask"


class Call:
    """The arguments of a call.

    Attributes: args and kwargs for `call`; `given`, {name: value} without defaults; `tensors`, {name: tensor or
        structure of tensors}; `first`, the first argument.
    """

    __slots__ = ("args", "kwargs", "given", "tensors", "first")

    def __init__(self, signature, args, kwargs, allow_others, layer_name):
        if not allow_others:
            for value in tree.flatten(args):
                if value is not None and not tensor_like(value):
                    raise ValueError(
                        f"layer {layer_name!r}: expected tensors as positional arguments, received {value!r} "
                        f"({type(value).__name__}); convert it to an array, or pass it by name"
                    )
        self.args, self.kwargs = args, dict(kwargs)
        extra = {}
        names = signature.parameters
        if (
            "training" in kwargs
            and "training" not in names
            and not any(p.kind is p.VAR_KEYWORD for p in names.values())
        ):
            extra["training"] = self.kwargs.pop("training")
        self.given = {**signature.bind(*args, **self.kwargs).arguments, **extra}
        self.first = next(iter(self.given.values()), None)
        self.tensors = {}
        for name, value in self.given.items():
            if tensor_like(value):
                self.tensors[name] = value
            elif tree.is_nested(value) and value:
                flat = tree.flatten(value)
                if all(v is None or tensor_like(v) for v in flat) and any(v is not None for v in flat):
                    self.tensors[name] = value
                elif any(map(tensor_like, flat)):
                    raise ValueError(
                        f"layer {layer_name!r}: {name}: expected a structure of tensors only, received {value!r}"
                    )

    @classmethod
    def of_tensor(cls, name, tensor):
        """The call of a layer on one Tensor, the first argument of `call`, which is named `name`: nothing to sort."""
        call = cls.__new__(cls)
        call.args, call.kwargs, call.first = (tensor,), {}, tensor
        call.given = call.tensors = {name: tensor}
        return call

    def set(self, name, value):
        """Passes `value` by name, unless it is there by position already."""
        if name not in self.given or name in self.kwargs:
            self.kwargs[name] = value

    def hand_over_masks(self, signature):
        """Fills mask arguments of `call` from the masks of its tensors; the mask of the first argument, None
        without one.
        """
        given = self.given.get("mask")
        if not any(getattr(leaf, _MASK, None) is not None for leaf in tree.flatten(list(self.tensors.values()))):
            return given
        single = len(self.tensors) == 1
        for name, value in self.tensors.items():
            target = "mask" if single else f"{name}_mask"
            if target in signature.parameters and self.given.get(target) is None:
                self.kwargs[target] = masks_of(value)
        if given is not None:
            return given
        masks = masks_of(self.first)
        return masks if any(m is not None for m in tree.flatten(masks)) else None

    def shapes(self):
        """{name_shape: shape or structure of shapes} of the tensor arguments."""

        def shape_of(value):
            return None if value is None else tuple(value.shape)

        return {
            f"{name}_shape": tree.map_structure(shape_of, value)
            for name, value in self.tensors.items()
            if name != "mask"
        }

    def first_shape(self):
        """The shape of the first tensor argument, or None."""
        return next(iter(self.shapes().values()), None)


def masks_of(value):
    """The masks of a structure of tensors, None where there is none."""
    return tree.map_structure(lambda t: getattr(t, _MASK, None), value)


def shapes_for(function, call, class_name):
    """The arguments for `build` or `compute_output_shape`: the first shape if it takes one argument, else
    `<name>_shape` by name.
    """
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    shapes = call.shapes()
    if len(names) <= 1:
        return {names[0]: next(iter(shapes.values()), None)} if names else {}
    for name in names:
        if not name.endswith("_shape"):
            raise ValueError(
                f"{class_name}.{function.__name__}: expected arguments named after those of `call`, as in `x_shape` "
                f"for `x`, received {name!r}"
            )
    return {name: shapes[name] for name in names if name in shapes}
