"""What elementwise kernels share: broadcasting of shapes with None, and shape rules for one and two arrays."""

import numpy as np

from .kernel import is_float, spec


def broadcast(name, **arrays):
    """The shape to which named arrays broadcast; entries may be None. ValueError when they do not."""
    shapes = [tuple(a.shape) for a in arrays.values()]
    rank = max(map(len, shapes))
    result = []
    for axis in range(-rank, 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        known = sizes - {None}
        if len(known) > 1:
            text = ", ".join(f"{key} {tuple(a.shape)}" for key, a in arrays.items())
            raise ValueError(
                f"{name}: expected shapes that broadcast (equal sizes or 1, counted from the last axis), received {text}"
            )
        result.append(known.pop() if known else None if sizes else 1)
    return tuple(result)


def same_dtype(name, **arrays):
    """The dtype of all arrays; TypeError when they differ."""
    names = {key: np.dtype(a.dtype).name for key, a in arrays.items()}
    if len(set(names.values())) > 1:
        text = ", ".join(f"{key} {dtype}" for key, dtype in names.items())
        raise TypeError(f"{name}: expected arrays of one dtype, received {text}; cast first, or use quernel.ops.{name}")
    return next(iter(names.values()))


def check_kind(name, dtype, kinds):
    """TypeError unless the dtype is of one of the kinds "float", "int", "bool"."""
    kind = "float" if is_float(np.dtype(dtype)) else "bool" if np.dtype(dtype).kind == "b" else "int"
    if kind not in kinds:
        raise TypeError(f"{name}: expected an array of {' or '.join(kinds)}, received {dtype}; cast first")


NUMBERS = ("float", "int")
ANY = ("float", "int", "bool")
FLOATS = ("float",)


def unary(name, kinds=FLOATS, result=None):
    """The shape rule of y[i] = f(x[i]) for x of the given kinds; `result` is the output's dtype where it is not x's."""

    def rule(x, **attrs):
        check_kind(name, x.dtype, kinds)
        return spec(x.shape, result or x.dtype)

    return rule


def binary(name, kinds=ANY, result=None, first="x1", second="x2"):
    """The shape rule of y[i] = f(x1[i], x2[i]) with broadcasting."""

    def rule(x1, x2, **attrs):
        named = {first: x1, second: x2}
        dtype = same_dtype(name, **named)
        check_kind(name, dtype, kinds)
        return spec(broadcast(name, **named), result or dtype)

    return rule


def plain(*arrays, **attrs):
    """The packer of ops whose attributes are floats, in declared order."""
    return (), tuple(attrs.values())
