"""Flatten, Reshape, Permute and RepeatVector: the same numbers in another shape, without a copy."""

import math

from .. import ops
from ..checks import positive_int
from .input_spec import InputSpec
from .layer import Layer
from .parts import channels_last


class Flatten(Layer):
    """Makes one axis of all but the first: (n, a, b, ...) -> (n, a * b * ...); (n,) -> (n, 1).

    Args:
        data_format: "channels_last" or None.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Flatten()(qn.ones((2, 3, 4))).shape
        (2, 12)
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)

    def call(self, inputs):
        return _reshape(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape):
        if not input_shape:
            raise ValueError("Flatten: expected an input with an axis of samples, received shape ()")
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def compute_output_spec(self, inputs):
        return _same_dtype(self.compute_output_shape(inputs.shape), inputs)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """Gives each sample the shape `target_shape`: (n, ...) -> (n, *target_shape).

    Args:
        target_shape: tuple of ints; one of them may be -1, which follows from the others.

    Raises:
        ValueError: the sizes do not fit.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Reshape((-1, 2))(qn.ones((3, 4))).shape
        (3, 2, 2)
    """

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if self.target_shape.count(-1) > 1 or any(n < -1 for n in self.target_shape):
            raise ValueError(
                f"target_shape: expected sizes of at least 0 and at most one -1, received {self.target_shape}"
            )

    def call(self, inputs):
        return _reshape(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        known = math.prod(n for n in self.target_shape if n != -1)
        if None in rest:
            return (input_shape[0], *(None if n == -1 else n for n in self.target_shape))
        size = math.prod(rest)
        fits = size == known if -1 not in self.target_shape else known and size % known == 0
        if not fits:
            raise ValueError(
                f"Reshape: expected samples whose size fits target_shape={self.target_shape}, "
                f"received {size} values of shape {rest}"
            )
        return (input_shape[0], *(size // known if n == -1 else n for n in self.target_shape))

    def compute_output_spec(self, inputs):
        return _same_dtype(self.compute_output_shape(inputs.shape), inputs)

    def get_config(self):
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """Reorders the axes of each sample: axis i of the output, from 1, is axis dims[i - 1] of the input.

    Args:
        dims: the numbers 1 to the number of axes without the first, in the new order.

    Raises:
        ValueError: dims is no such order.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Permute((2, 1))(qn.ones((5, 3, 4))).shape
        (5, 4, 3)
    """

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        whole = hasattr(dims, "__iter__") and all(hasattr(d, "__index__") and not isinstance(d, bool) for d in dims)
        self.dims = tuple(d.__index__() for d in dims) if whole else ()
        if not whole or sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims: expected the numbers from 1 to the number of axes in any order, received {dims!r}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs):
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(input_shape[d] for d in self.dims))

    def compute_output_spec(self, inputs):
        return _same_dtype(self.compute_output_shape(inputs.shape), inputs)

    def get_config(self):
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """Repeats each sample n times: (batch, features) -> (batch, n, features).

    Args:
        n: how many times.

    Raises:
        ValueError: n is no positive int.

    Example:
        >>> import quernel as qn
        >>> qn.layers.RepeatVector(2)(qn.constant([[1.0, 2.0]])).numpy().tolist()
        [[[1.0, 2.0], [1.0, 2.0]]]
    """

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        self.n = positive_int(n, "n")
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs):
        return ops.broadcast_to(ops.expand_dims(inputs, axis=1), self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n, input_shape[1])

    def compute_output_spec(self, inputs):
        return _same_dtype(self.compute_output_shape(inputs.shape), inputs)

    def get_config(self):
        return {**super().get_config(), "n": self.n}


def _reshape(inputs, shape):
    return ops.reshape(inputs, tuple(-1 if n is None else n for n in shape))


def _same_dtype(shape, inputs):
    from ..operation import KerasTensor

    return KerasTensor(shape, inputs.dtype)
