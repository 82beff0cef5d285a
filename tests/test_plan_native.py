"""The native plan: hand-made plans against eager calls, their schedule, abort and undo, leases, bounds."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import quernel as qn

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")

WORKSPACE, FIXED, ARGUMENT, OUTPUT = range(4)
core = qn.backend._state.core
THREADS = (1, 2, 3, 7)


class View:
    """Memory of a recipe: a root, a byte offset in it, and how an array lies there."""

    def __init__(self, root, shape, dtype="float32", offset=0, strides=None, whole=False):
        self.root, self.shape, self.dtype, self.offset, self.whole = root, tuple(shape), np.dtype(dtype), offset, whole
        if strides is None:
            strides = [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
        self.strides = tuple(strides)
        self.ndim = len(self.shape)

    def item(self):
        code = core.dtypes.index(self.dtype.name)
        return (self.root, self.offset, code, self.shape, self.strides, self.whole)

    @property
    def T(self):
        return View(self.root, self.shape[::-1], self.dtype, self.offset, self.strides[::-1], self.whole)


class Recipe:
    """Collects roots and ops for _core.Plan."""

    def __init__(self):
        self.roots, self.ops, self.undo, self.alive, self.workspace = [], [], [], [], 0

    def root(self, kind, value, size, before=0):
        self.roots.append((kind, value, size, before) if before else (kind, value, size))
        return len(self.roots) - 1

    def work(self, shape, dtype="float32", at=None):
        """A buffer of the workspace, behind what is there or at a byte offset."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        at = self.workspace if at is None else at
        self.workspace = max(self.workspace, at + (size + 63) // 64 * 64)
        return View(self.root(WORKSPACE, at, size), shape, dtype)

    def fixed(self, array):
        self.alive.append(array)
        return View(self.root(FIXED, array.ctypes.data, array.nbytes), array.shape, array.dtype)

    def argument(self, slot, shape, dtype="float32", whole=False):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return View(self.root(ARGUMENT, slot, size), shape, dtype, whole=whole)

    def output(self, slot, shape, dtype="float32"):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return View(self.root(OUTPUT, slot, size), shape, dtype)

    def op(self, name, ins, outs, epilogue=False, **attrs):
        """An op as the kernel of its name packs it; inputs in native order."""
        kernel = getattr(qn.kernels, name)
        if kernel.updates:
            arrays = {n: v for n, v in attrs.items() if n in kernel.inputs}
            attrs = {n: v for n, v in attrs.items() if n not in kernel.inputs}
            given = [arrays.get(n) for n in kernel.inputs]
        else:
            given = list(ins) + [None] * (len(kernel.inputs) - len(ins))
        _, isa, index, ints, floats = kernel._ask_native(given, kernel.freeze(attrs))
        items = [[v if v is None else v.item() for v in views] for views in (ins, outs)]
        self.ops.append((index, *items, ints, floats, int(epilogue)))
        return len(self.ops) - 1

    def plan(self, abort_after=-1):
        isa = qn.backend._state.tables[qn.backend.isa()][0]
        plan = core.Plan(isa, self.workspace, self.roots, self.ops, abort_after, self.undo)
        self.alive.append(plan)
        return plan


def run(plan, args=(), outs=(), steps=1, every=True, seconds=0.0, arg_advance=None, out_advance=None):
    zeros = (0,) * len(args)
    return plan.run(
        tuple(args), arg_advance or zeros, tuple(outs), out_advance or (0,) * len(outs), steps, every, seconds
    )


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


# A network's forward and a piece of its backward, with buffers that share memory as soon as their lifetimes allow.


def mixed(rows=96):
    """(recipe, argument, expected), rows >= 96: transposed reads, sums over ranks, small ops on rank 0, overlapping buffers."""
    x, w, v = floats(rows, 80), floats(80, 96, seed=1), floats(96, 64, seed=2)
    k = qn.kernels
    a = k.dense_forward(x, w, activation="relu")
    b = k.dense_forward(a, v)
    s = k.softmax(b)
    total = k.sum(s, axis=0)
    c = k.dense_dw(a, s)
    d = k.multiply(c, total)
    e = k.gemm(d, c, transpose_a=True)
    f = k.add(e, total)
    recipe = Recipe()
    X, Y = recipe.argument(0, x.shape), recipe.output(0, f.shape)
    W, V = recipe.fixed(w), recipe.fixed(v)
    A = recipe.work(a.shape)
    B = recipe.work(b.shape)
    S = recipe.work(s.shape)
    TOTAL = recipe.work(total.shape)
    C = recipe.work(c.shape, at=recipe.roots[B.root][1])  # b is dead when c is written
    D = recipe.work(d.shape, at=recipe.roots[A.root][1])  # a is dead when d is written
    E = recipe.work(e.shape, at=recipe.roots[S.root][1])  # s is dead when e is written
    recipe.op("dense_forward", [X, W, None], [A], activation="relu")
    recipe.op("dense_forward", [A, V, None], [B])
    recipe.op("softmax", [B], [S])
    recipe.op("sum", [S], [TOTAL], axis=0)
    recipe.op("dense_dw", [A, S], [C])
    recipe.op("multiply", [C, TOTAL], [D])
    recipe.op("gemm", [D, C, None], [E], transpose_a=True)
    recipe.op("add", [E, TOTAL], [Y])
    return recipe, x, f


@pytest.mark.parametrize("threads", THREADS)
def test_same_bits_as_eager(threads, sharing):
    qn.set_num_threads(threads)
    recipe, x, expected = mixed()
    plan = recipe.plan()
    assert (max(op["ranks"] for op in plan.describe()) > 1) == (threads > 1)
    for _ in range(3 if threads > 2 else 50):
        y = np.full_like(expected, np.nan)
        assert run(plan, [x], [y], steps=1 if threads > 2 else 20) == (1 if threads > 2 else 20, False)
        assert np.array_equal(y, expected)


def test_threads_and_workspaces_may_change_between_runs(sharing):
    recipe, x, expected = mixed()
    plan = recipe.plan()
    for threads in (1, 2, 3, 1, 2):
        qn.set_num_threads(threads)
        y = np.zeros_like(expected)
        assert run(plan, [x], [y]) == (1, False)
        assert np.array_equal(y, expected)
        core.trim_memory()


def test_a_small_plan_wakes_no_thread():
    qn.set_num_threads(2)
    recipe = Recipe()
    x = recipe.argument(0, (64,))
    for _ in range(5):
        y = recipe.work((64,))
        recipe.op("exp", [x], [y])
        x = y
    recipe.op("copy", [y], [recipe.output(0, (64,))])
    plan = recipe.plan()
    before = core.regions_opened()
    run(plan, [np.zeros(64, "float32")], [np.empty(64, "float32")], steps=10)
    assert core.regions_opened() == before and {op["ranks"] for op in plan.describe()} == {1}


def test_one_region_for_many_steps():
    qn.set_num_threads(2)
    recipe, x, expected = mixed(2000)
    plan = recipe.plan()
    before = core.regions_opened()
    y = np.empty_like(expected)
    assert run(plan, [x], [y], steps=5) == (5, False)
    assert core.regions_opened() == before + 1
    assert np.array_equal(y, expected)


# The schedule, against a checker of its own.


def touched(recipe, view):
    """(space, begin, end) of a view; an argument is anywhere in fixed memory."""
    root, offset, code, shape, strides, _ = view
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
    state = recipe.fixed(np.zeros(8192, "float32"))
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


# Steps.


def test_steps_advance(sharing):
    qn.set_num_threads(2)
    recipe = Recipe()
    x, total, y = recipe.argument(0, (30, 40)), recipe.fixed(np.zeros((30, 40), "float32")), recipe.output(0, (30, 40))
    recipe.op("exp", [x], [y])
    recipe.op("assign_add", [x], [total], value=x, target=total)
    plan = recipe.plan()
    data = floats(210, 40)
    out = np.full((210, 40), np.nan, "float32")
    assert run(plan, [data], [out], 7, arg_advance=(4800,), out_advance=(4800,)) == (7, False)
    assert np.array_equal(out, qn.kernels.exp(data))
    expected = np.zeros((30, 40), "float32")
    for i in range(7):
        qn.kernels.assign_add(expected, data[30 * i : 30 * i + 30])
    assert np.array_equal(recipe.alive[0], expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_epilogue_runs_when_outputs_are_wanted(threads, sharing):
    qn.set_num_threads(threads)
    recipe = Recipe()
    one, count, shown = recipe.fixed(np.ones(2000, "float32")), np.zeros(2000, "float32"), np.zeros(2000, "float32")
    c, s = recipe.fixed(count), recipe.fixed(shown)
    recipe.op("assign_add", [one], [c], value=one, target=c)
    recipe.op("assign_add", [one], [s], epilogue=True, value=one, target=s)
    recipe.op("copy", [c], [recipe.output(0, (2000,))], epilogue=True)
    plan = recipe.plan()
    y = np.zeros(2000, "float32")
    assert run(plan, [], [y], steps=5, every=False) == (5, False)
    assert (count == 5).all() and (shown == 1).all() and (y == 5).all()
    assert run(plan, [], [y], steps=5, every=True) == (5, False)
    assert (count == 10).all() and (shown == 6).all() and (y == 10).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_deadline(threads, sharing):
    qn.set_num_threads(threads)
    recipe = Recipe()
    one, count, shown = recipe.fixed(np.ones(3000, "float32")), np.zeros(3000, "float32"), np.zeros(3000, "float32")
    c, s = recipe.fixed(count), recipe.fixed(shown)
    recipe.op("assign_add", [one], [c], value=one, target=c)
    recipe.op("copy", [c], [s], epilogue=True)
    plan = recipe.plan()
    begin = time.perf_counter()
    done, bad = run(plan, steps=1 << 40, every=False, seconds=0.05)
    assert 0.05 <= time.perf_counter() - begin < 5
    assert not bad and 1 < done < 1 << 40
    assert (count == done).all() and (shown == done).all()
    assert run(plan, steps=3, seconds=1000.0) == (3, False)
    done, _ = run(plan, steps=1 << 40, seconds=1e-9)
    assert 1 <= done <= 2


@pytest.mark.parametrize("threads", [1, 2])
def test_whole_arguments_of_any_length(threads, sharing):
    qn.set_num_threads(threads)
    recipe = Recipe()
    x, index = recipe.argument(0, (10, 33), whole=True), recipe.argument(1, (20,), "int64")
    gathered, y = recipe.work((20, 33)), recipe.output(0, (20, 33))
    recipe.op("gather", [x, index], [gathered], axis=0)
    recipe.op("exp", [gathered], [y])
    plan = recipe.plan(abort_after=0)
    for rows in (10, 1000, 3, 10):
        data = floats(rows, 33, seed=rows)
        order = np.random.default_rng(0).integers(0, rows, (3, 20))
        out = np.zeros((3, 20, 33), "float32")
        assert run(plan, [data, order], [out], 3, arg_advance=(0, 160), out_advance=(0 + 2640,)) == (3, False)
        assert np.array_equal(out, qn.kernels.exp(data[order]))
        order[2, 5] = rows
        assert run(plan, [data, order], [out], 3, arg_advance=(0, 160), out_advance=(2640,)) == (2, True)


def test_arguments_with_any_strides():
    recipe = Recipe()
    x = View(recipe.root(ARGUMENT, 0, 4, before=400), (50,), strides=(-2,))
    recipe.op("exp", [x], [recipe.output(0, (50,))])
    data = floats(100)
    data.flags.writeable = False
    y = np.empty(50, "float32")
    run(recipe.plan(), [data[::-2]], [y])
    assert np.array_equal(y, qn.kernels.exp(data[::-2]))


# Aborting.


def training(labels_root):
    """State w, written before the abort point, and v, written after it."""
    recipe = Recipe()
    logits, one = recipe.fixed(floats(64, 10)), recipe.fixed(np.ones(5000, "float32"))
    w, v = np.zeros(5000, "float32"), np.zeros(5000, "float32")
    W, V = recipe.fixed(w), recipe.fixed(v)
    labels = recipe.argument(0, (64,), "int64")
    loss = recipe.work((64,))
    recipe.op("assign_add", [one], [W], value=one, target=W)
    at = recipe.op("sparse_categorical_crossentropy", [labels, logits], [loss], from_logits=True)
    recipe.op("assign_add", [one], [V], value=one, target=V)
    recipe.op("copy", [loss], [recipe.output(0, (64,))], epilogue=True)
    recipe.undo.append((W.root, 0, 4 * 3000))
    recipe.undo.append((W.root, 4 * 3000, 4 * 2000))
    return recipe, recipe.plan(abort_after=at), w, v


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("row", [0, 63])
def test_a_bad_index_undoes_its_step(threads, row, sharing):
    qn.set_num_threads(threads)
    recipe, plan, w, v = training(0)
    labels = np.random.default_rng(0).integers(0, 10, (5, 64))
    labels[2, row] = 10
    loss = np.zeros((5, 64), "float32")
    for attempt in range(1, 4):
        assert run(plan, [labels], [loss], 5, arg_advance=(512,), out_advance=(256,)) == (2, True)
        assert (w == 2 * attempt).all() and (v == 2 * attempt).all()
    expected = qn.kernels.sparse_categorical_crossentropy(labels[:2], np.stack([recipe.alive[0]] * 2), from_logits=True)
    assert np.array_equal(loss[:2], expected) and (loss[3:] == 0).all()
    labels[2, row] = 9
    assert run(plan, [labels], [loss], 5, arg_advance=(512,), out_advance=(256,)) == (5, False)
    assert (w == 11).all() and (v == 11).all()


def test_a_bad_index_behind_the_abort_point_is_an_error(sharing):
    recipe = Recipe()
    x = recipe.fixed(floats(5))
    recipe.op("gather", [x, recipe.argument(0, (3,), "int64")], [recipe.work((3,))], axis=0)
    plan = recipe.plan()
    assert run(plan, [np.array([0, 4, -5])]) == (1, False)
    with pytest.raises(RuntimeError, match="step 1: an op behind the abort point met a bad index"):
        run(plan, [np.array([0, 4, -5, 1, 5, 0, 0, 0, 0])], steps=3, arg_advance=(24,))


# Leases, threads, forks, allocations.


def test_side_by_side(sharing):
    qn.set_num_threads(2)
    recipe, x, expected = mixed()
    plan = recipe.plan()
    other = mixed(130)
    second = other[0].plan()
    wrong = []

    def caller(seed):
        for i in range(40):
            y, z = np.zeros_like(expected), np.zeros_like(other[2])
            run(plan, [x], [y], steps=1 + i % 3)
            run(second, [other[1]], [z])
            if not (np.array_equal(y, expected) and np.array_equal(z, other[2])):
                wrong.append(seed)

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and core.plan_stats()["leased"] == 0


def test_more_runs_than_workspaces():
    """Twelve runs at once: four of them take blocks of their own and give them back."""
    qn.set_num_threads(1)
    recipe, x, expected = mixed()
    plan = recipe.plan()
    results, most = [], []

    def caller():
        y = np.zeros_like(expected)
        run(plan, [x], [y], steps=1 << 40, seconds=0.3)
        results.append(np.array_equal(y, expected))

    threads = [threading.Thread(target=caller) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        while t.is_alive():
            most.append(core.plan_stats()["leased"])
            time.sleep(0.01)
        t.join()
    assert results == [True] * 12 and max(most) > 8
    stats = core.plan_stats()
    assert stats["leased"] == 0 and stats["workspaces"] <= 8
    core.trim_memory()
    assert core.plan_stats()["workspaces"] == 0 and core.plan_stats()["workspace_bytes"] == 0


def test_plans_are_counted():
    before = core.plan_stats()["plans"]
    recipe, *_ = mixed()
    recipe.plan()
    assert core.plan_stats()["plans"] == before + 1
    del recipe
    assert core.plan_stats()["plans"] == before


@pytest.mark.parametrize("attempt", range(5))
def test_forked_child_runs_plans(attempt, sharing):
    qn.set_num_threads(2)
    recipe, x, expected = mixed()
    plan = recipe.plan()
    y = np.zeros_like(expected)
    run(plan, [x], [y])
    stop = threading.Event()

    def busy():
        z = np.zeros_like(expected)
        while not stop.is_set():
            run(plan, [x], [z], steps=1 << 40, seconds=0.01)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        time.sleep(0.02)
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a deadlock ends the child with a signal
            y[:] = 0
            ok = run(plan, [x], [y], steps=3) == (3, False) and np.array_equal(y, expected)
            os._exit(0 if ok else 1)
        _, status = os.waitpid(child, 0)
    finally:
        stop.set()
        thread.join()
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, f"the child ended with status {status}"


def test_replay_allocates_nothing(sharing):
    qn.set_num_threads(2)
    recipe, x, expected = mixed()
    other, z, wanted = mixed(128)
    plan, second = recipe.plan(), other.plan()
    outs = [np.zeros_like(expected) for _ in range(3)]
    y = np.zeros_like(wanted)
    run(plan, [x], [outs[0]])
    run(second, [z], [y])
    before = core.memory_stats()["allocations"]
    for i in range(30):
        run(plan, [x], [outs[i % 3]], steps=2)
        run(second, [z], [y])
    assert core.memory_stats()["allocations"] == before
    assert all(np.array_equal(out, expected) for out in outs)


@pytest.mark.parametrize("threads", [1, 2])
def test_profile(threads, sharing):
    qn.set_num_threads(threads)
    recipe, x, expected = mixed(400)
    plan = recipe.plan()
    y = np.zeros_like(expected)
    run(plan, [x], [y])
    assert plan.times() == [(0, 0.0)] * 8
    plan.profile(True)
    begin = time.perf_counter()
    run(plan, [x], [y], steps=20)
    took = time.perf_counter() - begin
    assert [n for n, _ in plan.times()] == [20] * 8
    assert all(s > 0 for _, s in plan.times()) and 0.3 * took < sum(s for _, s in plan.times()) <= took
    plan.profile(False)
    run(plan, [x], [y], steps=20)
    assert [n for n, _ in plan.times()] == [20] * 8


# Refusals.


def simple(view=None, out=None, **replaced):
    recipe = Recipe()
    x, y = recipe.work((8,)), recipe.work((8,))
    recipe.op("exp", [x], [y])
    op = list(recipe.ops[0])
    if view is not None:
        op[1] = [view]
    if out is not None:
        op[2] = [out]
    recipe.ops[0] = tuple(op)
    for name, value in replaced.items():
        setattr(recipe, name, value)
    return recipe


F32 = 0
REFUSED = [
    (lambda: simple((0, 4, F32, (8,), (1,), False)), r"op 0 \(exp\): input 0: its bytes \[4, 36\) leave the root"),
    (lambda: simple((0, 0, F32, (8,), (-1,), False)), r"its bytes \[-28, 4\) leave the root"),
    (lambda: simple((0, -4, F32, (8,), (1,), False)), "leave the root"),
    (lambda: simple((0, 0, F32, (1 << 40, 1 << 40), (1 << 40, 1), False)), "bytes exceed 64 bits|leave the root"),
    (lambda: simple((0, 0, F32, (-8,), (1,), False)), "negative dimension"),
    (lambda: simple((0, 0, 9, (8,), (1,), False)), "unknown dtype code 9"),
    (lambda: simple((5, 0, F32, (8,), (1,), False)), "no root 5"),
    (lambda: simple((0, 2, F32, (7,), (1,), False)), "not aligned to its size"),
    (lambda: simple((0, 0, F32, (8,), (1,), True)), "only an argument's view can be whole"),
    (lambda: simple(out=(1, 0, F32, (8,), (0,), False)), "output 0: elements overlap"),
    (lambda: simple(out=(0, 0, F32, (8,), (1,), False)), r"op 0 \(exp\): output 0 overlaps another operand"),
    (lambda: simple(out=(1, 0, F32, (7,), (1,), False)), r"plan: op 0 \(exp\): "),
    (lambda: simple((0, 0, 1, (4,), (1,), False), (1, 0, 1, (4,), (1,), False)), r"plan: op 0 \(exp\): "),
    (lambda: simple(workspace=64), "root 1: expected it within the workspace"),
    (lambda: simple(undo=[(0, 0, 4)]), "undo: expected state in fixed memory"),
    (lambda: simple(roots=[(7, 0, 32), (0, 64, 32)]), "unknown kind 7"),
    (lambda: simple(roots=[(2, 0, 32), (2, 1, 32)]), "arguments are read only"),
    (lambda: simple(roots=[(1, 0, 32), (0, 64, 32)]), "null address"),
    (lambda: simple(roots=[(0, 0, 32, 8), (0, 64, 32)]), "only arguments reach in front"),
]


@pytest.mark.parametrize("make,match", REFUSED, ids=range(len(REFUSED)))
def test_recipes_that_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make().plan()


def test_abort_points_and_undo_that_are_refused():
    for abort in (-2, 1):
        with pytest.raises(ValueError, match="abort_after: no op"):
            simple().plan(abort)
    recipe = simple()
    state = recipe.fixed(np.zeros(4, "float32"))
    recipe.undo.append((state.root, 8, 12))
    with pytest.raises(ValueError, match="the state leaves its root"):
        recipe.plan()


def test_runs_that_are_refused():
    recipe = Recipe()
    recipe.op("exp", [recipe.argument(0, (8,))], [recipe.output(0, (8,))])
    plan = recipe.plan()
    x, y = np.zeros(8, "float32"), np.zeros(8, "float32")
    with pytest.raises(ValueError, match="expected 1 arrays and advances for argument slots, received 0"):
        run(plan, [], [y])
    with pytest.raises(TypeError, match="output 0: expected a numpy.ndarray"):
        run(plan, [x], [[0.0] * 8])
    with pytest.raises(ValueError, match="argument 0: expected at least 32 bytes, received 28"):
        run(plan, [x[:7]], [y])
    with pytest.raises(ValueError, match="output 0: expected at least 96 bytes, received 32"):
        run(plan, [x], [y], steps=3, out_advance=(32,))
    with pytest.raises(ValueError, match="output 0: expected a writeable C-contiguous array"):
        run(plan, [x], [np.zeros(16, "float32")[::2]])
    y.flags.writeable = False
    with pytest.raises(ValueError, match="output 0: expected a writeable C-contiguous array"):
        run(plan, [x], [y])
    with pytest.raises(ValueError, match="steps: expected at least 1, received 0"):
        run(plan, [x], [x.copy()], steps=0)
