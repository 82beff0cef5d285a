"""Tensor: an immutable array that tapes can follow. Operators are those of `quernel.ops`.

`KerasTensor`, the symbolic twin (a shape with None and a dtype, no data), lives in operation.py.
"""

import numpy as np

from . import dtypes, recording
from .kernels.kernel import as_array

_late = []  # quernel.ops, which imports this module


def _ops():
    if not _late:
        from . import ops

        _late.append(ops)
    return _late[0]


class Operators:
    """Python's operators as functions of `quernel.ops`; `==` compares element by element, the hash is the identity."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy operators give way to ours
    __hash__ = object.__hash__

    def __getitem__(self, index):
        return _ops().getitem(self, index)

    def __neg__(self):
        return _ops().negative(self)

    def __pos__(self):
        return self

    def __abs__(self):
        return _ops().absolute(self)

    def __len__(self):
        if not self.shape:
            raise TypeError(f"len() of a {type(self).__name__} without dimensions")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError(f"cannot iterate over a {type(self).__name__} without dimensions")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self):
        recording.refuse_read(self, "bool")
        return bool(self._array)

    def __int__(self):
        recording.refuse_read(self, "int")
        return int(self._array)

    def __float__(self):
        recording.refuse_read(self, "float")
        return float(self._array)

    def __index__(self):
        recording.refuse_read(self, "index")
        return self._array.__index__()

    def __format__(self, form):
        return format(self._array[()], form) if form and not self.shape else format(repr(self), form)


def _install_operators():
    """Binary operators, forward and reflected, by their names in quernel.ops."""

    def forward(op):
        return lambda self, other: getattr(_late[0] if _late else _ops(), op)(self, other)

    def reflected(op):
        return lambda self, other: getattr(_late[0] if _late else _ops(), op)(other, self)

    def unless_none(operator):
        return lambda self, other: NotImplemented if other is None else operator(self, other)

    arithmetic = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
                  "matmul": "matmul", "floordiv": "floor_divide", "mod": "mod"}  # fmt: skip
    for python, op in arithmetic.items():
        setattr(Operators, f"__{python}__", forward(op))
        setattr(Operators, f"__r{python}__", reflected(op))
    compare = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
               "gt": "greater", "ge": "greater_equal"}  # fmt: skip
    for python, op in compare.items():
        setattr(Operators, f"__{python}__", forward(op))
    for python in ("eq", "ne"):  # nothing equals None: Python's own answer, so that `x == None` and `None in [x]` work
        setattr(Operators, f"__{python}__", unless_none(getattr(Operators, f"__{python}__")))
    boolean = {"and": "logical_and", "or": "logical_or"}
    for python, op in boolean.items():
        setattr(Operators, f"__{python}__", forward(op))
        setattr(Operators, f"__r{python}__", reflected(op))
    Operators.__invert__ = lambda self: _ops().logical_not(self)


_install_operators()


class Tensor(Operators):
    """An immutable array. `==` compares element by element, the hash is the identity, `.numpy()` gives a fresh array.

    Tensors come from `quernel.constant`, `convert_to_tensor`, from every function of `quernel.ops` and from
    `Variable.value`.

    Example:
        >>> import quernel as qn
        >>> t = qn.constant([1.0, 2.0])
        >>> (t * 2).numpy()
        array([2., 4.], dtype=float32)
    """

    __slots__ = ("_array", "_keras_logits", "_keras_logits_of", "_keras_mask", "__weakref__")

    def __init__(self, array):
        self._array = array  # internal: an ndarray that nobody writes from here on

    @property
    def shape(self):
        return self._array.shape

    @property
    def dtype(self):
        return dtypes.name_of(self._array.dtype)

    @property
    def ndim(self):
        return self._array.ndim

    @property
    def size(self):
        return self._array.size

    def numpy(self):
        """A fresh, writeable NumPy copy."""
        recording.refuse_read(self, "numpy")
        return self._array.copy()

    def item(self):
        """The only element as a Python number."""
        recording.refuse_read(self, "item")
        return self._array.item()

    def __array__(self, dtype=None, copy=None):
        recording.refuse_read(self, "__array__")
        if dtype is not None and np.dtype(dtype) != self._array.dtype:
            return self._array.astype(dtype)
        if copy:
            return self._array.copy()
        view = self._array.view()
        view.flags.writeable = False
        return view

    def __quernel_array__(self, name):
        from . import autograd

        if autograd.is_watched(self):
            raise TypeError(
                f"{name}: received a Tensor that a GradientTape watches; kernels record nothing. "
                f"Use quernel.ops, or pass .numpy() to leave the tape"
            )
        return self._array

    def __repr__(self):
        return f"<quernel.Tensor shape={self.shape} dtype={self.dtype}\n{self._array}>"

    def __deepcopy__(self, memo):
        return self


def is_tensor(value):
    """Whether `value` is a Tensor or a Variable."""
    return hasattr(value, "__quernel_array__") and hasattr(value, "_array")


def _from_python(value, name):
    """A Tensor for Python numbers and nested lists: floats in floatx, integers in int32 where they fit."""
    if isinstance(value, (list, tuple)) and any(map(_holds_tensor, value)):
        return _ops().stack([as_tensor(v, name=name) for v in value])
    array = np.asarray(value)
    if array.dtype == np.float64:
        array = array.astype(dtypes.floatx())
    elif array.dtype == np.int64:
        small = array.astype(np.int32)
        array = small if (small == array).all() else array
    return Tensor(as_array(array, name))


def _holds_tensor(value):
    return any(map(_holds_tensor, value)) if isinstance(value, (list, tuple)) else is_tensor(value)


def as_tensor(value, name="value", dtype=None):
    """A Tensor for a Tensor, a Variable, an array or a nested list, cast to `dtype` if given; arrays are not copied."""
    if isinstance(value, Tensor):
        tensor = value
    elif hasattr(value, "__quernel_tensor__"):  # Variable: reading it is watched
        tensor = value.__quernel_tensor__()
    elif isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "__dlpack__"):
        tensor = Tensor(as_array(value, name))
    elif getattr(value, "_is_symbolic", False):
        raise TypeError(
            f"{name}: expected values, received the KerasTensor {value.name!r}, which has a shape and no data; "
            f"use it to build a functional Model, and call the model on data"
        )
    elif isinstance(value, (list, tuple)) and dtype is not None and not _holds_tensor(value):
        return Tensor(as_array(np.asarray(value, dtypes.standardize_dtype(dtype)), name))
    elif type(value) is float and dtype is not None and dtypes.standardize_dtype(dtype) == "float64":
        return Tensor(as_array(np.float64(value), name))  # not by way of floatx, which has fewer digits and less range
    else:
        tensor = _from_python(value, name)
    if dtype is not None:
        dtype = dtypes.standardize_dtype(dtype)
        if tensor.dtype != dtype:
            return _ops().cast(tensor, dtype)
    return tensor


def convert_to_tensor(value, dtype=None):
    """A Tensor with the contents of `value`, which may change afterwards.

    Args:
        value: Tensor, Variable, array, Python number or nested list. Python floats become `floatx()`, integers int32.
        dtype: to cast to; default: the dtype of the value.

    Returns:
        A Tensor.

    Raises:
        TypeError: when `value` does not hold numbers.

    Example:
        >>> import quernel as qn
        >>> qn.convert_to_tensor([[1, 2]], dtype="float32").dtype
        'float32'
    """
    tensor = as_tensor(value, "convert_to_tensor", dtype)
    if isinstance(value, Tensor) or hasattr(value, "__quernel_tensor__"):
        return tensor
    if isinstance(value, (list, tuple, int, float)) or np.asarray(value).dtype != tensor._array.dtype:
        return tensor  # the array is ours already
    from . import kernels

    return Tensor(kernels.copy(tensor._array))


def constant(value, dtype=None, shape=None):
    """A Tensor with the contents of `value`; with `shape`, reshaped, or filled with a single number, as tf.constant.

    Example:
        >>> import quernel as qn
        >>> qn.constant(2.0, shape=(2, 2)).numpy()
        array([[2., 2.],
               [2., 2.]], dtype=float32)
    """
    tensor = convert_to_tensor(value, dtype)
    if shape is None or tuple(shape) == tensor.shape:
        return tensor
    if tensor.size == 1:
        return _ops().broadcast_to(_ops().reshape(tensor, ()), tuple(shape))
    return _ops().reshape(tensor, tuple(shape))
