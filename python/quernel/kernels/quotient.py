"""divide_no_nan: a quotient that is 0 where the divisor is."""

import numpy as np

from .elementwise import FLOATS, binary, plain
from .kernel import kernel, vectorized


@vectorized
def _guarded(x1, x2):
    return x1 / x2 if x2 != 0 else x2 * x2  # +0


@kernel(shape=binary("divide_no_nan", FLOATS), native=plain, numba=_guarded.fill)
def divide_no_nan(x1, x2):
    """Divides floats with broadcasting: y[i] = x1[i] / x2[i], and 0 where x2[i] = 0.

    Args:
        x1, x2: arrays of one dtype, whose shapes broadcast.

    Returns:
        Array of the broadcast shape and the inputs' dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a, b = np.array([1, 2], "float32"), np.array([4, 0], "float32")
        >>> qn.kernels.divide_no_nan(a, b)
        array([0.25, 0.  ], dtype=float32)
    """
    return np.where(x2 == 0, x1.dtype.type(0), np.divide(x1, x2))
