"""The native plan: hand-made plans against eager calls, steps, deadline, abort and undo."""

import time

import numpy as np
import pytest
from plan_recipe import ARGUMENT, Recipe, View, core, floats, mixed, run

import quernel as qn

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")


THREADS = (1, 2, 3, 7)


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
    for threads in (1, 2, 3, 1, 2, 2, 1):
        qn.set_num_threads(threads)
        y, before = np.zeros_like(expected), core.regions_opened()
        assert run(plan, [x], [y]) == (1, False)
        assert np.array_equal(y, expected)
        assert core.regions_opened() == before + (threads > 1)
        if threads == 3:
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


def test_a_team_smaller_than_the_region(sharing):
    """A sum whose ranks meet inside the op, between ops of more ranks."""
    qn.set_num_threads(5)
    x = floats(3 * 4096)
    recipe = Recipe()
    a, total = recipe.work(x.shape), recipe.work(())
    recipe.op("exp", [recipe.argument(0, x.shape)], [a])
    recipe.op("sum", [a], [total], axis=None)
    recipe.op("multiply", [a, total], [recipe.output(0, x.shape)])
    plan = recipe.plan()
    ranks = [op["ranks"] for op in plan.describe()]
    assert 1 < ranks[1] < ranks[0] and plan.describe()[1]["scratch"]
    y = np.zeros_like(x)
    assert run(plan, [x], [y], steps=10) == (10, False)
    a = qn.kernels.exp(x)
    assert np.array_equal(y, qn.kernels.multiply(a, qn.kernels.sum(a)))


def counting(recipe, n):
    """(ones, view, array, view, array): a step adds the ones to the first array; what becomes of the second is open."""
    one, count, shown = recipe.fixed(np.ones(n, "float32")), np.zeros(n, "float32"), np.zeros(n, "float32")
    c, s = recipe.fixed(count), recipe.fixed(shown)
    recipe.op("assign_add", [one], [c], value=one, target=c)
    return one, c, count, s, shown


@pytest.mark.parametrize("threads", [1, 2])
def test_the_epilogue_runs_when_outputs_are_wanted(threads, sharing):
    qn.set_num_threads(threads)
    recipe = Recipe()
    one, c, count, s, shown = counting(recipe, 2000)
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
    _, c, count, s, shown = counting(recipe, 3000)
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
