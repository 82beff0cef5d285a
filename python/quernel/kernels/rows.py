"""rows_merge: the gradient of a table as the rows that a batch touched."""

import numpy as np

from .kernel import jit, kernel, spec


def _wrapped(ids, n):
    """Ids as one list of int64 in [0, n); IndexError where one is out of [-n, n)."""
    flat = np.ascontiguousarray(ids, "int64").reshape(-1)
    bad = (flat < -n) | (flat >= n)
    if bad.any():
        raise IndexError(
            f"rows_merge: an id is out of range: expected values in [{-n}, {n}), received {flat[bad][0]} at position "
            f"{int(np.argmax(bad))}"
        )
    return np.where(flat < 0, flat + n, flat)


def _merge_shape(ids, updates, n):
    if len(ids) != len(updates) or not ids:
        raise ValueError(
            f"rows_merge: expected as many ids as updates and at least one of each, received {len(ids)} and {len(updates)}"
        )
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"rows_merge: n: expected the number of rows of the table, received {n!r}")
    width = updates[0].shape[-1] if len(updates[0].shape) else 0
    total = 0
    for i, (one, update) in enumerate(zip(ids, updates)):
        if np.dtype(one.dtype).kind not in "iu":
            raise TypeError(f"rows_merge: ids[{i}]: expected integers, received dtype {np.dtype(one.dtype)}")
        if np.dtype(update.dtype).kind in "iub":
            raise TypeError(f"rows_merge: updates[{i}]: expected floats, received dtype {np.dtype(update.dtype)}")
        expected, received = (*one.shape, width), tuple(update.shape)
        if len(expected) != len(received) or any(a != b for a, b in zip(expected, received) if None not in (a, b)):
            raise ValueError(f"rows_merge: updates[{i}]: expected shape {expected}, received {received}")
        sizes = None if None in one.shape or total is None else one.shape
        total = None if sizes is None else total + int(np.prod(sizes, dtype="int64"))
    return spec((total,), "int64"), spec((total, width), updates[0].dtype)


def _merge_native(ids, updates, n):
    return (len(ids), n), ()


@jit
def _merge_loop(rows, values, ids, updates, place):
    found = 0
    for j in range(ids.size):
        s = place[j]
        if s == found:
            rows[found] = ids[j]
            found += 1
        for i in range(values.shape[1]):
            values[s, i] += updates[j, i]


def _places(ids):
    """For each id the number of different ids that come first before its own first one, and how many there are."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = np.empty(len(first), "int64")
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse.reshape(-1)], len(first)


def _joined(ids, updates, n):
    flat = np.concatenate([_wrapped(one, n) for one in ids])
    return flat, np.concatenate([np.ascontiguousarray(u).reshape(-1, u.shape[-1]) for u in updates])


def _merge_numba(outs, ids, updates, n):
    rows, values = outs
    rows[...] = -1
    values[...] = 0
    flat, joined = _joined(ids, updates, n)
    _merge_loop(rows, values, flat, joined, _places(flat)[0])


@kernel(shape=_merge_shape, native=_merge_native, numba=_merge_numba, variadic=("ids", "updates"))
def rows_merge(ids, updates, *, n):
    """Adds up the updates with equal ids: what a batch does to the rows of a table with n rows.

        rows[s] = the s-th different id in the order of their first places;  values[s, :] = sum of its updates, in order

    Behind the last different id, rows is -1 and values 0, so the shapes do not depend on the ids' values.

    Args:
        ids: list of integer arrays of any shape, values in [-n, n); negative ones count from the end. The arrays follow
            each other.
        updates: list of float arrays, ids.shape + (u,) each.
        n: number of rows of the table.

    Returns:
        rows: int64 array (k,), k the number of all ids; values: array (k, u).

    Raises:
        IndexError: an id is out of range.
        ValueError, TypeError: lists, shapes or dtypes do not fit.

    Example:
        >>> import numpy as np, quernel as qn
        >>> u = np.array([[1.0], [2.0], [4.0]], "float32")
        >>> rows, values = qn.kernels.rows_merge([np.array([7, 2, 7])], [u], n=9)
        >>> rows.tolist(), values[:, 0].tolist()
        ([7, 2, -1], [5.0, 2.0, 0.0])
    """
    flat, joined = _joined(ids, updates, n)
    place, found = _places(flat)
    rows = np.full(flat.size, -1, "int64")
    rows[place] = flat
    values = np.zeros(joined.shape, joined.dtype)
    np.add.at(values, place, joined)
    return rows, values
