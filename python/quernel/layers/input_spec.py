"""InputSpec: what a layer expects of its inputs, checked before it runs."""

from .. import dtypes, tree
from ..operation import standardize_shape


class InputSpec:
    """What a layer expects of one input.

    Args:
        dtype: its dtype, or None.
        shape: its shape, None where open; implies `ndim`.
        ndim, max_ndim, min_ndim: how many axes it has.
        axes: {axis: size}.
        allow_last_axis_squeeze: whether a last axis of size one may be missing or too much.
        name: its key when inputs come as a dict.
        optional: whether None is welcome.

    Example:
        >>> import quernel as qn
        >>> qn.layers.InputSpec(min_ndim=2, axes={-1: 3})
        InputSpec(min_ndim=2, axes={-1: 3})
    """

    def __init__(self, dtype=None, shape=None, ndim=None, max_ndim=None, min_ndim=None, axes=None,
                 allow_last_axis_squeeze=False, name=None, optional=False):  # fmt: skip
        self.dtype = None if dtype is None else dtypes.standardize_dtype(dtype)
        self.shape = None if shape is None else standardize_shape(shape)
        self.ndim = ndim if shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        limit = self.ndim if self.ndim is not None else max_ndim
        if self.axes and limit is not None and max(self.axes) >= limit:
            raise ValueError(f"InputSpec: expected axes below {limit}, received {max(self.axes)}")

    def __repr__(self):
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return f"InputSpec({', '.join(f'{n}={getattr(self, n)}' for n in names if getattr(self, n))})"

    def get_config(self):
        return dict(vars(self))

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def check(self, value, label):
        """Raises ValueError unless `value`, which has a shape and a dtype, is as expected; `label` names it in
        the message.
        """

        def refuse(expected, received):
            raise ValueError(
                f"{label}: expected {expected}, received {received}; the full shape is {tuple(value.shape)}"
            )

        if value is None:
            if self.optional:
                return
            raise ValueError(f"{label}: expected a tensor, received None")
        if not hasattr(value, "shape"):
            raise ValueError(f"{label}: expected a tensor, received {type(value).__name__}")
        shape, ndim = tuple(value.shape), len(value.shape)
        if self.ndim is not None and not self.allow_last_axis_squeeze and ndim != self.ndim:
            refuse(f"ndim={self.ndim}", f"ndim={ndim}")
        if self.max_ndim is not None and ndim > self.max_ndim:
            refuse(f"max_ndim={self.max_ndim}", f"ndim={ndim}")
        if self.min_ndim is not None and ndim < self.min_ndim:
            refuse(f"min_ndim={self.min_ndim}", f"ndim={ndim}")
        if self.dtype is not None and value.dtype != self.dtype:
            refuse(f"dtype={self.dtype}", f"dtype={value.dtype}")
        for axis, size in self.axes.items():
            if not -ndim <= axis < ndim or (size is not None and shape[axis] not in (size, None)):
                refuse(f"axis {axis} of size {size}", shape[axis] if -ndim <= axis < ndim else f"ndim={ndim}")
        if self.shape is not None:
            wanted = self.shape
            if self.allow_last_axis_squeeze:
                wanted = wanted[:-1] if wanted[-1:] == (1,) else wanted
                shape = shape[:-1] if shape[-1:] == (1,) else shape
            if len(wanted) != len(shape) or any(
                a != b for a, b in zip(wanted, shape) if a is not None and b is not None
            ):
                refuse(f"shape={self.shape}", f"shape={tuple(value.shape)}")


def assert_input_compatibility(specs, inputs, layer_name):
    """Raises ValueError unless `inputs`, a tensor or a structure of them, are as `specs`, one InputSpec or a
    structure, say.
    """
    specs = tree.flatten(specs)
    if isinstance(inputs, dict) and all(s is not None and s.name for s in specs):
        missing = [s.name for s in specs if s.name not in inputs]
        if missing:
            raise ValueError(
                f"layer {layer_name!r}: expected inputs {[s.name for s in specs]}, received {list(inputs)}"
            )
        values = [inputs[s.name] for s in specs]
    else:
        values = tree.flatten(inputs)
    if len(values) != len(specs):
        raise ValueError(f"layer {layer_name!r}: expected {len(specs)} inputs, received {len(values)}")
    for i, (spec, value) in enumerate(zip(specs, values)):
        if spec is not None:
            label = f"layer {layer_name!r}, input {i}" + (f" ({spec.name!r})" if spec.name else "")
            spec.check(value, label)
