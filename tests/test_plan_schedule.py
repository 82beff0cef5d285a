"""Where the ranks of a plan meet: against a checker of its own, and random plans against their ops one by one."""

import numpy as np
import pytest
from plan_recipe import ARGUMENT, FIXED, OUTPUT, WORKSPACE, Recipe, View, core, floats, run

import quernel as qn

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")


def touched(recipe, view):
    """(space, begin, end) of a view; an argument is anywhere in fixed memory."""
    root, offset, code, shape, strides = view
    kind, value, *_ = recipe.roots[root]
    if kind == ARGUMENT:
        return FIXED, -(1 << 63), 1 << 63
    start = offset if kind == OUTPUT else value + offset
    item = np.dtype(core.dtypes[code]).itemsize
    reach = [s * (n - 1) * item for s, n in zip(strides, shape)]
    low, high = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + item
    return (kind, value) if kind == OUTPUT else kind, start + low, start + high


def conflicts(recipe, first, second):
    for a, wa in first:
        for b, wb in second:
            if (wa or wb) and a[0] == b[0] and a[1] < b[2] and b[1] < a[2]:
                return True
    return False


def unordered(recipe, plan, epilogue):
    """Pairs of conflicting ops that no sufficient barrier keeps apart."""
    told = plan.describe(epilogue)
    ops = [op for op in recipe.ops if epilogue or not op[5]]
    memory = []
    for op, d in zip(ops, told):
        lists = [(touched(recipe, v), i == 1) for i in (0, 1) for v in op[1 + i] if v is not None]
        memory.append(lists + ([((WORKSPACE, 1 << 40, 1 << 41), True)] if d["scratch"] else []))
    bad = []
    for j, later in enumerate(told):
        for i, earlier in enumerate(told[:j]):
            need = max(earlier["ranks"], later["ranks"])
            met = any(told[k]["barrier_before"] >= need for k in range(i + 1, j + 1))
            if need > 1 and not met and conflicts(recipe, memory[i], memory[j]):
                bad.append((i, j))
    return bad


def random_recipe(rng):
    """Ops between buffers that overlap at random, of sizes that get different numbers of ranks."""
    recipe = Recipe()
    state, argument = recipe.fixed(np.zeros(8192, "float32")), recipe.argument(0, (8192,))
    buffers = []
    for _ in range(rng.integers(2, 8)):
        n = int(rng.choice([4, 64, 600, 1500, 6000]))
        buffers.append(recipe.work((n,), at=int(rng.integers(0, 1000)) * 64))
    for _ in range(rng.integers(3, 25)):
        a, b = rng.choice(len(buffers), 2)
        a, b = buffers[a], buffers[b]
        n = min(a.shape[0], b.shape[0])
        begin, end = touched(recipe, View(a.root, (n,)).item())[1:]
        first, last = touched(recipe, View(b.root, (n,)).item())[1:]
        if begin < last and first < end:
            b = View(state.root, (n,))
        if rng.random() < 0.1:
            a = argument
        op, ins = ("exp", [View(a.root, (n,))]) if rng.random() < 0.7 else ("sum", [View(a.root, (n,))])
        out = View(b.root, (n,)) if op == "exp" else View(b.root, ())
        recipe.op(op, ins, [out], epilogue=bool(rng.random() < 0.2), **({"axis": None} if op == "sum" else {}))
    return recipe


@pytest.mark.parametrize("threads", [2, 5])
def test_conflicting_ops_are_kept_apart(threads, sharing):
    qn.set_num_threads(threads)
    rng = np.random.default_rng(threads)
    barriers = 0
    for _ in range(200):
        recipe = random_recipe(rng)
        plan = recipe.plan()
        for epilogue in (True, False):
            assert unordered(recipe, plan, epilogue) == []
            barriers += sum(op["barrier_before"] > 0 for op in plan.describe(epilogue))
    assert barriers > 200


def test_no_barrier_without_need(sharing):
    qn.set_num_threads(2)
    recipe = Recipe()
    x = recipe.argument(0, (4096,))
    outs = [recipe.output(i, (4096,)) for i in range(3)]
    for y in outs:
        recipe.op("exp", [x], [y])
    recipe.op("negative", [outs[0]], [recipe.work((4096,))])
    plan = recipe.plan()
    assert [op["ranks"] for op in plan.describe()] == [2] * 4
    assert [op["barrier_before"] for op in plan.describe()] == [0, 0, 0, 2]


def shuffling_recipe(rng, arena):
    """Transposing copies and sums between random places of one piece of fixed memory; (recipe, [(op, in, out, attrs)])."""
    recipe, calls = Recipe(), []
    root = recipe.fixed(arena).root
    while len(calls) < 12:
        n, m = (int(k) for k in rng.choice([2, 9, 40, 65], 2))
        a, b = (int(k) * 16 for k in rng.integers(0, (arena.size - 65 * 65) // 16, 2))
        if abs(a - b) < n * m:
            continue
        name = str(rng.choice(["negative", "copy", "sum", "softmax"]))
        x = View(root, (n, m), offset=4 * a, strides=(1, n))
        y = View(root, (m,) if name == "sum" else (n, m), offset=4 * b)
        attrs = {"sum": {"axis": 0}, "softmax": {"axis": 0}}.get(name, {})
        recipe.op(name, [x], [y], **attrs)
        calls.append((name, x, y, attrs))
    return recipe, calls


def place(arena, view):
    return np.lib.stride_tricks.as_strided(arena[view.offset // 4 :], view.shape, tuple(4 * s for s in view.strides))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_random_plans_against_their_ops_one_by_one(threads, sharing):
    rng = np.random.default_rng(threads)
    for _ in range(40):
        qn.set_num_threads(threads)
        arena = floats(3 * 65 * 65 + 7)
        expected = arena.copy()
        recipe, calls = shuffling_recipe(rng, arena)
        plan = recipe.plan()
        assert run(plan, steps=4) == (4, False)
        qn.set_num_threads(1)
        for name, x, y, attrs in calls * 4:
            place(expected, y)[...] = getattr(qn.kernels, name)(place(expected, x), **attrs)
        assert np.array_equal(arena, expected)
