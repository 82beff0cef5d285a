"""Activations: relu leaky_relu sigmoid tanh softplus silu, and the kernels of their gradients.

relu_dx, sigmoid_dx and tanh_dx take the activation's output, the others its input.
"""

import numpy as np

from . import activation_loops as loops
from .elementwise import FLOATS, binary, plain, unary
from .kernel import kernel


@kernel(shape=unary("relu"), native=plain, numba=loops.relu.fill)
def relu(x):
    """Rectifier: y[i] = +0 if x[i] <= 0 else x[i], so NaN passes.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.relu(np.array([-1, 0, 2], "float32")).round(3)
        array([0., 0., 2.], dtype=float32)
    """
    return np.where(x <= 0, x.dtype.type(0), x)


@kernel(shape=binary("relu_dx", FLOATS, None, "dy", "y"), native=plain, numba=loops.relu_dx.fill)
def relu_dx(dy, y):
    """Gradient of relu: dx[i] = 0 if y[i] <= 0 else dy[i].

    Args:
        dy: gradient of the output.
        y: the output of relu.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, y = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.relu_dx(dy, y).round(3)
        array([0., 1.], dtype=float32)
    """
    return np.where(y <= 0, dy.dtype.type(0), dy)


@kernel(shape=unary("leaky_relu"), native=plain, numba=loops.leaky_relu.fill)
def leaky_relu(x, *, negative_slope=0.2):
    """Rectifier with a slope below 0: y[i] = x[i] if x[i] > 0 else negative_slope * x[i].

    Args:
        x: array of floats.
        negative_slope: the slope below 0.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.leaky_relu(np.array([-1, 0, 2], "float32")).round(3)
        array([-0.2,  0. ,  2. ], dtype=float32)
    """
    return np.where(x > 0, x, negative_slope * x)


@kernel(shape=binary("leaky_relu_dx", FLOATS, None, "dy", "x"), native=plain, numba=loops.leaky_relu_dx.fill)
def leaky_relu_dx(dy, x, *, negative_slope=0.2):
    """Gradient of leaky_relu: dx[i] = dy[i] if x[i] > 0 else negative_slope * dy[i].

    Args:
        dy: gradient of the output.
        x: the input of leaky_relu.
        negative_slope: the slope below 0.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, x = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.leaky_relu_dx(dy, x).round(3)
        array([0.2, 1. ], dtype=float32)
    """
    return np.where(x > 0, dy, negative_slope * dy)


def sigmoid_of(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


@kernel(shape=unary("sigmoid"), native=plain, numba=loops.sigmoid.fill)
def sigmoid(x):
    """Logistic function: y[i] = 1 / (1 + e ** -x[i]).

    Computed with e ** -|x|, which never overflows.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.sigmoid(np.array([-1, 0, 2], "float32")).round(3)
        array([0.269, 0.5  , 0.881], dtype=float32)
    """
    return sigmoid_of(x)


@kernel(shape=binary("sigmoid_dx", FLOATS, None, "dy", "y"), native=plain, numba=loops.sigmoid_dx.fill)
def sigmoid_dx(dy, y):
    """Gradient of sigmoid: dx[i] = dy[i] * y[i] * (1 - y[i]).

    Args:
        dy: gradient of the output.
        y: the output of sigmoid.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, y = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.sigmoid_dx(dy, y).round(3)
        array([-0.75,  0.25], dtype=float32)
    """
    return dy * (y * (1 - y))


@kernel(shape=unary("tanh"), native=plain, numba=loops.tanh.fill)
def tanh(x):
    """Hyperbolic tangent: y[i] = tanh(x[i]).

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.tanh(np.array([-1, 0, 2], "float32")).round(3)
        array([-0.762,  0.   ,  0.964], dtype=float32)
    """
    return np.tanh(x)


@kernel(shape=binary("tanh_dx", FLOATS, None, "dy", "y"), native=plain, numba=loops.tanh_dx.fill)
def tanh_dx(dy, y):
    """Gradient of tanh: dx[i] = dy[i] * (1 - y[i] ** 2).

    Args:
        dy: gradient of the output.
        y: the output of tanh.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, y = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.tanh_dx(dy, y).round(3)
        array([0.75, 0.75], dtype=float32)
    """
    return dy * (1 - y * y)


@kernel(shape=unary("softplus"), native=plain, numba=loops.softplus.fill)
def softplus(x):
    """Smooth rectifier: y[i] = ln(1 + e ** x[i]).

    Computed as max(x, 0) + log1p(e ** -|x|), which never overflows.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.softplus(np.array([-1, 0, 2], "float32")).round(3)
        array([0.313, 0.693, 2.127], dtype=float32)
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@kernel(shape=binary("softplus_dx", FLOATS, None, "dy", "x"), native=plain, numba=loops.softplus_dx.fill)
def softplus_dx(dy, x):
    """Gradient of softplus: dx[i] = dy[i] * sigmoid(x[i]).

    Args:
        dy: gradient of the output.
        x: the input of softplus.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, x = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.softplus_dx(dy, x).round(3)
        array([0.378, 0.622], dtype=float32)
    """
    return dy * sigmoid_of(x)


@kernel(shape=unary("silu"), native=plain, numba=loops.silu.fill)
def silu(x):
    """Sigmoid linear unit, also called swish: y[i] = x[i] * sigmoid(x[i]).

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.silu(np.array([-1, 0, 2], "float32")).round(3)
        array([-0.269,  0.   ,  1.762], dtype=float32)

    Source: Ramachandran, Zoph and Le, 2017, arXiv:1710.05941.
    """
    return x * sigmoid_of(x)


@kernel(shape=binary("silu_dx", FLOATS, None, "dy", "x"), native=plain, numba=loops.silu_dx.fill)
def silu_dx(dy, x):
    """Gradient of silu: dx[i] = dy[i] * s * (1 + x[i] * (1 - s)), s = sigmoid(x[i]).

    Args:
        dy: gradient of the output.
        x: the input of silu.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, x = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.silu_dx(dy, x).round(3)
        array([0.26, 0.74], dtype=float32)
    """
    s = sigmoid_of(x)
    return dy * (s * (1 + x * sigmoid_of(-x)))
