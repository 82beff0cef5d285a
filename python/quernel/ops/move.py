"""concat, stack, pad and constant arrays."""

import numpy as np

from .. import kernels, ops
from ..autograd import gradient, no_gradient
from .apply import apply, operand

no_gradient(kernels.full)


def concat(xs, axis=-1):
    """Joins arrays along an axis; dtypes are promoted to a common one. See `quernel.kernels.concat`.

    Example:
        >>> import quernel as qn
        >>> qn.ops.concat([[1.0], [2.0, 3.0]]).numpy()
        array([1., 2., 3.], dtype=float32)
    """
    xs = [operand(x) for x in xs]
    if len({str(x.dtype) for x in xs}) > 1:
        from ..dtypes import result_type

        dtype = result_type(*[x.dtype for x in xs])
        xs = [ops.cast(x, dtype) for x in xs]
    return apply(kernels.concat, (xs,), {"axis": axis})


@gradient(kernels.concat)
def _(node, dy):
    (xs,), axis = node.inputs, node.attrs["axis"] % len(dy.shape)
    parts, start = [], 0
    for x in xs:
        parts.append(ops.take_slice(dy, axis, start, start + x.shape[axis]))
        start += x.shape[axis]
    return (parts,)


def concatenate(xs, axis=0):
    """Joins arrays along an axis, the first one by default.

    Example:
        >>> import quernel as qn
        >>> qn.ops.concatenate([[[1.0]], [[2.0]]]).shape
        (2, 1)
    """
    return concat(xs, axis=axis)


def stack(x, axis=0):
    """Joins arrays of one shape along a new axis.

    Example:
        >>> import quernel as qn
        >>> qn.ops.stack([[1.0, 2.0], [3.0, 4.0]], axis=-1).numpy()
        array([[1., 3.],
               [2., 4.]], dtype=float32)
    """
    values = [operand(v) for v in x]
    shapes = {tuple(v.shape) for v in values}
    if len(shapes) != 1:
        raise ValueError(f"stack: expected arrays of one shape, received shapes {sorted(shapes)}")
    return concat([ops.expand_dims(v, axis) for v in values], axis=axis)


def _pairs(pad_width, rank):
    """Keras's forms of pad_width as one (before, after) pair for each axis."""
    if isinstance(pad_width, int):
        return ((pad_width, pad_width),) * rank
    pairs = tuple(pad_width)
    if len(pairs) == 2 and all(isinstance(p, int) for p in pairs):
        return (pairs,) * rank
    if len(pairs) == 1 and isinstance(pairs[0], int):
        return ((pairs[0], pairs[0]),) * rank
    pairs = tuple(tuple(p) if isinstance(p, (list, tuple)) else p for p in pairs)
    return pairs * rank if len(pairs) == 1 else pairs


def _mirror(n, before, after, mode):
    """The indices that continue 0 ... n-1 in both directions by reflection, for `after` and `before` more."""
    if n == 0 and before + after:
        raise ValueError(f"pad: mode {mode!r}: expected a padded axis with elements, received size 0")
    if mode == "symmetric":
        period, fold = 2 * n, lambda i: 2 * n - 1 - i
    else:
        period, fold = max(2 * n - 2, 1), lambda i: 2 * n - 2 - i
    wrapped = (i % period for i in range(-before, n + after))
    return [i if i < n else fold(i) for i in wrapped]


def pad(x, pad_width, mode="constant", constant_values=None):
    """Pads x along its axes.

    Args:
        x: Tensor or array.
        pad_width: an integer, a pair (before, after) for every axis, or one pair for each axis.
        mode: "constant", "reflect" (about the edge elements) or "symmetric" (about the edges).
        constant_values: the constant of mode "constant", 0 where None.

    Returns:
        A Tensor, before + n + after long along each axis.

    Raises:
        ValueError: an unknown mode, or a constant with another mode than "constant".

    Example:
        >>> import quernel as qn
        >>> qn.ops.pad([1.0, 2.0, 3.0], (2, 1), mode="reflect").numpy()
        array([3., 2., 1., 2., 3., 2.], dtype=float32)
    """
    x = operand(x)
    pairs = _pairs(pad_width, len(x.shape))
    if mode == "constant":
        value = 0 if constant_values is None else constant_values
        return apply(kernels.pad, (x,), {"pad_width": pairs, "constant_values": value})
    if mode not in ("reflect", "symmetric"):
        raise ValueError(f"pad: mode: expected 'constant', 'reflect' or 'symmetric', received {mode!r}")
    if constant_values is not None:
        raise ValueError(f"pad: constant_values: expected None with mode {mode!r}, received {constant_values!r}")
    if len(pairs) != len(x.shape):
        raise ValueError(f"pad: pad_width: expected {len(x.shape)} pairs, one for each axis, received {pad_width}")
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            x = ops.gather(x, _mirror(x.shape[axis], before, after, mode), axis=axis)
    return x


@gradient(kernels.pad)
def _(node, dy):
    shape, widths = node.inputs[0].shape, node.attrs["pad_width"]
    start = tuple(before for before, _ in widths)
    stop = tuple(before + n for n, (before, _) in zip(shape, widths))
    return (ops.slice(dy, start=start, stop=stop, step=(1,) * len(start)),)


def full(shape, fill_value, dtype=None):
    """An array of one value; float32 where dtype is None.

    Example:
        >>> import quernel as qn
        >>> qn.ops.full((2,), 7.0).numpy()
        array([7., 7.], dtype=float32)
    """
    shape = tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
    return apply(kernels.full, (), {"shape": shape, "fill_value": fill_value, "dtype": _name(dtype or "float32")})


def _name(dtype):
    return dtype if isinstance(dtype, str) else np.dtype(dtype).name


def zeros(shape, dtype=None):
    """An array of zeros; float32 where dtype is None.

    Example:
        >>> import quernel as qn
        >>> qn.ops.zeros(2).numpy()
        array([0., 0.], dtype=float32)
    """
    return full(shape, 0, dtype)


def ones(shape, dtype=None):
    """An array of ones; float32 where dtype is None.

    Example:
        >>> import quernel as qn
        >>> qn.ops.ones(2, "int32").numpy()
        array([1, 1], dtype=int32)
    """
    return full(shape, 1, dtype)


def full_like(x, fill_value, dtype=None):
    """An array of one value with x's shape, and x's dtype where dtype is None.

    Example:
        >>> import quernel as qn
        >>> qn.ops.full_like([1.0, 2.0], 3).numpy()
        array([3., 3.], dtype=float32)
    """
    x = operand(x)
    dtype = x.dtype if dtype is None else dtype
    if None in x.shape:
        raise ValueError(f"full_like: expected a shape without None, received {tuple(x.shape)}")
    return full(x.shape, fill_value, dtype)


def zeros_like(x, dtype=None):
    """An array of zeros with x's shape, and x's dtype where dtype is None.

    Example:
        >>> import quernel as qn
        >>> qn.ops.zeros_like([1.0, 2.0]).numpy()
        array([0., 0.], dtype=float32)
    """
    return full_like(x, 0, dtype)


def ones_like(x, dtype=None):
    """An array of ones with x's shape, and x's dtype where dtype is None.

    Example:
        >>> import quernel as qn
        >>> qn.ops.ones_like([1.0, 2.0]).numpy()
        array([1., 1.], dtype=float32)
    """
    return full_like(x, 1, dtype)
