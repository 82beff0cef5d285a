"""A first convolution and the max pool behind it as one call, forward and backward: the map between is never written."""

import copy

import numpy as np

from ..kernels.conv_shape import geometry
from ..kernels.kernel import spec
from ..kernels.window import sliding
from .recorder import ARGUMENT, MADE, Op, Ref, Root, contiguous_strides

FEW = 25  # positions of an image up to which conv_dw adds the images first
CHANNELS = 7  # of x at most, filters at least 8: as csrc/conv/thin.cpp has it
LARGEST = 15  # elements of a window along an axis


def pooled_first_layers(program):
    """conv_forward, max_pool and relu_dx, max_pool_dx, conv_dw, bias_db become two calls: see csrc/conv/pooled.hpp.

    That is so where only these read the map and its gradient, as in a first layer, whose images need none. Each value of
    the map, each maximum and each sum is made of the same numbers in the same order as before; handed on is which element
    of its window each maximum is. The demo's first layer writes and reads 5 MB instead of 36.
    """
    changed = True
    while changed:
        uses = Uses(program)
        changed = any(_fuse(program, uses, i) for i in range(len(program.calls)))


class Uses:
    """Who makes and reads each buffer; calls are told apart by their position."""

    def __init__(self, program):
        self.program, self.makers, self.readers = program, {}, {}
        for i, (op, _) in enumerate(program.calls):
            for ref in op.reads():
                self.readers.setdefault(ref.root, []).append(i)
            for ref in op.writes():
                self.makers.setdefault(ref.root, []).append(i)

    def constant(self, ref):
        """Whether a buffer keeps its values from when it is made to the end of the step."""
        kind = self.program.roots[ref.root].kind
        return len(self.makers.get(ref.root, ())) == (1 if kind is MADE else 0) and kind in (MADE, ARGUMENT)

    def only(self, ref, *names):
        """The positions of the calls of these kernels, where they are all that read a buffer of the workspace, once each."""
        calls = self.program.calls
        found = self.readers.get(ref.root, [])
        if self.program.roots[ref.root].kind is not MADE or not self.constant(ref):
            return None
        if sorted(calls[i][0].kernel.name for i in found) != sorted(names):
            return None
        return [next(i for i in found if calls[i][0].kernel.name == name) for name in names]


def _fuse(program, uses, i):
    """Makes two calls of the convolution i, its pool and their gradients, where that is possible."""
    calls = program.calls
    forward = calls[i][0]
    if forward.kernel.name != "conv_forward" or len(forward.outputs) != 1:
        return False
    (z,) = forward.outputs
    pools = uses.only(z, "max_pool", "max_pool_dx")
    if pools is None:
        return False
    pool, pool_dx = (calls[j][0] for j in pools)
    sums = uses.only(pool_dx.outputs[0], "conv_dw", "bias_db")
    if sums is None:
        return False
    dw, db = (calls[j][0] for j in sums)
    dz, (y,), (dy, read, largest), gone = pool_dx.outputs[0], pool.outputs, pool_dx.inputs, [*pools, sums[1]]
    if forward.attrs["activation"] == "relu":
        mask = uses.makers.get(dy.root, [-1])[0]
        if uses.only(dy, "max_pool_dx") is None or mask < 0 or calls[mask][0].kernel.name != "relu_dx":
            return False
        gone.append(mask)
        dy, by = calls[mask][0].inputs
        if by != y:
            return False
    elif forward.attrs["activation"] is not None:
        return False
    x = forward.inputs[0]
    same = pool.inputs[0] == read == z and largest == y and dw.inputs == [x, dz] and db.inputs == [dz]
    together = [i, *gone, sums[0]]
    if not same or not _fits(forward, pool, dw, dy, x) or len({calls[j][1] for j in together}) > 1:
        return False
    if any(calls[j][0].resolved.backend != "native" or calls[j][0].written for j in together):
        return False
    if not uses.constant(x) or not uses.constant(dy) or len(uses.makers[y.root]) != 1:
        return False
    number = max(program.roots) + 1
    strides, size = contiguous_strides(y._replace(dtype=np.dtype("uint8")))
    program.roots[number] = Root(MADE, number, size=size)
    at = Ref(number, 0, y.shape, strides, np.dtype("uint8"))
    sizes = [a.pool for a in _windows(pool, z)]
    _replace(program, i, forward.inputs, (y, at), sizes, z)
    _replace(program, min(sums), [x, dy, at], (dw.outputs[0], db.outputs[0]), sizes, z, dw)
    gone += [j for j in sums if j != min(sums)]
    for root in (z.root, dz.root, *(() if dy == pool_dx.inputs[0] else (pool_dx.inputs[0].root,))):
        del program.roots[root]
    program.calls[:] = [call for j, call in enumerate(calls) if j not in gone or j == min(sums)]
    return True


def _windows(pool, z):
    return sliding("max_pool", z.shape, *(pool.attrs[name] for name in ("pool_size", "strides", "padding")))


def _fits(forward, pool, dw, dy, x):
    """Whether csrc/conv/pooled.hpp takes it: two dimensions, few channels, whole windows side by side, dense arrays."""
    (z,) = forward.outputs
    if len(z.shape) != 4 or 0 in (*z.shape, *x.shape) or z.shape[1] * z.shape[2] <= FEW:
        return False
    if dw.attrs["groups"] != 1 or x.shape[-1] > CHANNELS or z.shape[-1] <= CHANNELS:
        return False
    if geometry("conv", x.shape[1:-1], dw.attrs["kernel_shape"][:-2], *_steps(dw)).dilation[-1] != 1:
        return False
    whole = all(
        a.stride == a.pool <= LARGEST and not a.pad and a.out and a.out * a.pool <= a.size for a in _windows(pool, z)
    )
    return whole and all(ref.strides == contiguous_strides(ref)[0] for ref in (x, dy, pool.outputs[0]))


def _steps(dw):
    return [dw.attrs[name] for name in ("strides", "padding", "dilation_rate")]


def _replace(program, i, inputs, outputs, sizes, z, op=None):
    """Puts a call of the form of csrc/conv/pooled.hpp in the place of call i."""
    old, epilogue = program.calls[i]
    op = op or old
    resolved = copy.copy(op.resolved)
    *call, ints, floats = op.resolved.payload
    resolved.payload = (*call, (*ints, *sizes, *z.shape[1:-1]), floats)
    resolved.outs, resolved.single = tuple(spec(ref.shape, ref.dtype) for ref in outputs), False
    program.calls[i] = Op(op.kernel, op.attrs, resolved, list(inputs), tuple(outputs), (), op.line), epilogue
