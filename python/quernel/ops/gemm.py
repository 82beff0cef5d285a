"""gemm, matmul, dot: products of matrices and vectors on Tensors."""

from .. import kernels, ops
from ..autograd import gradient
from ..dtypes import result_type
from .apply import op, operand

gemm = op(kernels.gemm)


def sum_to(dy, shape):
    """The gradient of broadcasting to dy's shape: dy summed over the dimensions that `shape` lacks or has as 1."""
    shape = tuple(shape)
    if tuple(dy.shape) == shape:
        return dy
    extra = len(dy.shape) - len(shape)
    axes = (*range(extra), *(i + extra for i, n in enumerate(shape) if n == 1 and dy.shape[i + extra] != 1))
    return ops.reshape(ops.sum(dy, axis=axes), shape)


@gradient(kernels.gemm)
def _(node, dy):
    a, b, c = node.inputs
    ta, tb, alpha = node.attrs["transpose_a"], node.attrs["transpose_b"], node.attrs["alpha"]
    beta = node.attrs["beta"]
    da = db = dc = None
    if node.needs(0):
        if ta:
            da = gemm(b, dy, transpose_a=tb, transpose_b=True, alpha=alpha)
        else:
            da = gemm(dy, b, transpose_b=not tb, alpha=alpha)
        da = sum_to(da, a.shape)
    if node.needs(1):
        if tb:
            db = gemm(dy, a, transpose_a=True, transpose_b=ta, alpha=alpha)
        else:
            db = gemm(a, dy, transpose_a=not ta, alpha=alpha)
        db = sum_to(db, b.shape)
    if node.needs(2) and beta != 0:
        dc = ops.multiply(sum_to(dy, c.shape), beta)
    return da, db, dc


def _promoted(x1, x2):
    """Both operands in the dtype where they meet; bool as int32."""
    x1, x2 = operand(x1), operand(x2)
    dtype = result_type(x1.dtype, x2.dtype)
    dtype = "int32" if dtype == "bool" else dtype
    return tuple(x if x.dtype == dtype else ops.cast(x, dtype) for x in (x1, x2))


def _need_dimensions(name, x1, x2):
    if not x1.shape or not x2.shape:
        raise ValueError(
            f"{name}: expected operands with at least 1 dimension, received shapes {tuple(x1.shape)} and "
            f"{tuple(x2.shape)}; multiply by a scalar with multiply"
        )


def matmul(x1, x2):
    """Multiplies matrices: y[..., i, j] = sum_k x1[..., i, k] * x2[..., k, j], by NumPy's rules.

    A vector on the left counts as a row, on the right as a column, and its dimension of 1 is dropped from the result.
    Other leading dimensions broadcast. The dtypes meet by the table of `quernel.dtypes.result_type`.

    Args:
        x1: Tensor of shape (..., m, k) or (k,).
        x2: Tensor of shape (..., k, n) or (k,).

    Returns:
        A Tensor of shape (..., m, n), without m or n where that operand is a vector.

    Raises:
        ValueError: for a scalar, or where the sizes do not agree.

    Example:
        >>> import quernel as qn
        >>> qn.ops.matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]).numpy()
        array([3., 7.], dtype=float32)
    """
    x1, x2 = _promoted(x1, x2)
    _need_dimensions("matmul", x1, x2)
    row, column = len(x1.shape) == 1, len(x2.shape) == 1
    if row:
        x1 = ops.expand_dims(x1, axis=0)
    if column:
        x2 = ops.expand_dims(x2, axis=-1)
    y = gemm(x1, x2)
    if row or column:
        y = ops.squeeze(y, axis=(-2, -1) if row and column else -2 if row else -1)
    return y


def dot(x1, x2):
    """NumPy's dot: the inner product of vectors, else y[i..., j...] = sum_k x1[i..., k] * x2[j..., k, j'].

    A scalar multiplies. A vector on the right is summed over its only dimension, others over their last but one.

    Args:
        x1: Tensor of shape (..., k).
        x2: Tensor of shape (k,) or (..., k, n).

    Returns:
        A Tensor of shape x1.shape[:-1] + x2.shape[:-2] + x2.shape[-1:].

    Raises:
        ValueError: where the sizes do not agree.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.dot([1.0, 2.0], [3.0, 4.0]))
        11.0
    """
    x1, x2 = _promoted(x1, x2)
    if not x1.shape or not x2.shape:
        return ops.multiply(x1, x2)
    if len(x2.shape) <= 2:
        return matmul(x1, x2)
    rank = len(x2.shape)
    columns = ops.transpose(x2, (rank - 2, *range(rank - 2), rank - 1))
    rest = tuple(columns.shape[1:])
    y = matmul(x1, ops.reshape(columns, (columns.shape[0], -1)))
    return ops.reshape(y, (*x1.shape[:-1], *rest))
