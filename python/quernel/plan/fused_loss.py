"""Rewrites to linear_cross_entropy: a dense layer, its cross-entropy and their gradients as one call without logits.

The bits are the same because the kernel's are (docs/numerics.md). What is asked here is whether nobody else reads the
logits or their gradients, whether the gradient of the losses is known before the losses are (it is 1 / n, or weights
and masks, unless a step does something unusual), and whether no memory changes between the calls that become one.
"""

import math

from .recorder import MADE, Like, Op

_LOSS, _SLOPE = "sparse_categorical_crossentropy", "sparse_categorical_crossentropy_dx"


def pays(rows, classes, trains):
    """Whether one call is faster, by the shape alone. Measured with 16 and 128 inputs on 1 and 2 threads: 2048 rows of
    512, 2000 and 10,000 classes train 1.06 to 2.8 times as fast and are evaluated 1.05 to 3.6 times as fast, 512 rows
    of 10,000 classes 1.03 to 2.6 and 0.94 to 3.8 times; fewer rows or classes lose with 128 inputs.
    """
    return rows >= (512 if trains else 1024) and classes >= 512 and rows * classes >= 1 << 20


def dense_and_loss(program):
    """dense_forward and the loss of its logits, and with them argmax, become linear_cross_entropy; with their gradients
    linear_cross_entropy_dx. 10,000 rows of 10,000 logits and their gradients were 800 MB.
    """
    i = 0
    while i < len(program.calls):
        i += not _fuse(program, i)


def loss_and_gradient(program):
    """linear_cross_entropy and its gradient, called by a step itself, become one call."""
    from .. import kernels

    calls, j = program.calls, 0
    while j < len(calls):
        loss = calls[j][0]
        k = None
        if loss.kernel is kernels.linear_cross_entropy and not loss.written and loss.resolved.backend == "native":
            later = range(j + 1, len(calls))
            k = next((k for k in later if _is_gradient_of(program, calls[k][0], loss)), None)
        if k is not None:
            slope = calls[k][0]
            moved = _makers(program, slope.inputs[0], j, k)
            if moved is not None and not _changed(program, loss.inputs, j, k):
                op = Op(slope.kernel, slope.attrs, slope.resolved, slope.inputs, (*loss.outputs, *slope.outputs[2:]),
                        (), loss.line)  # fmt: skip
                _replace(program, j, {j, k}, moved, op, slope.outputs[:2])
        j += 1


def _is_gradient_of(program, op, loss):
    from .. import kernels

    if op.kernel is not kernels.linear_cross_entropy_dx or op.written or op.resolved.backend != "native":
        return False
    users = sum(ref.root in {r.root for r in op.outputs[:2]} for other, _ in program.calls for ref in other.reads())
    kept = any(program.roots[ref.root].kind is not MADE for ref in op.outputs[:2])
    return op.inputs[1:] == loss.inputs and op.attrs == loss.attrs and not users and not kept


def _fuse(program, i):
    """Whether call i and others became one."""
    from .. import kernels

    calls = program.calls
    dense = calls[i][0]
    if dense.kernel is not kernels.dense_forward or dense.attrs["activation"] is not None or dense.written:
        return False
    x, w, b = dense.inputs
    (z,) = dense.outputs
    rows, classes = math.prod(x.shape[:-1]), w.shape[1]
    if not pays(rows, classes, True):
        return False
    users = program.users()
    found = _readers(program, users, i, z)
    if found is None or not pays(rows, classes, found[3] is not None) or _changed(program, [x, w, b], i, found[0]):
        return False
    j, guess, softmax, k = found
    loss = calls[j][0]
    target = loss.inputs[0]
    kernel, inputs, moved, slopes = kernels.linear_cross_entropy, [x, w, target, b], [], {}
    if k is not None:
        kernel, inputs = kernels.linear_cross_entropy_dx, [calls[k][0].inputs[0], *inputs]
        slopes = _slopes(program, users, k, x, w, target, b)
        moved = _makers(program, inputs[0], j, k)
        if slopes is None or moved is None or _changed(program, [x, w, target], j, max(slopes.values())):
            return False
    if guess is not None and any(n < j for n in users[calls[guess][0].outputs[0].root] - {guess}):
        return False
    removed = {i, j, *(n for n in (guess, softmax, k) if n is not None), *slopes.values()}
    attrs = {"probabilities": softmax is not None}
    resolved = kernel.resolve([None if ref is None else Like(ref) for ref in inputs], attrs)
    if {resolved.backend, *(calls[n][0].resolved.backend for n in removed)} != {"native"}:
        return False
    made = [j, guess]
    if k is not None:
        made += [slopes.get(name) for name in ("dense_dx", "dense_dw", "bias_db")]
    outputs = tuple(
        program.fresh(like) if n is None else calls[n][0].outputs[0] for n, like in zip(made, resolved.outs)
    )
    gone = [calls[n][0].outputs[0] for n in removed if n not in made]
    _replace(program, j, removed, moved, Op(kernel, attrs, resolved, inputs, outputs, (), loss.line), gone)
    return True


def _readers(program, users, i, z):
    """The calls that read the logits z of call i: (loss, argmax or None, softmax before that or None, gradient or None);
    None where there are others.
    """
    calls = program.calls
    if program.roots[z.root].kind is not MADE:
        return None
    found = {}
    for n in users[z.root] - {i}:
        op, seen = calls[n][0], z
        if op.kernel.name == "softmax" and _last(op, z):
            (seen,) = op.outputs
            others = users[seen.root] - {n}
            if program.roots[seen.root].kind is not MADE or len(others) != 1:
                return None
            found["softmax"], n = n, others.pop()
            op = calls[n][0]
            if op.kernel.name != "argmax":
                return None
        if op.kernel.name in found or op.written or not _may_read(op, seen):
            return None
        found[op.kernel.name] = n
    if _LOSS not in found:
        return None
    return found[_LOSS], found.get("argmax"), found.get("softmax"), found.get(_SLOPE)


def _may_read(op, z):
    name = op.kernel.name
    if name in (_LOSS, _SLOPE):
        return op.attrs["from_logits"] and op.inputs[-1] == z
    return name == "argmax" and _last(op, z) and not op.attrs["keepdims"]


def _last(op, z):
    """Whether a call reads z whole, along its last axis."""
    return op.inputs[0] == z and op.attrs["axis"] in (-1, len(z.shape) - 1) and not op.written


def _slopes(program, users, k, x, w, target, b):
    """{name: call} of those that read what call k, the gradient of the logits, made: dense_dx, dense_dw, perhaps
    bias_db; None where there are others, or too few.
    """
    calls = program.calls
    (dz,) = calls[k][0].outputs
    if program.roots[dz.root].kind is not MADE or calls[k][0].inputs[1] != target:
        return None
    wanted = {"dense_dx": [dz, w], "dense_dw": [x, dz]}
    if b is not None:
        wanted["bias_db"] = [dz]
    found = {}
    for n in users[dz.root] - {k}:
        op = calls[n][0]
        name = op.kernel.name
        if name in found or name not in wanted or op.written or op.inputs != wanted[name]:
            return None
        found[name] = n
    return found if "dense_dx" in found and "dense_dw" in found else None


def _makers(program, ref, j, k):
    """The calls between j and k that make `ref`, in order; None where they cannot move before call j."""
    calls = program.calls
    moved, live = [], {ref.root}
    for n in range(k - 1, j, -1):
        op = calls[n][0]
        if not any(r.root in live for r in op.writes()):
            continue
        if op.written:
            return None
        moved.insert(0, n)
        live.update(r.root for r in op.reads())
    stay = [n for n in range(j, k) if n not in moved]  # j among them: what the losses decide cannot be made before
    for n in moved:
        roots = {r.root for r in calls[n][0].reads()}
        if any(r.root in roots for s in stay if s < n for r in calls[s][0].writes()):
            return None
    return moved


def _replace(program, j, removed, moved, op, gone):
    """Puts `op`, behind the calls moved, in the place of call j."""
    calls = program.calls
    out = removed | set(moved)
    before = [calls[n] for n in range(j) if n not in out] + [calls[n] for n in moved]
    live = {ref.root for ref in op.reads()}
    for n in range(len(before) - 1, -1, -1):  # `op` runs in every step, and so does what makes its inputs
        if any(ref.root in live for ref in before[n][0].writes()):
            live.update(ref.root for ref in before[n][0].reads())
            before[n] = before[n][0], False
    calls[:] = [*before, (op, False), *(calls[n] for n in range(j + 1, len(calls)) if n not in out)]
    for ref in gone:
        del program.roots[ref.root]


def _changed(program, refs, begin, end):
    """Whether a call between two writes what `refs` show."""
    roots = {ref.root for ref in refs if ref is not None}
    return any(ref.root in roots for op, _ in program.calls[begin + 1 : end] for ref in op.writes())
