"""Masking: steps of a sequence that hold nothing are marked for the layers that follow."""

import numbers

from .. import ops
from .layer import Layer


class Masking(Layer):
    """Masks the steps whose features all equal `mask_value`, and sets them to 0.

        mask[i, t] = any over j of (x[i, t, j] != mask_value)

    Args:
        mask_value: a number.

    Shapes: (n, t, features) -> the same; the mask, which goes on with the output, is (n, t): False where masked.

    Raises:
        ValueError: mask_value is no number.

    Example:
        >>> import quernel as qn
        >>> layer = qn.layers.Masking(mask_value=-1.0)
        >>> x = qn.constant([[[1.0, -1.0], [-1.0, -1.0]]])
        >>> layer(x).numpy().tolist(), layer.compute_mask(x).numpy().tolist()
        ([[[1.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        if isinstance(mask_value, bool) or not isinstance(mask_value, numbers.Real):
            raise ValueError(f"mask_value: expected a number, received {mask_value!r}")
        self.mask_value = int(mask_value) if isinstance(mask_value, numbers.Integral) else float(mask_value)
        self.supports_masking = True

    def call(self, inputs):
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        y = ops.where(kept, inputs, 0)
        y._keras_mask = ops.squeeze(kept, axis=-1)
        return y

    def compute_mask(self, inputs, mask=None):
        """False for the steps that are masked; a mask of the inputs is replaced."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mask_value": self.mask_value}
