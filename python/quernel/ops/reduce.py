"""Reductions over axes, under keras.ops' names, and their gradient rules."""

from .. import kernels, ops
from ..autograd import gradient
from ..kernels.axes import folded_axes, kept_shape
from .apply import apply, op, operand

max_dx = op(kernels.max_dx)


def _axis(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def sum(x, axis=None, keepdims=False):
    """Sum over axes: y[kept] = sum over the reduced axes of x; see `quernel.kernels.sum`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
        array([4., 6.], dtype=float32)
    """
    return apply(kernels.sum, (x,), {"axis": _axis(axis), "keepdims": keepdims})


def mean(x, axis=None, keepdims=False):
    """Mean over axes: y = sum / n; see `quernel.kernels.mean`.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.mean([1, 2, 4, 5]))
        3.0
    """
    return apply(kernels.mean, (x,), {"axis": _axis(axis), "keepdims": keepdims})


def max(x, axis=None, keepdims=False, initial=None):
    """Largest element over axes; the gradient goes to the first one of each row. See `quernel.kernels.max`.

    Args:
        x: Tensor or array.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.
        initial: if given, the result is at least this.

    Returns:
        The maxima.

    Example:
        >>> import quernel as qn
        >>> qn.ops.max([[1.0, 7.0], [3.0, 5.0]], axis=0).numpy()
        array([3., 7.], dtype=float32)
    """
    y = apply(kernels.max, (x,), {"axis": _axis(axis), "keepdims": keepdims})
    return y if initial is None else ops.maximum(y, initial)


def min(x, axis=None, keepdims=False, initial=None):
    """Smallest element over axes; the gradient goes to the first one of each row. See `quernel.kernels.min`.

    Args:
        x: Tensor or array.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.
        initial: if given, the result is at most this.

    Returns:
        The minima.

    Example:
        >>> import quernel as qn
        >>> qn.ops.min([[1.0, 7.0], [3.0, 5.0]], axis=0).numpy()
        array([1., 5.], dtype=float32)
    """
    y = apply(kernels.min, (x,), {"axis": _axis(axis), "keepdims": keepdims})
    return y if initial is None else ops.minimum(y, initial)


def amax(x, axis=None, keepdims=False):
    """`max` under NumPy's other name.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.amax([1.0, 3.0, 2.0]))
        3.0
    """
    return max(x, axis, keepdims)


def amin(x, axis=None, keepdims=False):
    """`min` under NumPy's other name.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.amin([1.0, 3.0, 2.0]))
        1.0
    """
    return min(x, axis, keepdims)


def count_nonzero(x, axis=None):
    """How many elements differ from zero (NaN counts): sum over axes of x != 0, as int32.

    Example:
        >>> import quernel as qn
        >>> int(qn.ops.count_nonzero([0.0, 1.0, 2.0]))
        2
    """
    return sum(ops.not_equal(x, 0), axis)


def any(x, axis=None, keepdims=False):
    """Whether some element differs from zero; False for an empty row.

    Example:
        >>> import quernel as qn
        >>> qn.ops.any([[True, False], [False, False]], axis=1).numpy()
        array([ True, False])
    """
    return ops.not_equal(sum(ops.not_equal(x, 0), axis, keepdims), 0)


def all(x, axis=None, keepdims=False):
    """Whether every element differs from zero; True for an empty row.

    Example:
        >>> import quernel as qn
        >>> qn.ops.all([[True, True], [False, True]], axis=1).numpy()
        array([ True, False])
    """
    return ops.equal(sum(ops.equal(x, 0), axis, keepdims), 0)


def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) over axes, with the largest element taken out first so that nothing overflows.

    Args:
        x: Tensor or array of floats.
        axis: None (all axes), an axis, or a tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.

    Returns:
        m + log(sum(exp(x - m))), m being the maximum; -inf where all elements are -inf.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.logsumexp([1000.0, 1000.0])) - 1000
        0.69317626953125
    """
    x = operand(x)
    axis = _axis(axis)
    m = max(x, axis, keepdims=True)
    m = ops.where(ops.equal(ops.absolute(m), float("inf")), 0.0, m)  # inf - inf would be NaN
    total = sum(ops.exp(ops.subtract(x, m)), axis, keepdims=True)
    y = ops.add(ops.log(total), m)
    if keepdims:
        return y
    axes = folded_axes("logsumexp", axis, len(x.shape))
    return ops.squeeze(y, axes) if axes else y


def _spread(dy, node):
    """dy at every element of the row it belongs to, as a view."""
    shape = node.inputs[0].shape
    kept = kept_shape(shape, node.attrs["axis"], True)
    return ops.broadcast_to(ops.reshape(dy, kept), shape)


@gradient(kernels.sum)
def _(node, dy):
    return (_spread(dy, node),)


@gradient(kernels.mean)
def _(node, dy):
    n = 1
    for axis in folded_axes("mean", node.attrs["axis"], len(node.inputs[0].shape)):
        n *= node.inputs[0].shape[axis]
    return (_spread(ops.divide(dy, n), node),)


@gradient(kernels.max)
def _(node, dy):
    return (max_dx(dy, node.inputs[0], node.outputs[0], **node.attrs),)


@gradient(kernels.min)
def _(node, dy):
    return (max_dx(dy, node.inputs[0], node.outputs[0], **node.attrs),)


@gradient(kernels.max_dx)
def _(node, ddx):
    if not node.needs(0):
        return None, None, None
    dy, x, y = node.inputs
    chosen = max_dx(ops.ones_like(dy), x, y, **node.attrs)
    return sum(ops.multiply(ddx, chosen), **node.attrs), None, None
