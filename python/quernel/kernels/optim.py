"""sgd_update, adam_update: the arithmetic of the optimizers, in place, over all variables in one call."""

import numpy as np

from .kernel import jit, kernel
from .select import maximum


def _check_lists(name, variables, lists):
    for label, arrays in lists:
        if len(arrays) != len(variables):
            raise ValueError(
                f"{name}: {label}: expected {len(variables)} arrays, one a variable, received {len(arrays)}"
            )
        for i, (w, a) in enumerate(zip(variables, arrays)):
            if tuple(a.shape) != tuple(w.shape):
                raise ValueError(f"{name}: {label}[{i}]: expected shape {tuple(w.shape)}, received {tuple(a.shape)}")
            if np.dtype(a.dtype) != np.dtype(w.dtype) or np.dtype(a.dtype).kind in "iub":
                raise TypeError(f"{name}: {label}[{i}]: expected the variable's float dtype, received {a.dtype}")


def check_scalars(name, **scalars):
    for label, a in scalars.items():
        if a is not None and tuple(a.shape) != ():
            raise ValueError(f"{name}: {label}: expected an array of shape (), received {tuple(a.shape)}")


def _is_number(value):
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_momentum(name, momentum):
    """ValueError unless momentum is a number in [0, 1]."""
    if not _is_number(momentum) or not 0 <= momentum <= 1:
        raise ValueError(f"{name}: momentum: expected a number in [0, 1], received {momentum!r}")


def check_adam(name, learning_rate, iterations, scale, beta_1, beta_2, epsilon):
    """What every form of Adam asks of its numbers."""
    check_scalars(name, learning_rate=learning_rate, iterations=iterations, scale=scale)
    if np.dtype(iterations.dtype).name != "int64":
        raise TypeError(f"{name}: iterations: expected dtype int64, received {iterations.dtype}")
    for label, value in (("beta_1", beta_1), ("beta_2", beta_2)):
        if not _is_number(value) or not 0 <= value < 1:
            raise ValueError(f"{name}: {label}: expected a number in [0, 1), received {value!r}")
    if not _is_number(epsilon):
        raise TypeError(f"{name}: epsilon: expected a number, received {epsilon!r}")


def _sgd_shape(variables, gradients, learning_rate, velocities, scale, momentum, nesterov):
    lists = [("variables", variables), ("gradients", gradients)]
    if velocities is not None:
        lists.append(("velocities", velocities))
    _check_lists("sgd_update", variables, lists)
    check_scalars("sgd_update", learning_rate=learning_rate, scale=scale)
    check_momentum("sgd_update", momentum)
    if (momentum != 0 or nesterov) and velocities is None:
        raise ValueError(
            "sgd_update: velocities: expected one array a variable with momentum or nesterov, received None"
        )
    return ()


def _sgd_native(variables, gradients, learning_rate, velocities, scale, momentum, nesterov):
    return (len(variables), velocities is not None, bool(nesterov)), (momentum,)


@jit
def _sgd_plain(w, g, rate, scale):
    for i in range(w.size):
        w[i] -= (g[i] * scale) * rate


@jit
def _sgd_momentum(w, g, v, rate, scale, momentum, nesterov):
    for i in range(w.size):
        s = (g[i] * scale) * rate
        v[i] = v[i] * momentum - s
        if nesterov:
            w[i] += v[i] * momentum - s
        else:
            w[i] += v[i]


def _in_place(loop, arrays, writes, *numbers):
    """Runs a loop on flat contiguous memory; arrays that are not so are copied and the first `writes` copied back."""
    flat = [a.reshape(-1) if a.flags.c_contiguous else np.array(a, order="C").reshape(-1) for a in arrays]
    loop(*flat, *numbers)
    for a, f in list(zip(arrays, flat))[:writes]:
        if not a.flags.c_contiguous:
            a[...] = f.reshape(a.shape)


def in_dtype_of(variable, *values):
    return [variable.dtype.type(v) for v in values]


def _sgd_numba(outs, variables, gradients, learning_rate, velocities, scale, momentum, nesterov):
    for i, (w, g) in enumerate(zip(variables, gradients)):
        rate, factor, decay = in_dtype_of(w, learning_rate, 1 if scale is None else scale, momentum)
        if velocities is None:
            _in_place(_sgd_plain, (w, g), 1, rate, factor)
        else:
            v = velocities[i]

            def loop(w, v, g, *numbers):
                _sgd_momentum(w, g, v, *numbers)

            _in_place(loop, (w, v, g), 2, rate, factor, decay, bool(nesterov))


@kernel(
    shape=_sgd_shape,
    native=_sgd_native,
    numba=_sgd_numba,
    variadic=("variables", "gradients", "velocities"),
    updates=("variables", "velocities"),
)
def sgd_update(variables, gradients, learning_rate, velocities=None, scale=None, *, momentum=0.0, nesterov=False):
    """One step of gradient descent, in place, with Keras's formulas.

        s = (g * scale) * learning_rate
        without velocities:  w = w - s
        with velocities:     v = v * momentum - s;  w = w + v,  with nesterov  w = w + (v * momentum - s)

    Args:
        variables: list of float arrays w; written.
        gradients: list of arrays g of the same shapes and dtype.
        learning_rate: float array of shape ().
        velocities: list of arrays v of the same shapes, zeros at first; written. Needed with momentum or nesterov.
        scale: float array of shape () that multiplies every gradient (clipping, loss scaling), or None.
        momentum: number in [0, 1].
        nesterov: whether to look one step ahead.

    Returns:
        None.

    Raises:
        ValueError, TypeError: where lists, shapes or dtypes do not fit, or an array that is written is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> w, g = np.ones(2, "float32"), np.array([1.0, 2.0], "float32")
        >>> qn.kernels.sgd_update([w], [g], np.float32(0.25))
        >>> w
        array([0.75, 0.5 ], dtype=float32)
    """
    for i, (w, g) in enumerate(zip(variables, gradients)):
        rate, factor, decay = in_dtype_of(w, learning_rate, 1 if scale is None else scale, momentum)
        s = (g * factor) * rate
        if velocities is None:
            w -= s
            continue
        v = velocities[i]
        v[...] = v * decay - s
        w += v * decay - s if nesterov else v


def _adam_shape(variables, gradients, m, v, learning_rate, iterations, vhat, scale, beta_1, beta_2, epsilon):
    lists = [("variables", variables), ("gradients", gradients), ("m", m), ("v", v)]
    if vhat is not None:
        lists.append(("vhat", vhat))
    _check_lists("adam_update", variables, lists)
    check_adam("adam_update", learning_rate, iterations, scale, beta_1, beta_2, epsilon)
    return ()


def _adam_native(variables, gradients, m, v, learning_rate, iterations, vhat, scale, beta_1, beta_2, epsilon):
    return (len(variables), vhat is not None), (beta_1, beta_2, epsilon)


def _power(base, exponent):
    """base ** exponent by binary exponentiation from the lowest bit: the same products on every backend."""
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


def step_size(learning_rate, iterations, beta_1, beta_2):
    """learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) with t = iterations + 1, in float64."""
    t = int(iterations) + 1
    correction = np.sqrt(np.float64(1 - _power(float(beta_2), t)))
    return np.float64(learning_rate) * correction / np.float64(1 - _power(float(beta_1), t))


@jit
def _adam_loop(w, m, v, g, alpha, scale, take_m, take_v, epsilon):
    for i in range(w.size):
        gradient = g[i] * scale
        m[i] += (gradient - m[i]) * take_m
        v[i] += (gradient * gradient - v[i]) * take_v
        w[i] -= (m[i] * alpha) / (np.sqrt(v[i]) + epsilon)


@jit
def _amsgrad_loop(w, m, v, vhat, g, alpha, scale, take_m, take_v, epsilon):
    for i in range(w.size):
        gradient = g[i] * scale
        m[i] += (gradient - m[i]) * take_m
        v[i] += (gradient * gradient - v[i]) * take_v
        if v[i] > vhat[i] or v[i] != v[i]:
            vhat[i] = v[i]
        w[i] -= (m[i] * alpha) / (np.sqrt(vhat[i]) + epsilon)


def _adam_numba(outs, variables, gradients, m, v, learning_rate, iterations, vhat, scale, beta_1, beta_2, epsilon):
    alpha = step_size(learning_rate, iterations, beta_1, beta_2)
    for i, (w, g) in enumerate(zip(variables, gradients)):
        numbers = in_dtype_of(w, alpha, 1 if scale is None else scale, 1 - beta_1, 1 - beta_2, epsilon)
        if vhat is None:
            _in_place(_adam_loop, (w, m[i], v[i], g), 3, *numbers)
        else:
            _in_place(_amsgrad_loop, (w, m[i], v[i], vhat[i], g), 4, *numbers)


@kernel(
    shape=_adam_shape,
    native=_adam_native,
    numba=_adam_numba,
    variadic=("variables", "gradients", "m", "v", "vhat"),
    updates=("variables", "m", "v", "vhat"),
)
def adam_update(
    variables,
    gradients,
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
    """One step of Adam, in place, with Keras's formulas.

        t = iterations + 1;  alpha = learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)
        g = g * scale;  m = m + (g - m) * (1 - beta_1);  v = v + (g * g - v) * (1 - beta_2)
        with vhat (AMSGrad):  vhat = max(vhat, v), which stands for v in the next line
        w = w - (m * alpha) / (sqrt(v) + epsilon)

    Args:
        variables: list of float arrays w; written.
        gradients: list of arrays g of the same shapes and dtype.
        m, v: lists of arrays of the same shapes, zeros at first; written.
        learning_rate: float array of shape ().
        iterations: int64 array of shape (): the steps done before this one.
        vhat: list of arrays of the same shapes, zeros at first, for AMSGrad; written. Or None.
        scale: float array of shape () that multiplies every gradient (clipping, loss scaling), or None.
        beta_1, beta_2: decay rates in [0, 1).
        epsilon: number added to the root.

    Returns:
        None.

    Raises:
        ValueError, TypeError: where lists, shapes or dtypes do not fit, or an array that is written is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> w, g, m, v = (np.full(1, x, "float32") for x in (1.0, 4.0, 0.0, 0.0))
        >>> qn.kernels.adam_update([w], [g], [m], [v], np.float32(0.5), np.int64(0))
        >>> w.round(4)
        array([0.5], dtype=float32)

    Source: D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, last lines of section 2.
    """
    alpha = step_size(learning_rate, iterations, beta_1, beta_2)
    for i, (w, gradient) in enumerate(zip(variables, gradients)):
        alpha_, factor, take_m, take_v, small = in_dtype_of(
            w, alpha, 1 if scale is None else scale, 1 - beta_1, 1 - beta_2, epsilon
        )
        g = gradient * factor
        m[i] += (g - m[i]) * take_m
        v[i] += (g * g - v[i]) * take_v
        square = v[i]
        if vhat is not None:
            vhat[i][...] = maximum.definition(vhat[i], v[i])
            square = vhat[i]
        w -= (m[i] * alpha_) / (np.sqrt(square) + small)
