"""to_categorical: labels to one-hot rows."""

from .. import kernels
from ..kernels.kernel import as_array


def to_categorical(x, num_classes=None):
    """One-hot rows of integer labels: y[..., j] = 1 where x[...] = j.

    Args:
        x: integer labels (...), or (..., 1).
        num_classes: number of columns; by default the largest label + 1.

    Returns:
        A float32 array (..., num_classes).

    Raises:
        ValueError: a label is negative, or not below num_classes.

    Example:
        >>> import quernel as qn
        >>> qn.utils.to_categorical([0, 2], 3)
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    x = kernels.cast(as_array(x, "x"), dtype="int64")
    if x.ndim > 1 and x.shape[-1] == 1:
        x = x.reshape(x.shape[:-1])
    if x.size:
        low, high = int(kernels.min(x)), int(kernels.max(x))
    else:
        low, high = 0, -1
    if num_classes is None:
        num_classes = high + 1
    if low < 0 or high >= num_classes:
        raise ValueError(f"x: expected labels from 0 to {num_classes - 1}, received labels from {low} to {high}")
    return kernels.one_hot(x, num_classes=num_classes, dtype="float32")
