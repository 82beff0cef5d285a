"""Who computes a call with given shapes, dtypes and attributes: the first backend of the chain that does not decline."""

from typing import NamedTuple

import numpy as np

from .. import backend as backends
from .values import EXTRA_FLOATS


class Spec(NamedTuple):
    """Shape (entries may be None) and dtype of an array that does not exist yet."""

    shape: tuple
    dtype: np.dtype


class Decline(Exception):
    """Raised by a `native` packer: this backend does not take this call; the text says why."""


class Resolved:
    """What a call with these shapes, dtypes and attributes comes to: output specs, and who computes.

    `payload` is what that backend is called with: (call, isa, op, ints, floats) for native, else a function.
    """

    __slots__ = ("outs", "single", "backend", "payload", "declined")


def spec(shape, dtype):
    """A Spec with a plain tuple of ints (or None) and a np.dtype."""
    return Spec(tuple(shape), np.dtype(dtype))


def resolve(kernel, arrays, attrs):
    """Checks the call and asks the backends in turn."""
    r = Resolved()
    r.outs = kernel.specs(arrays, attrs)
    r.single = len(r.outs) == 1
    r.declined = []
    if kernel.view:
        r.backend, r.payload = "view", kernel.definition
        return r
    for name in backends.chain():
        try:
            r.payload = _ASK[name](kernel, arrays, attrs)
        except Decline as reason:
            r.declined.append((name, str(reason)))
            continue
        r.backend = name
        return r
    raise AssertionError("the NumPy definition takes every call")


def ask_native(kernel, arrays, attrs):
    op = backends.native_op(kernel.name)
    if op is None or kernel.native is None:
        raise Decline("there is no native kernel")
    for name, value in zip(kernel.inputs, arrays):
        for v in value if type(value) is list else (value,):
            if v is None:
                continue
            if v.dtype.kind == "f" and v.dtype.num != 11 or v.dtype.name in EXTRA_FLOATS:
                raise Decline(f"{name} is {v.dtype}; native kernels take float32")
            if v.dtype.kind in "iu" and v.dtype.name not in ("int32", "int64", "uint8"):
                raise Decline(f"{name} is {v.dtype}; native kernels take int32, int64, uint8 and bool")
            if v.ndim > 8:
                raise Decline(f"{name} has {v.ndim} dimensions; native kernels take at most 8")
    ints, floats = kernel.native(*arrays, **attrs)
    return (*op, tuple(int(i) for i in ints), tuple(float(f) for f in floats))


def _ask_numba(kernel, arrays, attrs):
    if kernel.numba is None:
        raise Decline("there is no Numba fallback")
    if not backends.numba_available():
        raise Decline("numba is not installed")
    for value in arrays:
        for v in value if type(value) is list else (value,):
            if v is not None and v.dtype.name in ("float16", *EXTRA_FLOATS):
                raise Decline(f"Numba has no {v.dtype} arithmetic")
    return kernel.numba


def _ask_numpy(kernel, arrays, attrs):
    return kernel.definition


_ASK = {"native": ask_native, "numba": _ask_numba, "numpy": _ask_numpy}
