"""Slices and indexing: slice, split, unstack, flip, and getitem, which stands behind x[...]."""

import builtins
import operator

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.axes import canonical_axes
from .apply import op, operand
from .views import expand_dims, squeeze

slice = op(kernels.slice)
slice_dx = op(kernels.slice_dx)


@gradient(kernels.slice)
def _(node, dy):
    return (slice_dx(dy, shape=tuple(node.inputs[0].shape), **node.attrs),)


@gradient(kernels.slice_dx)
def _(node, ddx):
    return (slice(ddx, **{name: node.attrs[name] for name in ("start", "stop", "step")}),)


def flip(x, axis=None):
    """Reverses the order of the elements along the axes `axis` (None: all), as a view.

    Example:
        >>> import quernel as qn
        >>> qn.ops.flip([1, 2, 3]).numpy()
        array([3, 2, 1], dtype=int32)
    """
    x = operand(x)
    rank = len(x.shape)
    axes = range(rank) if axis is None else canonical_axes("flip: axis", axis, rank)
    whole = (None,) * rank
    return slice(x, start=whole, stop=whole, step=tuple(-1 if d in axes else 1 for d in range(rank)))


def take_slice(x, axis, begin, end):
    """x[begin:end] along one axis, as a view."""
    before = (None,) * axis
    return slice(x, start=(*before, begin), stop=(*before, end), step=(*before, None))


def split(x, indices_or_sections, axis=0):
    """Splits x along `axis` into so many equal parts, or at the given indices; a list of views.

    Args:
        x: Tensor or array.
        indices_or_sections: the number of equal parts, or a list of indices: where the second, third, ... part begins.
        axis: the axis to split.

    Returns:
        A list of Tensors.

    Raises:
        ValueError: where the axis does not divide into that many parts.

    Example:
        >>> import quernel as qn
        >>> [part.shape for part in qn.ops.split([1.0, 2.0, 3.0], [1])]
        [(1,), (2,)]
    """
    x = operand(x)
    (axis,) = canonical_axes("split: axis", axis, len(x.shape))
    n = x.shape[axis]
    if isinstance(indices_or_sections, (list, tuple)):
        edges = [operator.index(i) for i in indices_or_sections]
        return [take_slice(x, axis, a, b) for a, b in zip([None, *edges], [*edges, None])]
    parts = operator.index(indices_or_sections)
    if n is None or parts < 1 or n % parts:
        raise ValueError(f"split: expected a number of parts that divides axis {axis} of size {n}, received {parts}")
    size = n // parts
    return [take_slice(x, axis, i * size, (i + 1) * size) for i in range(parts)]


def unstack(x, num=None, axis=0):
    """The entries of x along `axis`, without that axis; a list of views.

    Example:
        >>> import quernel as qn
        >>> [t.shape for t in qn.ops.unstack([[1.0, 2.0], [3.0, 4.0]])]
        [(2,), (2,)]
    """
    x = operand(x)
    (axis,) = canonical_axes("unstack: axis", axis, len(x.shape))
    n = x.shape[axis] if num is None else num
    if n is None:
        raise ValueError(f"unstack: expected an axis of known size, received shape {tuple(x.shape)}; pass num")
    if x.shape[axis] not in (None, n):
        raise ValueError(f"unstack: num: expected {x.shape[axis]}, the size of axis {axis}, received {num}")
    return [squeeze(take_slice(x, axis, i, i + 1), axis) for i in range(n)]


def _is_index_array(entry):
    """Whether an index entry is an array (or list) rather than one integer."""
    return isinstance(entry, list) or getattr(entry, "ndim", 0) > 0 or bool(getattr(entry, "shape", ()))


def _bounded(i, n, axis):
    if n is not None and not -n <= i < n:
        raise IndexError(f"index {i} is out of range for axis {axis} of size {n}")
    return i


def getitem(x, index):
    """x[index] for integers, slices (any step), Ellipsis, None, and one integer array beside slices.

    Args:
        x: Tensor or array.
        index: what stands between the brackets. An integer array (or list) takes entries along its axis, as `take`.

    Returns:
        A Tensor; a view unless an integer array takes part.

    Raises:
        IndexError: an integer is out of range, there are too many entries, or the index has another form.

    Example:
        >>> import quernel as qn
        >>> qn.ops.getitem([[1.0, 2.0], [3.0, 4.0]], (..., 0)).numpy()
        array([1., 3.], dtype=float32)
    """
    x = operand(x)
    entries = list(index) if isinstance(index, tuple) else [index]
    rank = len(x.shape)
    taken = sum(e is not None and e is not Ellipsis for e in entries)
    if taken > rank:
        raise IndexError(f"too many indices: expected at most {rank}, received {taken}")
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can have only one Ellipsis ('...')")
    at = dots[0] if dots else len(entries)
    entries[at : at + 1] = [builtins.slice(None)] * (rank - taken)

    start, stop, step = [], [], []
    gone, added = [], []  # axes of the sliced array to drop, axes of the result to insert
    array, array_axis, result_axis = None, None, 0
    for entry in entries:
        if entry is None:
            added.append(result_axis)
            result_axis += 1
            continue
        axis = len(start)
        if isinstance(entry, builtins.slice):
            bounds = [None if v is None else operator.index(v) for v in (entry.start, entry.stop, entry.step)]
            result_axis += 1
        elif _is_index_array(entry):
            if array is not None:
                raise IndexError("expected at most one integer array in an index; take them one after the other")
            array, array_axis, bounds = entry, axis, [None, None, None]
        elif isinstance(entry, bool) or not hasattr(entry, "__index__"):
            raise IndexError(
                f"expected integers, slices, Ellipsis, None or one integer array, received {entry!r}; "
                f"for a boolean mask use quernel.ops.where"
            )
        else:
            i = _bounded(operator.index(entry), x.shape[axis], axis)
            bounds = [i, None if i == -1 else i + 1, None]
            gone.append(axis)
        for values, value in zip((start, stop, step), bounds):
            values.append(value)
    if array is not None and (gone or added):
        raise IndexError("an integer array goes with slices only; index in two steps: x[...][...]")
    if any(v is not None for v in (*start, *stop, *step)):
        x = slice(x, start=tuple(start), stop=tuple(stop), step=tuple(step))
    if array is not None:
        return ops.gather(x, _index_tensor(array), axis=array_axis)
    if gone:
        x = squeeze(x, tuple(gone))
    if added:
        x = expand_dims(x, tuple(added))
    return x


def _index_tensor(array):
    tensor = operand(array)
    if "int" not in str(tensor.dtype):
        raise IndexError(
            f"expected an integer array as an index, received dtype {tensor.dtype}; "
            f"for a boolean mask use quernel.ops.where"
        )
    return tensor
