"""The arrays that a kernel writes: new ones, and what must hold of those that the caller gives as `out`."""

import numpy as np

from .. import backend as backends


def empty(shape, dtype):
    """An uninitialised array, from the caching allocator where the compiled core is installed."""
    core = backends._state.core
    if core is None:
        return np.empty(shape, dtype)
    try:
        return core.empty(shape, dtype)
    except TypeError:  # a size that is no 64-bit integer
        raise ValueError(
            f"expected sizes of at most {2**63 - 1}, received an array of shape {shape} and dtype {dtype}"
        ) from None


def check_out(name, out, resolved, inputs):
    """The arrays of `out` as a tuple, after asking whether the call may write into them."""
    outs = (out,) if resolved.single else tuple(out)
    if len(outs) != len(resolved.outs):
        raise ValueError(f"{name}: out: expected {len(resolved.outs)} arrays, received {len(outs)}")
    for i, (target, s) in enumerate(zip(outs, resolved.outs)):
        if type(target) is not np.ndarray:
            raise TypeError(f"{name}: out: expected a numpy.ndarray, received {type(target).__name__}")
        if target.shape != s.shape or target.dtype != s.dtype:
            raise ValueError(
                f"{name}: out: expected shape {s.shape} and dtype {s.dtype}, "
                f"received shape {target.shape} and dtype {target.dtype}"
            )
        flags = target.flags
        if not flags.writeable:
            raise ValueError(f"{name}: out: expected a writeable array, received a read-only one")
        if not flags.aligned:
            raise ValueError(f"{name}: out: expected elements at multiples of their size; pass a copy")
        if flags.c_contiguous and resolved.backend == "native":
            continue  # the core refuses what overlaps, at a tenth of the time of the questions below
        if any(n > 1 and st % target.itemsize for n, st in zip(target.shape, target.strides)):
            raise ValueError(f"{name}: out: expected strides that are multiples of the item size; pass a copy")
        if target.size and _overlaps_itself(target):
            raise ValueError(f"{name}: out: expected an array whose elements do not overlap in memory; pass a copy")
        for other in (*inputs, *outs[:i]):
            if other is not None and np.may_share_memory(target, other):
                raise ValueError(f"{name}: out: the output overlaps an input or another output; pass a separate array")
    return outs


def _overlaps_itself(array):
    """Whether elements may share memory: an axis steps over less than the axes of smaller steps reach."""
    reach = 0
    for stride, n in sorted((abs(stride), n) for stride, n in zip(array.strides, array.shape) if n > 1):
        if stride <= reach:
            return True
        reach += stride * (n - 1)
    return False
