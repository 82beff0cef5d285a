"""assign, assign_add, assign_sub, lerp_update: a variable's array written in place."""

import numpy as np

from .kernel import is_float, jit, kernel


def _check(name, target, value):
    if np.dtype(value.dtype) != np.dtype(target.dtype):
        raise TypeError(
            f"{name}: value: expected the target's dtype {np.dtype(target.dtype)}, "
            f"received {np.dtype(value.dtype)}; cast first"
        )
    extra = len(target.shape) - len(value.shape)
    if extra < 0 or any(n not in (1, t) for n, t in zip(value.shape, tuple(target.shape)[extra:])):
        raise ValueError(
            f"{name}: value: expected a shape that broadcasts to the target's {tuple(target.shape)}, "
            f"received {tuple(value.shape)}"
        )


def _assign_shape(target, value):
    _check("assign", target, value)
    return ()


def _number_shape(name):
    def shape(target, value):
        _check(name, target, value)
        if np.dtype(target.dtype).kind == "b":
            raise TypeError(f"{name}: target: expected numbers, received dtype bool")
        return ()

    return shape


def _native(target, value):
    return (), ()


@jit
def _copy_loop(y, x):
    for i in range(y.size):
        y[i] = x[i]


@jit
def _add_loop(y, x):
    for i in range(y.size):
        y[i] += x[i]


@jit
def _sub_loop(y, x):
    for i in range(y.size):
        y[i] -= x[i]


@jit
def _lerp_loop(y, x, keep, take):
    for i in range(y.size):
        y[i] = y[i] * keep + x[i] * take


def _run(loop, target, value, *numbers):
    """The loop on flat memory; a target that is not contiguous is copied and copied back."""
    value = np.ascontiguousarray(np.broadcast_to(value, target.shape)).reshape(-1)
    if target.flags.c_contiguous:
        loop(target.reshape(-1), value, *numbers)
        return
    flat = np.array(target, order="C").reshape(-1)
    loop(flat, value, *numbers)
    target[...] = flat.reshape(target.shape)


def _assign_numba(outs, target, value):
    _run(_copy_loop, target, value)


def _add_numba(outs, target, value):
    _run(_add_loop, target, value)


def _sub_numba(outs, target, value):
    _run(_sub_loop, target, value)


@kernel(shape=_assign_shape, native=_native, numba=_assign_numba, updates=("target",))
def assign(target, value):
    """Writes a value into an array: target[i] = value[i].

    Args:
        target: array of any dtype; written.
        value: array of the target's dtype whose shape broadcasts to the target's, in other memory.

    Returns:
        None.

    Raises:
        ValueError, TypeError: where shape or dtype does not fit, or the target is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.zeros(2, "float32")
        >>> qn.kernels.assign(x, np.float32(3))
        >>> x
        array([3., 3.], dtype=float32)
    """
    target[...] = value


@kernel(shape=_number_shape("assign_add"), native=_native, numba=_add_numba, updates=("target",))
def assign_add(target, value):
    """Adds a value to an array: target[i] = target[i] + value[i].

    Args:
        target: array of floats or integers (which wrap around); written.
        value: array of the target's dtype whose shape broadcasts to the target's, in other memory.

    Returns:
        None.

    Raises:
        ValueError, TypeError: where shape or dtype does not fit, or the target is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.ones(2, "int64")
        >>> qn.kernels.assign_add(x, np.int64(2))
        >>> x
        array([3, 3])
    """
    target += value


@kernel(shape=_number_shape("assign_sub"), native=_native, numba=_sub_numba, updates=("target",))
def assign_sub(target, value):
    """Subtracts a value from an array: target[i] = target[i] - value[i].

    Args:
        target: array of floats or integers (which wrap around); written.
        value: array of the target's dtype whose shape broadcasts to the target's, in other memory.

    Returns:
        None.

    Raises:
        ValueError, TypeError: where shape or dtype does not fit, or the target is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.ones(2, "float32")
        >>> qn.kernels.assign_sub(x, np.float32(2))
        >>> x
        array([-1., -1.], dtype=float32)
    """
    target -= value


def _lerp_shape(target, value, momentum):
    _check("lerp_update", target, value)
    if not is_float(np.dtype(target.dtype)):
        raise TypeError(f"lerp_update: target: expected floats, received dtype {np.dtype(target.dtype)}")
    if not isinstance(momentum, (int, float, np.floating)) or isinstance(momentum, bool):
        raise TypeError(f"lerp_update: momentum: expected a number, received {momentum!r}")
    return ()


def _lerp_native(target, value, momentum):
    return (), (momentum,)


def _lerp_numba(outs, target, value, momentum):
    _run(_lerp_loop, target, value, target.dtype.type(momentum), target.dtype.type(1 - momentum))


@kernel(shape=_lerp_shape, native=_lerp_native, numba=_lerp_numba, updates=("target",))
def lerp_update(target, value, *, momentum):
    """Moves an average towards a value: target[i] = target[i] * momentum + value[i] * (1 - momentum).

    Args:
        target: array of floats; written.
        value: array of the target's dtype whose shape broadcasts to the target's, in other memory.
        momentum: how much of the target stays.

    Returns:
        None.

    Raises:
        ValueError, TypeError: where shape or dtype does not fit, or the target is read-only.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x = np.ones(2, "float32")
        >>> qn.kernels.lerp_update(x, np.float32(3), momentum=0.75)
        >>> x
        array([1.5, 1.5], dtype=float32)
    """
    number = target.dtype.type
    target[...] = target * number(momentum) + value * number(1 - momentum)
