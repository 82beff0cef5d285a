"""Elementary functions of floats: exp log log1p expm1 sqrt rsqrt erf floor sin cos."""

import math

import numpy as np

from .elementwise import FLOATS, plain, unary
from .kernel import kernel, vectorized


@vectorized
def _exp(x):
    return math.exp(x)


@kernel(shape=unary("exp", FLOATS), native=plain, numba=_exp.fill)
def exp(x):
    """Exponential: y[i] = e ** x[i].

    float32: within 2 ulp; subnormal arguments count as zero, subnormal results are zero.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.exp(np.array([0, 1], "float32")).round(4)
        array([1.    , 2.7183], dtype=float32)
    """
    return np.exp(x)


@vectorized
def _log(x):
    return np.log(x)


@kernel(shape=unary("log", FLOATS), native=plain, numba=_log.fill)
def log(x):
    """Natural logarithm: y[i] = ln(x[i]).

    -inf at 0, NaN below. float32: within 2 ulp; subnormal arguments count as zero, subnormal results are zero.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.log(np.array([1, 0], "float32"))
        array([  0., -inf], dtype=float32)
    """
    return np.log(x)


@vectorized
def _log1p(x):
    return np.log1p(x)


@kernel(shape=unary("log1p", FLOATS), native=plain, numba=_log1p.fill)
def log1p(x):
    """Logarithm near 1: y[i] = ln(1 + x[i]).

    -inf at -1, NaN below. float32: within 2 ulp; subnormal arguments count as zero, subnormal results are zero.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.log1p(np.array([0, 0.5], "float32")).round(4)
        array([0.    , 0.4055], dtype=float32)
    """
    return np.log1p(x)


@vectorized
def _expm1(x):
    return math.expm1(x)


@kernel(shape=unary("expm1", FLOATS), native=plain, numba=_expm1.fill)
def expm1(x):
    """Exponential less one: y[i] = e ** x[i] - 1.

    float32: within 2 ulp; subnormal arguments count as zero, subnormal results are zero.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.expm1(np.array([0, 0.5], "float32")).round(4)
        array([0.    , 0.6487], dtype=float32)
    """
    return np.expm1(x)


@vectorized
def _sqrt(x):
    return np.sqrt(x)


@kernel(shape=unary("sqrt", FLOATS), native=plain, numba=_sqrt.fill)
def sqrt(x):
    """Square root: y[i] = sqrt(x[i]).

    Correctly rounded; NaN below 0.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.sqrt(np.array([4, 2], "float32"))
        array([2.       , 1.4142135], dtype=float32)
    """
    return np.sqrt(x)


@vectorized
def _rsqrt(x):
    return 1 / np.sqrt(x)


@kernel(shape=unary("rsqrt", FLOATS), native=plain, numba=_rsqrt.fill)
def rsqrt(x):
    """Reciprocal square root: y[i] = 1 / sqrt(x[i]).

    A root and a division, both correctly rounded.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.rsqrt(np.array([4, 0.25], "float32"))
        array([0.5, 2. ], dtype=float32)
    """
    return 1 / np.sqrt(x)


erf_of = np.vectorize(math.erf, otypes=[np.float64])


@vectorized
def _erf(x):
    return math.erf(x)


@kernel(shape=unary("erf", FLOATS), native=plain, numba=_erf.fill)
def erf(x):
    """Error function: y[i] = 2 / sqrt(pi) * integral of exp(-t^2) for t from 0 to x[i].

    float32: within 2 ulp; subnormal arguments count as zero, subnormal results are zero.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.erf(np.array([0, 1], "float32"))
        array([0.       , 0.8427008], dtype=float32)
    """
    return erf_of(x).astype(x.dtype)


@vectorized
def _floor(x):
    return np.floor(x)


@kernel(shape=unary("floor", FLOATS), native=plain, numba=_floor.fill)
def floor(x):
    """Rounds down: y[i] = the largest whole number <= x[i].

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.floor(np.array([1.5, -1.5], "float32"))
        array([ 1., -2.], dtype=float32)
    """
    return np.floor(x)


@vectorized
def _sin(x):
    return math.sin(x)


@kernel(shape=unary("sin", FLOATS), native=plain, numba=_sin.fill)
def sin(x):
    """Sine: y[i] = sin(x[i]), x in radians.

    Over the whole range of float32; NaN for inf. float32: within 2 ulp; subnormal arguments count as zero,
    subnormal results are zero.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.sin(np.array([0, 1.5707964], "float32"))
        array([0., 1.], dtype=float32)
    """
    return np.sin(x)


@vectorized
def _cos(x):
    return math.cos(x)


@kernel(shape=unary("cos", FLOATS), native=plain, numba=_cos.fill)
def cos(x):
    """Cosine: y[i] = cos(x[i]), x in radians.

    Over the whole range of float32; NaN for inf. float32: within 2 ulp; subnormal arguments count as zero,
    subnormal results are zero.

    Args:
        x: array of floats.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: another dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.cos(np.array([0, 0.5], "float32"))
        array([1.        , 0.87758255], dtype=float32)
    """
    return np.cos(x)
