"""argmax and argmin, under keras.ops' names; no gradient passes through an index."""

from .. import kernels
from ..autograd import no_gradient
from .apply import apply

no_gradient(kernels.argmax, kernels.argmin)


def argmax(x, axis=None, keepdims=False):
    """Index of the first largest element along an axis (None: of the flattened array), as int32.

    Example:
        >>> import quernel as qn
        >>> qn.ops.argmax([[1.0, 7.0, 7.0], [5.0, 3.0, 0.0]], axis=-1).numpy()
        array([1, 0], dtype=int32)
    """
    return apply(kernels.argmax, (x,), {"axis": axis, "keepdims": keepdims})


def argmin(x, axis=None, keepdims=False):
    """Index of the first smallest element along an axis (None: of the flattened array), as int32.

    Example:
        >>> import quernel as qn
        >>> qn.ops.argmin([[1.0, 7.0, 7.0], [5.0, 3.0, 0.0]], axis=-1).numpy()
        array([0, 2], dtype=int32)
    """
    return apply(kernels.argmin, (x,), {"axis": axis, "keepdims": keepdims})
