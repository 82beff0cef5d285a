"""slice: a strided view; slice_dx: its gradient, which puts dy where the slice was taken."""

import builtins

import numpy as np

from .kernel import jit, kernel, spec


def _slices(rank, start, stop, step, name):
    """One builtin slice for each axis; axes that the tuples do not name are taken whole."""
    if not all(isinstance(v, tuple) for v in (start, stop, step)):
        raise TypeError(f"{name}: expected tuples start, stop and step, received {start!r}, {stop!r}, {step!r}")
    lengths = {len(v) for v in (start, stop, step)}
    if len(lengths) != 1 or len(start) > rank:
        raise ValueError(
            f"{name}: expected start, stop and step of one length, at most {rank}, received {start}, {stop}, {step}"
        )
    for values, what in ((start, "start"), (stop, "stop"), (step, "step")):
        if not all(v is None or (isinstance(v, (int, np.integer)) and not isinstance(v, bool)) for v in values):
            raise TypeError(f"{name}: {what}: expected integers or None, received {values}")
    if 0 in step:
        raise ValueError(f"{name}: step: expected values other than zero, received {step}")
    whole = builtins.slice(None)
    return tuple(map(builtins.slice, start, stop, step)) + (whole,) * (rank - len(start))


def _slice_shape(x, start, stop, step):
    slices = _slices(len(x.shape), start, stop, step, "slice")
    return spec((n if n is None else len(range(n)[s]) for n, s in zip(x.shape, slices)), x.dtype)


@kernel(shape=_slice_shape, view=True)
def slice(x, *, start, stop, step):
    """Takes every step-th element from start up to stop along each axis: y[i] = x[start + i * step], as a view.

    Args:
        x: array of any shape and dtype.
        start, stop, step: one entry for each of the first axes (the others are taken whole): integers or None with the
            meaning they have in Python's x[start:stop:step]; steps may be negative.

    Returns:
        A view of x.

    Raises:
        ValueError: where a step is zero or the tuples differ in length.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.slice(np.arange(6), start=(4,), stop=(None,), step=(-2,))
        array([4, 2, 0])
    """
    return x[(*_slices(x.ndim, start, stop, step, "slice"), ...)]  # "...": a view also where x is a scalar


def _slice_dx_shape(dy, shape, start, stop, step):
    slices = _slices(len(shape), start, stop, step, "slice_dx")
    expected = tuple(len(range(n)[s]) for n, s in zip(shape, slices))
    if tuple(dy.shape) != expected:
        raise ValueError(
            f"slice_dx: dy: expected shape {expected}, that of the slice of {shape}, received {tuple(dy.shape)}"
        )
    return spec(shape, dy.dtype)


def _slice_dx_native(dy, shape, start, stop, step):
    ranges = [range(n)[s] for n, s in zip(shape, _slices(len(shape), start, stop, step, "slice_dx"))]
    return [v for r in ranges for v in ((r.start if len(r) else 0), r.step)], ()


@jit
def _scatter_rows(dx, dy, rows, column, step):
    dx[:] = 0
    n = dy.shape[1]
    for i in range(dy.shape[0]):
        for j in range(n):
            dx[rows[i] + column + j * step] = dy[i, j]


def _slice_dx_numba(outs, dy, shape, start, stop, step):
    # Rank one keeps the loop to one specialisation; the offsets of rows are integers from shapes alone.
    (out,) = outs
    if not shape:
        out[()] = dy
        return
    ranges = [range(n)[s] for n, s in zip(shape, _slices(len(shape), start, stop, step, "slice_dx"))]
    rows = np.zeros(1, "int64")
    for n, r in zip(shape[:-1], ranges[:-1]):
        rows = (rows[:, None] * n + np.arange(r.start, r.stop, r.step)).reshape(-1)
    last = ranges[-1]
    dy = np.ascontiguousarray(dy).reshape(len(rows), len(last))
    _scatter_rows(out.reshape(-1), dy, rows * shape[-1], last.start, last.step)


@kernel(shape=_slice_dx_shape, native=_slice_dx_native, numba=_slice_dx_numba)
def slice_dx(dy, *, shape, start, stop, step):
    """Puts dy where the slice was taken, in zeros: dx[start + i * step] = dy[i], 0 elsewhere. The gradient of `slice`.

    Args:
        dy: array with the shape of the slice.
        shape: shape of the array that was sliced.
        start, stop, step: as in `slice`.

    Returns:
        An array of shape `shape` and dy's dtype.

    Raises:
        ValueError: where dy has not the shape of the slice.

    Example:
        >>> import numpy as np, quernel as qn
        >>> qn.kernels.slice_dx(np.array([1.0, 2.0], "float32"), shape=(5,), start=(1,), stop=(5,), step=(2,))
        array([0., 1., 0., 2., 0.], dtype=float32)
    """
    dx = np.zeros(shape, dy.dtype)
    dx[_slices(len(shape), start, stop, step, "slice_dx")] = dy
    return dx
