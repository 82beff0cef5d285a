"""What a kernel is: one op on arrays, with its shape rule, its NumPy definition, its Numba fallback and its native form.

A kernel module declares an op by decorating its NumPy definition::

    @kernel(shape=_shape, native=_native, numba=_numba)
    def conv_forward(x, w, b=None, *, strides=1, padding="valid"):
        '''Docstring: formula, Args with shapes, Returns, Raises, Example.'''
        ... plain NumPy, obviously right, any float dtype, returns a new array (or a tuple of them) ...

Positional parameters are arrays (`=None`: optional), keyword-only parameters are attributes. The decorator gives a `Kernel`:
called with arrays it checks, asks the backends along the chain, and returns arrays.

* `shape(*inputs, **attrs) -> Spec | tuple[Spec]` sees anything with `.shape` (entries may be None when symbolic) and `.dtype`;
  it raises ValueError or TypeError naming expected, received and the fix. It never sees array data.
* `native(*inputs, **attrs) -> (ints, floats)` flattens the attributes for the op of the same name in csrc/ops.def, or raises
  `Decline(reason)`. It sees shapes and dtypes; its answer is cached by them. Float inputs other than float32 are declined
  already.
* `numba(outs, *inputs, **attrs)` fills the tuple of C-contiguous `outs` by loops decorated with `@jit`. To keep compile time
  down it brings inputs to one layout and rank (`np.ascontiguousarray`, `reshape`) before calling them.
* `variadic` names inputs that are lists of arrays; natively they are flattened in order.
* `updates` names inputs that are written in place (optimizers): such a kernel returns None, its native outputs are these arrays
  in order, and its native inputs are the other ones.
* `view=True`: the definition returns a view of its input (transpose, slice); it is the same on every backend, is not copied, and
  takes no `out`. Whoever writes into such a result writes into the input, as in NumPy.
"""

import functools
import inspect
import sys
from typing import NamedTuple

import numpy as np

from .. import backend as backends
from .. import recording
from .compiled import jit as jit
from .compiled import vectorized as vectorized

KERNELS = {}  # name -> Kernel, of the modules imported so far
_CACHE_SIZE = 512
_EXTRA_FLOATS = ("bfloat16",)


class Spec(NamedTuple):
    """Shape (entries may be None) and dtype of an array that does not exist yet."""

    shape: tuple
    dtype: np.dtype


class Decline(Exception):
    """Raised by a `native` packer: this backend does not take this call; the text says why."""


def spec(shape, dtype):
    """A Spec with a plain tuple of ints (or None) and a np.dtype."""
    return Spec(tuple(shape), np.dtype(dtype))


def as_array(value, name):
    """A NumPy array for an input: no copy unless the memory cannot be read as it is."""
    if type(value) is np.ndarray:
        array = value
    elif "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray):  # asking np.ma would import it: 13 ms
        raise TypeError(f"{name}: expected a plain array, received a masked array; call .filled(value) first")
    elif hasattr(value, "__quernel_array__"):
        array = value.__quernel_array__(name)
    elif isinstance(value, np.ndarray):
        array = np.asarray(value)
    elif hasattr(value, "__dlpack__") and not isinstance(value, np.generic):
        array = np.from_dlpack(value)
    else:
        array = np.asarray(value)
    if array.dtype.kind not in "fiub" and array.dtype.name not in _EXTRA_FLOATS:
        raise TypeError(f"{name}: expected numbers, received an array of dtype {array.dtype}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    item = array.itemsize
    for stride in array.strides:
        if stride % item:
            return np.ascontiguousarray(array)
    return array


def is_float(dtype):
    """Whether a np.dtype is a floating-point type, bfloat16 included."""
    return dtype.kind == "f" or (dtype.kind == "V" and dtype.name in _EXTRA_FLOATS)


_PLAIN = (int, str, type(None))
_TRUE, _FALSE = (bool, True), (bool, False)
_FLOAT32 = np.dtype("float32")  # NumPy has one object for it, as long as the bytes are not swapped


def _attribute_key(value):
    """A dictionary key that tells 2.0 from 2, True from 1 and -0.0 from 0.0, which Python's == does not."""
    kind = value.__class__
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is float and value and value == value:
        return (float, value)
    if kind is tuple:
        return tuple([v if v.__class__ in _PLAIN else _attribute_key(v) for v in value])
    return (kind, repr(value)) if isinstance(value, (float, np.floating)) else (kind, value)


class _Resolved:
    """What a call with these shapes, dtypes and attributes comes to: output specs, and who computes."""

    __slots__ = ("outs", "single", "backend", "payload", "declined")


class Kernel:
    """One op on arrays; see the module's docstring. Attributes: name, inputs, optional, attributes, definition, module."""

    def __init__(self, definition, shape, native, numba, variadic, updates, view):
        functools.update_wrapper(self, definition)
        self.name = definition.__name__
        self.definition = definition
        self.shape_rule = shape
        self.native = native
        self.numba = numba
        self.variadic = tuple(variadic)
        self.updates = tuple(updates)
        self.view = view
        signature = inspect.signature(definition)
        params = signature.parameters.values()
        positional = [p for p in params if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.inputs = tuple(p.name for p in positional)
        self.optional = frozenset(p.name for p in positional if p.default is None)
        self.attributes = {p.name: p.default for p in params if p.kind is p.KEYWORD_ONLY}
        self.module = definition.__module__.rpartition(".")[2]
        if not self.updates and not view:
            out = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)
            signature = signature.replace(parameters=[*signature.parameters.values(), out])
        self.__signature__ = signature
        self._cache = {}
        self._generation = -1
        self._defaults = None if inspect.Parameter.empty in self.attributes.values() else dict(self.attributes)
        KERNELS[self.name] = self

    def __repr__(self):
        return f"<quernel kernel {self.name}{self.__signature__}>"

    def __call__(self, *args, out=None, **keywords):
        if out is not None and (self.view or self.updates):
            raise TypeError(f"{self.name}: unknown argument 'out'; expected {self.__signature__}")
        arrays = self.collect(args, keywords)
        return self.run(arrays, self.freeze(keywords), out)

    def collect(self, args, keywords):
        """The arrays of a call, in the order of `inputs`; what is left in `keywords` are attributes."""
        if len(args) > len(self.inputs):
            raise TypeError(
                f"{self.name}: expected at most {len(self.inputs)} arrays {self.inputs}, received {len(args)}; "
                f"attributes are passed by name"
            )
        arrays = []
        for i, name in enumerate(self.inputs):
            if i < len(args):
                value = args[i]
                if name in keywords:
                    raise TypeError(f"{self.name}: received {name!r} twice")
            elif name in keywords:
                value = keywords.pop(name)
            elif name in self.optional:
                value = None
            else:
                raise TypeError(f"{self.name}: the array {name!r} is missing; expected {self.__signature__}")
            if value is None:
                if name not in self.optional:
                    raise TypeError(f"{self.name}: {name}: expected an array, received None")
                arrays.append(None)
            elif name in self.variadic:
                arrays.append([as_array(v, f"{self.name}: {name}[{j}]") for j, v in enumerate(value)])
            elif type(value) is np.ndarray and value.dtype is _FLOAT32 and value.flags.c_contiguous:  # most calls
                arrays.append(value)
            else:
                arrays.append(as_array(value, f"{self.name}: {name}"))
        return arrays

    def freeze(self, keywords):
        """All attributes with their defaults filled in, in declared order, lists turned into tuples."""
        if not keywords and self._defaults is not None:
            return self._defaults.copy()
        attrs = {}
        taken = 0
        for name, default in self.attributes.items():
            if name in keywords:
                taken += 1
                value = keywords[name]
                if isinstance(value, list):
                    value = tuple(value)
            elif default is inspect.Parameter.empty:
                raise TypeError(f"{self.name}: the attribute {name!r} is missing; expected {self.__signature__}")
            else:
                value = default
            attrs[name] = value
        if taken != len(keywords):
            unknown = sorted(set(keywords) - set(self.attributes))
            raise TypeError(f"{self.name}: unknown argument {unknown[0]!r}; expected {self.__signature__}")
        return attrs

    def specs(self, inputs, attrs):
        """The output Specs for inputs that have `.shape` (None allowed) and `.dtype`; raises on a bad call."""
        floats = set()
        for value in inputs:
            for v in value if isinstance(value, list) else (value,):
                if v is not None and is_float(np.dtype(v.dtype)):
                    floats.add(np.dtype(v.dtype).name)
        if len(floats) > 1:
            raise TypeError(
                f"{self.name}: expected one floating dtype, received {' and '.join(sorted(floats))}; cast with astype first"
            )
        result = self.shape_rule(*inputs, **attrs)
        return (result,) if isinstance(result, Spec) else tuple(result)

    def run(self, arrays, attrs, out=None):
        """Computes on arrays that `collect` has prepared."""
        if self._generation != backends._state.generation:
            self._cache.clear()
            self._generation = backends._state.generation
        key = [v if v.__class__ in _PLAIN else _attribute_key(v) for v in attrs.values()]
        for a in arrays:
            if a is None:
                key.append(None)
            elif type(a) is list:
                key.append(tuple((v.shape, v.dtype.num) for v in a))
            else:
                key.append(a.shape)
                key.append(a.dtype.num)
        key = tuple(key)
        try:
            resolved = self._cache.get(key)
        except TypeError:
            raise TypeError(
                f"{self.name}: expected plain attribute values (numbers, text, tuples), received {attrs}"
            ) from None
        if resolved is None:
            resolved = self.resolve(arrays, attrs)
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = resolved
        result = self._execute(resolved, arrays, attrs, out)
        if recording.count:
            recorder = recording.current()
            if recorder is not None:
                recorder.note(self, resolved, arrays, attrs, out, result)
            elif type(result) is np.ndarray:
                recording.ELSEWHERE[id(result)] = result
        return result

    def resolve(self, arrays, attrs):
        """Checks the call and asks the backends in turn."""
        r = _Resolved()
        r.outs = self.specs(arrays, attrs)
        r.single = len(r.outs) == 1
        r.declined = []
        if self.view:
            r.backend, r.payload = "view", self.definition
            return r
        for name in backends.chain():
            try:
                r.payload = getattr(self, f"_ask_{name}")(arrays, attrs)
            except Decline as reason:
                r.declined.append((name, str(reason)))
                continue
            r.backend = name
            return r
        raise AssertionError("the NumPy definition takes every call")

    def _ask_native(self, arrays, attrs):
        op = backends.native_op(self.name)
        if op is None or self.native is None:
            raise Decline("there is no native kernel")
        for name, value in zip(self.inputs, arrays):
            for v in value if type(value) is list else (value,):
                if v is None:
                    continue
                if v.dtype.kind == "f" and v.dtype.num != 11 or v.dtype.name in _EXTRA_FLOATS:
                    raise Decline(f"{name} is {v.dtype}; native kernels take float32")
                if v.dtype.kind in "iu" and v.dtype.name not in ("int32", "int64", "uint8"):
                    raise Decline(f"{name} is {v.dtype}; native kernels take int32, int64, uint8 and bool")
                if v.ndim > 8:
                    raise Decline(f"{name} has {v.ndim} dimensions; native kernels take at most 8")
        ints, floats = self.native(*arrays, **attrs)
        return (*op, tuple(int(i) for i in ints), tuple(float(f) for f in floats))

    def _ask_numba(self, arrays, attrs):
        if self.numba is None:
            raise Decline("there is no Numba fallback")
        if not backends.numba_available():
            raise Decline("numba is not installed")
        for value in arrays:
            for v in value if type(value) is list else (value,):
                if v is not None and v.dtype.name in ("float16", *_EXTRA_FLOATS):
                    raise Decline(f"Numba has no {v.dtype} arithmetic")
        return self.numba

    def _ask_numpy(self, arrays, attrs):
        return self.definition

    def _execute(self, resolved, arrays, attrs, out):
        if self.view:
            return resolved.payload(*arrays, **attrs)
        if self.updates:
            return self._update(resolved, arrays, attrs)
        if out is None:
            outs = None if resolved.backend == "numpy" else tuple(empty(s.shape, s.dtype) for s in resolved.outs)
        else:
            outs = self._check_out(out, resolved, arrays)
        if resolved.backend == "native":
            call, isa, op, ints, floats = resolved.payload
            try:
                call(isa, op, self._flat(arrays), outs, ints, floats, out is not None)
            except IndexError:
                self.definition(*arrays, **attrs)  # raises with the range expected and the index received
                raise
        elif resolved.backend == "numba":
            fresh = outs if out is None else tuple(np.empty(s.shape, s.dtype) for s in resolved.outs)
            resolved.payload(fresh, *arrays, **attrs)
            if out is not None:
                for target, value in zip(outs, fresh):
                    np.copyto(target, value)
        else:
            with np.errstate(all="ignore"):
                results = resolved.payload(*arrays, **attrs)
            results = (results,) if resolved.single else results
            if outs is None:
                outs = tuple(np.array(v, dtype=s.dtype, order="C") for v, s in zip(results, resolved.outs))
            else:
                for target, value in zip(outs, results):
                    np.copyto(target, value, casting="unsafe")
        if out is not None:
            return out
        return outs[0] if resolved.single else outs

    def _flat(self, arrays):
        if not self.variadic:
            return tuple(arrays)
        flat = []
        for a in arrays:
            flat.extend(a) if type(a) is list else flat.append(a)
        return tuple(flat)

    def _check_out(self, out, resolved, arrays):
        outs = (out,) if resolved.single else tuple(out)
        if len(outs) != len(resolved.outs):
            raise ValueError(f"{self.name}: out: expected {len(resolved.outs)} arrays, received {len(outs)}")
        inputs = self._flat(arrays)
        for i, (target, s) in enumerate(zip(outs, resolved.outs)):
            if type(target) is not np.ndarray:
                raise TypeError(f"{self.name}: out: expected a numpy.ndarray, received {type(target).__name__}")
            if target.shape != s.shape or target.dtype != s.dtype:
                raise ValueError(
                    f"{self.name}: out: expected shape {s.shape} and dtype {s.dtype}, "
                    f"received shape {target.shape} and dtype {target.dtype}"
                )
            flags = target.flags
            if not flags.writeable:
                raise ValueError(f"{self.name}: out: expected a writeable array, received a read-only one")
            if flags.c_contiguous and resolved.backend == "native":
                continue  # the core refuses what overlaps, at a tenth of the time of the questions below
            if any(n > 1 and st % target.itemsize for n, st in zip(target.shape, target.strides)):
                raise ValueError(f"{self.name}: out: expected strides that are multiples of the item size; pass a copy")
            if target.size and _overlaps_itself(target):
                raise ValueError(
                    f"{self.name}: out: expected an array whose elements do not overlap in memory; pass a copy"
                )
            for other in (*inputs, *outs[:i]):
                if other is not None and np.may_share_memory(target, other):
                    raise ValueError(
                        f"{self.name}: out: the output overlaps an input or another output; pass a separate array"
                    )
        return outs

    def _update(self, resolved, arrays, attrs):
        for name, value in zip(self.inputs, arrays):
            if name in self.updates:
                for v in value if type(value) is list else (value,):
                    if v is not None and not v.flags.writeable:
                        raise ValueError(f"{self.name}: {name}: expected a writeable array, received a read-only one")
        if resolved.backend == "native":
            call, isa, op, ints, floats = resolved.payload
            ins = self._flat([a for n, a in zip(self.inputs, arrays) if n not in self.updates])
            outs = self._flat([a for n, a in zip(self.inputs, arrays) if n in self.updates])
            try:
                call(isa, op, ins, outs, ints, floats, True)
            except IndexError:
                self.definition(*arrays, **attrs)  # raises as above, before it writes
                raise
        elif resolved.backend == "numba":
            resolved.payload((), *arrays, **attrs)
        else:
            with np.errstate(all="ignore"):
                resolved.payload(*arrays, **attrs)

    def explain(self, *args, **keywords):
        """One line for each backend asked: who declined and why, who answers."""
        arrays = self.collect(args, keywords)
        resolved = self.resolve(arrays, self.freeze(keywords))
        lines = [f"{name}: declined: {why}" for name, why in resolved.declined]
        isa = f" ({backends.isa()})" if resolved.backend == "native" else ""
        return "\n".join([*lines, f"{resolved.backend}{isa}: answers"])


def _overlaps_itself(array):
    """Whether elements may share memory: an axis steps over less than the axes of smaller steps reach."""
    reach = 0
    for stride, n in sorted((abs(stride), n) for stride, n in zip(array.strides, array.shape) if n > 1):
        if stride <= reach:
            return True
        reach += stride * (n - 1)
    return False


def empty(shape, dtype):
    """An uninitialised array, from the caching allocator where the compiled core is installed."""
    core = backends._state.core
    return core.empty(shape, dtype) if core is not None else np.empty(shape, dtype)


def kernel(*, shape, native=None, numba=None, variadic=(), updates=(), view=False):
    """Declares an op by decorating its NumPy definition; see the module's docstring."""

    def decorate(definition):
        return Kernel(definition, shape, native, numba, variadic, updates, view)

    return decorate
