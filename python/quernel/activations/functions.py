"""Activation functions: those of quernel.ops under Keras 3's names and arguments, and the few composed of them."""

from .. import ops
from ..ops.apply import is_symbolic, operand


def _leave_logits(y, x, function, axis=None):
    """Keeps the logits on a softmax's or sigmoid's output, where the cross-entropy that belongs to that function (and
    axis) looks for them.
    """
    if not is_symbolic(y):
        y._keras_logits = x
        y._keras_logits_of = function, axis
    return y


def linear(x):
    """The identity: y = x."""
    return operand(x)


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """Rectified linear unit: y = x where x > threshold, negative_slope * (x - threshold) elsewhere, at most max_value.

    Args:
        x: Tensor of floats of any shape.
        negative_slope: slope below the threshold, at least 0.
        max_value: largest value of the result, or None for no limit.
        threshold: values at or below it are damped.

    Returns:
        A Tensor of x's shape.

    Example:
        >>> import quernel as qn
        >>> qn.activations.relu(qn.constant([-1.0, 2.0])).numpy()
        array([0., 2.], dtype=float32)
    """
    if threshold == 0.0:
        y = ops.relu(x) if negative_slope == 0.0 else ops.leaky_relu(x, negative_slope=negative_slope)
    else:
        x = operand(x)
        below = negative_slope * (x - threshold) if negative_slope else ops.zeros_like(x)
        y = ops.where(x > threshold, x, below)
    return y if max_value is None else ops.minimum(y, max_value)


def relu6(x):
    """relu with an upper limit: y = min(max(x, 0), 6)."""
    return ops.minimum(ops.relu(x), 6.0)


def leaky_relu(x, negative_slope=0.2):
    """y = x where x > 0, negative_slope * x elsewhere."""
    return ops.leaky_relu(x, negative_slope=negative_slope)


def elu(x, alpha=1.0):
    """y = x where x > 0, alpha * (exp(x) - 1) elsewhere."""
    return ops.elu(x, alpha=alpha)


def selu(x):
    """y = 1.0507 * elu(x, 1.6733): keeps mean 0 and variance 1 through deep stacks (Klambauer et al., 2017)."""
    return ops.selu(x)


def gelu(x, approximate=False):
    """y = x * P(X <= x) with X standard normal; `approximate` uses tanh (Hendrycks and Gimpel, 2016)."""
    return ops.gelu(x, approximate=approximate)


def sigmoid(x):
    """y = 1 / (1 + exp(-x)). The result keeps x for BinaryCrossentropy, which computes from it without cancellation."""
    x = operand(x)
    return _leave_logits(ops.sigmoid(x), x, "sigmoid")


def tanh(x):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""
    return ops.tanh(x)


def softplus(x):
    """y = log(exp(x) + 1)."""
    return ops.softplus(x)


def softsign(x):
    """y = x / (|x| + 1)."""
    x = operand(x)
    return x / (ops.absolute(x) + 1.0)


def silu(x):
    """y = x * sigmoid(x), also called swish."""
    return ops.silu(x)


def mish(x):
    """y = x * tanh(softplus(x)) (Misra, 2019)."""
    x = operand(x)
    return x * ops.tanh(ops.softplus(x))


def exponential(x):
    """y = exp(x)."""
    return ops.exp(x)


def hard_sigmoid(x):
    """y = relu6(x + 3) / 6: a piecewise linear sigmoid."""
    return relu6(operand(x) + 3.0) / 6.0


def hard_silu(x):
    """y = x * hard_sigmoid(x), also called hard_swish."""
    x = operand(x)
    return x * hard_sigmoid(x)


def softmax(x, axis=-1):
    """y[i] = exp(x[i]) / sum over j of exp(x[j]), along `axis`.

    The result keeps x for the categorical cross-entropies, which compute from it in one fused kernel.

    Args:
        x: Tensor of floats.
        axis: the axis along which the result sums to 1.

    Returns:
        A Tensor of x's shape.

    Raises:
        ValueError: x has no axis `axis`.

    Example:
        >>> import quernel as qn
        >>> qn.activations.softmax(qn.constant([[0.0, 0.0]])).numpy()
        array([[0.5, 0.5]], dtype=float32)
    """
    x = operand(x)
    y = ops.softmax(x, axis=axis)
    return _leave_logits(y, x, "softmax", axis % len(x.shape)) if isinstance(axis, int) else y


def log_softmax(x, axis=-1):
    """y[i] = x[i] - log(sum over j of exp(x[j])), along `axis`."""
    return ops.log_softmax(x, axis=axis)
