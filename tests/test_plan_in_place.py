"""Memory that a plan's calls share: results in the place of their inputs, and rows that are gathered once for two uses."""

import numpy as np
import pytest
from plan_recipe import Recipe, View, floats, run

import quernel as qn
from quernel import ops
from quernel.plan import Function, Rows
from quernel.plan.in_place import SAFE

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")
SIZES = [(0,), (1,), (3, 5), (16,), (7, 9, 33), (1000,), (64, 129)]


def replayed(step, *args, calls=3):
    """(what the step gives as a plan, whether that has the bits of Python, its program, the names of calls in place)."""
    recorded = Function(step)
    for _ in range(calls):
        result = recorded(*args)
    expected = step(*[qn.constant(a) for a in args])
    same = [a.numpy().tobytes() for a in qn.tree.flatten(result)] == [
        a.numpy().tobytes() for a in qn.tree.flatten(expected)
    ]
    (plan,) = recorded.plans
    names = [plan.program.calls[i][0].kernel.name for i in sorted(plan.engine.in_place)]
    return result, same, plan, names


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
@pytest.mark.parametrize("name", sorted(SAFE))
def test_in_place_gives_the_same_bits(name, sharing):
    kernel = getattr(ops, name)
    for shape in SIZES:
        x = floats(*shape)
        x.flat[: x.size : 3] = np.resize(np.array([np.nan, np.inf, -np.inf, 0, -0.0], "float32"), -(-x.size // 3))
        y = floats(*shape, seed=1)

        def step(x, y):
            arrays = [ops.exp(x), ops.exp(y)] if len(getattr(qn.kernels, name).inputs) == 2 else [ops.exp(x)]
            return ops.exp(kernel(*arrays))

        for threads in (1, 2, 3, 8):
            qn.set_num_threads(threads)
            _, same, _, names = replayed(step, x, y)
            assert same, (shape, threads)
            assert names == [name]


def test_a_large_result_that_goes_past_the_caches(sharing):
    x = floats(5 << 20)
    for threads in (1, 2):
        qn.set_num_threads(threads)
        _, same, _, names = replayed(lambda x: ops.sum(ops.multiply(ops.exp(x), ops.exp(x))), x)
        assert same
        assert names == ["multiply"]


def _keeps(x):
    y = ops.exp(x)
    return ops.exp(ops.relu(y) + ops.tanh(y))


HAZARDS = {  # name: step, the calls that are in place
    "read by a later call": (_keeps, ["tanh", "add"]),  # tanh is the last one to read y
    "a result of the step": (lambda x: ops.relu(ops.exp(x)), []),
    "and so is what it reads": (lambda x: (lambda y: (y, ops.exp(ops.relu(y))))(ops.exp(x)), []),
    "an argument": (lambda x: ops.exp(ops.relu(x)), []),
    "a broadcast array": (lambda x: ops.exp(ops.exp(x) + ops.exp(x[:1])), ["add"]),
    "only a broadcast one": (lambda x: ops.exp(ops.add(x, ops.exp(x[:1]))), []),
    "a part of an array": (lambda x: ops.exp(ops.relu(ops.exp(x)[2:])), []),
    "a transpose": (lambda x: ops.exp(ops.relu(ops.transpose(ops.exp(x)))), []),
    "beside its transpose": (lambda x: (lambda y: ops.exp(y + ops.transpose(y)))(ops.exp(x[:, :8])), []),
    "integers": (lambda x: ops.abs(ops.add(ops.cast(x, "int32"), ops.cast(x, "int32"))), []),
    "another dtype": (lambda x: ops.exp(ops.cast(ops.greater(ops.exp(x), 1.0), "float32")), []),
    "twice the same": (lambda x: (lambda y: ops.exp(ops.multiply(y, y)))(ops.exp(x)), ["multiply"]),
    "alive while others are made": (
        lambda x: (lambda y: ops.exp(y - ops.exp(ops.sum(ops.exp(x), axis=0, keepdims=True))))(ops.relu(ops.exp(x))),
        ["relu"],
    ),
    "one behind the other": (lambda x: ops.exp(ops.tanh(ops.relu(ops.exp(x)))), ["relu", "tanh"]),
}


@pytest.mark.parametrize("name", HAZARDS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_hazards(name, threads, sharing):
    qn.set_num_threads(threads)
    step, expected = HAZARDS[name]
    _, same, plan, names = replayed(step, floats(8, 40)[:, : 8 if "transpose" in name else 40])
    assert same
    if name == "a broadcast array":
        assert set(names) <= set(expected)
    else:
        assert names == expected
    offsets = plan.engine.layout.offsets
    assert all(offset % 64 == 0 for offset in offsets.values())


def test_a_chain_has_one_buffer():
    _, same, plan, _ = replayed(lambda x: ops.exp(ops.tanh(ops.relu(ops.exp(x)))), floats(8, 40))
    assert same
    assert plan.engine.layout.size == 8 * 40 * 4


def test_a_variable_and_its_new_value():
    v = qn.Variable(floats(3, 40))

    def step(x):
        old = v + x
        v.assign(ops.relu(v * x))
        return ops.exp(old) + v

    found, (w,) = [], [v.numpy()]
    for rewritten in (True, False):
        v.assign(w)
        recorded = Function(step)
        found.append([(recorded(x) if rewritten else step(x)).numpy().tobytes() for x in [qn.constant(2 * w)] * 4])
        found[-1].append(v.numpy().tobytes())
    assert found[0] == found[1]


def test_the_summary_says_so():
    recorded = Function(lambda x: ops.exp(ops.relu(ops.exp(x))))
    for _ in range(3):
        recorded(floats(10))
    assert "relu in place" in recorded.summary()


def overlapping(shift, flagged, shape=(64,)):
    recipe = Recipe()
    x = recipe.fixed(floats(65))
    a = View(x.root, shape)
    index = recipe.op("relu", [a], [View(x.root, shape, offset=4 * shift)])
    recipe.ops[index] = (*recipe.ops[index][:-1], 2 * flagged)
    return recipe


def test_only_the_same_elements_may_be_in_place():
    for shift, flagged in ((0, False), (1, True), (1, False)):
        with pytest.raises(ValueError, match="output 0 overlaps another operand"):
            overlapping(shift, flagged).plan()
    recipe = overlapping(0, True)
    run(recipe.plan())
    assert (recipe.alive[0][:64] >= 0).all()
    with pytest.raises(ValueError, match="unknown op flags 4"):
        overlapping(0, 2).plan()


def fitted(x, y, capsys):
    qn.utils.set_random_seed(3)
    model = qn.Sequential([qn.layers.Input(x.shape[1:]), qn.layers.Dense(9, "relu"), qn.layers.Dense(x.shape[1])])
    model.compile("adam", "mse", metrics=["mse"])
    history = model.fit(x, y, batch_size=8, epochs=3, verbose=0).history
    model.plan_summary()
    return [w.tobytes() for w in model.get_weights()], history, capsys.readouterr().out.split().count("gather")


def test_an_autoencoder_gathers_its_rows_once(capsys):
    x = floats(43, 12)
    weights, history, gathers = fitted(x, x, capsys)
    other, losses, twice = fitted(x, x.copy(), capsys)
    assert weights == other
    assert history == losses
    assert gathers * 2 == twice > 0


def test_the_same_array_and_another_one_in_turns():
    """A step recorded with one array for both must not serve where they are two, nor the other way round."""
    x, y, order = floats(20, 3), floats(20, 3, seed=1), np.arange(20)[::-1].copy()
    step = Function(lambda a, b, rows: ops.take(a, rows, axis=0) - 2.0 * ops.take(b, rows, axis=0))
    for first, second in [(x, x)] * 4 + [(x, y)] * 4 + [(x, x), (y, y), (y, x), (x, x.copy())]:
        result = step(first, second, Rows(order, 20)).numpy()
        assert result.tobytes() == (first[::-1] - 2 * second[::-1]).tobytes()
    assert sorted([op.kernel.name for op, _ in plan.program.calls].count("gather") for plan in step.plans) == [1, 2]


def test_the_same_numbers_along_another_axis():
    x, rows = floats(20, 20), np.arange(20)[::-1].copy()
    step = Function(lambda a, i: ops.take(a, i, axis=0) - 2.0 * ops.take(a, i, axis=1))
    for _ in range(4):
        assert step(x, rows).numpy().tobytes() == (x[::-1] - 2 * x[:, ::-1]).tobytes()


def test_other_rows_and_a_batch_that_is_returned_are_gathered():
    x, rows = floats(20, 3), np.arange(20)
    other = rows[::-1].copy()
    steps = {
        2: lambda a, b, i, j: ops.take(a, i, axis=0) - ops.take(b, j, axis=0),
        3: lambda a, b, i, j: (ops.take(a, i, axis=0), ops.take(b, i, axis=0) + ops.take(a, j, axis=0)),
    }
    for count, step in steps.items():
        recorded = Function(step)
        for _ in range(3):
            found = recorded(x, x, rows, other)
        assert [op.kernel.name for op, _ in recorded.plans[0].program.calls].count("gather") == count
        expected = x - x[::-1] if count == 2 else (x, x + x[::-1])
        for a, b in zip(qn.tree.flatten(found), qn.tree.flatten(expected)):
            assert a.numpy().tobytes() == b.tobytes()
