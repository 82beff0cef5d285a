"""Layers that make one tensor of several: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate."""

from .. import ops
from .layer import Layer


class _Merge(Layer):
    """Combines inputs element by element; shapes broadcast, lower ranks get axes of size 1 after the first."""

    def build(self, input_shape):
        _check_list(self, input_shape)
        self.built = True

    def call(self, inputs):
        rank = max(len(x.shape) for x in inputs)
        total = None
        for x in inputs:
            for _ in range(rank - len(x.shape)):
                x = ops.expand_dims(x, axis=1)
            total = x if total is None else self._merge(total, x)
        return self._finish(total, len(inputs))

    def _finish(self, total, n):
        return total


def _check_list(layer, shapes):
    several = isinstance(shapes, (list, tuple)) and shapes and isinstance(shapes[0], (list, tuple))
    if not several:
        raise ValueError(f"{type(layer).__name__}: expected a list of inputs, received one of shape {shapes}")
    sizes = {shape[0] for shape in shapes if shape and shape[0] is not None}
    if len(sizes) > 1:
        raise ValueError(f"{type(layer).__name__}: expected inputs with the same number of samples, received {shapes}")


class Add(_Merge):
    """The sum of its inputs.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Add()([qn.ones((1, 2)), qn.ones((1, 2))]).numpy()
        array([[2., 2.]], dtype=float32)
    """

    def _merge(self, total, x):
        return ops.add(total, x)


class Subtract(_Merge):
    """The first of two inputs minus the second.

    Raises:
        ValueError: there are not exactly two.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Subtract()([qn.ones((1, 2)), qn.ones((1, 2))]).numpy()
        array([[0., 0.]], dtype=float32)
    """

    def build(self, input_shape):
        _check_list(self, input_shape)
        if len(input_shape) != 2:
            raise ValueError(f"Subtract: expected 2 inputs, received {len(input_shape)}")
        self.built = True

    def _merge(self, total, x):
        return ops.subtract(total, x)


class Multiply(_Merge):
    """The product of its inputs.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Multiply()([qn.ones((1, 2)), qn.ones((1, 2))]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    def _merge(self, total, x):
        return ops.multiply(total, x)


class Average(_Merge):
    """The mean of its inputs.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Average()([qn.ones((1, 2)), qn.ones((1, 2))]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    def _merge(self, total, x):
        return ops.add(total, x)

    def _finish(self, total, n):
        return total / n


class Maximum(_Merge):
    """The largest of its inputs.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Maximum()([qn.ones((1, 2)), qn.zeros((1, 2))]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    def _merge(self, total, x):
        return ops.maximum(total, x)


class Minimum(_Merge):
    """The smallest of its inputs.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Minimum()([qn.ones((1, 2)), qn.zeros((1, 2))]).numpy()
        array([[0., 0.]], dtype=float32)
    """

    def _merge(self, total, x):
        return ops.minimum(total, x)


class Concatenate(Layer):
    """Puts its inputs after each other along `axis`.

    Args:
        axis: the axis that grows; all others agree.

    Raises:
        ValueError: the other axes differ.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Concatenate()([qn.ones((1, 2)), qn.zeros((1, 1))]).numpy()
        array([[1., 1., 0.]], dtype=float32)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape):
        several = isinstance(input_shape, (list, tuple)) and input_shape and isinstance(input_shape[0], (list, tuple))
        if not several:
            raise ValueError(f"Concatenate: expected a list of inputs, received one of shape {input_shape}")
        self.built = True

    def call(self, inputs):
        return ops.concatenate(inputs, axis=self.axis)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
