"""embedding: rows of a table of weights, by token ids."""

import numpy as np

from .kernel import Decline, jit, kernel, spec


def check_ids(ids, n, name):
    """IndexError unless every id is in [0, n); it names the first that is not, its position, and what to do."""
    bad = (ids < 0) | (ids >= n)
    if bad.any():
        position = tuple(int(i) for i in np.argwhere(bad)[0])
        value = int(ids[position])
        where = f" at position {position if len(position) != 1 else position[0]}" if position else ""
        fix = (
            "ids are not negative: use 0 for padding, and mask_zero=True"
            if value < 0
            else f"give the table at least {value + 1} rows (input_dim), or map unknown tokens to an id that it has"
        )
        raise IndexError(
            f"{name}: an id is out of range: expected ids in [0, {n}), the rows of the table, received {value}{where}; {fix}"
        )


def _embedding_shape(w, ids):
    if len(w.shape) != 2:
        raise ValueError(f"embedding: w: expected a table of shape (rows, u), received shape {tuple(w.shape)}")
    if np.dtype(ids.dtype).kind not in "iu":
        raise TypeError(f"embedding: ids: expected integers, received dtype {np.dtype(ids.dtype)}; cast to int32")
    return spec((*ids.shape, w.shape[1]), w.dtype)


def _embedding_native(w, ids):
    if w.dtype != np.float32:
        raise Decline(f"w is {w.dtype}; the native kernel takes float32")
    if ids.ndim > 7:
        raise Decline("the result has more than 8 dimensions")
    return (), ()


@jit
def _embedding_loop(y, w, ids):
    for k in range(ids.size):
        i = ids[k]
        if i < 0 or i >= w.shape[0]:
            return False
        for j in range(w.shape[1]):
            y[k, j] = w[i, j]
    return True


def _embedding_numba(outs, w, ids):
    flat = np.ascontiguousarray(ids, "int64").reshape(-1)
    if not _embedding_loop(outs[0].reshape(ids.size, w.shape[1]), np.ascontiguousarray(w), flat):
        check_ids(ids, w.shape[0], "embedding")


@kernel(shape=_embedding_shape, native=_embedding_native, numba=_embedding_numba)
def embedding(w, ids):
    """Takes rows of a table: y[i, :] = w[ids[i], :], where i stands for all axes of ids.

    Unlike `gather`, no id counts from the end.

    Args:
        w: array (rows, u) of any float dtype: the table.
        ids: integers in [0, rows), of any shape.

    Returns:
        An array of shape ids.shape + (u,) and w's dtype.

    Raises:
        IndexError: an id is out of range; the message names it, its position and the size of the table.
        ValueError, TypeError: w has not two axes; ids are no integers.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.embedding(np.array([[1.0, 2.0], [3.0, 4.0]], "float32"), np.array([1, 0, 1]))
        array([[3., 4.],
               [1., 2.],
               [3., 4.]], dtype=float32)
    """
    check_ids(ids, w.shape[0], "embedding")
    return w[ids] if ids.size else np.empty((*ids.shape, w.shape[1]), w.dtype)
