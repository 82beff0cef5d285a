"""Case: one call of one op, with inputs made from a seed and a tolerance derived from the arithmetic.

Each `testing/cases/<room>.py` has a list CASES, which tests, benches and users read, and a list SPEED of cases that only
benches time.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

MANY = 1 << 22  # values of an array that are drawn; a longer one repeats them


@dataclass(frozen=True)
class Array:
    """How to make one input: a distribution, a shape and a dtype ("float": the test's floating dtype).

    `row` is the distance between rows in elements (0: none between them), `offset` how many elements past a 64-byte
    boundary the array starts (None: wherever NumPy puts it).
    """

    kind: str
    shape: tuple
    low: float = 0.0
    high: float = 1.0
    dtype: str = "float"
    data: tuple = ()
    row: int = 0
    offset: int | None = None

    def make(self, rng, float_dtype):
        dtype = float_dtype if self.dtype == "float" else self.dtype
        n = int(np.prod(self.shape))
        if n > MANY and self.kind in ("normal", "uniform", "integers"):  # a case of 400 MB in a tenth of a second
            block = replace(self, shape=(MANY,), row=0, offset=None).make(rng, float_dtype)
            return self._place(np.resize(block, self.shape))
        if self.kind == "normal":
            value = self.low + self.high * rng.standard_normal(self.shape)
        elif self.kind == "uniform":
            value = rng.uniform(self.low, self.high, self.shape)
        elif self.kind == "integers":
            value = rng.integers(int(self.low), int(self.high), self.shape)
        elif self.kind == "distinct":  # a permutation, well apart: no ties for max, no kink within a difference step
            value = self.low + (rng.permutation(n).reshape(self.shape) + 0.5) / max(n, 1) * (self.high - self.low)
        elif self.kind == "given":
            value = np.array(self.data).reshape(self.shape)
        return self._place(np.asarray(value).astype(dtype))

    def _place(self, value):
        """`value` where `row` and `offset` say."""
        if not self.row and self.offset is None:
            return value
        wide = (*value.shape[:-1], self.row or value.shape[-1])
        item = value.itemsize
        memory = np.zeros(int(np.prod(wide)) * item + 64 + (self.offset or 0) * item, np.uint8)
        start = -memory.ctypes.data % 64 + (self.offset or 0) * item
        placed = np.ndarray(wide, value.dtype, memory, start)[..., : value.shape[-1]]
        placed[...] = value
        return placed


def rows_apart(array, row):
    """The same Array with `row` elements from one row to the next."""
    return replace(array, row=row)


def shifted(array, offset=1):
    """The same Array starting `offset` elements past a 64-byte boundary."""
    return replace(array, offset=offset)


def normal(*shape, mean=0.0, std=1.0):
    """Floats from a normal distribution."""
    return Array("normal", shape, mean, std)


def uniform(*shape, low=-1.0, high=1.0):
    """Floats in [low, high)."""
    return Array("uniform", shape, low, high)


def distinct(*shape, low=-1.0, high=1.0):
    """Floats in (low, high), all different and evenly spaced, in random order."""
    return Array("distinct", shape, low, high)


def integers(*shape, low=0, high=10, dtype="int32"):
    """Integers in [low, high)."""
    return Array("integers", shape, low, high, dtype)


def bools(*shape):
    """True and False."""
    return Array("integers", shape, 0, 2, "bool")


def given(data, dtype="float"):
    """Exactly these values."""
    a = np.array(data)
    return Array("given", a.shape, dtype=dtype, data=tuple(a.ravel().tolist()))


def ulps(n):
    """Tolerance of an elementwise op: n units in the last place of the expected value (and flushed subnormals)."""

    def bound(inputs, attrs, expected, eps):
        return n * eps * np.abs(expected) + 2 * TINY

    return bound


def terms(k, scale=None):
    """Tolerance of a sum of k products or terms: 2 * eps * (k + 1) * the product of the inputs' largest magnitudes.

    `scale` replaces that product where not every input is a factor: a number, or a function (inputs) -> number.
    """

    def bound(inputs, attrs, expected, eps):
        if scale is None:
            size = 1.0
            for a in inputs:
                if a is not None and not isinstance(a, list) and a.dtype.kind == "f" and a.size:
                    size *= float(np.max(np.abs(a)))
        else:
            size = scale(inputs) if callable(scale) else scale
        return 2 * eps * (k + 1) * size + 2 * TINY

    return bound


def exact(inputs, attrs, expected, eps):
    """Tolerance of copies, comparisons, integers: none."""
    return 0.0


TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Case:
    """One call: `op(*inputs, **attrs)`.

    Args:
        op: the kernel's name.
        name: unique within the op, short, no spaces (it becomes a test id).
        inputs: for each parameter an Array, None, or a list of Arrays where the op is variadic.
        attrs: the attributes.
        tolerance: bound(inputs, attrs, expected, eps) -> absolute error allowed, scalar or array: `ulps`, `terms`, `exact`.
        grad: whether the gradient check runs on it (False where the point sits on a kink).
        tiny: the one case of the op on which finite differences check every element.
        settle: (inputs, attrs) -> inputs, where one of them follows from another; None: they are independent.
    """

    op: str
    name: str
    inputs: tuple
    attrs: dict = field(default_factory=dict)
    tolerance: Callable = exact
    grad: bool = True
    tiny: bool = False
    settle: Callable | None = None

    def make(self, dtype="float32", seed=0):
        """The inputs as arrays; the same for the same case, dtype and seed on every machine."""
        rng = np.random.Generator(np.random.Philox(zlib.crc32(f"{self.op}/{self.name}/{seed}".encode())))

        def build(spec):
            if spec is None:
                return None
            if isinstance(spec, list):
                return [build(s) for s in spec]
            return spec.make(rng, dtype)

        inputs = [build(s) for s in self.inputs]
        return inputs if self.settle is None else self.settle(inputs, self.attrs)

    def __str__(self):
        return f"{self.op}-{self.name}"
