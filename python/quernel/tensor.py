"""Tensor: an immutable array that tapes can follow. Operators are those of `quernel.ops`.

`KerasTensor`, the symbolic twin (a shape with None and a dtype, no data), lives in operation.py.
"""

import numpy as np


def _ops():
    from . import ops

    return ops


class Tensor:
    """An immutable array. `==` compares element by element, the hash is the identity, `.numpy()` gives a fresh array.

    Tensors come from `quernel.constant`, `convert_to_tensor`, from every function of `quernel.ops` and from `Variable.value`.

    Example:
        >>> import quernel as qn
        >>> t = qn.constant([1.0, 2.0])
        >>> (t * 2).numpy()
        array([2., 4.], dtype=float32)
    """

    __slots__ = ("_array", "__weakref__")
    __array_ufunc__ = None  # NumPy operators give way to ours

    def __init__(self, array):
        self._array = array  # internal: an ndarray that nobody writes from here on

    @property
    def shape(self):
        return self._array.shape

    @property
    def dtype(self):
        return self._array.dtype.name

    @property
    def ndim(self):
        return self._array.ndim

    @property
    def size(self):
        return self._array.size

    def numpy(self):
        """A fresh, writeable NumPy copy."""
        return self._array.copy()

    def __array__(self, dtype=None, copy=None):
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

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a Tensor without dimensions")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("cannot iterate over a Tensor without dimensions")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self):
        return bool(self._array)

    def __int__(self):
        return int(self._array)

    def __float__(self):
        return float(self._array)

    def __index__(self):
        return self._array.__index__()

    __hash__ = object.__hash__

    def __getitem__(self, index):
        return _ops().getitem(self, index)

    def __neg__(self):
        return _ops().negative(self)

    def __abs__(self):
        return _ops().absolute(self)


def _install_operators(cls):
    """Binary operators, forward and reflected, by their names in quernel.ops."""

    def forward(op):
        return lambda self, other: getattr(_ops(), op)(self, other)

    def reflected(op):
        return lambda self, other: getattr(_ops(), op)(other, self)

    arithmetic = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
                  "matmul": "matmul", "floordiv": "floor_divide", "mod": "mod"}  # fmt: skip
    for python, op in arithmetic.items():
        setattr(cls, f"__{python}__", forward(op))
        setattr(cls, f"__r{python}__", reflected(op))
    compare = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
               "gt": "greater", "ge": "greater_equal"}  # fmt: skip
    for python, op in compare.items():
        setattr(cls, f"__{python}__", forward(op))


_install_operators(Tensor)
Tensor.__hash__ = object.__hash__
