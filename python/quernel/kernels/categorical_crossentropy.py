"""categorical_crossentropy: a target distribution for every row, and its gradient."""

import numpy as np

from .kernel import jit, kernel, spec
from .loss import HIGH, LOW, check_flag, check_floats, check_rows, check_shape, column, rows


def _shape(target, output, from_logits):
    name = "categorical_crossentropy"
    check_flag(name, from_logits)
    check_floats(name, target=target, output=output)
    kept = check_rows(name, "output", output)
    fix = "; for integer labels use sparse_categorical_crossentropy"
    check_shape(name, "target", target, output.shape, "output's shape", fix)
    return spec(kept, output.dtype)


def _dx_shape(dy, target, output, from_logits):
    name = "categorical_crossentropy_dx"
    check_flag(name, from_logits)
    check_floats(name, dy=dy, target=target, output=output)
    kept = check_rows(name, "output", output)
    check_shape(name, "target", target, output.shape, "output's shape")
    check_shape(name, "dy", dy, kept, "the loss's shape")
    return spec(output.shape, output.dtype)


def _native(*arrays, from_logits):
    return (from_logits,), ()


@jit
def _loop(loss, target, output, logits):
    low, high = output.dtype.type(LOW), output.dtype.type(HIGH)
    for r in range(output.shape[0]):
        total, weighted = 0.0, 0.0  # float64: one chain of float32 additions would lose digits on long rows
        if logits:
            top = output[r, 0]
            for x in output[r]:
                if x > top or x != x:
                    top = x
            for x in output[r]:
                total += np.exp(x - top)
            total = np.log(total)
            for i in range(output.shape[1]):
                weighted += target[r, i] * ((output[r, i] - top) - total)
        else:
            for x in output[r]:
                total += x
            for i in range(output.shape[1]):
                p = output[r, i] / total
                if p < low:
                    p = low
                if p > high:
                    p = high
                weighted += target[r, i] * np.log(p)
        loss[r] = -weighted


@jit
def _dx_loop(dx, dy, target, output, logits):
    low, high = output.dtype.type(LOW), output.dtype.type(HIGH)
    for r in range(output.shape[0]):
        total, weight = 0.0, 0.0
        if logits:
            top = output[r, 0]
            for x in output[r]:
                if x > top or x != x:
                    top = x
            for i in range(output.shape[1]):
                dx[r, i] = np.exp(output[r, i] - top)
                total += dx[r, i]
                weight += target[r, i]
            for i in range(output.shape[1]):
                dx[r, i] = (dx[r, i] / total * weight - target[r, i]) * dy[r]
        else:
            for x in output[r]:
                total += x
            for i in range(output.shape[1]):
                p = output[r, i] / total
                if not (p < low or p > high):
                    weight += target[r, i]
            for i in range(output.shape[1]):
                p, u = output[r, i] / total, target[r, i] / output[r, i]
                if p < low or p > high:
                    u = output.dtype.type(0)
                dx[r, i] = (weight / total - u) * dy[r]


def _numba(outs, target, output, from_logits):
    if output.size:
        _loop(outs[0].reshape(-1), rows(target), rows(output), from_logits)
    else:
        outs[0].fill(0)


def _dx_numba(outs, dy, target, output, from_logits):
    if output.size:
        _dx_loop(rows(outs[0]), column(dy), rows(target), rows(output), from_logits)


@kernel(shape=_shape, native=_native, numba=_numba)
def categorical_crossentropy(target, output, *, from_logits=False):
    """Cross-entropy of a target distribution over the last axis.

    loss = -sum(t log(p)), p being output / sum(output) clipped to [1e-7, 1 - 1e-7] (as float32), or from logits
    loss = -sum(t ((x - m) - log(sum(exp(x - m))))) with m = max(x).

    Args:
        target: probabilities (..., n).
        output: predicted probabilities, or logits; the same shape.
        from_logits: whether `output` holds logits.

    Returns:
        loss (...); 0 where n is 0.

    Raises:
        ValueError: the shapes differ, or there is no axis.
        TypeError: an input is not floating.

    Example:
        >>> import numpy as np, quernel as qn
        >>> t, p = np.array([[0, 1]], "float32"), np.array([[0.75, 0.25]], "float32")
        >>> qn.kernels.categorical_crossentropy(t, p).round(3)
        array([1.386], dtype=float32)
    """
    if not output.size:
        return np.zeros(output.shape[:-1], output.dtype)
    if from_logits:
        z = output - np.max(output, axis=-1, keepdims=True)
        return -np.sum(target * (z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))), axis=-1)
    p = np.clip(output / np.sum(output, axis=-1, keepdims=True), LOW, HIGH)
    return -np.sum(target * np.log(p), axis=-1)


@kernel(shape=_dx_shape, native=_native, numba=_dx_numba)
def categorical_crossentropy_dx(dy, target, output, *, from_logits=False):
    """Gradient of categorical_crossentropy for the output.

    From logits dx_i = (softmax(x)_i sum(t) - t_i) dy. From probabilities dx_i = (C / sum(x) - u_i) dy, with
    u_i = t_i / x_i where x_i / sum(x) lies inside the clip, else 0, and C the sum of t there.

    Args:
        dy: gradient of the loss (...).
        target: probabilities (..., n).
        output: predicted probabilities, or logits (..., n).
        from_logits: whether `output` holds logits.

    Returns:
        dx, with output's shape.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import numpy as np, quernel as qn
        >>> t, x = np.array([[0, 1]], "float32"), np.zeros((1, 2), "float32")
        >>> qn.kernels.categorical_crossentropy_dx(np.ones(1, "float32"), t, x, from_logits=True)
        array([[ 0.5, -0.5]], dtype=float32)
    """
    if not output.size:
        return output.copy()
    if from_logits:
        e = np.exp(output - np.max(output, axis=-1, keepdims=True))
        p = e / np.sum(e, axis=-1, keepdims=True)
        return (p * np.sum(target, axis=-1, keepdims=True) - target) * dy[..., None]
    total = np.sum(output, axis=-1, keepdims=True)
    p = output / total
    drop = (p < LOW) | (p > HIGH)
    zero = np.zeros((), output.dtype)
    share = np.sum(np.where(drop, zero, target), axis=-1, keepdims=True) / total
    return (share - np.where(drop, zero, target / output)) * dy[..., None]
