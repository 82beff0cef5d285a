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
  `Decline(reason)`. It sees shapes and dtypes; its answer is cached by them. Floats other than float32 are declined before.
* `numba(outs, *inputs, **attrs)` fills the tuple of C-contiguous `outs` by loops decorated with `@jit`. To keep compile time
  down it brings inputs to one layout and rank (`np.ascontiguousarray`, `reshape`) before calling them.
* `variadic` names inputs that are lists of arrays; natively they are flattened in order.
* `updates` names inputs that are written in place (optimizers): such a kernel returns None; these arrays are its native outputs.
* `view=True`: the definition returns a view of its input (transpose, slice); it is the same on every backend, is not copied, and
  takes no `out`. Whoever writes into such a result writes into the input, as in NumPy.
"""

import functools
import inspect

import numpy as np

from .. import backend as backends
from .. import recording
from .compiled import jit as jit
from .compiled import vectorized as vectorized
from .execute import execute, update
from .outputs import empty as empty
from .resolve import Decline as Decline
from .resolve import Spec, resolve
from .resolve import spec as spec
from .values import PLAIN, as_array, as_target, attribute_key, is_float, plain

KERNELS = {}  # name -> Kernel, of the modules imported so far
_CACHE_SIZE = 512


class Kernel(backends.Entry):
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
        bits = [sum(1 << self.inputs.index(name) for name in names) for names in (self.variadic, self.updates)]
        self.describe_inputs(*bits, len(self.inputs))
        self._cache = {}  # of _find
        self._generation = -1
        self._defaults = None if inspect.Parameter.empty in self.attributes.values() else dict(self.attributes)
        KERNELS[self.name] = self

    def __repr__(self):
        return f"<quernel kernel {self.name}{self.__signature__}>"

    def __reduce__(self):
        return self.__qualname__  # by name, as a function: copies and pickles are this same kernel

    def long_way(self, args, keywords, usual):
        """A call that is not one of those known; `usual`: calls like it may be known from now on."""
        given = keywords.copy()
        out = keywords.pop("out", None)
        if out is not None and (self.view or self.updates):
            raise TypeError(f"{self.name}: unknown argument 'out'; expected {self.__signature__}")
        arrays = self.collect(args, keywords)
        attrs = self.freeze(keywords)
        result = self.run(arrays, attrs, out)
        if usual:
            resolved = self._find(arrays, attrs)
            if resolved.backend in ("native", "view"):
                payload = None if self.view else resolved.payload
                self.remember(args, given, self._generation, payload, resolved.outs, resolved.single)
        return result

    def bad_index(self, args, keywords):
        """Raises with the range expected and the index received, after a known call that met an index out of range."""
        keywords.pop("out", None)
        arrays = self.collect(args, keywords)
        self.definition(*arrays, **self.freeze(keywords))
        raise IndexError(f"{self.name}: an index is out of range")

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
                continue
            convert = as_target if name in self.updates else as_array
            if name in self.variadic:
                arrays.append([v if plain(v) else convert(v, f"{self.name}: {name}[{j}]") for j, v in enumerate(value)])
            elif plain(value):
                arrays.append(value)
            else:
                arrays.append(convert(value, f"{self.name}: {name}"))
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
        for name, value in zip(self.inputs, inputs):
            if name == "indices":
                continue  # which the shape rule wants to be integers
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
        resolved = self._find(arrays, attrs)
        if not recording.count:
            return self._execute(resolved, arrays, attrs, out)
        from ..plan import late

        recorder = recording.current()
        result = late.run(self, resolved, arrays, attrs, out, recorder is not None)
        if recorder is not None:
            recorder.note(self, resolved, arrays, attrs, out, result)
        elif type(result) is np.ndarray:
            recording.ELSEWHERE[id(result)] = result
        return result

    def _find(self, arrays, attrs):
        """What the call comes to, resolved once for each set of shapes, dtypes and attributes."""
        if self._generation != backends._state.generation:
            self._cache.clear()
            self._generation = backends._state.generation
        key = [v if v.__class__ in PLAIN else attribute_key(v) for v in attrs.values()]
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
        return resolved

    resolve = resolve
    _execute = execute
    _update = update

    def _flat(self, arrays):
        if not self.variadic:
            return tuple(arrays)
        flat = []
        for a in arrays:
            flat.extend(a) if type(a) is list else flat.append(a)
        return tuple(flat)

    def _split(self, arrays):
        """What is only read, what is updated."""
        ins, outs = [], []
        for name, a in zip(self.inputs, arrays):
            side = outs if name in self.updates else ins
            side.extend(a) if a.__class__ is list else side.append(a)
        return tuple(ins), tuple(outs)

    def explain(self, *args, **keywords):
        """One line for each backend asked: who declined and why, who answers."""
        arrays = self.collect(args, keywords)
        resolved = self.resolve(arrays, self.freeze(keywords))
        lines = [f"{name}: declined: {why}" for name, why in resolved.declined]
        isa = f" ({backends.isa()})" if resolved.backend == "native" else ""
        return "\n".join([*lines, f"{resolved.backend}{isa}: answers"])


def kernel(*, shape, native=None, numba=None, variadic=(), updates=(), view=False):
    """Declares an op by decorating its NumPy definition; see the module's docstring."""

    def decorate(definition):
        return Kernel(definition, shape, native, numba, variadic, updates, view)

    return decorate
