"""Rescaling."""

from ..tensor import as_tensor
from .layer import Layer
from .parts import as_floats


class Rescaling(Layer):
    """y = x * scale + offset, in the compute dtype: uint8 images to floats between 0 and 1 with scale=1/255.

    Args:
        scale: a number, or one for each channel (the last axis).
        offset: a number, or one for each channel.

    Shapes: the output's is the input's.

    Raises:
        ValueError: scale or offset is no number and no list of numbers.

    Example:
        >>> import numpy as np, quernel as qn
        >>> layer = qn.layers.Rescaling(1 / 127.5, offset=-1)
        >>> layer(np.array([[0, 255]], "uint8")).numpy()
        array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = _numbers(scale, "scale")
        self.offset = _numbers(offset, "offset")
        self.supports_masking = True

    def call(self, inputs):
        x = as_floats(inputs, self.compute_dtype)
        scale, offset = (as_tensor(v, dtype=self.compute_dtype) for v in (self.scale, self.offset))
        return x * scale + offset

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "scale": _plain(self.scale), "offset": _plain(self.offset)}


def _plain(value):
    return list(value) if isinstance(value, (list, tuple)) else value


def _numbers(value, name):
    plain = _plain(value)
    for n in plain if isinstance(plain, list) else [plain]:
        if isinstance(n, bool) or not isinstance(n, (int, float)):
            raise ValueError(f"Rescaling: {name}: expected a number or a list of numbers, received {value!r}")
    return plain
