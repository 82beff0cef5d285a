"""binary_crossentropy, element by element, and its gradient."""

import numpy as np

from .kernel import jit, kernel, spec
from .loss import HIGH, LOW, check_flag, check_floats, check_shape, column


def _shape(target, output, from_logits):
    name = "binary_crossentropy"
    check_flag(name, from_logits)
    check_floats(name, target=target, output=output)
    check_shape(name, "target", target, output.shape, "output's shape")
    return spec(output.shape, output.dtype)


def _dx_shape(dy, target, output, from_logits):
    name = "binary_crossentropy_dx"
    check_flag(name, from_logits)
    check_floats(name, dy=dy, target=target, output=output)
    check_shape(name, "target", target, output.shape, "output's shape")
    check_shape(name, "dy", dy, output.shape, "the loss's shape")
    return spec(output.shape, output.dtype)


def _native(*arrays, from_logits):
    return (from_logits,), ()


@jit
def _logits_loop(loss, target, output):
    for i in range(output.size):
        x = output[i]
        relu = x
        if x <= 0:
            relu = output.dtype.type(0)
        loss[i] = (relu - x * target[i]) + np.log1p(np.exp(-abs(x)))


@jit
def _loop(loss, target, output):
    one, low, high = output.dtype.type(1), output.dtype.type(LOW), output.dtype.type(HIGH)
    for i in range(output.size):
        p, t = output[i], target[i]
        if p < low:
            p = low
        if p > high:
            p = high
        loss[i] = -(t * np.log(p) + (one - t) * np.log(one - p))


@jit
def _logits_dx_loop(dx, dy, target, output):
    one = output.dtype.type(1)
    for i in range(output.size):
        dx[i] = (one / (one + np.exp(-output[i])) - target[i]) * dy[i]


@jit
def _dx_loop(dx, dy, target, output):
    one, low, high = output.dtype.type(1), output.dtype.type(LOW), output.dtype.type(HIGH)
    for i in range(output.size):
        p, t = output[i], target[i]
        dx[i] = ((one - t) / (one - p) - t / p) * dy[i]
        if p < low or p > high:
            dx[i] = 0


def _numba(outs, target, output, from_logits):
    (_logits_loop if from_logits else _loop)(outs[0].reshape(-1), column(target), column(output))


def _dx_numba(outs, dy, target, output, from_logits):
    loop = _logits_dx_loop if from_logits else _dx_loop
    loop(outs[0].reshape(-1), column(dy), column(target), column(output))


@kernel(shape=_shape, native=_native, numba=_numba)
def binary_crossentropy(target, output, *, from_logits=False):
    """Cross-entropy of independent yes-or-no targets, element by element.

    loss = -(t log(p) + (1 - t) log(1 - p)), p being the output clipped to [1e-7, 1 - 1e-7] (as float32), or from logits
    loss = max(x, 0) - x t + log(1 + exp(-abs(x))), which is the same with p = sigmoid(x).

    Args:
        target: probabilities of "yes", any shape.
        output: predicted probabilities, or logits; the same shape.
        from_logits: whether `output` holds logits.

    Returns:
        loss, with the same shape.

    Raises:
        ValueError: the shapes differ.
        TypeError: an input is not floating.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.binary_crossentropy(np.array([1, 0], "float32"), np.array([0.5, 0.5], "float32")).round(3)
        array([0.693, 0.693], dtype=float32)
    """
    if from_logits:
        x = output
        return (np.maximum(x, 0) - x * target) + np.log1p(np.exp(-np.abs(x)))
    p = np.clip(output, LOW, HIGH)
    return -(target * np.log(p) + (1 - target) * np.log(1 - p))


@kernel(shape=_dx_shape, native=_native, numba=_dx_numba)
def binary_crossentropy_dx(dy, target, output, *, from_logits=False):
    """Gradient of binary_crossentropy for the output.

    dx = ((1 - t) / (1 - p) - t / p) dy inside the clip and 0 outside, or from logits dx = (sigmoid(x) - t) dy.

    Args:
        dy: gradient of the loss, shaped like output.
        target: probabilities of "yes".
        output: predicted probabilities, or logits.
        from_logits: whether `output` holds logits.

    Returns:
        dx, with output's shape.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> one = np.ones(1, "float32")
        >>> qn.kernels.binary_crossentropy_dx(one, one, np.zeros(1, "float32"), from_logits=True)
        array([-0.5], dtype=float32)
    """
    if from_logits:
        return (1 / (1 + np.exp(-output)) - target) * dy
    slope = (1 - target) / (1 - output) - target / output
    return np.where((output < LOW) | (output > HIGH), np.zeros((), output.dtype), slope * dy)
