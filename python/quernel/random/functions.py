"""Random Tensors, made by Philox4x32-10 from a seed."""

from .. import dtypes, ops
from ..tensor import as_tensor
from .seed_generator import draw_seed


def _shape(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Numbers from the normal distribution.

    Args:
        shape: tuple of ints.
        mean: mean of the distribution.
        stddev: standard deviation.
        dtype: a float dtype, "float32" by default.
        seed: an int (the same numbers at every call), a SeedGenerator, or None for the global generator.

    Returns:
        A Tensor of this shape and dtype.

    Example:
        >>> import quernel as qn
        >>> qn.random.normal((2, 3), seed=1).shape
        (2, 3)
    """
    dtype = _float(dtype, "normal")
    return ops.random_normal(draw_seed(seed), shape=_shape(shape), mean=float(mean), stddev=float(stddev), dtype=dtype)


def uniform(shape, minval=0.0, maxval=None, dtype=None, seed=None):
    """Numbers spread evenly over [minval, maxval): floats, or with an integer dtype integers.

    Args:
        shape: tuple of ints.
        minval: smallest value.
        maxval: upper limit, which is not reached; 1 by default for floats, required for integers.
        dtype: a float dtype ("float32" by default), "int32" or "int64".
        seed: an int (the same numbers at every call), a SeedGenerator, or None for the global generator.

    Returns:
        A Tensor of this shape and dtype.

    Raises:
        ValueError: an integer dtype without maxval; an empty range of integers.

    Example:
        >>> import quernel as qn
        >>> x = qn.random.uniform((100,), 0, 6, dtype="int32", seed=1).numpy()
        >>> int(x.min()) >= 0, int(x.max()) < 6
        (True, True)
    """
    dtype = dtypes.standardize_dtype(dtype)
    if dtypes.is_integer(dtype):
        if maxval is None:
            raise ValueError(f"uniform: expected maxval with the dtype {dtype}, received None")
        return randint(shape, int(minval), int(maxval), dtype=dtype, seed=seed)
    maxval = 1.0 if maxval is None else maxval
    dtype = _float(dtype, "uniform")
    state = draw_seed(seed)
    return ops.random_uniform(state, shape=_shape(shape), minval=float(minval), maxval=float(maxval), dtype=dtype)


def randint(shape, minval, maxval, dtype="int32", seed=None):
    """Integers spread evenly over [minval, maxval).

    Args:
        shape: tuple of ints.
        minval: smallest value.
        maxval: upper limit, which is not reached.
        dtype: "int32" or "int64".
        seed: an int (the same numbers at every call), a SeedGenerator, or None for the global generator.

    Returns:
        A Tensor of this shape and dtype.

    Raises:
        ValueError: an empty range.

    Example:
        >>> import quernel as qn
        >>> qn.random.randint((3,), 5, 6).numpy()
        array([5, 5, 5], dtype=int32)
    """
    dtype = dtypes.standardize_dtype(dtype)
    return ops.random_integers(draw_seed(seed), shape=_shape(shape), minval=minval, maxval=maxval, dtype=dtype)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Numbers from the normal distribution, cut off two standard deviations from the mean.

    Args:
        shape: tuple of ints.
        mean: mean before truncation.
        stddev: standard deviation before truncation.
        dtype: a float dtype, "float32" by default.
        seed: an int (the same numbers at every call), a SeedGenerator, or None for the global generator.

    Returns:
        A Tensor of this shape and dtype.

    Example:
        >>> import quernel as qn
        >>> float(qn.ops.max(qn.random.truncated_normal((1000,), seed=1))) <= 2.0
        True
    """
    dtype = _float(dtype, "truncated_normal")
    state = draw_seed(seed)
    return ops.random_truncated_normal(state, shape=_shape(shape), mean=float(mean), stddev=float(stddev), dtype=dtype)


def dropout(inputs, rate, noise_shape=None, seed=None):
    """Sets elements to 0 with probability `rate` and divides the others by 1 - rate.

    Args:
        inputs: Tensor of floats.
        rate: share of the elements that is dropped, in [0, 1).
        noise_shape: shape of the mask, which broadcasts to the inputs' shape; None: the inputs' shape.
        seed: an int (the same mask at every call), a SeedGenerator, or None for the global generator.

    Returns:
        A Tensor of the inputs' shape.

    Example:
        >>> import quernel as qn
        >>> x = qn.random.dropout(qn.ones((1000,)), 0.5, seed=1).numpy()
        >>> sorted(set(x.tolist()))
        [0.0, 2.0]
    """
    inputs = as_tensor(inputs)
    if noise_shape is None or tuple(noise_shape) == inputs.shape:
        return ops.dropout(inputs, draw_seed(seed), rate=rate)
    noise_shape = tuple(n if m is None else m for n, m in zip(inputs.shape, noise_shape))
    return inputs * ops.dropout(ops.ones(noise_shape, dtype=inputs.dtype), draw_seed(seed), rate=rate)


def _float(dtype, name):
    dtype = dtypes.standardize_dtype(dtype)
    if not dtypes.is_float(dtype):
        raise ValueError(f"{name}: expected a float dtype, received {dtype}")
    return dtype
