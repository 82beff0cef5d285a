"""Recorded steps: a plan computes, bit for bit, what the Python step computes, whatever is read, written and held."""

import contextlib

import numpy as np
import pytest
from plan_steps import X, bits, recorded

import quernel as qn
from quernel import ops
from quernel.plan import Function, Rows

KINDS = [("native", isa, threads) for isa in qn.backend.isas() for threads in (1, 2, 3)] + [("numpy", None, 1)]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[1]}-{kind[2]}" if kind[1] else kind[0])
def machine(request, sharing):
    """Every instruction set on 1 to 3 threads, which share any work, however small; and the Python engine."""
    backend, isa, threads = request.param
    qn.set_num_threads(threads)
    with qn.backend.use_backend(backend), qn.backend.use_isa(isa) if isa else contextlib.nullcontext():
        yield backend


def same(make, steps=6, seed=3):
    """Runs `make()` -> (step, state) eagerly and recorded, on the same data; every result and all state must agree in bits."""
    runs = []
    for as_plan in (False, True):
        qn.utils.set_random_seed(seed)
        step, state, batch = make()
        run = Function(step) if as_plan else step
        results = []
        for i in range(steps):
            result = run(*[qn.constant(a) for a in batch(i)])
            results.append(bits(*qn.tree.flatten(result)))
        runs.append((results, bits(*state())))
        if as_plan:
            assert [p.runs for p in run.plans] == [steps - 2], "the third call on is a plan"
    assert runs[0][0] == runs[1][0]
    assert runs[0][1] == runs[1][1]


def batches(seed=0, n=8, features=5, classes=3):
    def batch(i):
        rng = np.random.default_rng([seed, i])
        return rng.normal(size=(n, features)).astype("float32"), rng.integers(0, classes, n)

    return batch


OPTIMIZERS = {
    "sgd": lambda: qn.optimizers.SGD(0.1),
    "momentum": lambda: qn.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: qn.optimizers.Adam(0.01),
    "amsgrad": lambda: qn.optimizers.Adam(0.01, amsgrad=True, weight_decay=0.01),
    "clipnorm": lambda: qn.optimizers.SGD(0.1, clipnorm=0.5),
    "clipvalue": lambda: qn.optimizers.SGD(0.1, clipvalue=0.1),
    "global_clipnorm": lambda: qn.optimizers.Adam(0.01, global_clipnorm=0.5),
}


def classifier(optimizer, *layers, features=(5,)):
    """A train step of a model, its state, and batches."""
    model = qn.Sequential([qn.layers.Input(features), *layers, qn.layers.Dense(3, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def state():
        return [*model.variables, *model.optimizer.variables, *(v for m in model.metrics for v in m.variables)]

    size = int(np.prod(features))

    def batch(i):
        x, y = batches(features=size)(i)
        return x.reshape(-1, *features), y

    return lambda x, y: model.train_step((x, y)), state, batch


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(machine, name):
    same(lambda: classifier(OPTIMIZERS[name](), qn.layers.Dense(4, activation="relu")))


NETWORKS = {
    "norm and dropout": lambda: [qn.layers.Dense(6), qn.layers.BatchNormalization(), qn.layers.Dropout(0.4)],
    "regularizer": lambda: [qn.layers.Dense(4, kernel_regularizer=qn.regularizers.L2(0.1), activity_regularizer="l1")],
    "constraint": lambda: [qn.layers.Dense(4, kernel_constraint=qn.constraints.MaxNorm(0.7), activation="tanh")],
    "image": lambda: [
        qn.layers.Reshape((5, 5, 1)),
        qn.layers.Conv2D(3, 3, activation="relu"),
        qn.layers.MaxPooling2D(2),
        qn.layers.Conv2D(4, 1),
        qn.layers.AveragePooling2D(1),
        qn.layers.Flatten(),
    ],
    "pools": lambda: [qn.layers.Reshape((5, 5, 1)), qn.layers.DepthwiseConv2D(2), qn.layers.GlobalMaxPooling2D()],
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(machine, name):
    same(lambda: classifier(qn.optimizers.Adam(0.01), *NETWORKS[name](), features=(25,)))


def two_players(discriminator_first):
    """A GAN's two updates in one step, both gradients from one persistent tape."""
    g, d = qn.layers.Dense(5), qn.layers.Dense(1)
    g.build((None, 5)), d.build((None, 5))
    by_g, by_d = qn.optimizers.Adam(0.05), qn.optimizers.SGD(0.05)

    def step(x, _):
        with qn.GradientTape(persistent=True) as tape:
            fake = d(g(x))
            loss_d = ops.mean(ops.square(d(x) - 1.0)) + ops.mean(ops.square(fake))
            loss_g = ops.mean(ops.square(fake - 1.0))
        updates = [(by_d, loss_d, d), (by_g, loss_g, g)]
        for optimizer, loss, layer in updates if discriminator_first else reversed(updates):
            optimizer.apply(tape.gradient(loss, layer.trainable_weights), layer.trainable_weights)
        return loss_d, loss_g

    return step, lambda: [*g.variables, *d.variables, *by_g.variables, *by_d.variables], batches()


@pytest.mark.parametrize("discriminator_first", [True, False])
def test_the_two_updates_of_a_gan_under_one_tape(machine, discriminator_first):
    same(lambda: two_players(discriminator_first))


def held(step):
    def make():
        w = qn.Variable([1.0, 2.0, 3.0, 4.0, 5.0])
        return step(w), lambda: [w], batches()

    return make


def old_plus_zero(w):
    def step(x, _):
        old = w + 0
        w.assign(w * 0.5 + ops.mean(x, axis=0))
        return old, w.value

    return step


def old_value(w):
    def step(x, _):
        old = w.value
        w.assign_add(ops.mean(x, axis=0))
        return ops.sum(old), old, w.value

    return step


def view_of_the_old_value(w):
    def step(x, _):
        head = w.value[:2]
        new = w.assign(ops.mean(x, axis=0))
        return head * 2.0, new, new[1:]

    return step


def written_twice(w):
    def step(x, _):
        first = w.assign_add(ops.ones((5,)))
        second = w.assign_sub(first * 0.25)
        return first, second, ops.sum(first) - ops.sum(second)

    return step


def tape_over_a_write(w):
    def step(x, _):
        with qn.GradientTape() as tape:
            y = ops.square(w) * ops.mean(x)
            w.assign(w * 0.9)
            loss = ops.sum(y)
        return tape.gradient(loss, w)

    return step


@pytest.mark.parametrize("step", [old_plus_zero, old_value, view_of_the_old_value, written_twice, tape_over_a_write])
def test_what_was_read_before_a_write_keeps_its_value(machine, step):
    same(held(step))


def test_an_input_returned_and_a_constant_returned(machine):
    def make():
        c = qn.constant([1.0, 2.0])
        return lambda x, y: (x, ops.reshape(x, (-1,)), c, y), list, batches()

    same(make)


def test_random_numbers_go_on(machine):
    same(lambda: (lambda x, _: (qn.random.normal((3,)), qn.random.dropout(x, 0.5)), list, batches()))


def test_functions_nest():
    inner = qn.function(lambda x: x * 2.0)
    run = recorded(lambda x: inner(x) + 1.0, [X], [X], [X])
    assert run(X).numpy().tolist() == [3.0, 5.0]
    assert run.plans and not inner.plans


def test_gradients_flow_through_a_function_under_a_tape():
    v = qn.Variable([1.0, 2.0])
    run = recorded(lambda x: v * x, *[[X]] * 3)
    with qn.GradientTape(persistent=True) as tape:
        x = qn.constant([3.0, 4.0])
        tape.watch(x)
        y = run(x)
    assert tape.gradient(y, v).numpy().tolist() == [3.0, 4.0]
    assert tape.gradient(y, x).numpy().tolist() == [1.0, 2.0]


def test_methods_keywords_and_structures():
    class Thing:
        def __init__(self, k):
            self.k = k

        @qn.function
        def scale(self, data, *, shift):
            return {"y": [data["a"] * self.k, (data["b"] + shift,)]}

    two, three = Thing(2.0), Thing(3.0)
    data = {"a": X, "b": X}
    for _ in range(4):
        for thing in (two, three):
            result = thing.scale(data, shift=X)
            assert result["y"][0].numpy().tolist() == [thing.k, 2 * thing.k]
            assert result["y"][1][0].numpy().tolist() == [2.0, 4.0]
    assert [len(thing.scale.plans) for thing in (two, three)] == [1, 1]


def test_results_are_fresh_memory():
    run = recorded(lambda x: (x * 2.0, x), *[[X]] * 3)
    results = [run(qn.constant([float(i), 0.0])) for i in range(4)]
    assert [r[0].numpy()[0] for r in results] == [0.0, 2.0, 4.0, 6.0]
    assert [r[1].numpy()[0] for r in results] == [0.0, 1.0, 2.0, 3.0]
    assert not any(np.shares_memory(a._array, b._array) for a, _ in results for _, b in results)


def test_a_tensor_held_from_inside_the_step_follows():
    class Keep:
        last = None

    def step(x):
        Keep.last = x * 3.0
        return ops.sum(x)

    run = recorded(step, [X], [X])
    run(qn.constant([5.0, 6.0]))
    first = Keep.last.numpy()
    run(qn.constant([7.0, 8.0]))
    assert first.tolist() == [15.0, 18.0]
    assert Keep.last.numpy().tolist() == [21.0, 24.0]


def test_a_value_read_outside_survives_the_plans_writes():
    w = qn.Variable([1.0])
    run = recorded(lambda: w.assign_add([1.0]), [], [])
    old = w.value
    view = old[0]
    run()
    assert (old.numpy()[0], float(view), w.numpy()[0]) == (3.0, 3.0, 4.0)


def test_a_variables_value_as_an_argument_of_a_step_that_writes_it():
    for kind in ("plan", "eager"):
        w = qn.Variable([1.0, 2.0])

        def step(x, w=w):
            w.assign_add(x)
            return x + 0.0

        run = qn.function(step) if kind == "plan" else step
        seen = [run(w.value).numpy().tolist() for _ in range(4)]
        assert seen == [[1.0, 2.0], [2.0, 4.0], [4.0, 8.0], [8.0, 16.0]]


def test_assignments_between_runs_are_seen():
    model = qn.Sequential([qn.layers.Input((2,)), qn.layers.Dense(1)])
    run = recorded(lambda x: model(x), *[[qn.ones((1, 2))]] * 3)
    model.set_weights([np.array([[2.0], [3.0]], "float32"), np.array([1.0], "float32")])
    assert run(qn.ones((1, 2))).numpy().tolist() == [[6.0]]
    assert run._recordings == 2


def classify(x, labels):
    return ops.mean(qn.losses.sparse_categorical_crossentropy(labels, x))


def test_a_bad_label_leaves_the_state_alone_and_names_the_step(machine):
    before_loss, after_loss = qn.Variable(0.0), qn.Variable(0.0)

    def step(x, labels):
        before_loss.assign_add(1.0)
        loss = classify(x, labels)
        after_loss.assign_add(1.0)
        return loss

    run = Function(step)
    x = np.random.default_rng(0).random((20, 3), "float32")
    labels = np.zeros(20, "int64")
    done = 0
    while done < 10:
        done += run.loop((Rows(x[2 * done :], 2), Rows(labels[2 * done :], 2)), 10 - done)[0]
    labels[15] = 7  # in step 7
    with pytest.raises((ValueError, IndexError), match=r"step 7 of 10.*7"):
        run.loop((Rows(x, 2), Rows(labels, 2)), 10)
    assert (float(before_loss), float(after_loss)) == (17.0, 17.0)
    for _ in range(3):
        run(x[:2], labels[:2])
    with pytest.raises((ValueError, IndexError), match="7"):
        run(x[14:16], labels[14:16])
    assert (float(before_loss), float(after_loss)) == (20.0, 20.0)


def test_many_steps_in_one_call(machine):
    x = np.random.default_rng(0).normal(size=(40, 3))  # float64, as users have it
    order = np.random.default_rng(1).permutation(40)

    def make():
        total = qn.Variable(np.zeros(3, "float32"))

        def step(data, rows):
            batch = ops.cast(ops.take(data, rows, axis=0), "float32")
            total.assign(total * 0.9 + ops.sum(batch, axis=0))
            return ops.sum(total)

        return total, Function(step)

    total, run = make()
    for i in range(10):
        expected = run.python(qn.constant(x), qn.constant(order[4 * i : 4 * i + 4]))
    by_plan, run = make()
    done = 0
    calls = 0
    while done < 10:
        n, result = run.loop((x, Rows(order[4 * done :], 4)), 10 - done)
        done += n
        calls += 1
    assert calls == 3
    assert bits(total, expected) == bits(by_plan, result)


def test_outputs_of_many_steps_go_into_arrays(machine):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    run = Function(lambda x: {"a": x * 2.0, "b": [ops.sum(x, axis=1), x * 2.0]})
    into = {"a": np.zeros((40, 3), "float32"), "b": [np.zeros(40, "float32"), np.zeros((40, 3), "float32")]}
    done = 0
    while done < 10:
        rest = qn.tree.map_structure(lambda a: a[4 * done :], into)  # noqa: B023
        done += run.loop((Rows(x[4 * done :], 4),), 10 - done, into=rest)[0]
    assert run.plans[0].runs == 8
    np.testing.assert_array_equal(into["a"], x * 2)
    np.testing.assert_array_equal(into["b"][1], x * 2)
    np.testing.assert_allclose(into["b"][0], x.sum(axis=1), rtol=1e-5)


def test_a_loop_stops_in_time():
    total = qn.Variable(np.zeros((300, 300), "float32"))
    run = Function(lambda x: total.assign(ops.matmul(total, x)))
    x = np.zeros((300, 300), "float32")
    for _ in range(2):
        run.loop((x,))
    done, _ = run.loop((x,), 10**6, seconds=0.05)
    assert 1 <= done < 10**5


def test_a_call_that_only_numpy_takes_is_not_dropped():
    def make():
        w = qn.Variable(np.arange(5.0), dtype="float64")

        def step(x, _):
            w.assign_add(ops.mean(ops.cast(x, "float64"), axis=0))
            return ops.sum(w), ops.mean(x)

        return step, lambda: [w], batches()

    same(make)
    step, _, batch = make()
    run = recorded(step, *[[qn.constant(a) for a in batch(0)]] * 3)
    assert run.plans[0].engine.kind == "python"


def test_the_check_catches_a_wrong_plan(monkeypatch):
    from quernel.plan import check

    w = qn.Variable([1.0, 2.0])
    run = recorded(lambda x: w.assign_add(x), *[[X]] * 3)
    monkeypatch.setattr(check, "ENABLED", True)
    run(X)
    assert w.numpy().tolist() == [5.0, 10.0], "checked, the step happens once"
    plan = run.plans[0]
    engine = plan.engine.run
    monkeypatch.setattr(plan.engine, "run", lambda *args: (1, False))
    with pytest.raises(check.PlanMismatch, match="variable|result 0"):
        run(X)
    monkeypatch.setattr(plan.engine, "run", engine)
    run(X)


def test_concurrent_calls_run_side_by_side(side_by_side):
    model = qn.Sequential([qn.layers.Input((16,)), qn.layers.Dense(64, activation="tanh"), qn.layers.Dense(4)])
    run = qn.function(lambda x: model(x))
    x = np.random.default_rng(0).normal(size=(50, 8, 16)).astype("float32")
    expected = [bits(run(part)) for part in x]
    wrong = []

    def work():
        for _ in range(20):
            wrong.extend(i for i, part in enumerate(x) if bits(run(part)) != expected[i])

    side_by_side(work, 4)
    assert not wrong


def pooled(padding="valid", strides=None, pool=2, last=None):
    """A convolutional classifier whose relu is followed by max pooling, and the gradients of its input."""
    layers = qn.layers
    model = qn.Sequential(
        [
            layers.Input((9, 9, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.MaxPooling2D(pool, strides=strides, padding=padding),
            layers.Conv2D(4, 2, activation="relu"),
            last or layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )

    def step(x, y):
        with qn.GradientTape() as tape:
            tape.watch(x)
            loss = ops.mean(qn.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True))
        return tape.gradient(loss, [x, *model.trainable_weights])

    return step


@pytest.mark.parametrize("last", ["max", "global", "global keepdims"])
@pytest.mark.parametrize("geometry", [("valid", None, 2), ("same", 1, 3), ("same", 2, 3)])
def test_a_rewritten_program_gives_the_same_bits(monkeypatch, machine, geometry, last):
    from quernel.plan import rewrite

    make = {
        "max": lambda: None,
        "global": lambda: qn.layers.GlobalMaxPooling2D(),
        "global keepdims": lambda: qn.layers.GlobalMaxPooling2D(keepdims=True),
    }
    results = []
    for rules in (rewrite.REWRITES, []):
        monkeypatch.setattr(rewrite, "REWRITES", rules)
        qn.utils.set_random_seed(1)
        run = Function(pooled(*geometry, last=make[last]()))
        for i in range(4):
            rng = np.random.default_rng(i)
            x = rng.normal(size=(4, 9, 9, 2)).astype("float32")
            x[0, 3, 3] = np.nan
            x[1, 2:6, 2:6] = -np.inf
            found = bits(*run(x, rng.integers(0, 3, 4)))
        results.append(found)
        names = [op.kernel.name for op, _ in run.plans[0].program.calls]
        before = names.index("relu_dx") < next(i for i, name in enumerate(names) if "max_pool_dx" in name)
        assert before == bool(rules)
    assert results[0] == results[1]


def test_results_are_values_alone_from_the_first_step_on():
    logits = np.array([[200.0, 0.0]], "float32")
    run = qn.function(lambda x: ops.softmax(x))
    losses = []
    for _ in range(4):
        probabilities = run(logits)
        losses.append(float(qn.losses.sparse_categorical_crossentropy([1], probabilities)[0]))
    assert losses == losses[:1] * 4
    assert losses[0] < 17, "clipped at 1e-7: the logits are in the step"
