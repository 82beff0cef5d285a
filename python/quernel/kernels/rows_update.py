"""sgd_rows_update, adam_rows_update: steps of an optimizer on some rows of a table, in place."""

import numpy as np

from .kernel import jit, kernel
from .optim import check_adam, check_momentum, check_scalars, in_dtype_of, step_size
from .select import maximum


def _check_rows(name, variable, rows, gradient, tables):
    if len(variable.shape) != 2:
        raise ValueError(f"{name}: variable: expected shape (n, u), received {tuple(variable.shape)}")
    if len(rows.shape) != 1 or np.dtype(rows.dtype).name != "int64":
        raise TypeError(
            f"{name}: rows: expected int64 of shape (k,), received {np.dtype(rows.dtype)} of shape {tuple(rows.shape)}"
        )
    if tuple(gradient.shape) != (rows.shape[0], variable.shape[1]):
        raise ValueError(
            f"{name}: gradient: expected shape {(rows.shape[0], variable.shape[1])}, received {tuple(gradient.shape)}"
        )
    for label, table in tables:
        if tuple(table.shape) != tuple(variable.shape):
            raise ValueError(f"{name}: {label}: expected shape {tuple(variable.shape)}, received {tuple(table.shape)}")
    for label, table in (("variable", variable), ("gradient", gradient), *tables):
        if np.dtype(table.dtype).kind in "iub":
            raise TypeError(f"{name}: {label}: expected floats, received {np.dtype(table.dtype)}")


def _inside(name, rows, n):
    bad = rows >= n
    if bad.any():
        raise IndexError(
            f"{name}: a row is out of range: expected rows below {n}, the size of the table, received {rows[bad][0]} at "
            f"position {int(np.argmax(bad))}"
        )


def _sgd_rows_shape(variable, rows, gradient, learning_rate, velocity, scale, momentum, nesterov):
    name = "sgd_rows_update"
    _check_rows(name, variable, rows, gradient, [] if velocity is None else [("velocity", velocity)])
    check_scalars(name, learning_rate=learning_rate, scale=scale)
    check_momentum(name, momentum)
    if (momentum != 0 or nesterov) and velocity is None:
        raise ValueError(f"{name}: velocity: expected an array with momentum or nesterov, received None")
    return ()


def _sgd_rows_native(variable, rows, gradient, learning_rate, velocity, scale, momentum, nesterov):
    return (velocity is not None, bool(nesterov)), (momentum,)


@jit
def _sgd_rows_loop(w, v, rows, g, rate, scale, momentum, nesterov, plain):
    for k in range(rows.size):
        r = rows[k]
        if r < 0:
            continue
        for j in range(w.shape[1]):
            s = (g[k, j] * scale) * rate
            if plain:
                w[r, j] -= s
            else:
                v[r, j] = v[r, j] * momentum - s
                if nesterov:
                    w[r, j] += v[r, j] * momentum - s
                else:
                    w[r, j] += v[r, j]


def _contiguous(array):
    return array if array.flags.c_contiguous else np.array(array, order="C")


def _put_back(*pairs):
    for array, changed in pairs:
        if changed is not array:
            array[...] = changed


def _sgd_rows_numba(outs, variable, rows, gradient, learning_rate, velocity, scale, momentum, nesterov):
    _inside("sgd_rows_update", rows, variable.shape[0])
    w = _contiguous(variable)
    v = w if velocity is None else _contiguous(velocity)
    numbers = in_dtype_of(w, learning_rate, 1 if scale is None else scale, momentum)
    g, at = np.ascontiguousarray(gradient), np.ascontiguousarray(rows)
    _sgd_rows_loop(w, v, at, g, *numbers, bool(nesterov), velocity is None)
    _put_back((variable, w), *([] if velocity is None else [(velocity, v)]))


@kernel(shape=_sgd_rows_shape, native=_sgd_rows_native, numba=_sgd_rows_numba, updates=("variable", "velocity"))
def sgd_rows_update(
    variable, rows, gradient, learning_rate, velocity=None, scale=None, *, momentum=0.0, nesterov=False
):
    """One step of gradient descent on some rows of a table, in place; other rows, and their velocities, stay.

        for k in order, r = rows[k] >= 0:  `sgd_update` on variable[r], gradient[k] and velocity[r]

    Args:
        variable: float array (n, u); written.
        rows: int64 array (k,), below n; negative ones are passed over. `rows_merge` gives such rows, each once; a row
            that occurs twice is updated twice.
        gradient: array (k, u) of the variable's dtype.
        learning_rate: float array of shape ().
        velocity: array (n, u), zeros at first; written. Needed with momentum or nesterov.
        scale: float array of shape () that multiplies the gradient, or None.
        momentum: number in [0, 1].
        nesterov: whether to look one step ahead.

    Returns:
        None.

    Raises:
        IndexError: a row is out of range; nothing is written.
        ValueError, TypeError: shapes or dtypes do not fit, or an array that is written is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> w, g = np.ones((3, 1), "float32"), np.array([[1.0], [9.0]], "float32")
        >>> qn.kernels.sgd_rows_update(w, np.array([2, -1]), g, np.float32(0.25))
        >>> w[:, 0].tolist()
        [1.0, 1.0, 0.75]
    """
    _inside("sgd_rows_update", rows, variable.shape[0])
    rate, factor, decay = in_dtype_of(variable, learning_rate, 1 if scale is None else scale, momentum)
    for r, g in zip(rows, gradient):
        if r < 0:
            continue
        s = (g * factor) * rate
        if velocity is None:
            variable[r] -= s
            continue
        velocity[r] = velocity[r] * decay - s
        variable[r] += velocity[r] * decay - s if nesterov else velocity[r]


def _adam_rows_shape(
    variable, rows, gradient, m, v, learning_rate, iterations, vhat, scale, beta_1, beta_2, epsilon
):  # fmt: skip
    name = "adam_rows_update"
    tables = [("m", m), ("v", v)] + ([] if vhat is None else [("vhat", vhat)])
    _check_rows(name, variable, rows, gradient, tables)
    check_adam(name, learning_rate, iterations, scale, beta_1, beta_2, epsilon)
    return ()


def _adam_rows_native(
    variable, rows, gradient, m, v, learning_rate, iterations, vhat, scale, beta_1, beta_2, epsilon
):  # fmt: skip
    return (vhat is not None,), (beta_1, beta_2, epsilon)


@jit
def _adam_rows_loop(w, m, v, vhat, rows, g, alpha, scale, take_m, take_v, epsilon, amsgrad):
    for k in range(rows.size):
        r = rows[k]
        if r < 0:
            continue
        for j in range(w.shape[1]):
            gradient = g[k, j] * scale
            m[r, j] += (gradient - m[r, j]) * take_m
            v[r, j] += (gradient * gradient - v[r, j]) * take_v
            square = v[r, j]
            if amsgrad:
                if square > vhat[r, j] or square != square:
                    vhat[r, j] = square
                square = vhat[r, j]
            w[r, j] -= (m[r, j] * alpha) / (np.sqrt(square) + epsilon)


def _adam_rows_numba(
    outs, variable, rows, gradient, m, v, learning_rate, iterations, vhat, scale, beta_1, beta_2, epsilon
):
    _inside("adam_rows_update", rows, variable.shape[0])
    alpha = step_size(learning_rate, iterations, beta_1, beta_2)
    numbers = in_dtype_of(variable, alpha, 1 if scale is None else scale, 1 - beta_1, 1 - beta_2, epsilon)
    given = [variable, m, v] + ([] if vhat is None else [vhat])
    tables = [_contiguous(table) for table in given]
    g, at = np.ascontiguousarray(gradient), np.ascontiguousarray(rows)
    _adam_rows_loop(*tables[:3], tables[-1], at, g, *numbers, vhat is not None)
    _put_back(*zip(given, tables))


@kernel(
    shape=_adam_rows_shape, native=_adam_rows_native, numba=_adam_rows_numba, updates=("variable", "m", "v", "vhat")
)
def adam_rows_update(
    variable,
    rows,
    gradient,
    m,
    v,
    learning_rate,
    iterations,
    vhat=None,
    scale=None,
    *,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
):
    """One step of Adam on some rows of a table, in place; other rows, and their means and squares, stay.

        for k in order, r = rows[k] >= 0:  `adam_update` on variable[r], gradient[k], m[r], v[r] and vhat[r]

    t is iterations + 1 for every row, however often it was updated before.

    Args:
        variable: float array (n, u); written.
        rows: int64 array (k,), below n; negative ones are passed over. `rows_merge` gives such rows, each once; a row
            that occurs twice is updated twice.
        gradient: array (k, u) of the variable's dtype.
        m, v: arrays (n, u), zeros at first; written.
        learning_rate: float array of shape ().
        iterations: int64 array of shape (): the steps done before this one.
        vhat: array (n, u), zeros at first, for AMSGrad; written. Or None.
        scale: float array of shape () that multiplies the gradient, or None.
        beta_1, beta_2: decay rates in [0, 1).
        epsilon: number added to the root.

    Returns:
        None.

    Raises:
        IndexError: a row is out of range; nothing is written.
        ValueError, TypeError: shapes or dtypes do not fit, or an array that is written is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> w, m, v = np.ones((3, 1), "float32"), np.zeros((3, 1), "float32"), np.zeros((3, 1), "float32")
        >>> g = np.array([[4.0]], "float32")
        >>> qn.kernels.adam_rows_update(w, np.array([1]), g, m, v, np.float32(0.5), np.int64(0))
        >>> w[:, 0].round(4).tolist()
        [1.0, 0.5, 1.0]

    Source: D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, on the rows alone, as in
    PyTorch's SparseAdam.
    """
    _inside("adam_rows_update", rows, variable.shape[0])
    alpha = step_size(learning_rate, iterations, beta_1, beta_2)
    alpha_, factor, take_m, take_v, small = in_dtype_of(
        variable, alpha, 1 if scale is None else scale, 1 - beta_1, 1 - beta_2, epsilon
    )
    for r, g in zip(rows, gradient * factor):
        if r < 0:
            continue
        m[r] += (g - m[r]) * take_m
        v[r] += (g * g - v[r]) * take_v
        square = v[r]
        if vhat is not None:
            vhat[r] = maximum.definition(vhat[r], v[r])
            square = vhat[r]
        variable[r] -= (m[r] * alpha_) / (np.sqrt(square) + small)
