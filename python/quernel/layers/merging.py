"""Layers that make one tensor of several: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate."""

from .. import ops
from .arguments import masks_of
from .layer import Layer


class _Merge(Layer):
    """Combines inputs element by element; shapes broadcast, lower ranks get axes of size 1 after the first.

    The mask of the output is on where that of any input is; there is none where an input has none.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        _check_list(self, input_shape)
        self.built = True

    def call(self, inputs):
        rank = max(len(x.shape) for x in inputs)
        total = None
        for x in inputs:
            x = _with_axes(x, rank - len(x.shape))
            total = x if total is None else self._merge(total, x)
        return self._finish(total, len(inputs))

    def _finish(self, total, n):
        return total

    def compute_mask(self, inputs, mask=None):
        """The masks joined by "or"; None where one is missing."""
        if mask is None or any(m is None for m in mask):
            return None
        joined = mask[0]
        for m in mask[1:]:
            joined = ops.logical_or(joined, m)
        return joined


def _with_axes(x, count):
    """x with `count` more axes of size 1, after the first."""
    for _ in range(count):
        x = ops.expand_dims(x, axis=1)
    return x


class _Extreme(_Merge):
    """The first of two inputs that the comparison prefers; where an input is masked, only the others count."""

    def call(self, inputs):
        total = kept = None
        for i, (x, mask) in enumerate(_with_masks(inputs)):
            if i == 0:
                total, kept = x, mask
                continue
            if mask is not None:
                x = ops.where(mask, x, total)
            if kept is not None:
                total = ops.where(kept, total, x)
            total = self._merge(total, x)
            kept = None if mask is None or kept is None else ops.logical_or(kept, mask)
        return total


def _with_masks(inputs):
    """(x, mask or None) of each input with as many axes as the one with the most; the mask's last axis has size 1."""
    rank = max(len(x.shape) for x in inputs)
    for x, mask in zip(inputs, masks_of(list(inputs))):
        more = rank - len(x.shape)
        yield _with_axes(x, more), None if mask is None else ops.expand_dims(_with_axes(mask, more), axis=-1)


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
    """The product of its inputs; where some are masked, of the others; 0 where all are.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Multiply()([qn.ones((1, 2)), qn.ones((1, 2))]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    def call(self, inputs):
        total, masks = None, []
        for x, mask in _with_masks(inputs):
            masks.append(mask)
            if mask is not None:
                x = ops.where(mask, x, 1)
            total = x if total is None else ops.multiply(total, x)
        kept = self.compute_mask(inputs, masks)
        return total if kept is None else ops.where(kept, total, 0)


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


class Maximum(_Extreme):
    """The largest of its inputs; where some are masked, of the others.

    Example:
        >>> import quernel as qn
        >>> qn.layers.Maximum()([qn.ones((1, 2)), qn.zeros((1, 2))]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    def _merge(self, total, x):
        return ops.maximum(total, x)


class Minimum(_Extreme):
    """The smallest of its inputs; where some are masked, of the others.

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
        self.supports_masking = True

    def build(self, input_shape):
        several = isinstance(input_shape, (list, tuple)) and input_shape and isinstance(input_shape[0], (list, tuple))
        if not several:
            raise ValueError(f"Concatenate: expected a list of inputs, received one of shape {input_shape}")
        self.built = True

    def call(self, inputs):
        return ops.concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs, mask=None):
        """The masks (n, t) of inputs (n, t, features) after each other, or joined by "or" along the last axis; an input
        without one counts as not masked.
        """
        if mask is None or all(m is None for m in mask):
            return None
        masks = [_unmasked(x) if m is None else m for x, m in zip(inputs, mask)]
        rank = len(inputs[0].shape)
        axis = self.axis + rank if self.axis < 0 else self.axis
        if axis < rank - 1:
            return ops.concatenate(masks, axis=axis)
        joined = masks[0]
        for m in masks[1:]:
            joined = ops.logical_or(joined, m)
        return joined

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


def _unmasked(x):
    """True for every step of x (n, t, ..., features), also where sizes are open."""
    is_zero = ops.any(ops.equal(x, 0), axis=-1)
    return ops.logical_or(is_zero, ops.logical_not(is_zero))
