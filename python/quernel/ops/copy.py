"""copy and cast on Tensors, and their gradients."""

from .. import kernels
from ..autograd import gradient
from ..dtypes import is_float, standardize_dtype
from .apply import apply, op, operand

copy = op(kernels.copy)


@gradient(kernels.copy)
def _(node, dy):
    return (dy,)


def cast(x, dtype):
    """x in another dtype; x itself when it has that dtype. See `quernel.kernels.cast`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.cast([1.75, -1.75], "int32").numpy()
        array([ 1, -1], dtype=int32)
    """
    x = operand(x)
    dtype = standardize_dtype(dtype)
    return x if x.dtype == dtype else apply(kernels.cast, (x,), {"dtype": dtype})


@gradient(kernels.cast)
def _(node, dy):
    dtype = node.inputs[0].dtype
    return (cast(dy, dtype) if is_float(dtype) and dy is not None else None,)
