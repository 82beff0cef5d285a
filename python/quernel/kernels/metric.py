"""mean_update: the state of a running mean, in place, in one call."""

import numpy as np

from .kernel import is_float, jit, kernel


def _shape(total, count, lost, value, weight, product):
    for label, a in (("total", total), ("count", count), ("lost", lost), ("value", value), ("weight", weight)):
        if tuple(a.shape) != ():
            raise ValueError(f"mean_update: {label}: expected an array of shape (), received {tuple(a.shape)}")
        if np.dtype(a.dtype) != np.dtype(total.dtype) or not is_float(np.dtype(a.dtype)):
            raise TypeError(f"mean_update: {label}: expected one float dtype for all arrays, received {a.dtype}")
    return ()


def _native(total, count, lost, value, weight, product):
    return (bool(product),), ()


@jit
def _loop(total, count, lost, value, weight, product):
    added = (value[0] * weight[0] if product else value[0]) - lost[0]
    new = total[0] + added
    error = (new - total[0]) - added
    lost[0] = error if error - error == 0 else 0
    total[0] = new
    count[0] = count[0] + weight[0]


def _numba(outs, total, count, lost, value, weight, product):
    _loop(*(a.reshape(1) for a in (total, count, lost, value, weight)), bool(product))


@kernel(shape=_shape, native=_native, numba=_numba, updates=("total", "count", "lost"))
def mean_update(total, count, lost, value, weight, *, product=False):
    """Adds to a running mean, total / count, in place, by Kahan's compensated sum.

        added = value - lost    (value * weight - lost with `product`)
        sum = total + added;  lost = (sum - total) - added, 0 where that is no finite number
        total = sum;  count = count + weight

    Args:
        total: the sum so far, an array of shape (); written.
        count: the weight so far; written.
        lost: what rounding added to the total too much; written.
        value: what is added: a sum of values, or with `product` their mean.
        weight: how much it counts.
        product: whether `value` is multiplied by `weight`.

    Returns:
        None.

    Raises:
        ValueError, TypeError: where shapes or dtypes do not fit, or the state is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> state = [np.zeros((), "float32") for _ in range(3)]
        >>> qn.kernels.mean_update(*state, np.float32(6), np.float32(4))
        >>> float(state[0] / state[1])
        1.5

    Source: W. Kahan, "Further remarks on reducing truncation errors", 1965.
    """
    number = total.dtype.type
    added = number(value * weight if product else value) - number(lost)
    new = number(total) + added
    error = (new - number(total)) - added
    lost[...] = error if np.isfinite(error) else 0
    total[...] = new
    count += weight
