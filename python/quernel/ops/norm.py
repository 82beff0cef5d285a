"""Batch normalization, moments, normalize: on Tensors, under keras.ops' names, and the gradient rules."""

import math

from .. import kernels, ops
from ..autograd import gradient
from .apply import convert_to_tensor, op, operand

batch_norm_train = op(kernels.batch_norm_train)
batch_norm_inference = op(kernels.batch_norm_inference)
batch_norm_dx = op(kernels.batch_norm_dx)


def _rows(x):
    """The number of rows of (rows..., c), and their axes."""
    return math.prod(x.shape[:-1]), tuple(range(len(x.shape) - 1))


def _inverse(variance, epsilon):
    return ops.divide(1.0, ops.sqrt(ops.add(variance, epsilon)))


@gradient(kernels.batch_norm_train)
def _(node, dy, dmean, dvariance):
    x, gamma, beta = node.inputs
    _, mean, variance = node.outputs
    dx = dgamma = dbeta = None
    n, _ = _rows(x)
    if dy is not None:
        dx, dgamma, dbeta = ops.batch_norm_dx(dy, x, mean, variance, gamma, **node.attrs)
    if dmean is not None:  # d mean / dx = 1 / n
        part = ops.broadcast_to(ops.divide(dmean, float(n)), x.shape)
        dx = part if dx is None else ops.add(dx, part)
    if dvariance is not None:  # d variance / dx = 2 (x - mean) / n; the way through mean sums to 0
        part = ops.multiply(ops.subtract(x, mean), ops.multiply(dvariance, 2.0 / n if n else 0.0))
        dx = part if dx is None else ops.add(dx, part)
    return dx, None if gamma is None else dgamma, None if beta is None else dbeta


@gradient(kernels.batch_norm_inference)
def _(node, dy):
    x, mean, variance, gamma, beta = node.inputs
    _, axes = _rows(x)
    inverse = _inverse(variance, node.attrs["epsilon"])
    scale = inverse if gamma is None else ops.multiply(gamma, inverse)
    dx = ops.multiply(dy, scale)
    dmean = dvariance = dgamma = dbeta = None
    if any(node.needs(i) for i in (1, 4)):
        total = ops.sum(dy, axis=axes)
        dbeta = total if beta is not None else None
        dmean = ops.negative(ops.multiply(total, scale))
    if any(node.needs(i) for i in (2, 3)):
        product = ops.multiply(ops.sum(ops.multiply(dy, ops.subtract(x, mean)), axis=axes), inverse)
        dgamma = product if gamma is not None else None
        dvariance = ops.multiply(ops.multiply(product, scale), ops.multiply(inverse, -0.5))
    return dx, dmean, dvariance, dgamma, dbeta


@gradient(kernels.batch_norm_dx)
def _(node, u, s, t):
    # The loss sum(u * dx) + s * dgamma + t * dbeta of one channel, with h = (x - mean) * inverse,
    # scale = gamma * inverse, U = sum(u), V = sum(u * h), P = sum(u * dy), G = dgamma, B = dbeta, n rows, is
    #     scale * (P - U * B / n - V * G / n) + s * G + t * B.
    dy, x, mean, variance, gamma = node.inputs
    _, G, B = node.outputs
    epsilon = node.attrs["epsilon"]
    n, axes = _rows(x)
    if n == 0:
        return (None,) * 5
    inverse = _inverse(variance, epsilon)
    scale = inverse if gamma is None else ops.multiply(gamma, inverse)
    h = ops.multiply(ops.subtract(x, mean), inverse)
    to_dy = to_h = core = None

    def plus(a, b):
        return b if a is None else ops.add(a, b)

    if u is not None:
        to_dy, V, U = ops.batch_norm_dx(u, x, mean, variance, gamma, epsilon=epsilon)
        P = ops.sum(ops.multiply(u, dy), axis=axes)
        core = ops.subtract(P, ops.divide(ops.add(ops.multiply(U, B), ops.multiply(V, G)), float(n)))
        factor = ops.divide(scale, -float(n))
        to_h = ops.multiply(ops.add(ops.multiply(u, G), ops.multiply(dy, V)), factor)
    if s is not None:
        to_dy = plus(to_dy, ops.multiply(h, s))
        to_h = plus(to_h, ops.multiply(dy, s))
    if t is not None:
        to_dy = plus(to_dy, ops.broadcast_to(t, x.shape))
    to_x = to_mean = to_variance = to_gamma = None
    if to_h is not None:
        to_x = ops.multiply(to_h, inverse)
        to_mean = ops.negative(ops.sum(to_x, axis=axes))
        by_inverse = ops.divide(ops.sum(ops.multiply(to_h, h), axis=axes), inverse)  # through h
        if core is not None:  # and through scale
            by_inverse = ops.add(by_inverse, core if gamma is None else ops.multiply(core, gamma))
        cube = ops.multiply(inverse, ops.multiply(inverse, inverse))
        to_variance = ops.multiply(by_inverse, ops.multiply(cube, -0.5))
    if gamma is not None and core is not None:
        to_gamma = ops.multiply(core, inverse)
    return to_dy, to_x, to_mean, to_variance, to_gamma


def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    """Normalizes x by given statistics: scale * (x - mean) / sqrt(variance + epsilon) + offset.

    Args:
        x: Tensor, floating.
        mean, variance: (c,), c the size of x's axis `axis`.
        axis: the axis of the channels.
        offset: (c,); None means 0.
        scale: (c,); None means 1.
        epsilon: number of at least 0.

    Returns:
        Tensor of x's shape.

    Example:
        >>> import quernel as qn
        >>> qn.ops.batch_normalization([[1.0], [3.0]], mean=[2.0], variance=[1.0], axis=-1, epsilon=0.0).numpy().ravel()
        array([-1.,  1.], dtype=float32)
    """
    x = operand(x)
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise ValueError(f"batch_normalization: axis: expected -{rank} to {rank - 1}, received {axis}")
    last = axis in (-1, rank - 1)
    y = x if last else ops.moveaxis(x, axis, -1)
    y = ops.batch_norm_inference(y, mean, variance, scale, offset, epsilon=epsilon)
    return y if last else ops.moveaxis(y, -1, axis)


def moments(x, axes, keepdims=False):
    """Mean and (biased) variance over axes: mean = sum(x) / n, variance = sum((x - mean)^2) / n.

    Args:
        x: Tensor.
        axes: axis or tuple of axes.
        keepdims: whether the reduced axes stay, with size 1.

    Returns:
        mean, variance.

    Example:
        >>> import quernel as qn
        >>> mean, variance = qn.ops.moments([1.0, 3.0], axes=0)
        >>> float(mean), float(variance)
        (2.0, 1.0)
    """
    x = operand(x)
    kept = ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(ops.subtract(x, kept)), axis=axes, keepdims=keepdims)
    return (kept if keepdims else ops.mean(x, axis=axes)), variance


# What large numbers are multiplied with before their squares are summed: the largest float times 2^-80 is 2^48. A power of
# two changes no rounding, and the squares that it makes subnormal are 2^-60 of the largest one.
SQUARE_FACTOR = {"float32": 2.0**-80, "float64": 2.0**-540}
_LARGE = {"float32": 2.0**47, "float64": 2.0**400}  # below it the sum of 2^34 squares is finite


def square_factor(x, axis=None):
    """A power of two to multiply x with before its squares are summed: 1, or less where their sum could overflow.

    Args:
        x: floating Tensor.
        axis: axes of the sum, for a factor for each of their places; None means all.

    Returns:
        Tensor of x's dtype, of x's shape with size 1 along `axis`; None where nothing is to be scaled, or nobody knows how (a
        float of 16 bits).
    """
    axes = tuple(range(len(x.shape))) if axis is None else (axis,) if isinstance(axis, int) else axis
    if x.dtype not in _LARGE or 0 in [x.shape[a] for a in axes]:
        return None
    limit = _LARGE[x.dtype]
    above = ops.greater(ops.max(x, axis=axes, keepdims=True), limit)
    large = ops.logical_or(above, ops.less(ops.min(x, axis=axes, keepdims=True), -limit))
    return factor_where(large, x.dtype)


def factor_where(large, dtype):
    """SQUARE_FACTOR of the dtype where the bools `large` are True, else 1."""
    scaled, plain = (convert_to_tensor(v, dtype=dtype) for v in (SQUARE_FACTOR[dtype], 1.0))
    return ops.where(large, scaled, plain)


def normalize(x, axis=-1, order=2, epsilon=None):
    """Divides x by its p-norm along axes: y = x / max(||x||_p, epsilon).

    Args:
        x: Tensor, floating.
        axis: axis or tuple of axes of the norm.
        order: p, a number of at least 1; float("inf") takes the largest magnitude.
        epsilon: number above 0; None means 1e-7.

    Returns:
        Tensor of x's shape; its rows have norm 1 (0 where x is 0).

    Raises:
        ValueError: order is below 1.

    Example:
        >>> import quernel as qn
        >>> qn.ops.normalize([[3.0, 4.0]]).numpy()
        array([[0.6, 0.8]], dtype=float32)
    """
    if not order >= 1:
        raise ValueError(f"normalize: order: expected a number of at least 1 or infinity, received {order!r}")
    x = operand(x)
    epsilon = 1e-7 if epsilon is None else epsilon
    if order == 2:  # clipped before the root: its slope at 0 is infinite
        factor = square_factor(x, axis)
        least = epsilon**2
        if factor is not None:
            x = ops.multiply(x, factor)
            least = ops.multiply(ops.square(factor), least)
        square = ops.sum(ops.square(x), axis=axis, keepdims=True)
        return ops.divide(x, ops.sqrt(ops.maximum(square, least)))
    size = ops.absolute(x)
    if order == math.inf:
        norm = ops.max(size, axis=axis, keepdims=True)
    elif order == 1:
        norm = ops.sum(size, axis=axis, keepdims=True)
    else:
        norm = ops.power(ops.sum(ops.power(size, order), axis=axis, keepdims=True), 1 / order)
    return ops.divide(x, ops.maximum(norm, epsilon))
