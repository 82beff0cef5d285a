"""sparse_categorical_crossentropy: a class number for every row, and its gradient."""

import numpy as np

from .kernel import jit, kernel, spec
from .loss import HIGH, LOW, check_flag, check_floats, check_rows, check_shape, column, rows


def _check(name, target, output, from_logits):
    check_flag(name, from_logits)
    check_floats(name, output=output)
    kept = check_rows(name, "output", output)
    if np.dtype(target.dtype).kind not in "iu":
        raise TypeError(
            f"{name}: target: expected an integer dtype, received {np.dtype(target.dtype)}; "
            f"for distributions use categorical_crossentropy"
        )
    fix = "; for one-hot targets use categorical_crossentropy"
    check_shape(name, "target", target, kept, "output's shape less its last axis", fix)
    return kept


def _shape(target, output, from_logits):
    return spec(_check("sparse_categorical_crossentropy", target, output, from_logits), output.dtype)


def _dx_shape(dy, target, output, from_logits):
    name = "sparse_categorical_crossentropy_dx"
    kept = _check(name, target, output, from_logits)
    check_floats(name, dy=dy)
    check_shape(name, "dy", dy, kept, "the loss's shape")
    return spec(output.shape, output.dtype)


def _native(target, output, from_logits):
    return (from_logits,), ()


def _dx_native(dy, target, output, from_logits):
    return _native(target, output, from_logits)


def _check_labels(name, target, output):
    bad = (target < 0) | (target >= output.shape[-1])
    if bad.any():
        raise IndexError(
            f"{name}: an index is out of range: expected labels in [0, {output.shape[-1]}), the last axis of output, "
            f"received {target[bad][0]}"
        )


@jit
def _loop(loss, target, output, logits):
    low, high = output.dtype.type(LOW), output.dtype.type(HIGH)
    for r in range(output.shape[0]):
        picked = output[r, target[r]]
        if logits:
            top, total = output[r, 0], 0.0
            for x in output[r]:
                if x > top or x != x:
                    top = x
            for x in output[r]:
                total += np.exp(x - top)
            loss[r] = np.log(total) - (picked - top)
        else:
            if picked < low:
                picked = low
            if picked > high:
                picked = high
            loss[r] = -np.log(picked)


@jit
def _dx_loop(dx, dy, target, output, logits):
    low, high = output.dtype.type(LOW), output.dtype.type(HIGH)
    for r in range(output.shape[0]):
        k = target[r]
        if logits:
            top, total = output[r, 0], 0.0
            for x in output[r]:
                if x > top or x != x:
                    top = x
            for i in range(output.shape[1]):
                dx[r, i] = np.exp(output[r, i] - top)
                total += dx[r, i]
            hit = (dx[r, k] / total - output.dtype.type(1)) * dy[r]
            for i in range(output.shape[1]):
                dx[r, i] = dx[r, i] / total * dy[r]
            dx[r, k] = hit
        else:
            dx[r, :] = 0
            if not (output[r, k] < low or output[r, k] > high):
                dx[r, k] = -dy[r] / output[r, k]


def _numba(outs, target, output, from_logits):
    _check_labels("sparse_categorical_crossentropy", target, output)
    if output.size:
        _loop(outs[0].reshape(-1), column(target), rows(output), from_logits)


def _dx_numba(outs, dy, target, output, from_logits):
    _check_labels("sparse_categorical_crossentropy_dx", target, output)
    if output.size:
        _dx_loop(rows(outs[0]), column(dy), column(target), rows(output), from_logits)


@kernel(shape=_shape, native=_native, numba=_numba)
def sparse_categorical_crossentropy(target, output, *, from_logits=False):
    """Cross-entropy of class numbers over the last axis.

    loss = -log(p), p being output[target] clipped to [1e-7, 1 - 1e-7] (as float32), or from logits
    loss = log(sum(exp(x - m))) - (x[target] - m) with m = max(x).

    Args:
        target: integers (...), each in [0, n).
        output: predicted probabilities, or logits (..., n).
        from_logits: whether `output` holds logits.

    Returns:
        loss (...).

    Raises:
        ValueError: the shapes do not fit together, or output has no axis.
        TypeError: target is not integral or output not floating.
        IndexError: a target is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.sparse_categorical_crossentropy(np.array([1]), np.array([[0.75, 0.25]], "float32")).round(3)
        array([1.386], dtype=float32)
    """
    _check_labels("sparse_categorical_crossentropy", target, output)
    if not output.size:
        return np.zeros(target.shape, output.dtype)
    if from_logits:
        z = output - np.max(output, axis=-1, keepdims=True)
        picked = np.take_along_axis(z, target[..., None], axis=-1)[..., 0]
        return np.log(np.sum(np.exp(z), axis=-1)) - picked
    return -np.log(np.clip(np.take_along_axis(output, target[..., None], axis=-1)[..., 0], LOW, HIGH))


@kernel(shape=_dx_shape, native=_dx_native, numba=_dx_numba)
def sparse_categorical_crossentropy_dx(dy, target, output, *, from_logits=False):
    """Gradient of sparse_categorical_crossentropy for the output.

    From logits dx_i = softmax(x)_i dy, less dy at i = target; from probabilities dx = -dy / output at the target
    if that lies inside the clip, 0 elsewhere.

    Args:
        dy: gradient of the loss (...).
        target: integers (...), each in [0, n).
        output: predicted probabilities, or logits (..., n).
        from_logits: whether `output` holds logits.

    Returns:
        dx, with output's shape.

    Raises:
        ValueError: the shapes do not fit together.
        IndexError: a target is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, x = np.ones(1, "float32"), np.zeros((1, 2), "float32")
        >>> qn.kernels.sparse_categorical_crossentropy_dx(dy, np.array([1]), x, from_logits=True)
        array([[ 0.5, -0.5]], dtype=float32)
    """
    _check_labels("sparse_categorical_crossentropy_dx", target, output)
    if not output.size:
        return output.copy()
    hit = np.arange(output.shape[-1]) == target[..., None]
    if from_logits:
        e = np.exp(output - np.max(output, axis=-1, keepdims=True))
        p = e / np.sum(e, axis=-1, keepdims=True)
        return np.where(hit, p - 1, p) * dy[..., None]
    used = hit & ~((output < LOW) | (output > HIGH))
    return np.where(used, -dy[..., None] / output, np.zeros((), output.dtype))
