"""What a kernel may be called with: arrays that can be read as they are, and attributes as parts of a dictionary key."""

import sys

import numpy as np

EXTRA_FLOATS = ("bfloat16",)
PLAIN = (int, str, type(None))
_TRUE, _FALSE = (bool, True), (bool, False)
FLOAT32 = np.dtype("float32")  # NumPy has one object for it, as long as the bytes are not swapped


def as_array(value, name):
    """A NumPy array for an input: no copy unless the memory cannot be read as it is."""
    if type(value) is np.ndarray:
        array = value
    elif "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray):  # asking np.ma would import it: 13 ms
        raise TypeError(f"{name}: expected a plain array, received a masked array; call .filled(value) first")
    elif hasattr(value, "__quernel_array__"):
        array = value.__quernel_array__(name)
    elif isinstance(value, np.ndarray):
        array = np.asarray(value)
    elif hasattr(value, "__dlpack__") and not isinstance(value, np.generic):
        array = np.from_dlpack(value)
    else:
        array = np.asarray(value)
    if array.dtype.kind not in "fiub" and array.dtype.name not in EXTRA_FLOATS:
        raise TypeError(f"{name}: expected numbers, received an array of dtype {array.dtype}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.aligned:
        return np.array(array, order="C")
    item = array.itemsize
    for stride in array.strides:
        if stride % item:
            return np.ascontiguousarray(array)
    return array


def as_target(value, name):
    """The memory of `value`, for a kernel that writes into it: what as_array would have to copy is refused."""
    if hasattr(value, "__quernel_array__") and not hasattr(value, "__quernel_tensor__"):
        raise TypeError(f"{name}: expected an array or a Variable, received a Tensor, which is immutable")
    array = as_array(value, name)
    if array is not value and array.base is None and not hasattr(value, "__quernel_tensor__"):
        raise TypeError(
            f"{name}: expected an array that can be written in place, aligned and in the machine's byte order; "
            f"received {type(value).__name__}{f' of dtype {value.dtype}' if isinstance(value, np.ndarray) else ''}"
        )
    return array


def plain(value):
    """Whether `value` is an array as most are: float32 in C order."""
    if value.__class__ is not np.ndarray or value.dtype is not FLOAT32:
        return False
    flags = value.flags
    return flags.c_contiguous and flags.aligned


def is_float(dtype):
    """Whether a np.dtype is a floating-point type, bfloat16 included."""
    return dtype.kind == "f" or (dtype.kind == "V" and dtype.name in EXTRA_FLOATS)


def attribute_key(value):
    """A dictionary key that tells 2.0 from 2, True from 1 and -0.0 from 0.0, which Python's == does not."""
    kind = value.__class__
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is float and value and value == value:
        return (float, value)
    if kind is tuple:
        return tuple([v if v.__class__ in PLAIN else attribute_key(v) for v in value])
    return (kind, repr(value)) if isinstance(value, (float, np.floating)) else (kind, value)
