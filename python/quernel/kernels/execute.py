"""How a resolved call runs on each backend: the outputs made, filled and returned."""

import numpy as np

from .outputs import check_out, empty


def execute(kernel, resolved, arrays, attrs, out):
    """Computes as `resolved` says; a method of Kernel."""
    if kernel.view:
        return resolved.payload(*arrays, **attrs)
    if kernel.updates:
        return kernel._update(resolved, arrays, attrs)
    if out is None:
        outs = None if resolved.backend == "numpy" else tuple([empty(s.shape, s.dtype) for s in resolved.outs])
    else:
        outs = check_out(kernel.name, out, resolved, kernel._flat(arrays))
    if resolved.backend == "native":
        call, isa, op, ints, floats = resolved.payload
        try:
            call(isa, op, kernel._flat(arrays), outs, ints, floats, out is not None)
        except IndexError:
            kernel.definition(*arrays, **attrs)  # raises with the range expected and the index received
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


def update(kernel, resolved, arrays, attrs):
    """The same for a kernel that writes inputs in place; a method of Kernel."""
    for name, value in zip(kernel.inputs, arrays):
        if name in kernel.updates:
            for v in value if type(value) is list else (value,):
                if v is not None and not v.flags.writeable:
                    raise ValueError(f"{kernel.name}: {name}: expected a writeable array, received a read-only one")
    if resolved.backend == "native":
        call, isa, op, ints, floats = resolved.payload
        ins, outs = kernel._split(arrays)
        try:
            call(isa, op, ins, outs, ints, floats, True)
        except IndexError:
            kernel.definition(*arrays, **attrs)  # raises as above, before it writes
            raise
    elif resolved.backend == "numba":
        resolved.payload((), *arrays, **attrs)
    else:
        with np.errstate(all="ignore"):
            resolved.payload(*arrays, **attrs)
