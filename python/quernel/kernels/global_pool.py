"""Global pooling: one window an image, (n, spatial..., c) -> (n, c), and its gradients."""

import math

import numpy as np

from . import pool_loops as loops
from .kernel import Decline, is_float, kernel, spec
from .window import Axis, spatial_rank, three


def _reduced(x, keepdims):
    if keepdims:
        return (x.shape[0], *(1,) * (len(x.shape) - 2), x.shape[-1])
    return (x.shape[0], x.shape[-1])


def _check(op, x):
    spatial_rank(op, "x", x.shape)
    if op == "global_average_pool" and not is_float(np.dtype(x.dtype)):
        raise TypeError(f"{op}: x: expected a floating dtype, received {np.dtype(x.dtype)}; cast it first")
    if op != "global_average_pool" and 0 in x.shape[1:-1]:
        raise ValueError(
            f"{op}: expected spatial sizes of at least 1, received x of shape {tuple(x.shape)}: "
            f"an empty image has no largest element"
        )


def _check_small(op, name, shape, like):
    """`shape` must be (n, c) or (n, 1..., c) for the image batch shape `like`."""
    allowed = (like[0], like[-1]), (like[0], *(1,) * (len(like) - 2), like[-1])
    if tuple(shape) not in allowed and None not in (*shape, *like):
        raise ValueError(f"{op}: {name}: expected shape {allowed[0]} or {allowed[1]}, received {tuple(shape)}")


def _whole(shape):
    """The Numba geometry of one window over the image."""
    return three([Axis(n, 1, n, max(n, 1), 0) for n in shape[1:-1]])


def _as_images(small, shape):
    """(n, c) or (n, 1..., c) as (n, 1..., c)."""
    return np.ascontiguousarray(small).reshape(shape[0], *(1,) * (len(shape) - 2), shape[-1])


# ---- max ----


def _max_shape(x, *, keepdims):
    _check("global_max_pool", x)
    return spec(_reduced(x, keepdims), x.dtype)


def _max_native(x, *, keepdims):
    if x.dtype.name != "float32":
        raise Decline(f"x is {x.dtype}; native pooling takes float32")
    return (), ()


def _max_numba(outs, x, *, keepdims):
    loops.max_pool(_as_images(outs[0], x.shape), x, _whole(x.shape))


@kernel(shape=_max_shape, native=_max_native, numba=_max_numba)
def global_max_pool(x, *, keepdims=False):
    """Global max pooling: y[n, c] = max over spatial i of x[n, i, c]; NaN in an image's channel gives NaN.

    Args:
        x: (n, spatial..., c) with 1 to 3 spatial axes of size 1 or more.
        keepdims: keep the spatial axes with size 1.

    Returns:
        y (n, c), or (n, 1..., c), x's dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2)
        >>> qn.kernels.global_max_pool(x)
        array([[6., 7.]], dtype=float32)
    """
    if x.shape[0] * x.shape[-1] == 0:
        return np.zeros(_reduced(x, keepdims), x.dtype)
    return np.max(x, axis=tuple(range(1, x.ndim - 1)), keepdims=keepdims)


def _max_dx_shape(dy, x, y):
    _check("global_max_pool_dx", x)
    _check_small("global_max_pool_dx", "dy", dy.shape, x.shape)
    if tuple(y.shape) != tuple(dy.shape):
        raise ValueError(f"global_max_pool_dx: y: expected dy's shape {tuple(dy.shape)}, received {tuple(y.shape)}")
    for name, a in (("dy", dy), ("x", x), ("y", y)):
        if not is_float(np.dtype(a.dtype)):
            raise TypeError(
                f"global_max_pool_dx: {name}: expected a floating dtype, received {np.dtype(a.dtype)}; cast it"
            )
    return spec(x.shape, dy.dtype)


def _no_attributes(*arrays, **attrs):
    return (), ()


def _max_dx_numba(outs, dy, x, y):
    loops.max_pool_dx(outs[0], _as_images(dy, x.shape), x, _as_images(y, x.shape), _whole(x.shape))


@kernel(shape=_max_dx_shape, native=_no_attributes, numba=_max_dx_numba)
def global_max_pool_dx(dy, x, y):
    """Gradient of global_max_pool: dx[n, i, c] = dy[n, c] at the first i with x[n, i, c] = y[n, c], 0 elsewhere.

    Args:
        dy: (n, c) or (n, 1..., c), gradient of y.
        x: (n, spatial..., c), global_max_pool's input.
        y: dy's shape, global_max_pool's output for x. NaN counts as equal to NaN.

    Returns:
        dx, x's shape and dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([1, 3, 3], dtype="float32").reshape(1, 3, 1)
        >>> qn.kernels.global_max_pool_dx(np.ones((1, 1), "float32"), x, np.full((1, 1), 3, "float32")).ravel()
        array([0., 1., 0.], dtype=float32)
    """
    flat = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
    small = dy.reshape(x.shape[0], 1, x.shape[-1])
    best = y.reshape(small.shape)
    equal = (flat == best) | (np.isnan(flat) & np.isnan(best))
    first = equal & (np.cumsum(equal, axis=1) == 1)
    return np.where(first, small, 0).reshape(x.shape)


# ---- average ----


def _average_shape(x, *, keepdims):
    _check("global_average_pool", x)
    return spec(_reduced(x, keepdims), x.dtype)


def _average_native(x, *, keepdims):
    return (), ()


def _average_numba(outs, x, *, keepdims):
    loops.average_pool(_as_images(outs[0], x.shape), x, _whole(x.shape))


@kernel(shape=_average_shape, native=_average_native, numba=_average_numba)
def global_average_pool(x, *, keepdims=False):
    """Global average pooling: y[n, c] = mean over spatial i of x[n, i, c].

    Args:
        x: (n, spatial..., c) with 1 to 3 spatial axes, floating.
        keepdims: keep the spatial axes with size 1.

    Returns:
        y (n, c), or (n, 1..., c), x's dtype; NaN where there is no spatial element.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2)
        >>> qn.kernels.global_average_pool(x)
        array([[3., 4.]], dtype=float32)
    """
    axes = tuple(range(1, x.ndim - 1))
    return np.sum(x, axis=axes, keepdims=keepdims) / x.dtype.type(math.prod(x.shape[1:-1]))


def _average_dx_shape(dy, *, input_shape):
    spatial_rank("global_average_pool_dx", "input_shape", input_shape)
    _check_small("global_average_pool_dx", "dy", dy.shape, input_shape)
    if not is_float(np.dtype(dy.dtype)):
        raise TypeError(
            f"global_average_pool_dx: dy: expected a floating dtype, received {np.dtype(dy.dtype)}; cast it"
        )
    return spec(input_shape, dy.dtype)


def _average_dx_native(dy, *, input_shape):
    return (), ()


def _average_dx_numba(outs, dy, *, input_shape):
    loops.average_pool_dx(outs[0], _as_images(dy, input_shape), _whole(input_shape))


@kernel(shape=_average_dx_shape, native=_average_dx_native, numba=_average_dx_numba)
def global_average_pool_dx(dy, *, input_shape):
    """Gradient of global_average_pool: dx[n, i, c] = dy[n, c] / (number of spatial elements).

    Args:
        dy: (n, c) or (n, 1..., c), gradient of y.
        input_shape: (n, spatial..., c), the shape of global_average_pool's input.

    Returns:
        dx of shape input_shape, dy's dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.global_average_pool_dx(np.ones((1, 1), "float32"), input_shape=(1, 4, 1)).ravel()
        array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """
    share = dy / dy.dtype.type(math.prod(input_shape[1:-1]))
    share = share.reshape(input_shape[0], *(1,) * (len(input_shape) - 2), input_shape[-1])
    return np.broadcast_to(share, input_shape)
