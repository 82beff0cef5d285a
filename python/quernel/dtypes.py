"""Dtypes by name, Keras 3's promotion table, the default float type, and DTypePolicy.

The table (docs/numerics.md): bool < integers < floats. A Python int or float is weak: it takes the dtype of what it
meets, and becomes int32 or `floatx()` on its own. Integers of both signs meet in the next wider signed one, uint64
with a signed one in `floatx()`; float16 with bfloat16 in float32; an integer with a float in that float, whatever its
width. 64-bit types stay.
"""

import builtins
import functools

import numpy as np

bool = "bool"
int8, int16, int32, int64 = "int8", "int16", "int32", "int64"
uint8, uint16, uint32, uint64 = "uint8", "uint16", "uint32", "uint64"
float16, float32, float64, bfloat16 = "float16", "float32", "float64", "bfloat16"

SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGERS = SIGNED + UNSIGNED
FLOATS = (float16, bfloat16, float32, float64)
ALLOWED = (bool, *INTEGERS, *FLOATS)

_WIDTH = {name: 16 if name == bfloat16 else np.dtype(name).itemsize * 8 for name in INTEGERS + FLOATS}
_python_bool, _python_int, _python_float = builtins.bool, int, float
_WEAK = {_python_int: "int", _python_float: "float"}
_state = {"floatx": float32}


class _Names(dict):
    """np.dtype -> its name: NumPy works it out anew at each `dtype.name`, which costs more than adding two scalars."""

    def __missing__(self, dtype):
        name = self[dtype] = dtype.name
        return name


name_of = _Names().__getitem__


def floatx():
    """The default float dtype, "float32" unless `set_floatx` was called.

    Example:
        >>> import quernel as qn
        >>> qn.dtypes.floatx()
        'float32'
    """
    return _state["floatx"]


def set_floatx(value):
    """Makes `value` ("float16", "float32" or "float64") the default float dtype of what is created from now on."""
    if value not in (float16, float32, float64):
        raise ValueError(f"floatx: expected 'float16', 'float32' or 'float64', received {value!r}")
    _state["floatx"] = value
    _result_type.cache_clear()


def standardize_dtype(dtype):
    """The name of a dtype given as a name, a NumPy dtype or type, a Python type, or None (`floatx()`).

    Args:
        dtype: for example "float32", numpy.float32, float (`floatx()`), int ("int32"), bool, or None.

    Returns:
        One of `dtypes.ALLOWED`.

    Raises:
        ValueError: when it names none of them.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.dtypes.standardize_dtype(np.dtype("<f8"))
        'float64'
    """
    if type(dtype) is str and dtype in _ALLOWED_SET:
        return dtype
    text = dtype if type(dtype) is str else None  # numpy.dtype("f8") == "float", so comparing it would not do
    if dtype is None or dtype is _python_float or text == "float":
        return _state["floatx"]
    if dtype is _python_int or text == "int":
        return int32
    if dtype is _python_bool:
        return bool
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = None
    if name not in _ALLOWED_SET:
        raise ValueError(f"dtype: expected one of {ALLOWED}, received {dtype!r}")
    return name


_ALLOWED_SET = frozenset(ALLOWED)


def is_float(dtype):
    """Whether `dtype` is a floating-point type."""
    return standardize_dtype(dtype) in FLOATS


def is_integer(dtype):
    """Whether `dtype` is an integer type; bool is none."""
    return standardize_dtype(dtype) in INTEGERS


def _entry(value):
    """A dtype name, or "int" or "float" for what is weak."""
    kind = type(value)
    if kind is str:
        return value if value in _ALLOWED_SET or value in ("int", "float") else standardize_dtype(value)
    if kind is type:
        return _WEAK.get(value) or standardize_dtype(value)
    if kind is _python_bool:
        return bool
    if isinstance(value, (_python_int, _python_float)):  # numpy.float64 values are Python floats, and weak too
        return "int" if isinstance(value, _python_int) else "float"
    if value is None:
        return _state["floatx"]
    if isinstance(value, np.dtype):
        return standardize_dtype(value)
    dtype = getattr(value, "dtype", None)
    return standardize_dtype(value if dtype is None else dtype)


def result_type(*values_or_dtypes):
    """The dtype in which values of these dtypes meet, by Keras 3's table.

    Args:
        *values_or_dtypes: dtypes, arrays, Tensors, Variables, Python scalars (weak), or the types int and float (weak).

    Returns:
        A dtype name; `floatx()` without arguments.

    Raises:
        ValueError: for something that has no dtype.

    Example:
        >>> import quernel as qn
        >>> qn.dtypes.result_type("int64", "float32"), qn.dtypes.result_type("uint8", 3)
        ('float32', 'uint8')
    """
    if not values_or_dtypes:
        return _state["floatx"]
    return _result_type(*[_entry(v) for v in values_or_dtypes])


@functools.lru_cache(4096)
def _result_type(*names):
    default = _state["floatx"]
    kinds = set(names)
    floats = kinds.intersection(FLOATS)
    if floats:
        widest = max(_WIDTH[f] for f in floats)
        best = [f for f in floats if _WIDTH[f] == widest]
        return best[0] if len(best) == 1 else float32  # float16 with bfloat16
    if "float" in kinds:
        return default
    signed = max((_WIDTH[i] for i in kinds.intersection(SIGNED)), default=0)
    unsigned = max((_WIDTH[i] for i in kinds.intersection(UNSIGNED)), default=0)
    if signed and unsigned:
        width = max(signed, 2 * unsigned)
        return f"int{width}" if width <= 64 else default
    if signed or unsigned:
        return f"int{signed}" if signed else f"uint{unsigned}"
    if "int" in kinds:
        return f"int{_WIDTH[default]}"
    return bool


class DTypePolicy:
    """Which dtype a layer computes in, and which one its variables have.

    Args:
        name: "float32", "float64" or "float16". Native kernels compute in float32; the others run on the NumPy
            definitions.

    Raises:
        ValueError: for "mixed_float16", "mixed_bfloat16" and "bfloat16", which no kernel computes in; unknown names.

    Example:
        >>> import quernel as qn
        >>> qn.dtypes.DTypePolicy("float64").compute_dtype
        'float64'
    """

    def __init__(self, name=None):
        name = _state["floatx"] if name is None else name
        if name in ("mixed_float16", "mixed_bfloat16", bfloat16):
            raise ValueError(
                f"dtype policy: {name!r} is not supported: quernel's kernels compute in float32 only, so it would be "
                f"slower and less accurate; expected 'float32', 'float64' or 'float16'"
            )
        name = standardize_dtype(name)
        self._name = name

    @property
    def name(self):
        return self._name

    @property
    def compute_dtype(self):
        """The dtype that inputs are cast to and that the layer computes in."""
        return self._name

    @property
    def variable_dtype(self):
        """The dtype of the layer's variables."""
        return self._name

    def get_config(self):
        return {"name": self._name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        return f'<DTypePolicy "{self._name}">'

    def __eq__(self, other):
        return type(other) is DTypePolicy and other._name == self._name

    def __hash__(self):
        return hash(self._name)


def policy(identifier=None):
    """The DTypePolicy for a policy, a name, a dtype, the config of one, or None (`floatx()`)."""
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return DTypePolicy(**identifier.get("config", identifier))
    return DTypePolicy(identifier)
