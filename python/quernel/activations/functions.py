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
    """The identity: y = x.

    Example:
        >>> import quernel as qn
        >>> qn.activations.linear(qn.constant([-1.0, 2.0])).numpy()
        array([-1.,  2.], dtype=float32)
    """
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
    """relu with an upper limit: y = min(max(x, 0), 6).

    Example:
        >>> import quernel as qn
        >>> qn.activations.relu6(qn.constant([-1.0, 2.0, 9.0])).numpy()
        array([0., 2., 6.], dtype=float32)
    """
    return ops.minimum(ops.relu(x), 6.0)


def leaky_relu(x, negative_slope=0.2):
    """y = x where x > 0, negative_slope * x elsewhere.

    Example:
        >>> import quernel as qn
        >>> qn.activations.leaky_relu(qn.constant([-1.0, 2.0])).numpy()
        array([-0.2,  2. ], dtype=float32)
    """
    return ops.leaky_relu(x, negative_slope=negative_slope)


def elu(x, alpha=1.0):
    """y = x where x > 0, alpha * (exp(x) - 1) elsewhere.

    Example:
        >>> import quernel as qn
        >>> qn.activations.elu(qn.constant([-1.0, 2.0])).numpy().round(4)
        array([-0.6321,  2.    ], dtype=float32)
    """
    return ops.elu(x, alpha=alpha)


def selu(x):
    """y = 1.0507 * elu(x, 1.6733): keeps mean 0 and variance 1 through deep stacks (Klambauer et al., 2017).

    Example:
        >>> import quernel as qn
        >>> qn.activations.selu(qn.constant([-1.0, 2.0])).numpy().round(4)
        array([-1.1113,  2.1014], dtype=float32)
    """
    return ops.selu(x)


def gelu(x, approximate=False):
    """y = x * P(X <= x) with X standard normal; `approximate` uses tanh (Hendrycks and Gimpel, 2016).

    Example:
        >>> import quernel as qn
        >>> qn.activations.gelu(qn.constant([-1.0, 2.0])).numpy().round(4)
        array([-0.1587,  1.9545], dtype=float32)
    """
    return ops.gelu(x, approximate=approximate)


def sigmoid(x):
    """y = 1 / (1 + exp(-x)). The result keeps x for BinaryCrossentropy, which computes from it without cancellation.

    Example:
        >>> import quernel as qn
        >>> qn.activations.sigmoid(qn.constant([0.0, 2.0])).numpy().round(4)
        array([0.5   , 0.8808], dtype=float32)
    """
    x = operand(x)
    return _leave_logits(ops.sigmoid(x), x, "sigmoid")


def tanh(x):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    Example:
        >>> import quernel as qn
        >>> qn.activations.tanh(qn.constant([0.0, 2.0])).numpy().round(4)
        array([0.   , 0.964], dtype=float32)
    """
    return ops.tanh(x)


def softplus(x):
    """y = log(exp(x) + 1).

    Example:
        >>> import quernel as qn
        >>> qn.activations.softplus(qn.constant([0.0, 2.0])).numpy().round(4)
        array([0.6931, 2.1269], dtype=float32)
    """
    return ops.softplus(x)


def softsign(x):
    """y = x / (|x| + 1).

    Example:
        >>> import quernel as qn
        >>> qn.activations.softsign(qn.constant([-1.0, 4.0])).numpy()
        array([-0.5,  0.8], dtype=float32)
    """
    x = operand(x)
    return x / (ops.absolute(x) + 1.0)


def silu(x):
    """y = x * sigmoid(x), also called swish.

    Example:
        >>> import quernel as qn
        >>> qn.activations.silu(qn.constant([-1.0, 2.0])).numpy().round(4)
        array([-0.2689,  1.7616], dtype=float32)
    """
    return ops.silu(x)


def mish(x):
    """y = x * tanh(softplus(x)) (Misra, 2019).

    Example:
        >>> import quernel as qn
        >>> qn.activations.mish(qn.constant([-1.0, 2.0])).numpy().round(4)
        array([-0.3034,  1.944 ], dtype=float32)
    """
    x = operand(x)
    return x * ops.tanh(ops.softplus(x))


def exponential(x):
    """y = exp(x).

    Example:
        >>> import quernel as qn
        >>> qn.activations.exponential(qn.constant([0.0, 1.0])).numpy().round(4)
        array([1.    , 2.7183], dtype=float32)
    """
    return ops.exp(x)


def hard_sigmoid(x):
    """y = relu6(x + 3) / 6: a piecewise linear sigmoid.

    Example:
        >>> import quernel as qn
        >>> qn.activations.hard_sigmoid(qn.constant([-3.0, 0.0, 3.0])).numpy()
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return relu6(operand(x) + 3.0) / 6.0


def hard_silu(x):
    """y = x * hard_sigmoid(x), also called hard_swish.

    Example:
        >>> import quernel as qn
        >>> qn.activations.hard_silu(qn.constant([-3.0, 0.0, 3.0])).numpy()
        array([-0.,  0.,  3.], dtype=float32)
    """
    x = operand(x)
    return x * hard_sigmoid(x)


def softmax(x, axis=-1):
    """y[i] = exp(x[i]) / sum over j of exp(x[j]), along `axis`.

    The result keeps x for the categorical cross-entropies, which compute from it in one fused kernel.

    Args:
        x: Tensor of floats.
        axis: the axis (or axes) along which the result sums to 1.

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
    """y[i] = x[i] - log(sum over j of exp(x[j])), along `axis`.

    Example:
        >>> import quernel as qn
        >>> qn.activations.log_softmax(qn.constant([0.0, 0.0])).numpy().round(4)
        array([-0.6931, -0.6931], dtype=float32)
    """
    return ops.log_softmax(x, axis=axis)
