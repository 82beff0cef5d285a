"""RowGradient: the gradient of a table as the rows that a batch touched; everyone but a lazy optimizer sees it dense."""

from . import autograd, dtypes, recording
from .tensor import Tensor


class RowGradient(Tensor):
    """A gradient that is zero but in some rows: the sum of scatter_add(ids, updates) over its parts.

    It is a Tensor whose array is made when somebody asks for it. `optimizers.*(lazy=True)` do not ask: they take `rows`.

    Args:
        parts: list of (ids, updates): Tensors of shapes (...) and (..., u).
        shape: (n, u), the table's.
        array_dtype: the table's np.dtype.
    """

    __slots__ = ("_dense", "_dtype", "_merged", "_parts", "_shape")

    def __init__(self, parts, shape, array_dtype):
        self._parts, self._shape, self._dtype = parts, shape, array_dtype
        self._dense = self._merged = None
        recorder = recording.current() if recording.count else None
        if recorder is not None:
            recorder.keep_lazy(self)

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return dtypes.name_of(self._dtype)

    @property
    def ndim(self):
        return 2

    @property
    def size(self):
        return self._shape[0] * self._shape[1]

    def dense(self):
        """The whole gradient as a plain Tensor, made once."""
        if self._dense is None:
            from . import ops

            total = None
            for ids, updates in self._parts:
                part = ops.scatter_add(ids, updates, shape=self._shape)
                total = part if total is None else ops.add(total, part)
            self._dense = total
        return self._dense

    @property
    def _array(self):
        return self.dense()._array

    def rows(self):
        """(rows, values): each row that is touched once, and the sum of its updates over all parts; see rows_merge."""
        if self._merged is None:
            from . import ops

            ids, updates = zip(*self._parts)
            self._merged = ops.rows_merge(list(ids), list(updates), n=self._shape[0])
        return self._merged

    def plus(self, other):
        """The sum of two gradients of one table, both as rows."""
        return RowGradient([*self._parts, *other._parts], self._shape, self._dtype)


def table_gradient(table, ids, dy):
    """The gradient of table[ids] with respect to the table: a RowGradient where the table is what a Variable holds and
    no tape follows the gradient itself, else dense.
    """
    from . import ops
    from .reader import Reader

    shape = tuple(table.shape)
    whole = type(table) is Reader and table._variable is not None and table._array is table._variable._array
    if whole and len(shape) == 2 and not autograd.tapes():
        return RowGradient([(ids, dy)], shape, table._array.dtype)
    return ops.scatter_add(ids, dy, shape=shape)


def summed(first, second):
    """first + second; two RowGradients stay one."""
    from . import ops

    if type(first) is RowGradient and type(second) is RowGradient:
        return first.plus(second)
    return ops.add(first, second)
