"""Shapes: reshape, transpose, expand_dims, squeeze, broadcast_to; views of the same memory wherever strides allow."""

from .. import kernels, ops
from ..autograd import gradient, no_gradient
from ..kernels.axes import canonical_axes
from .apply import apply, operand


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
    sources = canonical_axes("moveaxis: source", source, rank)
    targets = canonical_axes("moveaxis: destination", destination, rank)
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
    (a,), (b,) = (
        canonical_axes("swapaxes: axis1", axis1, len(x.shape)),
        canonical_axes("swapaxes: axis2", axis2, len(x.shape)),
    )
    order = list(range(len(x.shape)))
    order[a], order[b] = b, a
    return transpose(x, tuple(order))


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


def stop_gradient(variable):
    """The same values, as a constant for every GradientTape.

    Example:
        >>> import quernel as qn
        >>> x = qn.Variable(3.0)
        >>> with qn.GradientTape() as tape:
        ...     y = x * qn.ops.stop_gradient(x)
        >>> float(tape.gradient(y, x))
        3.0
    """
    return apply(kernels.stop_gradient, (variable,), {})


no_gradient(kernels.stop_gradient)
