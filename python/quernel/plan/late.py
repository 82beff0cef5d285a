"""Late arrays: in a step that is being recorded, the logits of a large last layer, their softmax and their gradient are
noted like all results, and computed only when somebody reads them.

A loss reads logits row by row, and its gradient goes on to two products: linear_cross_entropy gives both without the
logits, with the same bits, as it does in the plan (fused_loss.py). So 10,000 rows of 10,000 classes take the two recorded
steps no more memory than the plan. A late array is memory that nobody has touched, which the system has not given yet.
Whoever reads it, or writes what it would be made from, comes by `run`, which fills it first, or keeps what was there.
"""

import gc
import math
import weakref

from .. import kernels, recording
from ..kernels.outputs import empty
from . import fused_loss

_LATE = recording.LATE  # id(array) -> Late, while the array lives and is not filled


class Late:
    """What fills an array.

    Args:
        kernel, resolved, inputs, attrs: the call that was noted. Among the inputs may be late arrays.

    Attributes:
        softmaxed: whether softmax was called on it.
        step: the step that noted it.
        guess: (of its softmax or of itself, the argmax of its rows), where a loss gave it and nobody took it yet.
        parts: {name: array}, what the fused gradient gave and nobody took yet, or None.
    """

    __slots__ = ("attrs", "guess", "inputs", "kernel", "parts", "reference", "resolved", "softmaxed", "step")

    def __init__(self, kernel, resolved, inputs, attrs):
        self.kernel, self.resolved, self.inputs, self.attrs = kernel, resolved, list(inputs), attrs
        self.softmaxed, self.guess, self.parts = False, None, None
        self.step = recording.current().step

    def array(self):
        """The array that is late from now on."""
        (like,) = self.resolved.outs
        array = empty(like.shape, like.dtype)
        key = id(array)
        self.reference = weakref.ref(array, lambda _: _LATE.pop(key, None))
        _LATE[key] = self
        return array

    def fill(self, array):
        """Makes the array what it was said to be."""
        for value in self.inputs:
            make(value)
        self.kernel._execute(self.resolved, self.inputs, self.attrs, array)
        _LATE.pop(id(array), None)  # another thread may have filled it too


def make(array):
    """Fills an array, or the one that it is a view of, if that is late."""
    if array is not None and _LATE:
        array = _owner(array)
        found = _LATE.get(id(array))
        if found is not None:
            found.fill(array)


def settle(step):
    """Fills the late arrays of a step that somebody still holds."""
    if any(late.step is step for late in list(_LATE.values())):
        gc.collect(1)  # what only a cycle holds, nobody will read
    for late in list(_LATE.values()):
        array = late.reference()
        if late.step is step and array is not None:
            make(array)


def run(kernel, resolved, arrays, attrs, out, records):
    """The result of a call made while some step is recorded: by this thread if `records`."""
    if records and out is None and resolved.backend == "native":
        rule = _RULES.get(kernel.name)
        result = rule(kernel, resolved, arrays, attrs) if rule is not None else None
        if result is not None:
            return result
    if _LATE:
        written = [] if out is None else list(out) if type(out) is tuple else [out]
        for array in _flat([*arrays, *written]):
            make(array)
        if kernel.updates:
            written = [value for name, value in zip(kernel.inputs, arrays) if name in kernel.updates]
        _keep(_flat(written))
    return kernel._execute(resolved, arrays, attrs, out)


def _flat(values):
    return [v for value in values for v in (value if type(value) is list else (value,)) if v is not None]


def _keep(written):
    """Late arrays will be made from what stands now in arrays that are about to be written."""
    memory = {id(_owner(array)) for array in written}
    for late in list(_LATE.values()):
        late.inputs = [v if v is None or id(_owner(v)) not in memory else v.copy() for v in late.inputs]


def _owner(array):
    while hasattr(array.base, "base"):
        array = array.base
    return array


# ---- rules: (kernel, resolved, arrays, attrs) -> the result of a call without its reading a late array, or None ----


def _late(array, kernel):
    """The Late of an array that a call of `kernel` would have made, or None."""
    found = _LATE.get(id(array))
    return found if found is not None and found.kernel is kernel else None


def _dense_forward(kernel, resolved, arrays, attrs):
    (like,) = resolved.outs
    if attrs["activation"] is not None or not fused_loss.pays(math.prod(like.shape[:-1]), like.shape[-1], True):
        return None
    return Late(kernel, resolved, arrays, attrs).array()


def _softmax(kernel, resolved, arrays, attrs):
    logits = _late(arrays[0], kernels.dense_forward)
    if logits is None or attrs["axis"] not in (-1, arrays[0].ndim - 1):
        return None
    logits.softmaxed = True
    return Late(kernel, resolved, arrays, attrs).array()


def _loss(kernel, resolved, arrays, attrs):
    target, z = arrays
    logits = _late(z, kernels.dense_forward)
    if logits is None or not attrs["from_logits"]:
        return None
    x, w, b = logits.inputs
    try:
        found = _fused(kernels.linear_cross_entropy, [x, w, target, b], logits)
    except IndexError:
        return None  # the message is the loss's own
    if found is None:
        return None
    loss, guess = found
    logits.guess = logits.softmaxed, guess
    return loss


def _argmax(kernel, resolved, arrays, attrs):
    (x,) = arrays
    if attrs["axis"] not in (-1, x.ndim - 1) or attrs["keepdims"]:
        return None
    probabilities = _late(x, kernels.softmax)
    logits = _late(x if probabilities is None else probabilities.inputs[0], kernels.dense_forward)
    if logits is None or logits.guess is None or logits.guess[0] is not (probabilities is not None):
        return None
    (_, guess), logits.guess = logits.guess, None
    return guess


def _slope(kernel, resolved, arrays, attrs):
    if _late(arrays[2], kernels.dense_forward) is None or not attrs["from_logits"]:
        return None
    return Late(kernel, resolved, arrays, attrs).array()


def _part(kernel, resolved, arrays, attrs):
    slope = next((s for s in (_late(a, kernels.sparse_categorical_crossentropy_dx) for a in arrays) if s), None)
    logits = slope and _late(slope.inputs[2], kernels.dense_forward)
    if not logits:
        return None
    dy, target, _ = slope.inputs
    x, w, b = logits.inputs
    other = {"dense_dx": w, "dense_dw": x, "bias_db": None}[kernel.name]
    if other is not None and not any(other is a for a in arrays):
        return None
    if slope.parts is None:
        found = _fused(kernels.linear_cross_entropy_dx, [dy, x, w, target, b], logits)
        if found is None:
            return None
        slope.parts = dict(zip(("dense_dx", "dense_dw", "bias_db"), found[2:]))
    return slope.parts.pop(kernel.name, None)


def _fused(kernel, arrays, logits):
    """The results of a kernel of linear_cross_entropy, or None where it would not run natively."""
    for array in arrays:
        make(array)
    attrs = {"probabilities": logits.softmaxed}
    resolved = kernel._find(arrays, attrs)
    return kernel._execute(resolved, arrays, attrs, None) if resolved.backend == "native" else None


_RULES = {
    "dense_forward": _dense_forward,
    "softmax": _softmax,
    "sparse_categorical_crossentropy": _loss,
    "argmax": _argmax,
    "sparse_categorical_crossentropy_dx": _slope,
    "dense_dx": _part,
    "dense_dw": _part,
    "bias_db": _part,
}
