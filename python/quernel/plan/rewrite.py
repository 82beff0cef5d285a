"""Rewrites: calls of a program replaced by cheaper ones with the same bits. Each says why the bits cannot differ."""

from .. import recording
from .drops import rows_that_a_pool_drops
from .fused_loss import dense_and_loss, loss_and_gradient
from .pooled import Uses, pooled_first_layers
from .recorder import MADE, OUTSIDE, Like, Op, Root, address_of, array_at
from .trace import FLAGGING

_POOLS = ("max_pool_dx", "global_max_pool_dx")


def relu_before_pool(program):
    """relu_dx(max_pool_dx(dy, x, y), x) becomes max_pool_dx(relu_dx(dy, y), x, y): the mask runs over the small map.

    A window gives its gradient to an element x[p] whose value is the window's maximum y, so the mask x[p] > 0 is the
    mask y > 0, for NaN too; and where it is off, the sum of the +0 that arrive is the +0 that relu_dx writes. For the
    demo's first layer it replaces a pass over 16 MB by one over 4 MB.
    """
    from .. import kernels

    calls = program.calls
    users = program.users()
    for j, (relu, epilogue) in enumerate(calls):
        if relu.kernel is not kernels.relu_dx or relu.written:
            continue
        masked, by = relu.inputs
        i = _maker(program, masked, users, j)
        if i is None:
            continue
        pool = calls[i][0]
        if pool.kernel.name not in _POOLS or pool.outputs != (masked,) or pool.inputs[1] != by or pool.written:
            continue
        dy, x, y = pool.inputs
        if dy.shape != y.shape or any(_written_between(program, ref.root, i, j) for ref in (dy, x, y)):
            continue
        small = program.fresh(dy)
        resolved = kernels.relu_dx.resolve([Like(dy), Like(y)], {})
        if resolved.backend != relu.resolved.backend:
            continue
        calls[i] = Op(kernels.relu_dx, {}, resolved, [dy, y], (small,), (), relu.line), calls[i][1]
        calls[j] = Op(pool.kernel, pool.attrs, pool.resolved, [small, x, y], relu.outputs, (), pool.line), epilogue
        del program.roots[masked.root]


SMALL = 4096  # bytes; filling a large constant anew costs less than the memory to keep it


def constant_calls(program):
    """A call whose inputs are all constants is made once, by the same kernel: what it gives is a constant too.

    A step of linear regression drops from 17 calls to 13: the slope 1 / n of the mean, counts cast to float.
    """
    known = {number for number, root in program.roots.items() if _is_constant(program, number, root)}
    calls = []
    for op, epilogue in program.calls:
        if all(ref.root in known for ref in op.reads()) and _can_be_made_once(program, op):
            inputs = [None if v is None else [_value(program, r) for r in v] if type(v) is list else _value(program, v)
                      for v in op.inputs]  # fmt: skip
            result = op.kernel._execute(op.resolved, inputs, op.attrs, None)
            for ref, array in zip(op.outputs, result if type(result) is tuple else (result,)):
                program.roots[ref.root] = Root(OUTSIDE, ref.root, array, array, op.line)
                program.kept.append(array)
                known.add(ref.root)
        else:
            calls.append((op, epilogue))
    program.calls[:] = calls
    used = program.users()
    for number in [n for n in known if n not in used]:
        del program.roots[number]


def _is_constant(program, number, root):
    if root.kind is not OUTSIDE:
        return False
    return number not in program.captured or recording.CONSTANTS.get(id(root.what)) is root.what


def _can_be_made_once(program, op):
    if op.written or op.kernel.updates or op.kernel.view or op.kernel.name in FLAGGING:
        return False
    roots = [program.roots[ref.root] for ref in op.outputs]
    return all(root.kind is MADE for root in roots) and sum(root.bytes for root in roots) <= SMALL


def _value(program, ref):
    owner = program.roots[ref.root].what
    return array_at(owner, address_of(owner) + ref.offset, ref)


def rows_gathered_twice(program):
    """A gather of the same rows of the same array as one before goes, and its readers read that one's result: the targets
    of an autoencoder are its inputs. Nobody writes what the two read or make, so they make the same.

    Other calls that are made twice stay: somebody may save memory by making a result anew.
    """
    uses, known, same, calls = Uses(program), {}, {}, []
    for op, epilogue in program.calls:
        op = _reading(op, same)
        if op.kernel.name == "gather" and all(uses.constant(ref) for ref in (*op.reads(), *op.writes())):
            key = *op.inputs, op.attrs["axis"], op.resolved.backend, epilogue
            first = known.setdefault(key, op)
            if first is not op:
                same[op.outputs[0].root] = first.outputs[0].root
                del program.roots[op.outputs[0].root]
                continue
        calls.append((op, epilogue))
    program.calls[:] = calls


def _reading(op, same):
    """The call with other roots in the place of some."""
    if not any(ref.root in same for ref in op.reads()):
        return op
    inputs = [
        [_of(ref, same) for ref in value] if type(value) is list else value and _of(value, same) for value in op.inputs
    ]
    return Op(op.kernel, op.attrs, op.resolved, inputs, op.outputs, op.written, op.line)


def _of(ref, same):
    return ref._replace(root=same.get(ref.root, ref.root))


REWRITES = [
    constant_calls,
    rows_gathered_twice,
    relu_before_pool,
    pooled_first_layers,
    rows_that_a_pool_drops,
    dense_and_loss,
    loss_and_gradient,
]


def _maker(program, ref, users, reader):
    """The call that made the array of `ref`, where `reader` is its only reader and it is a buffer of the workspace."""
    if program.roots[ref.root].kind is not MADE:
        return None
    others = users[ref.root] - {reader}
    return others.pop() if len(others) == 1 else None


def _written_between(program, root, begin, end):
    return any(ref.root == root for op, _ in program.calls[begin + 1 : end] for ref in op.writes())
