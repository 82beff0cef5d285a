"""Dropout."""

from .. import ops, random
from ..checks import share
from ..random.seed_generator import SeedGenerator
from .layer import Layer
from .parts import as_floats


class Dropout(Layer):
    """In training, sets elements to 0 with probability `rate` and divides the others by 1 - rate; else passes its
    input on.

    Args:
        rate: share of the elements that is dropped, in [0, 1].
        noise_shape: shape of the mask, which broadcasts to the input; None for an axis takes the input's size.
        seed: an int, or None for a fresh one.

    Raises:
        ValueError: rate is outside [0, 1].

    Example:
        >>> import quernel as qn
        >>> layer = qn.layers.Dropout(0.5, seed=1)
        >>> layer(qn.ones((2,))).numpy()
        array([1., 1.], dtype=float32)
        >>> sorted(set(layer(qn.ones((1000,)), training=True).numpy().tolist()))
        [0.0, 2.0]

    Source: Srivastava et al., 2014.
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = share(rate, "rate")
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.supports_masking = True
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training or not self.rate:
            return inputs
        x = as_floats(inputs, self.compute_dtype)
        if self.rate == 1:
            return ops.zeros_like(x)
        return random.dropout(x, self.rate, self.noise_shape, self.seed_generator)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}
