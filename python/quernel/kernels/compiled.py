"""`@jit` and `@vectorized`: functions that Numba compiles on first call; importing them costs nothing."""

import functools

import numpy as np


class _Jit:
    """`@jit`: compiled by Numba on first call, serial and without the GIL; importing this costs nothing."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function
        self.compiled = None

    def __call__(self, *args):
        if self.compiled is None:
            import numba

            try:
                self.compiled = numba.njit(nogil=True, error_model="numpy", cache=True)(self.function)
            except RuntimeError:  # numba: "no locator available": the package folder and the cache folder are read-only
                self.compiled = numba.njit(nogil=True, error_model="numpy")(self.function)
        return self.compiled(*args)


jit = _Jit


class _Vectorized:
    """`@vectorized`: a scalar function made a ufunc by Numba on first call; `numba=f.fill` of an elementwise kernel.

    One ufunc for each combination of dtypes: a shared one would pick a loop that an earlier call compiled for wider dtypes.
    """

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function
        self.compiled = {}

    def __call__(self, *args, out):
        key = tuple(a.dtype.num for a in args)
        ufunc = self.compiled.get(key)
        if ufunc is None:
            import numba

            try:
                ufunc = numba.vectorize(cache=True)(self.function)
            except RuntimeError:  # as in _Jit: nowhere to cache
                ufunc = numba.vectorize(self.function)
            self.compiled[key] = ufunc
        with np.errstate(all="ignore"):
            return ufunc(*args, out=out)

    def fill(self, outs, *inputs, **attrs):
        """The form that `kernel(numba=...)` takes; attributes follow the arrays, in their dtype."""
        self(*inputs, *[outs[0].dtype.type(value) for value in attrs.values()], out=outs[0])


vectorized = _Vectorized
