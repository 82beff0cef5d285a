"""dense: the products of a fully connected layer, its bias and activation fused, and their gradients."""

import numpy as np

from .kernel import jit, kernel, spec
from .product import product_loop

ACTIVATIONS = (None, "relu", "sigmoid", "tanh")  # those whose gradient follows from y; numbered as in csrc/dot/dot.hpp


def activation_code(activation, op):
    """The number of a fused activation; ValueError naming the op for any other."""
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"{op}: activation: expected one of {ACTIVATIONS}, received {activation!r}; apply others after it"
        )
    return ACTIVATIONS.index(activation)


def activate(y, activation):
    """The definition of the fused activations, on an array."""
    if activation == "relu":
        return np.where(y <= 0, y.dtype.type(0), y)
    if activation == "sigmoid":
        e = np.exp(-np.abs(y))
        return np.where(y < 0, e / (1 + e), 1 / (1 + e))
    if activation == "tanh":
        return np.tanh(y)
    return y


@jit
def epilogue_loop(y, b, code):
    """y[i, j] = activation(y[i, j] + b[j]) on rows."""
    one = y.dtype.type(1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            v = y[i, j] + b[j]
            if code == 1:
                if v <= 0:
                    v = one - one
            elif code == 2:
                e = np.exp(-abs(v))
                v = e / (one + e) if v < 0 else one / (one + e)
            elif code == 3:
                v = np.tanh(v)
            y[i, j] = v


def _check(op, **arrays):
    first = None
    for name, a in arrays.items():
        if a is None:
            continue
        if np.dtype(a.dtype).kind in "iub":
            raise TypeError(f"{op}: {name}: expected floats, received {np.dtype(a.dtype)}; cast with astype first")
        if name == "w" and len(a.shape) != 2:
            raise ValueError(f"{op}: w: expected shape (i, o), received {tuple(a.shape)}")
        if name in ("x", "dy") and len(a.shape) < 1:
            raise ValueError(f"{op}: {name}: expected at least 1 dimension, received a scalar")
        first = first if first is not None else np.dtype(a.dtype)
    return first


def _agree(op, name, a, axis, size, of):
    have = a.shape[axis]
    if have is not None and size is not None and have != size:
        raise ValueError(f"{op}: {name}: expected a {'first' if axis == 0 else 'last'} dimension of {size} like {of}, "
                         f"received shape {tuple(a.shape)}")  # fmt: skip


def _rows(x):
    """x as a C-contiguous (1, rows, features) array."""
    rows = int(np.prod(x.shape[:-1]))
    return np.ascontiguousarray(x).reshape(1, rows, x.shape[-1])


def _forward_shape(x, w, b=None, *, activation=None):
    dtype = _check("dense_forward", x=x, w=w, b=b)
    activation_code(activation, "dense_forward")
    _agree("dense_forward", "x", x, -1, w.shape[0], f"the first of w {tuple(w.shape)}")
    if b is not None:
        if len(b.shape) != 1:
            raise ValueError(f"dense_forward: b: expected shape (o,), received {tuple(b.shape)}")
        _agree("dense_forward", "b", b, 0, w.shape[1], f"the last of w {tuple(w.shape)}")
    return spec((*x.shape[:-1], w.shape[1]), dtype)


def _forward_native(x, w, b=None, *, activation):
    return (activation_code(activation, "dense_forward"),), ()


def _forward_numba(outs, x, w, b=None, *, activation):
    x = _rows(x)
    y = outs[0].reshape(1, x.shape[1], w.shape[1])
    product_loop(y, x, np.ascontiguousarray(w)[None])
    if b is not None or activation is not None:
        b = np.zeros(w.shape[1], w.dtype) if b is None else np.ascontiguousarray(b)
        epilogue_loop(y[0], b, ACTIVATIONS.index(activation))


@kernel(shape=_forward_shape, native=_forward_native, numba=_forward_numba)
def dense_forward(x, w, b=None, *, activation=None):
    """Computes a fully connected layer: y[..., o] = activation(sum_i x[..., i] * w[i, o] + b[o]).

    Args:
        x: float array of shape (..., i).
        w: array of x's dtype and shape (i, o).
        b: array of x's dtype and shape (o,), or None.
        activation: None, "relu" (v <= 0 gives 0, NaN passes), "sigmoid" or "tanh".

    Returns:
        An array of shape (..., o) and x's dtype.

    Raises:
        ValueError: where the shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.array([[1.0, -2.0]], "float32")
        >>> qn.kernels.dense_forward(x, np.eye(2, dtype="float32"), np.ones(2, "float32"), activation="relu")
        array([[2., 0.]], dtype=float32)
    """
    y = np.matmul(x, w)
    if b is not None:
        y = y + b
    return activate(y, activation)


def _dx_shape(dy, w):
    dtype = _check("dense_dx", dy=dy, w=w)
    _agree("dense_dx", "dy", dy, -1, w.shape[1], f"the last of w {tuple(w.shape)}")
    return spec((*dy.shape[:-1], w.shape[0]), dtype)


def _no_attributes(*arrays):
    return (), ()


def _dx_numba(outs, dy, w):
    dy = _rows(dy)
    product_loop(outs[0].reshape(1, dy.shape[1], w.shape[0]), dy, np.ascontiguousarray(w.T)[None])


@kernel(shape=_dx_shape, native=_no_attributes, numba=_dx_numba)
def dense_dx(dy, w):
    """Gradient of a fully connected layer in its input: dx[..., i] = sum_o dy[..., o] * w[i, o].

    Args:
        dy: float array of shape (..., o), the gradient before the activation.
        w: array of dy's dtype and shape (i, o).

    Returns:
        An array of shape (..., i) and dy's dtype.

    Raises:
        ValueError: where the shapes do not agree.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.dense_dx(np.ones((1, 2), "float32"), np.array([[1, 2], [3, 4]], "float32"))
        array([[3., 7.]], dtype=float32)
    """
    return np.matmul(dy, w.T)


def _dw_shape(x, dy):
    dtype = _check("dense_dw", x=x, dy=dy)
    same = len(x.shape) == len(dy.shape) and all(
        n is None or m is None or n == m for n, m in zip(x.shape[:-1], dy.shape[:-1])
    )
    if not same:
        raise ValueError(
            f"dense_dw: expected x (..., i) and dy (..., o) with equal leading dimensions, "
            f"received shapes {tuple(x.shape)} and {tuple(dy.shape)}"
        )
    return spec((x.shape[-1], dy.shape[-1]), dtype)


def _dw_numba(outs, x, dy):
    x = np.ascontiguousarray(np.swapaxes(_rows(x), 1, 2))
    product_loop(outs[0][None], x, _rows(dy))


@kernel(shape=_dw_shape, native=_no_attributes, numba=_dw_numba)
def dense_dw(x, dy):
    """Gradient of a fully connected layer in its weights: dw[i, o] = sum over all rows of x[..., i] * dy[..., o].

    Args:
        x: float array of shape (..., i), the layer's input.
        dy: array of x's dtype and shape (..., o), the gradient before the activation.

    Returns:
        An array of shape (i, o) and x's dtype.

    Raises:
        ValueError: where the leading dimensions differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.dense_dw(np.array([[1, 2], [3, 4]], "float32"), np.ones((2, 1), "float32"))
        array([[4.],
               [6.]], dtype=float32)
    """
    rows = int(np.prod(x.shape[:-1]))
    return np.matmul(x.reshape(rows, x.shape[-1]).T, dy.reshape(rows, dy.shape[-1]))


def _db_shape(dy):
    dtype = _check("bias_db", dy=dy)
    return spec((dy.shape[-1],), dtype)


@jit
def _column_sums(db, dy):
    for o in range(db.size):
        db[o] = 0
    for i in range(dy.shape[0]):
        for o in range(db.size):
            db[o] += dy[i, o]


def _db_numba(outs, dy):
    rows = _rows(dy)[0]
    sums = np.zeros((2, dy.shape[-1]), dy.dtype)
    for at in range(0, rows.shape[0], 512):  # short chains: 43k terms in one lose 1e-5
        _column_sums(sums[0], rows[at : at + 512])
        sums[1] += sums[0]
    outs[0][...] = sums[1]


@kernel(shape=_db_shape, native=_no_attributes, numba=_db_numba)
def bias_db(dy):
    """Gradient of a bias over the last dimension: db[o] = sum over all rows of dy[..., o].

    Args:
        dy: float array of shape (..., o): the gradient of a dense layer or of a convolution, before the activation.

    Returns:
        An array of shape (o,) and dy's dtype.

    Raises:
        ValueError: for a scalar.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.bias_db(np.ones((2, 3, 2), "float32"))
        array([6., 6.], dtype=float32)
    """
    return np.sum(dy, axis=tuple(range(dy.ndim - 1)))
