"""Shapes: reshape, transpose, slices, indexing; views of the same memory wherever strides allow."""

import builtins
import operator

from .. import kernels, ops
from ..autograd import gradient
from .apply import apply, op, operand

slice = op(kernels.slice)
slice_dx = op(kernels.slice_dx)


def reshape(x, newshape):
    """Gives the elements of x, in C order, the shape `newshape`; see `quernel.kernels.reshape`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.reshape([1.0, 2.0, 3.0, 4.0], (2, -1)).shape
        (2, 2)
    """
    x = operand(x)
    array = getattr(x, "_array", None)
    if array is not None and not array.flags.c_contiguous:
        x = ops.copy(x)  # through a kernel, so that whoever records kernel calls sees it
    return apply(kernels.reshape, (x,), {"newshape": newshape})


@gradient(kernels.reshape)
def _(node, dy):
    return (ops.reshape(dy, node.inputs[0].shape),)


def ravel(x):
    """Flattens x to one axis: `reshape(x, (-1,))`; an array without elements too.

    Example:
        >>> import quernel as qn
        >>> qn.ops.ravel([[1.0, 2.0], [3.0, 4.0]]).shape
        (4,)
    """
    x = operand(x)
    return reshape(x, (0,) if 0 in x.shape else (-1,))


def transpose(x, axes=None):
    """Permutes the axes; None reverses them; see `quernel.kernels.transpose`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.transpose([[1.0, 2.0, 3.0]]).shape
        (3, 1)
    """
    return apply(kernels.transpose, (x,), {"axes": axes})


@gradient(kernels.transpose)
def _(node, dy):
    axes, rank = node.attrs["axes"], len(node.inputs[0].shape)
    if axes is None:
        return (transpose(dy),)
    inverse = [0] * rank
    for i, axis in enumerate(axes):
        inverse[axis] = i
    return (transpose(dy, tuple(inverse)),)


def moveaxis(x, source, destination):
    """Moves the axes `source` (an integer or a sequence) to the positions `destination`; the others keep their order.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.ops.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    x = operand(x)
    rank = len(x.shape)
    sources = _axes(source, rank, "moveaxis: source")
    targets = _axes(destination, rank, "moveaxis: destination")
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis: expected as many destinations as sources, received {source} and {destination}")
    order = [a for a in range(rank) if a not in sources]
    for target, axis in sorted(zip(targets, sources)):
        order.insert(target, axis)
    return transpose(x, tuple(order))


def swapaxes(x, axis1, axis2):
    """Exchanges two axes.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.ops.swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
        (4, 3, 2)
    """
    x = operand(x)
    (a,), (b,) = _axes(axis1, len(x.shape), "swapaxes: axis1"), _axes(axis2, len(x.shape), "swapaxes: axis2")
    order = list(range(len(x.shape)))
    order[a], order[b] = b, a
    return transpose(x, tuple(order))


def _axes(axis, rank, name):
    """Distinct axes counted from the front, for an integer or a sequence."""
    values = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    for a in values:
        if not -rank <= operator.index(a) < rank:
            raise ValueError(f"{name}: expected values in [{-rank}, {rank - 1}], received {axis}")
    result = [operator.index(a) % rank for a in values]
    if len(set(result)) != len(result):
        raise ValueError(f"{name}: expected distinct axes, received {axis}")
    return result


@gradient(kernels.slice)
def _(node, dy):
    return (slice_dx(dy, shape=tuple(node.inputs[0].shape), **node.attrs),)


@gradient(kernels.slice_dx)
def _(node, ddx):
    return (slice(ddx, **{name: node.attrs[name] for name in ("start", "stop", "step")}),)


def expand_dims(x, axis):
    """Inserts axes of size one at the positions `axis` of the result.

    Example:
        >>> import quernel as qn
        >>> qn.ops.expand_dims([1.0, 2.0], 0).shape
        (1, 2)
    """
    return apply(kernels.expand_dims, (x,), {"axis": axis})


@gradient(kernels.expand_dims)
def _(node, dy):
    return (squeeze(dy, node.attrs["axis"]),)


def squeeze(x, axis=None):
    """Removes the axes `axis`, which have size one; None removes all of that size.

    Example:
        >>> import quernel as qn
        >>> qn.ops.squeeze([[1.0, 2.0]]).shape
        (2,)
    """
    return apply(kernels.squeeze, (x,), {"axis": axis})


@gradient(kernels.squeeze)
def _(node, dy):
    return (reshape(dy, node.inputs[0].shape),)


def broadcast_to(x, shape):
    """Repeats x along axes of size one and new leading axes, as a view.

    Example:
        >>> import quernel as qn
        >>> qn.ops.broadcast_to([1.0, 2.0], (3, 2)).shape
        (3, 2)
    """
    return apply(kernels.broadcast_to, (x,), {"shape": shape})


@gradient(kernels.broadcast_to)
def _(node, dy):
    shape = node.inputs[0].shape
    extra = len(dy.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(extra + d for d, n in enumerate(shape) if n == 1 and dy.shape[extra + d] != 1)
    return (reshape(ops.sum(dy, axis=axes), shape) if axes else reshape(dy, shape),)


def flip(x, axis=None):
    """Reverses the order of the elements along the axes `axis` (None: all), as a view.

    Example:
        >>> import quernel as qn
        >>> qn.ops.flip([1, 2, 3]).numpy()
        array([3, 2, 1], dtype=int32)
    """
    x = operand(x)
    rank = len(x.shape)
    axes = range(rank) if axis is None else _axes(axis, rank, "flip: axis")
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
    (axis,) = _axes(axis, len(x.shape), "split: axis")
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
    (axis,) = _axes(axis, len(x.shape), "unstack: axis")
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
        >>> qn.ops.getitem([[1.0, 2.0], [3.0, 4.0]], (slice(None), 0)).numpy()
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
