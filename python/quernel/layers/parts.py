"""What several layers share: checks of arguments, and which activations a kernel applies by itself."""

from .. import activations, ops
from ..checks import positive_int
from ..dtypes import is_float

# Applied inside dense_forward and conv_forward. sigmoid is not among them although the kernels could: its logits
# have to reach BinaryCrossentropy.
FUSED = {activations.relu: "relu", activations.tanh: "tanh"}


def as_floats(x, dtype):
    """Integers and booleans in the layer's compute dtype; floats were cast by the layer's call already."""
    return x if is_float(x.dtype) else ops.cast(x, dtype=dtype)


def window(value, rank, name):
    """An int or a tuple of `rank` ints, all at least 1, as a tuple."""
    if hasattr(value, "__index__"):
        value = (value,) * rank
    if not isinstance(value, (list, tuple)) or len(value) != rank:
        raise ValueError(f"{name}: expected an int or a tuple of {rank} ints, received {value!r}")
    return tuple(positive_int(v, name) for v in value)


def padding_name(value):
    """The name "valid" or "same", or ValueError."""
    name = value.lower() if isinstance(value, str) else value
    if name not in ("valid", "same"):
        raise ValueError(f"padding: expected 'valid' or 'same', received {value!r}")
    return name


def channels_last(value):
    """The only layout of the kernels, "channels_last", for itself and None; else ValueError."""
    if value not in (None, "channels_last"):
        raise ValueError(
            f"data_format: expected 'channels_last' or None, received {value!r}; the kernels read images as "
            f"(n, height, width, channels), so move the channels to the end"
        )
    return "channels_last"
