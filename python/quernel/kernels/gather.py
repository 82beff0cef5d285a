"""gather, its gradient scatter_add, and one_hot: arrays read and written by indices."""

import math

import numpy as np

from .axes import canonical_axis
from .kernel import Decline, jit, kernel, spec


def _check_indices(indices, name):
    if np.dtype(indices.dtype).kind not in "iu":
        raise TypeError(f"{name}: expected integers, received dtype {np.dtype(indices.dtype)}; cast to int32")


def _inside(indices, n, name):
    """IndexError unless every index is in [-n, n)."""
    bad = (indices < -n) | (indices >= n)
    if bad.any():
        raise IndexError(
            f"{name}: an index is out of range: expected values in [{-n}, {n}), received {indices[bad][0]}"
        )


def _gathered(shape, indices, axis):
    return (*shape[:axis], *indices.shape, *shape[axis + 1 :])


def _gather_shape(x, indices, axis):
    _check_indices(indices, "gather: indices")
    if len(x.shape) == 0:
        raise ValueError("gather: x: expected at least one axis, received a scalar")
    return spec(_gathered(tuple(x.shape), indices, canonical_axis("gather: axis", axis, len(x.shape))), x.dtype)


def _gather_native(x, indices, axis):
    if x.ndim - 1 + indices.ndim > 8:
        raise Decline(f"the result has {x.ndim - 1 + indices.ndim} dimensions; native kernels take at most 8")
    return (canonical_axis("gather: axis", axis, x.ndim),), ()


@jit
def _gather_loop(y, x, indices):
    outer, n, inner = x.shape
    for a in range(outer):
        for k in range(indices.size):
            i = indices[k]
            if i < 0:
                i += n
            if i < 0 or i >= n:
                return False
            for b in range(inner):
                y[a, k, b] = x[a, i, b]
    return True


def _three(array, axis, axes):
    """`array` as C-contiguous (outer, middle, inner), `axes` axes from `axis` on in the middle."""
    shape = array.shape
    sizes = math.prod(shape[:axis]), math.prod(shape[axis : axis + axes]), math.prod(shape[axis + axes :])
    return np.ascontiguousarray(array).reshape(sizes)


def _flat_indices(indices):
    return np.ascontiguousarray(indices, "int64").reshape(-1)


def _gather_numba(outs, x, indices, axis):
    axis = canonical_axis("gather: axis", axis, x.ndim)
    (y,) = outs
    y = y.reshape(math.prod(x.shape[:axis]), indices.size, math.prod(x.shape[axis + 1 :]))
    if y.size and not _gather_loop(y, _three(x, axis, 1), _flat_indices(indices)):
        _inside(indices, x.shape[axis], "gather")


@kernel(shape=_gather_shape, native=_gather_native, numba=_gather_numba)
def gather(x, indices, *, axis=0):
    """Takes entries of x along an axis: y[a, i, b] = x[a, indices[i], b], a the axes before `axis` and b those after.

    Args:
        x: array of any dtype with at least one axis.
        indices: integers in [-n, n), n = x.shape[axis]; negative ones count from the end.
        axis: the axis to index.

    Returns:
        An array of shape x.shape[:axis] + indices.shape + x.shape[axis + 1:].

    Raises:
        IndexError: where an index is out of range.
        TypeError: where indices are no integers.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.gather(np.array([10, 20, 30]), np.array([2, -3]))
        array([30, 10])
    """
    axis = canonical_axis("gather: axis", axis, x.ndim)
    if math.prod(_gathered(x.shape, indices, axis)):
        _inside(indices, x.shape[axis], "gather")
        return np.take(x, indices, axis=axis)
    return np.empty(_gathered(x.shape, indices, axis), x.dtype)


def _scatter_add_shape(indices, updates, shape, axis):
    _check_indices(indices, "scatter_add: indices")
    if np.dtype(updates.dtype).kind == "b":
        raise TypeError("scatter_add: updates: expected numbers, received dtype bool; cast to int32")
    if not isinstance(shape, tuple) or len(shape) == 0:
        raise ValueError(f"scatter_add: shape: expected a tuple of at least one size, received {shape!r}")
    axis = canonical_axis("scatter_add: axis", axis, len(shape))
    expected = _gathered(shape, indices, axis)
    if tuple(updates.shape) != expected:
        raise ValueError(f"scatter_add: updates: expected shape {expected}, received {tuple(updates.shape)}")
    return spec(shape, updates.dtype)


def _scatter_add_native(indices, updates, shape, axis):
    if len(shape) > 8:
        raise Decline(f"the result has {len(shape)} dimensions; native kernels take at most 8")
    return (canonical_axis("scatter_add: axis", axis, len(shape)),), ()


@jit
def _scatter_add_loop(y, indices, updates):
    outer, n, inner = y.shape
    y[:] = 0
    for a in range(outer):
        for k in range(indices.size):
            i = indices[k]
            if i < 0:
                i += n
            if i < 0 or i >= n:
                return False
            for b in range(inner):
                y[a, i, b] += updates[a, k, b]
    return True


def _scatter_add_numba(outs, indices, updates, shape, axis):
    axis = canonical_axis("scatter_add: axis", axis, len(shape))
    (y,) = outs
    y = y.reshape(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    if updates.size == 0:
        y[...] = 0
    elif not _scatter_add_loop(y, _flat_indices(indices), _three(updates, axis, indices.ndim)):
        _inside(indices, shape[axis], "scatter_add")


@kernel(shape=_scatter_add_shape, native=_scatter_add_native, numba=_scatter_add_numba)
def scatter_add(indices, updates, *, shape, axis=0):
    """Adds entries into zeros by index: y[a, indices[i], b] += updates[a, i, b], in the order of i; gather's gradient.

    Args:
        indices: integers in [-n, n), n = shape[axis].
        updates: numbers of shape shape[:axis] + indices.shape + shape[axis + 1:].
        shape: shape of the result.
        axis: the axis that is indexed.

    Returns:
        An array of shape `shape` and updates' dtype. Repeated indices add up, one after the other.

    Raises:
        IndexError: where an index is out of range.
        ValueError, TypeError: where shapes do not fit, or indices are no integers.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.scatter_add(np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0], "float32"), shape=(3,))
        array([2., 0., 4.], dtype=float32)
    """
    axis = canonical_axis("scatter_add: axis", axis, len(shape))
    y = np.zeros(shape, updates.dtype)
    if updates.size:
        _inside(indices, shape[axis], "scatter_add")
        np.add.at(y, (slice(None),) * axis + (indices,), updates)
    return y


def _one_hot_shape(x, num_classes, dtype):
    _check_indices(x, "one_hot: x")
    if isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)):
        raise TypeError(f"one_hot: num_classes: expected an integer, received {num_classes!r}")
    if num_classes < 0:
        raise ValueError(f"one_hot: num_classes: expected a number >= 0, received {num_classes}")
    return spec((*x.shape, num_classes), dtype)


def _one_hot_native(x, num_classes, dtype):
    if np.dtype(dtype).name not in ("float32", "float64", "int32", "int64", "uint8", "bool"):
        raise Decline(f"dtype is {dtype}")
    if x.ndim > 7:
        raise Decline("the result has more than 8 dimensions")
    return (), ()


@jit
def _one_hot_loop(y, x, one):
    y[:] = 0
    classes = y.shape[1]
    for i in range(x.size):
        if 0 <= x[i] < classes:
            y[i, x[i]] = one


def _one_hot_numba(outs, x, num_classes, dtype):
    (y,) = outs
    if y.size:
        _one_hot_loop(y.reshape(x.size, num_classes), _flat_indices(x), y.dtype.type(1))


@kernel(shape=_one_hot_shape, native=_one_hot_native, numba=_one_hot_numba)
def one_hot(x, *, num_classes, dtype="float32"):
    """Rows with a single one: y[i, j] = 1 if x[i] == j else 0. A label outside of [0, num_classes) gives zeros.

    Args:
        x: integer labels of any shape.
        num_classes: number of columns.
        dtype: name of the result's dtype.

    Returns:
        An array of shape x.shape + (num_classes,).

    Raises:
        TypeError: where x holds no integers.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.one_hot(np.array([1, 3]), num_classes=3)
        array([[0., 1., 0.],
               [0., 0., 0.]], dtype=float32)
    """
    return (x[..., None] == np.arange(num_classes)).astype(dtype)
