"""What a pool drops: positions at the end of an axis that no window covers, which convolutions need not compute."""

import copy

from ..kernels.window import sliding
from .recorder import MADE, Op

_BIG = {"max_pool": 0, "average_pool": 0, "max_pool_dx": 1}  # which input the windows slide over
_GRADIENTS = {"conv_dx": 0, "conv_dw": 1}  # which input is dy


def rows_that_a_pool_drops(program):
    """Convolutions before a pool learn how many positions matter: of 11 x 11 pooled by 2, 100 of 121.

    A map that only pools read is wanted nowhere else, and each output is a sum of its own. A pool's gradient is +0 where
    no window lies; csrc/conv/rim.hpp says why conv_dx and conv_dw may leave such terms out, and what they look for. The
    three convolutions of the demo's second layer take 0.83 of the time.
    """
    readers, writes = {}, {}
    for i, (op, _) in enumerate(program.calls):
        for at, value in enumerate(op.inputs):
            for ref in value if type(value) is list else () if value is None else (value,):
                readers.setdefault(ref.root, []).append((i, at, ref))
        for ref in op.writes():
            writes[ref.root] = writes.get(ref.root, 0) + 1
    for i, (op, _) in enumerate(program.calls):
        if len(op.outputs) != 1 or writes[op.outputs[0].root] > 1:
            continue
        (whole,) = op.outputs
        if program.roots[whole.root].kind is not MADE:
            continue
        users = readers.get(whole.root, [])
        if op.kernel.name == "conv_forward":
            reached = [_reached(program.calls[j][0], at, ref, whole) for j, at, ref in users]
            _limit(program, i, whole, [max(n) for n in zip(*reached)])
        elif op.kernel.name in ("max_pool_dx", "average_pool_dx"):
            live = _covered(op, whole)
            for j, at, ref in users:
                if ref == whole and _GRADIENTS.get(program.calls[j][0].kernel.name) == at:
                    _limit(program, j, whole, live)


def _covered(op, ref):
    """How many positions of each axis lie before the end of a pool's last window."""
    axes = sliding(op.kernel.name, ref.shape, *(op.attrs[n] for n in ("pool_size", "strides", "padding")))
    return [min(a.size, (a.out - 1) * a.stride - a.pad + a.pool) if a.out else 0 for a in axes]


def _reached(op, at, ref, whole):
    """How many positions of each axis a call reads."""
    if ref == whole and _BIG.get(op.kernel.name) == at:
        return _covered(op, whole)
    return whole.shape[1:-1]


def _limit(program, i, ref, live):
    """Tells the convolution i how many positions of `ref`, its result or gradient, matter."""
    op, epilogue = program.calls[i]
    if op.resolved.backend != "native" or not live or tuple(live) == ref.shape[1:-1]:
        return
    resolved = copy.copy(op.resolved)
    *call, ints, floats = op.resolved.payload
    resolved.payload = (*call, (*ints, *live), floats)
    program.calls[i] = Op(op.kernel, op.attrs, resolved, op.inputs, op.outputs, op.written, op.line), epilogue
