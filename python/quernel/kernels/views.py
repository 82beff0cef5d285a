"""Views: reshape, transpose, expand_dims, squeeze, broadcast_to, stop_gradient return NumPy views of the same memory."""

import math

import numpy as np

from .axes import canonical_axes
from .kernel import kernel, spec


def _int_tuple(value, name):
    """A tuple of ints for an int or a sequence of them."""
    values = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values):
        raise TypeError(f"{name}: expected an integer or a tuple of integers, received {value!r}")
    return tuple(int(v) for v in values)


def _reshape_shape(x, newshape):
    target = _int_tuple(newshape, "reshape: newshape")
    if any(n < -1 for n in target) or target.count(-1) > 1:
        raise ValueError(f"reshape: newshape: expected sizes >= 0 and at most one -1, received {target}")
    known = math.prod(n for n in x.shape if n is not None)
    rest = math.prod(n for n in target if n != -1)
    misfit = (
        f"reshape: newshape: expected as many elements as the input of shape {tuple(x.shape)} has, received {target}"
    )
    if None in x.shape:
        if -1 not in target and rest and (known == 0 or rest % known):
            raise ValueError(misfit)
        return spec((None if n == -1 else n for n in target), x.dtype)
    if -1 in target:
        if rest == 0 or known % rest:
            raise ValueError(misfit)
        return spec((known // rest if n == -1 else n for n in target), x.dtype)
    if rest != known:
        raise ValueError(misfit)
    return spec(target, x.dtype)


@kernel(shape=_reshape_shape, view=True)
def reshape(x, *, newshape):
    """Gives the elements of x another shape, y.flat[i] = x.flat[i]: a view where x is C-contiguous, else a copy.

    Args:
        x: array of any shape and dtype.
        newshape: an integer or a tuple of integers with x's number of elements; one of them may be -1.

    Returns:
        An array of shape `newshape`, sharing x's memory where x is C-contiguous.

    Raises:
        ValueError: where the number of elements differs.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.reshape(np.arange(6), newshape=(2, -1))
        array([[0, 1, 2],
               [3, 4, 5]])
    """
    return np.ascontiguousarray(x).reshape(newshape)


def _permutation(rank, axes):
    if axes is None:
        return tuple(range(rank))[::-1]
    result = canonical_axes("transpose: axes", axes, rank)
    if len(result) != rank:
        raise ValueError(f"transpose: axes: expected a permutation of {rank} axes, received {axes}")
    return result


def _transpose_shape(x, axes):
    return spec((x.shape[a] for a in _permutation(len(x.shape), axes)), x.dtype)


@kernel(shape=_transpose_shape, view=True)
def transpose(x, *, axes=None):
    """Permutes the axes: y[i[axes[0]], i[axes[1]], ...] = x[i[0], i[1], ...], as a view.

    Args:
        x: array of any shape and dtype.
        axes: a permutation of x's axes (negative ones count from the end); None reverses them.

    Returns:
        A view of x with shape (x.shape[axes[0]], x.shape[axes[1]], ...).

    Raises:
        ValueError: where `axes` is no permutation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.transpose(np.zeros((2, 3, 4)), axes=(1, 2, 0)).shape
        (3, 4, 2)
    """
    return x.transpose(_permutation(x.ndim, axes))


def _expand_dims_axes(x, axis):
    values = _int_tuple(axis, "expand_dims: axis")
    return canonical_axes("expand_dims: axis", values, len(x.shape) + len(values))


def _expand_dims_shape(x, axis):
    axes = _expand_dims_axes(x, axis)
    sizes = iter(x.shape)
    return spec((1 if d in axes else next(sizes) for d in range(len(x.shape) + len(axes))), x.dtype)


@kernel(shape=_expand_dims_shape, view=True)
def expand_dims(x, *, axis):
    """Inserts axes of size one, as a view: y[i, 0, k] = x[i, k].

    Args:
        x: array of any shape and dtype.
        axis: where the new axes are in the result; an integer or a tuple of them.

    Returns:
        A view of x with len(axis) more axes.

    Raises:
        ValueError: where an axis is out of range or named twice.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.expand_dims(np.zeros((2, 3)), axis=-1).shape
        (2, 3, 1)
    """
    return np.expand_dims(x, _expand_dims_axes(x, axis))


def _squeeze_axes(x, axis):
    if axis is None:
        return tuple(d for d, n in enumerate(x.shape) if n == 1)
    axes = canonical_axes("squeeze: axis", axis, len(x.shape))
    for d in axes:
        if x.shape[d] not in (1, None):
            raise ValueError(f"squeeze: axis: expected axes of size 1, received axis {d} of shape {tuple(x.shape)}")
    return axes


def _squeeze_shape(x, axis):
    axes = _squeeze_axes(x, axis)
    return spec((n for d, n in enumerate(x.shape) if d not in axes), x.dtype)


@kernel(shape=_squeeze_shape, view=True)
def squeeze(x, *, axis=None):
    """Removes axes of size one, as a view: y[i, k] = x[i, 0, k].

    Args:
        x: array of any shape and dtype.
        axis: the axes to remove, an integer or a tuple of them; None removes every axis of size one.

    Returns:
        A view of x without these axes.

    Raises:
        ValueError: where a named axis has another size than one.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.squeeze(np.zeros((2, 1, 3, 1))).shape
        (2, 3)
    """
    return np.squeeze(x, axis=_squeeze_axes(x, axis))


def _broadcast_to_shape(x, shape):
    target = _int_tuple(shape, "broadcast_to: shape")
    extra = len(target) - len(x.shape)
    fits = extra >= 0 and all(n in (1, None, t) for n, t in zip(x.shape, target[extra:]))
    if not fits or min(target, default=0) < 0:
        raise ValueError(
            f"broadcast_to: shape: expected a shape that {tuple(x.shape)} broadcasts to, received {target}"
        )
    return spec(target, x.dtype)


@kernel(shape=_broadcast_to_shape, view=True)
def broadcast_to(x, *, shape):
    """Repeats x along axes of size one and new leading axes, as a read-only view: y[i, j, k] = x[0, k].

    Args:
        x: array of any shape and dtype.
        shape: the wanted shape; its trailing sizes equal x's, except where x's is one.

    Returns:
        A view of x with zero strides, of shape `shape`.

    Raises:
        ValueError: where x's shape does not broadcast to `shape`.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.broadcast_to(np.array([1, 2]), shape=(2, 2))
        array([[1, 2],
               [1, 2]])
    """
    return np.broadcast_to(x, shape)


def _stop_gradient_shape(x):
    return spec(x.shape, x.dtype)


@kernel(shape=_stop_gradient_shape, view=True)
def stop_gradient(x):
    """The same values, y[i] = x[i], as a view; a GradientTape takes them for constants.

    Args:
        x: array of any shape and dtype.

    Returns:
        A view of x.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.stop_gradient(np.array([1.0, 2.0]))
        array([1., 2.])
    """
    return x.view()
