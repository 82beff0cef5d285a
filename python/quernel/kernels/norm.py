"""Batch normalization over all axes but the last: training, inference, and the gradient of training."""

import math
import numbers

import numpy as np

from .kernel import is_float, jit, kernel, spec


def _check(op, x, epsilon, **channels):
    """x (rows..., c) floating, every array of `channels` of shape (c,) and x's dtype; returns c."""
    if len(x.shape) < 1:
        raise ValueError(f"{op}: x: expected at least one axis (the channels), received shape {tuple(x.shape)}")
    if not is_float(np.dtype(x.dtype)):
        raise TypeError(f"{op}: x: expected a floating dtype, received {np.dtype(x.dtype)}; cast it first")
    c = x.shape[-1]
    for name, a in channels.items():
        if a is None:
            continue
        if len(a.shape) != 1 or (a.shape[0] != c and a.shape[0] is not None and c is not None):
            raise ValueError(
                f"{op}: {name}: expected shape ({c},), one number a channel of x {tuple(x.shape)}, "
                f"received {tuple(a.shape)}"
            )
        if np.dtype(a.dtype) != np.dtype(x.dtype):
            raise TypeError(
                f"{op}: {name}: expected x's dtype {np.dtype(x.dtype)}, received {np.dtype(a.dtype)}; cast it"
            )
    if isinstance(epsilon, bool) or not isinstance(epsilon, numbers.Real) or not 0 <= epsilon < math.inf:
        raise ValueError(f"{op}: epsilon: expected a finite number of at least 0, received {epsilon!r}")
    return c


def _rows(x):
    return np.ascontiguousarray(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _or(channels, x, value):
    return np.full(x.shape[-1], value, x.dtype) if channels is None else np.ascontiguousarray(channels)


def _inverse(variance, epsilon):
    return 1 / np.sqrt(variance + variance.dtype.type(epsilon))


def _native(*arrays, epsilon):
    return (), (epsilon,)


# ---- train ----


def _train_shape(x, gamma, beta, *, epsilon):
    c = _check("batch_norm_train", x, epsilon, gamma=gamma, beta=beta)
    return spec(x.shape, x.dtype), spec((c,), x.dtype), spec((c,), x.dtype)


@jit
def _sum_rows(total, parts, x):
    """total[c] = sum of x over its rows: chunks of 64 in order, then the chunks pairwise."""
    chunks = (x.shape[0] + 63) // 64
    parts[:] = 0
    total[:] = 0
    for k in range(chunks):
        part = parts[k]
        for r in range(64 * k, min(64 * k + 64, x.shape[0])):
            for c in range(x.shape[1]):
                part[c] += x[r, c]
    s = 1
    while s < chunks:
        for k in range(0, chunks - s, 2 * s):
            for c in range(x.shape[1]):
                parts[k, c] += parts[k + s, c]
        s *= 2
    if chunks:
        total[:] = parts[0]


@jit
def _square_deviations(out, x, mean):
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            d = x[r, c] - mean[c]
            out[r, c] = d * d


@jit
def _affine(y, x, mean, scale, shift):
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[r, c] = (x[r, c] - mean[c]) * scale[c] + shift[c]


def _parts(x):
    return np.empty(((x.shape[0] + 63) // 64, x.shape[1]), x.dtype)


def _train_numba(outs, x, gamma, beta, *, epsilon):
    y, mean, variance = outs
    rows = _rows(x)
    y, parts, n = y.reshape(rows.shape), _parts(rows), x.dtype.type(rows.shape[0])
    with np.errstate(all="ignore"):
        _sum_rows(mean, parts, rows)
        np.divide(mean, n, out=mean)
        _square_deviations(y, rows, mean)
        _sum_rows(variance, parts, y)
        np.divide(variance, n, out=variance)
        scale = _or(gamma, x, 1) * _inverse(variance, epsilon)
    _affine(y, rows, mean, scale, _or(beta, x, 0))


@kernel(shape=_train_shape, native=_native, numba=_train_numba)
def batch_norm_train(x, gamma=None, beta=None, *, epsilon=1e-3):
    """Batch normalization by the batch's own statistics: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    mean and variance (biased: divided by the number of rows N) are over all axes but the last.

    Args:
        x: (rows..., c), floating.
        gamma: (c,) scale; None means 1.
        beta: (c,) offset; None means 0.
        epsilon: number of at least 0.

    Returns:
        y (x's shape), mean (c,), variance (c,); mean and variance are NaN where there is no row.

    Example:
        >>> import numpy as np, quernel as qn
        >>> y, mean, variance = qn.kernels.batch_norm_train(np.array([[1.0], [3.0]], "float32"), epsilon=0.0)
        >>> y.ravel(), mean, variance
        (array([-1.,  1.], dtype=float32), array([2.], dtype=float32), array([1.], dtype=float32))

    Source:
        Ioffe and Szegedy, Batch Normalization (2015), arXiv:1502.03167.
    """
    axes = tuple(range(x.ndim - 1))
    n = x.dtype.type(math.prod(x.shape[:-1]))
    mean = np.sum(x, axis=axes) / n
    variance = np.sum((x - mean) ** 2, axis=axes) / n
    return batch_norm_inference.definition(x, mean, variance, gamma, beta, epsilon=epsilon), mean, variance


# ---- inference ----


def _inference_shape(x, mean, variance, gamma, beta, *, epsilon):
    _check("batch_norm_inference", x, epsilon, mean=mean, variance=variance, gamma=gamma, beta=beta)
    return spec(x.shape, x.dtype)


def _inference_numba(outs, x, mean, variance, gamma, beta, *, epsilon):
    rows = _rows(x)
    with np.errstate(all="ignore"):
        scale = _or(gamma, x, 1) * _inverse(variance, epsilon)
    _affine(outs[0].reshape(rows.shape), rows, np.ascontiguousarray(mean), scale, _or(beta, x, 0))


@kernel(shape=_inference_shape, native=_native, numba=_inference_numba)
def batch_norm_inference(x, mean, variance, gamma=None, beta=None, *, epsilon=1e-3):
    """Batch normalization by given statistics: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Args:
        x: (rows..., c), floating.
        mean, variance: (c,).
        gamma: (c,) scale; None means 1.
        beta: (c,) offset; None means 0.
        epsilon: number of at least 0.

    Returns:
        y, x's shape and dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x, mean, variance = (np.array(v, "float32") for v in ([[1.0], [3.0]], [2.0], [4.0]))
        >>> qn.kernels.batch_norm_inference(x, mean, variance, epsilon=0.0).ravel()
        array([-0.5,  0.5], dtype=float32)
    """
    scale = _inverse(variance, epsilon) if gamma is None else gamma * _inverse(variance, epsilon)
    y = (x - mean) * scale
    return y + (0 if beta is None else beta)


# ---- backward ----


def _dx_shape(dy, x, mean, variance, gamma, *, epsilon):
    c = _check("batch_norm_dx", x, epsilon, mean=mean, variance=variance, gamma=gamma)
    if tuple(dy.shape) != tuple(x.shape):
        raise ValueError(f"batch_norm_dx: dy: expected x's shape {tuple(x.shape)}, received {tuple(dy.shape)}")
    if np.dtype(dy.dtype) != np.dtype(x.dtype):
        raise TypeError(
            f"batch_norm_dx: dy: expected x's dtype {np.dtype(x.dtype)}, received {np.dtype(dy.dtype)}; cast it"
        )
    return spec(x.shape, x.dtype), spec((c,), x.dtype), spec((c,), x.dtype)


@jit
def _products(out, dy, x, mean):
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[r, c] = dy[r, c] * (x[r, c] - mean[c])


@jit
def _centered(dx, dy, x, mean, drift, slope, scale):
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            dx[r, c] = ((dy[r, c] - drift[c]) - (x[r, c] - mean[c]) * slope[c]) * scale[c]


def _dx_numba(outs, dy, x, mean, variance, gamma, *, epsilon):
    dx, dgamma, dbeta = outs
    rows, dy, mean = _rows(x), _rows(dy), np.ascontiguousarray(mean)
    dx, parts, n = dx.reshape(rows.shape), _parts(rows), x.dtype.type(rows.shape[0])
    with np.errstate(all="ignore"):
        inverse = _inverse(variance, epsilon)
        _sum_rows(dbeta, parts, dy)
        _products(dx, dy, rows, mean)
        _sum_rows(dgamma, parts, dx)
        np.multiply(dgamma, inverse, out=dgamma)
        drift, slope = dbeta / n, dgamma * inverse / n
        scale = _or(gamma, x, 1) * inverse
    _centered(dx, dy, rows, mean, drift, slope, scale)


@kernel(shape=_dx_shape, native=_native, numba=_dx_numba)
def batch_norm_dx(dy, x, mean, variance, gamma=None, *, epsilon=1e-3):
    """Gradients of batch_norm_train's y, through its mean and variance:

    with h = (x - mean) * i, i = 1 / sqrt(variance + epsilon):
    dbeta = sum(dy), dgamma = sum(dy * h), dx = gamma * i * (dy - dbeta / N - h * dgamma / N).

    Args:
        dy: (rows..., c), gradient of y.
        x: (rows..., c), batch_norm_train's input.
        mean, variance: (c,), what batch_norm_train returned.
        gamma: (c,) or None.
        epsilon: as in batch_norm_train.

    Returns:
        dx (x's shape), dgamma (c,), dbeta (c,).

    Example:
        >>> import numpy as np, quernel as qn
        >>> x, dy = np.array([[1.0], [3.0]], "float32"), np.array([[1.0], [1.0]], "float32")
        >>> _, mean, variance = qn.kernels.batch_norm_train(x)
        >>> dx, dgamma, dbeta = qn.kernels.batch_norm_dx(dy, x, mean, variance)
        >>> dx.ravel(), dgamma, dbeta
        (array([0., 0.], dtype=float32), array([0.], dtype=float32), array([2.], dtype=float32))
    """
    axes = tuple(range(x.ndim - 1))
    n = x.dtype.type(math.prod(x.shape[:-1]))
    inverse = _inverse(variance, epsilon)
    dbeta = np.sum(dy, axis=axes)
    dgamma = np.sum(dy * (x - mean), axis=axes) * inverse
    dx = (dy - dbeta / n) - (x - mean) * (dgamma * inverse / n)
    scale = inverse if gamma is None else gamma * inverse
    return dx * scale, dgamma, dbeta
