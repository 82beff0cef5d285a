"""gather, take, scatter_add, one_hot: reading and writing by indices."""

from .. import kernels, ops
from ..autograd import gradient, no_gradient
from ..row_gradient import table_gradient
from .apply import apply, op, operand

gather = op(kernels.gather)
scatter_add = op(kernels.scatter_add)
no_gradient(kernels.one_hot)


@gradient(kernels.gather)
def _(node, dy):
    x, indices = node.inputs
    if node.attrs["axis"] == 0:
        return table_gradient(x, indices, dy), None
    return scatter_add(indices, dy, shape=tuple(x.shape), axis=node.attrs["axis"]), None


@gradient(kernels.scatter_add)
def _(node, dy):
    return None, gather(dy, node.inputs[0], axis=node.attrs["axis"])


def take(x, indices, axis=None):
    """Takes entries of x along `axis` by integer indices; of the flattened x where axis is None. See `kernels.gather`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.take([1.0, 2.0, 3.0], [2, 0]).numpy()
        array([3., 1.], dtype=float32)
    """
    if axis is None:
        x, axis = ops.ravel(x), 0
    return gather(x, indices, axis=axis)


def one_hot(x, num_classes, axis=-1, dtype="float32"):
    """Ones where the position along the new axis `axis` equals the label, zeros elsewhere.

    Args:
        x: integer labels. Labels outside of [0, num_classes) give zeros.
        num_classes: size of the new axis.
        axis: where the new axis is in the result.
        dtype: dtype of the result.

    Returns:
        A Tensor with one axis more than x.

    Example:
        >>> import quernel as qn
        >>> qn.ops.one_hot([0, 2], 3).numpy()
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    x = operand(x)
    y = apply(kernels.one_hot, (x,), {"num_classes": num_classes, "dtype": dtype})
    return y if axis in (-1, len(x.shape)) else ops.moveaxis(y, -1, axis)
