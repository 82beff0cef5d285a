"""gemm: batched matrix products with transposes, alpha and beta."""

import numbers

import numpy as np

from .kernel import Decline, is_float, jit, kernel, spec
from .product import product_loop


def _same(a, b):
    """Whether two sizes can be equal; None is unknown."""
    return a is None or b is None or a == b


def broadcast(shape, other, what):
    """The shape that both broadcast to; entries may be None. ValueError with `what` in front where they do not."""
    rank = max(len(shape), len(other))
    result = []
    for n, m in zip((1,) * (rank - len(shape)) + tuple(shape), (1,) * (rank - len(other)) + tuple(other)):
        if not (_same(n, m) or n == 1 or m == 1):
            raise ValueError(f"{what}: expected shapes that broadcast, received {tuple(shape)} and {tuple(other)}")
        result.append(m if n == 1 else n if m == 1 or n is not None else m)
    return tuple(result)


def _flag(value, name):
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"gemm: {name}: expected True or False, received {value!r}")
    return bool(value)


def _scalar(value, name, dtype):
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"gemm: {name}: expected a real number, received {value!r}")
    if not is_float(dtype) and value != int(value):
        raise TypeError(f"gemm: {name}: expected an integer for arrays of dtype {dtype}, received {value!r}")


def _shape(a, b, c=None, *, transpose_a=False, transpose_b=False, alpha=1.0, beta=0.0):
    dtype = np.dtype(a.dtype)
    for name, x in (("b", b), ("c", c)):
        if x is not None and np.dtype(x.dtype) != dtype:
            raise TypeError(f"gemm: {name}: expected a's dtype {dtype}, received {np.dtype(x.dtype)}; cast one of them")
    if dtype.kind == "b":
        raise TypeError("gemm: expected numbers, received bool arrays; cast them to int32")
    ta, tb = _flag(transpose_a, "transpose_a"), _flag(transpose_b, "transpose_b")
    _scalar(alpha, "alpha", dtype)
    _scalar(beta, "beta", dtype)
    if beta != 0 and c is None:
        raise ValueError(f"gemm: expected an array c for beta={beta}, received None; pass c or leave beta at 0")
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ValueError(
            f"gemm: expected a and b with 2 dimensions or more, received shapes {tuple(a.shape)} and "
            f"{tuple(b.shape)}; reshape a vector to one row or one column"
        )
    m, ka = a.shape[-1:-3:-1] if ta else a.shape[-2:]
    kb, n = b.shape[-1:-3:-1] if tb else b.shape[-2:]
    if not _same(ka, kb):
        raise ValueError(
            f"gemm: expected the inner sizes of a and b to agree, received {ka} and {kb} from shapes {tuple(a.shape)}"
            f"{' (transposed)' if ta else ''} and {tuple(b.shape)}{' (transposed)' if tb else ''}"
        )
    shape = (*broadcast(a.shape[:-2], b.shape[:-2], "gemm: batch dimensions of a and b"), m, n)
    if c is not None:
        fits = len(c.shape) <= len(shape) and all(s == 1 or _same(s, t) for s, t in zip(c.shape[::-1], shape[::-1]))
        if not fits:
            raise ValueError(f"gemm: c: expected a shape that broadcasts to {shape}, received {tuple(c.shape)}")
    return spec(shape, dtype)


def _native(a, b, c=None, *, transpose_a, transpose_b, alpha, beta):
    if a.dtype.num != 11:
        raise Decline(f"a is {a.dtype}; this kernel takes float32")
    return (transpose_a, transpose_b), (alpha, beta)


@jit
def _scale_loop(y, c, alpha, beta):
    for i in range(y.size):
        y[i] = alpha * y[i] + beta * c[i]


def _numba(outs, a, b, c=None, *, transpose_a, transpose_b, alpha, beta):
    y = outs[0]
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    batch, (m, n), k = y.shape[:-2], y.shape[-2:], a.shape[-1]
    count = int(np.prod(batch))
    a = np.ascontiguousarray(np.broadcast_to(a, (*batch, m, k))).reshape(count, m, k)
    b = np.ascontiguousarray(np.broadcast_to(b, (*batch, k, n))).reshape(count, k, n)
    product_loop(y.reshape(count, m, n), a, b)
    number = y.dtype.type
    if beta != 0:
        c = np.ascontiguousarray(np.broadcast_to(c, y.shape)).reshape(-1)
        _scale_loop(y.reshape(-1), c, number(alpha), number(beta))
    elif alpha != 1:
        np.multiply(y, number(alpha), out=y)


@kernel(shape=_shape, native=_native, numba=_numba)
def gemm(a, b, c=None, *, transpose_a=False, transpose_b=False, alpha=1.0, beta=0.0):
    """Multiplies matrices: y[..., i, j] = alpha * sum_k a[..., i, k] * b[..., k, j] + beta * c[..., i, j].

    Batch dimensions (all but the last two) broadcast. Transposed operands are read through their strides.

    Args:
        a: float array of shape (..., m, k), or (..., k, m) where `transpose_a`; integers are allowed too.
        b: array of a's dtype and shape (..., k, n), or (..., n, k) where `transpose_b`.
        c: array of a's dtype that broadcasts to the result; read only where beta is not 0.
        transpose_a: whether the last two dimensions of a are swapped.
        transpose_b: the same for b.
        alpha: factor of the product.
        beta: factor of c.

    Returns:
        An array of shape (..., m, n) and a's dtype. With k = 0 the product is zero.

    Raises:
        ValueError: where the shapes do not agree, or beta is not 0 without c.
        TypeError: where the dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> a = np.arange(4, dtype="float32").reshape(2, 2)
        >>> qn.kernels.gemm(a, a, transpose_b=True)
        array([[ 1.,  3.],
               [ 3., 13.]], dtype=float32)

    Source: J. Dongarra et al., A Set of Level 3 Basic Linear Algebra Subprograms, ACM TOMS 16 (1990).
    """
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    y = np.matmul(a, b)
    if alpha != 1:
        y = y * y.dtype.type(alpha)
    if beta != 0:
        y = y + c * y.dtype.type(beta)
    return y
