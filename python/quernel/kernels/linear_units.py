"""Linear units with smooth tails: elu selu gelu, and the kernels of their gradients, which take the input."""

import math

import numpy as np

from .activations import sigmoid_of
from .elementary import erf_of
from .elementwise import FLOATS, binary, plain, unary
from .kernel import kernel, vectorized

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
GELU_SCALE, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715
ROOT_HALF, NORMAL = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


@vectorized
def _elu(x, alpha):
    return x if x > 0 else alpha * math.expm1(x)


@kernel(shape=unary("elu"), native=plain, numba=_elu.fill)
def elu(x, *, alpha=1.0):
    """Exponential linear unit: y[i] = x[i] if x[i] > 0 else alpha * (e ** x[i] - 1).

    Args:
        x: array of floats.
        alpha: minus the limit at -inf.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.elu(np.array([-1, 0, 2], "float32")).round(3)
        array([-0.632,  0.   ,  2.   ], dtype=float32)

    Source: Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289.
    """
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, x.dtype.type(0), x)))


@vectorized
def _elu_dx(dy, x, alpha):
    return dy if x > 0 else dy * (alpha * math.exp(x))


@kernel(shape=binary("elu_dx", FLOATS, None, "dy", "x"), native=plain, numba=_elu_dx.fill)
def elu_dx(dy, x, *, alpha=1.0):
    """Gradient of elu: dx[i] = dy[i] if x[i] > 0 else dy[i] * alpha * e ** x[i].

    Args:
        dy: gradient of the output.
        x: the input of elu.
        alpha: minus the limit at -inf.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, x = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.elu_dx(dy, x).round(3)
        array([0.607, 1.   ], dtype=float32)
    """
    return np.where(x > 0, dy, dy * (alpha * np.exp(np.minimum(x, 0))))


@vectorized
def _selu(x):
    return SELU_SCALE * (x if x > 0 else SELU_ALPHA * math.expm1(x))


@kernel(shape=unary("selu"), native=plain, numba=_selu.fill)
def selu(x):
    """Scaled exponential linear unit: y[i] = scale * (x[i] if x[i] > 0 else alpha * (e ** x[i] - 1)).

    scale = 1.0507..., alpha = 1.6733...: a unit normal input keeps mean 0 and variance 1.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.selu(np.array([-1, 0, 2], "float32")).round(3)
        array([-1.111,  0.   ,  2.101], dtype=float32)

    Source: Klambauer et al., 2017, arXiv:1706.02515.
    """
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.where(x > 0, x.dtype.type(0), x)))


@vectorized
def _selu_dx(dy, x):
    return SELU_SCALE * dy * (1.0 if x > 0 else SELU_ALPHA * math.exp(x))


@kernel(shape=binary("selu_dx", FLOATS, None, "dy", "x"), native=plain, numba=_selu_dx.fill)
def selu_dx(dy, x):
    """Gradient of selu: dx[i] = dy[i] * scale * (1 if x[i] > 0 else alpha * e ** x[i]).

    Args:
        dy: gradient of the output.
        x: the input of selu.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, x = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.selu_dx(dy, x).round(3)
        array([1.066, 1.051], dtype=float32)
    """
    return SELU_SCALE * dy * np.where(x > 0, 1, SELU_ALPHA * np.exp(np.minimum(x, 0)))


@vectorized
def _gelu(x, approximate):
    if approximate:
        return x / (1.0 + math.exp(-GELU_SCALE * x * (1.0 + GELU_CUBE * x * x)))
    return 0.5 * x * (1.0 + math.erf(ROOT_HALF * x))


@kernel(shape=unary("gelu"), native=plain, numba=_gelu.fill)
def gelu(x, *, approximate=True):
    """Gaussian error linear unit: y[i] = x[i] * P(N <= x[i]) for a unit normal N.

    Exact: y = x/2 (1 + erf(x / sqrt(2))). Approximate: y = x/2 (1 + tanh(u)) = x * sigmoid(2 u), u = sqrt(2/pi) (x
    + 0.044715 x^3).

    Args:
        x: array of floats.
        approximate: True for the tanh form, False for the exact one by erf.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.gelu(np.array([-1, 0, 2], "float32")).round(3)
        array([-0.159,  0.   ,  1.955], dtype=float32)

    Source: Hendrycks and Gimpel, 2016, arXiv:1606.08415.
    """
    if approximate:
        return x * sigmoid_of(GELU_SCALE * x * (1 + GELU_CUBE * x * x))
    return 0.5 * x * (1 + erf_of(ROOT_HALF * x).astype(x.dtype))


@vectorized
def _gelu_dx(dy, x, approximate):
    if approximate:
        v = GELU_SCALE * x * (1.0 + GELU_CUBE * x * x)
        e = math.exp(-abs(v))
        s = (e if v < 0 else 1.0) / (1.0 + e)
        return dy * (s + x * (GELU_SCALE * (1.0 + 3.0 * GELU_CUBE * x * x)) * (e / ((1.0 + e) * (1.0 + e))))
    return dy * (0.5 * (1.0 + math.erf(ROOT_HALF * x)) + x * NORMAL * math.exp(-0.5 * x * x))


@kernel(shape=binary("gelu_dx", FLOATS, None, "dy", "x"), native=plain, numba=_gelu_dx.fill)
def gelu_dx(dy, x, *, approximate=True):
    """Gradient of gelu: dx[i] = dy[i] * d gelu(x[i]) / d x[i].

    Args:
        dy: gradient of the output.
        x: the input of gelu.
        approximate: True for the tanh form, False for the exact one by erf.

    Returns:
        Gradient of the input: array of their shape and dtype.

    Raises:
        ValueError: shapes do not broadcast. TypeError: dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> dy, x = np.ones(2, "float32"), np.array([-0.5, 0.5], "float32")
        >>> qn.kernels.gelu_dx(dy, x).round(3)
        array([0.133, 0.867], dtype=float32)
    """
    if approximate:
        v = GELU_SCALE * x * (1 + GELU_CUBE * x * x)
        s = sigmoid_of(v)
        return dy * (s + x * (GELU_SCALE * (1 + 3 * GELU_CUBE * x * x)) * (s * sigmoid_of(-v)))
    return dy * (0.5 * (1 + erf_of(ROOT_HALF * x).astype(x.dtype)) + x * (NORMAL * np.exp(-0.5 * x * x)))
