"""Variable: an array that keeps its place in memory while its value changes; Tensors read from it keep the old value.

Reading gives a Reader, a Tensor on the variable's own memory. Before a write, the Readers that are still alive (and
views made from them) get a copy of the old contents, so Tensors are immutable and a training step, where none is
alive, copies nothing.
"""

from . import autograd, backend, dtypes, naming, recording
from .kernels.kernel import empty
from .reader import Reader as Reader  # pickles name it here, too
from .spec_scope import in_spec_scope
from .tensor import Operators, Tensor, as_tensor


class Variable(Operators):
    """A value that can be assigned to: weights, statistics, counters. Its memory never moves.

    Args:
        initializer: the initial value, or an initializer, called as `initializer(shape, dtype=dtype)`, or its name.
        shape: required with an initializer, else taken from the value.
        dtype: default: the value's dtype, `floatx()` with an initializer.
        trainable: whether a GradientTape watches it when it is read.
        name: its last part in `path`; default "variable", "variable_1", ...

    Raises:
        ValueError: for an initializer without a full shape.

    Example:
        >>> import quernel as qn
        >>> v = qn.Variable([1.0, 2.0], name="v")
        >>> before = v.value
        >>> _ = v.assign([3.0, 4.0])
        >>> before.numpy(), v.numpy()
        (array([1., 2.], dtype=float32), array([3., 4.], dtype=float32))
    """

    _tracked_as = "variables"
    _version = 0  # of trainable, regularizer and constraint, for plans (recording.py)
    _owner = None  # the optimizer or metric whose state it is

    def __init__(self, initializer, shape=None, dtype=None, trainable=True, name=None):
        self._name = naming.check_name(name) if name is not None else naming.auto_name(type(self).__name__)
        scope = naming.current_path()
        self._path = f"{scope}/{self._name}" if scope else self._name
        self._trainable = bool(trainable)
        self._regularizer = None
        self._constraint = None
        if isinstance(initializer, str):
            from . import initializers

            initializer = initializers.get(initializer)
        self._readers = {}  # weak references to the Readers alive, in the order in which they came
        self._reader = None  # the Reader that repeated reads outside of tapes share
        with recording.paused():
            if callable(initializer):
                dtype = dtypes.standardize_dtype(dtype)
                initializer = initializer(self._full_shape(shape), dtype=dtype)
            value = as_tensor(initializer, "initializer", dtype)
            if shape is not None and self._full_shape(shape) != value.shape:
                raise ValueError(
                    f"Variable {self._path}: expected shape {shape}, received a value of shape {value.shape}"
                )
            self._array = empty(value.shape, value._array.dtype)
            self._write("assign", value)
        recording.STORAGE[id(self._array)] = self

    def _full_shape(self, shape):
        if shape is None:
            raise ValueError(f"Variable {self._path}: expected a shape beside an initializer, received None")
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(n is None for n in shape):
            raise ValueError(f"Variable {self._path}: expected a shape without None, received {shape}")
        return shape

    # --- reading

    @property
    def value(self):
        """The present value as a Tensor, which later assignments do not change. Under a GradientTape, reading
        watches.
        """
        stack = autograd.tapes()
        if stack:
            return autograd.read(self, stack)
        return self._cached_reader()

    def __quernel_tensor__(self):
        return self.value

    def _cached_reader(self):
        reader = self._reader
        if reader is None or (recording.count and reader._step is not recording.current_step()):
            reader = self._reader = Reader(self._array, self)  # threads share none while one records: it would be hers
        return reader

    def _new_reader(self):
        return Reader(self._array, self)

    def numpy(self):
        """A fresh NumPy copy."""
        recording.refuse_read(self, "Variable.numpy")
        return self._array.copy()

    def __array__(self, dtype=None, copy=None):
        recording.refuse_read(self, "Variable.__array__")
        return self._array.astype(self._array.dtype if dtype is None else dtype)

    def __quernel_array__(self, name):
        if autograd.tapes() and (self._trainable or any(id(self) in t._reads for t in autograd.tapes())):
            raise TypeError(
                f"{name}: received a Variable that a GradientTape watches; kernels record nothing. "
                f"Use quernel.ops, or pass .numpy() to leave the tape"
            )
        return self._array

    # --- writing

    def _prepare_write(self):
        """The storage, for a kernel that writes it in place; Tensors read before keep the old value.

        Whoever writes takes the arrays of all other operands after this call: one of them may be such a Tensor.
        """
        self._reader = None
        if self._readers:
            self._detach()
        return self._array

    def _detach(self, spared=()):
        """Copies for the Readers alive but those of these steps."""
        from . import kernels

        whole = None
        mine = recording.current_step()
        for reference in list(self._readers):
            reader = reference()
            if reader is None:
                continue
            step = reader._step
            if step is not None:
                if step in spared:
                    continue
                step.disturbed = step.disturbed or step is not mine
            if reader._array is self._array:
                if whole is None:
                    whole = kernels.copy(self._array)
                reader._array = whole
            else:
                reader._array = kernels.copy(reader._array)
            reader._variable = None
            self._readers.pop(reference, None)

    def _only_shapes(self, value, what):
        """Whether this assignment happens while only shapes are wanted; then nothing is written."""
        if in_spec_scope():
            return True
        if getattr(value, "_is_symbolic", False):
            raise TypeError(f"{what}: Variable {self._path}: expected values, received the KerasTensor {value.name!r}")
        return False

    def _update(self, kernel_name, value, broadcast):
        if self._only_shapes(value, kernel_name):
            return self.value
        value = as_tensor(value, kernel_name, self.dtype)
        if value.shape != self.shape and not broadcast:
            raise ValueError(
                f"{kernel_name}: Variable {self._path}: expected shape {self.shape}, received {value.shape}"
            )
        self._write(kernel_name, value)
        return self.value

    def _write(self, kernel_name, value):
        from . import kernels

        storage = self._prepare_write()
        getattr(kernels, kernel_name)(storage, value._array)  # its array after _prepare_write: it may be a Reader

    def assign(self, value):
        """Gives it a new value of the same shape, cast to its dtype. Returns the new value as a Tensor."""
        return self._update("assign", value, False)

    def assign_add(self, value):
        """Adds `value`, whose shape broadcasts to its own. Returns the new value as a Tensor."""
        return self._update("assign_add", value, True)

    def assign_sub(self, value):
        """Subtracts `value`, whose shape broadcasts to its own. Returns the new value as a Tensor."""
        return self._update("assign_sub", value, True)

    # --- properties

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

    @property
    def name(self):
        """The last part of `path`."""
        return self._name

    @property
    def path(self):
        """The names of the layers it was made in and its own, joined by "/"."""
        return self._path

    @property
    def trainable(self):
        """Whether tapes watch it when it is read, and optimizers update it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        if self._trainable is not bool(value):
            self._trainable = bool(value)
            recording.bump(self, "_trainable")

    @property
    def regularizer(self):
        """A function of the value whose result the layer adds to its losses, or None."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value):
        if value is not None and not callable(value):
            raise ValueError(f"regularizer: expected a function or None, received {value!r}")
        self._regularizer = value
        recording.bump(self)

    @property
    def constraint(self):
        """A function applied to the value after each update, or None."""
        return self._constraint

    @constraint.setter
    def constraint(self, value):
        if value is not None and not callable(value):
            raise ValueError(f"constraint: expected a function or None, received {value!r}")
        self._constraint = value
        recording.bump(self)

    def __getstate__(self):
        return {**self.__dict__, "_readers": {}, "_reader": None}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._array = self._array.copy()  # of a pickle, or of the original in a shallow copy
        self._readers = {}
        recording.STORAGE[id(self._array)] = self

    def __deepcopy__(self, memo):
        twin = memo[id(self)] = type(self)(self.value, trainable=self._trainable, name=self._name)
        twin._path, twin.regularizer, twin.constraint = self._path, self._regularizer, self._constraint
        return twin

    def __repr__(self):
        value = str(self._array.tolist()) if self.size <= 8 else f"{str(self._array.ravel()[:4].tolist())[:-1]}, ...]"
        return f"<quernel.Variable path={self._path}, shape={self.shape}, dtype={self.dtype}, value={value}>"


backend.set_tensors(Tensor, Variable)
