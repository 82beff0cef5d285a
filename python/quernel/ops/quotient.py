"""divide_no_nan on Tensors, and its gradients."""

from .. import kernels
from ..autograd import gradient
from .apply import apply
from .arithmetic import multiply, negative
from .elementwise import meet, unbroadcast


def divide_no_nan(x1, x2):
    """Quotient x1 / x2, and 0 where x2 is 0; integers become floats; see `quernel.kernels.divide_no_nan`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.divide_no_nan([1.0, 2.0], [4.0, 0.0]).numpy()
        array([0.25, 0.  ], dtype=float32)
    """
    return apply(kernels.divide_no_nan, meet(x1, x2, float), {})


@gradient(kernels.divide_no_nan)
def _(node, dy):
    x1, x2 = node.inputs
    q = divide_no_nan(dy, x2)
    dx2 = unbroadcast(negative(multiply(q, node.outputs[0])), x2.shape) if node.needs(1) else None
    return unbroadcast(q, x1.shape), dx2
