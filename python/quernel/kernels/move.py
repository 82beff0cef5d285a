"""concat, pad, full: building arrays out of others and of constants."""

import math

import numpy as np

from .axes import canonical_axis
from .kernel import Decline, jit, kernel, spec


def _concat_shape(xs, axis):
    if not xs:
        raise ValueError("concat: xs: expected at least one array, received an empty list")
    first = xs[0]
    rank = len(first.shape)
    if rank == 0:
        raise ValueError("concat: xs: expected arrays with at least one axis, received scalars; use stack")
    axis = canonical_axis("concat: axis", axis, rank)
    shape = list(first.shape)
    for i, x in enumerate(xs[1:], 1):
        if np.dtype(x.dtype) != np.dtype(first.dtype):
            raise TypeError(
                f"concat: xs[{i}]: expected dtype {np.dtype(first.dtype)}, that of xs[0], "
                f"received {np.dtype(x.dtype)}; cast first"
            )
        fits = len(x.shape) == rank and all(
            a is None or b is None or a == b for d, (a, b) in enumerate(zip(shape, x.shape)) if d != axis
        )
        if not fits:
            raise ValueError(
                f"concat: xs[{i}]: expected the shape of xs[0], {tuple(first.shape)}, except along axis {axis}, "
                f"received {tuple(x.shape)}"
            )
        for d in range(rank):
            if d != axis:
                shape[d] = x.shape[d] if shape[d] is None else shape[d]
    sizes = [x.shape[axis] for x in xs]
    shape[axis] = None if None in sizes else sum(sizes)
    return spec(shape, first.dtype)


def _concat_native(xs, axis):
    return (canonical_axis("concat: axis", axis, xs[0].ndim),), ()


@jit
def _put_columns(y, x, start):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, start + j] = x[i, j]


def _concat_numba(outs, xs, axis):
    (y,) = outs
    axis = canonical_axis("concat: axis", axis, y.ndim)
    outer = math.prod(y.shape[:axis])
    if y.size == 0:
        return
    y = y.reshape(outer, -1)
    start = 0
    for x in xs:
        x = np.ascontiguousarray(x).reshape(outer, -1) if x.size else np.empty((outer, 0), x.dtype)
        _put_columns(y, x, start)
        start += x.shape[1]


@kernel(shape=_concat_shape, native=_concat_native, numba=_concat_numba, variadic=("xs",))
def concat(xs, *, axis=-1):
    """Joins arrays along an axis: y[..., start_k + i, ...] = xs[k][..., i, ...], start_k the sum of the sizes before.

    Args:
        xs: list of arrays of one dtype and of equal shapes except along `axis`.
        axis: the axis to join along.

    Returns:
        An array whose size along `axis` is the sum of the inputs'.

    Raises:
        ValueError: where the list is empty or shapes differ beside `axis`.
        TypeError: where dtypes differ.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.concat([np.array([1, 2]), np.array([3])])
        array([1, 2, 3])
    """
    return np.concatenate(xs, axis=axis)


def _widths(x, pad_width):
    valid = isinstance(pad_width, tuple) and all(
        isinstance(p, tuple) and len(p) == 2 and all(isinstance(v, (int, np.integer)) for v in p) for p in pad_width
    )
    if not valid:
        raise TypeError(
            f"pad: pad_width: expected a tuple of (before, after) pairs of integers, received {pad_width!r}"
        )
    if len(pad_width) != len(x.shape) or any(v < 0 for p in pad_width for v in p):
        raise ValueError(
            f"pad: pad_width: expected {len(x.shape)} pairs of widths >= 0, one for each axis, received {pad_width}"
        )
    return pad_width


def _pad_shape(x, pad_width, constant_values):
    sizes = (n if n is None else a + n + b for n, (a, b) in zip(x.shape, _widths(x, pad_width)))
    _whole_and_real(constant_values, x.dtype, "pad: constant_values")
    return spec(sizes, x.dtype)


def _whole_and_real(value, dtype, name):
    """A constant as (int, float), of which the native kernel takes the one that suits the dtype."""
    if not isinstance(value, (bool, int, float, np.integer, np.floating, np.bool_)):
        raise TypeError(f"{name}: expected a number, received {value!r}")
    if np.dtype(dtype).kind in "iub":
        if value != int(value) or (np.dtype(dtype).kind != "b" and not _fits(int(value), dtype)):
            raise ValueError(f"{name}: expected a value of dtype {np.dtype(dtype)}, received {value!r}")
        return int(value), 0.0
    return 0, float(value)


def _fits(value, dtype):
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max


def _pad_native(x, pad_width, constant_values):
    whole, real = _whole_and_real(constant_values, x.dtype, "pad: constant_values")
    return (*(v for p in pad_width for v in p), whole), (real,)


@jit
def _pad_rows(y, x, rows, before, value):
    y[:] = value
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[rows[i] + before + j] = x[i, j]


def _pad_numba(outs, x, pad_width, constant_values):
    (y,) = outs
    value = x.dtype.type(constant_values)
    if x.ndim == 0:
        y[()] = x
        return
    rows = np.zeros(1, "int64")  # where the inner rows start in y: integers from shapes alone
    for n, (before, after), size in zip(x.shape[:-1], pad_width[:-1], y.shape[:-1]):
        rows = (rows[:, None] * size + np.arange(before, size - after)).reshape(-1)
        assert n == size - before - after
    inner = np.ascontiguousarray(x).reshape(len(rows), x.shape[-1])
    _pad_rows(y.reshape(-1), inner, rows * y.shape[-1], pad_width[-1][0], value)


@kernel(shape=_pad_shape, native=_pad_native, numba=_pad_numba)
def pad(x, *, pad_width, constant_values=0):
    """Puts a constant around x: y[before + i] = x[i], `constant_values` elsewhere.

    Args:
        x: array of any shape and dtype.
        pad_width: for each axis a pair (before, after) of widths >= 0.
        constant_values: the constant, a number that x's dtype can hold.

    Returns:
        An array of x's dtype, before + n + after long along each axis.

    Raises:
        ValueError, TypeError: where the widths do not suit x or the constant does not suit its dtype.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.pad(np.array([1, 2]), pad_width=((1, 2),))
        array([0, 1, 2, 0, 0])
    """
    return np.pad(x, pad_width, constant_values=constant_values) if x.ndim else x.copy()


def _full_shape(shape, fill_value, dtype):
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sizes):
        raise ValueError(f"full: shape: expected sizes >= 0, received {shape}")
    _whole_and_real(fill_value, dtype, "full: fill_value")
    return spec(map(int, sizes), dtype)


def _full_native(shape, fill_value, dtype):
    whole, real = _whole_and_real(fill_value, dtype, "full: fill_value")
    if np.dtype(dtype).name not in ("float32", "float64", "int32", "int64", "uint8", "bool"):
        raise Decline(f"dtype is {dtype}")
    if len(shape if isinstance(shape, tuple) else (shape,)) > 8:
        raise Decline("more than 8 dimensions")
    return (whole,), (real,)


@jit
def _fill(y, value):
    for i in range(y.size):
        y[i] = value


def _full_numba(outs, shape, fill_value, dtype):
    (y,) = outs
    if y.dtype.name in ("float16", "bfloat16"):
        y[...] = fill_value
    else:
        _fill(y.reshape(-1), y.dtype.type(fill_value))


@kernel(shape=_full_shape, native=_full_native, numba=_full_numba)
def full(*, shape, fill_value, dtype="float32"):
    """Makes an array of one value: y[i] = fill_value.

    Args:
        shape: a size or a tuple of sizes.
        fill_value: a number that the dtype can hold.
        dtype: name of the dtype.

    Returns:
        An array of that shape and dtype.

    Raises:
        ValueError, TypeError: where a size is negative or the value does not suit the dtype.

    Example:
        >>> import quernel as qn
        >>> qn.kernels.full(shape=(2,), fill_value=1.5)
        array([1.5, 1.5], dtype=float32)
    """
    return np.full(shape, fill_value, dtype)
