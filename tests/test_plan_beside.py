"""Threads beside a step that is being recorded: what they do is not in the plan, and the step is right all the same."""

import contextvars
import sys
import threading
import time

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.plan import Function

X = qn.constant([1.0, 2.0])


def elsewhere(work, *args):
    """What `work` returns in a thread of its own; raises what it raises."""
    found, errors = [], []

    def run():
        try:
            found.append(work(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    if errors:
        raise errors[0]
    return found[0]


def test_a_context_that_is_copied_into_another_thread_records_nothing():
    w = qn.Variable([3.0, 4.0])
    seen = []

    def step(x):
        y = w * x
        context = contextvars.copy_context()
        seen.append(elsewhere(context.run, lambda: float(ops.sum(w * 2.0))))  # reads a value: no error
        return y

    run = Function(step)
    for _ in range(3):
        assert run(X).numpy().tolist() == [3.0, 8.0]
    assert seen == [14.0, 14.0]
    assert [op.kernel.name for op, _ in run.plans[0].program.calls] == ["multiply"]


def test_a_value_read_in_another_thread_is_no_result_of_the_step():
    w = qn.Variable([3.0, 4.0])
    kept = []

    def step(x):
        y = w * x
        kept.append(elsewhere(lambda: w.value))
        w.assign_add(x)
        return y

    run = Function(step)
    for i in range(4):
        assert run(X).numpy().tolist() == [3.0 + i, 2 * (4.0 + 2 * i)]
    assert [t.numpy().tolist() for t in kept] == [[3.0, 4.0], [4.0, 6.0]]
    assert len(run.plans[0].program.outputs) == 1


@pytest.mark.parametrize("disturbed", [(0,), (1,), (0, 1)])
def test_a_variable_written_in_another_thread_between_two_uses_of_its_value(disturbed):
    w, total = qn.Variable([3.0, 4.0]), qn.Variable([0.0, 0.0])
    calls = []

    def step(x):
        value = w.value
        y = value * x
        if len(calls) in disturbed:
            elsewhere(w.assign_add, [10.0, 10.0])
        calls.append(1)
        total.assign_add(value)
        return y, value

    run = Function(step)
    expected, now = np.zeros(2), np.array([3.0, 4.0])
    for i in range(6):
        y, value = run(X)
        assert y.numpy().tolist() == (now * [1, 2]).tolist()
        assert value.numpy().tolist() == now.tolist()
        expected += now
        assert total.numpy().tolist() == expected.tolist()
        if i in disturbed:
            now = now + 10
    assert len(run.plans) == 1


def test_a_view_of_a_variable_written_meanwhile_is_no_view_any_more():
    w = qn.Variable(np.arange(6.0, dtype="float32").reshape(2, 3))
    reader = w.value
    array = reader._array.T  # what a thread has in hand when another one writes
    w.assign(np.zeros((2, 3), "float32"))
    turned = qn.reader.derived(array, [reader])
    before = turned.numpy()
    w.assign(np.ones((2, 3), "float32"))
    assert turned.numpy().tolist() == before.tolist()


class Penalized(qn.layers.Layer):
    """Adds the sum of its input to the losses, and waits for others where told."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def call(self, x):
        self.add_loss(ops.sum(x))
        if self.waits:
            self.waits.pop()()
        return x


def test_losses_belong_to_the_call_of_a_thread():
    layer = Penalized()
    for _ in range(3):
        layer.waits.append(lambda: elsewhere(layer, qn.constant([5.0])))
        layer(qn.constant([1.0, 2.0]))
        assert [float(loss) for loss in layer.losses] == [3.0]
    layer(X)
    assert len(layer._losses) == 1  # nothing is kept for threads that ended
    assert elsewhere(lambda: layer.losses) == []


class Slow(qn.layers.Layer):
    """Takes its time to build."""

    def build(self, input_shape):
        time.sleep(0.05)
        self.w = self.add_weight(shape=(1,), initializer="ones")

    def call(self, x):
        return x * self.w


def test_two_threads_build_a_layer_once():
    layer = Slow()
    threads = [threading.Thread(target=layer, args=(X,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(layer.weights) == 1


def test_others_predict_call_evaluate_and_differentiate_while_fit_records():
    """Every batch size is recorded anew; a bounded time of it, with threads that change often."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 6)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int32")

    def make():
        layers = [
            qn.layers.Input((6,)),
            qn.layers.Dense(16, activation="relu", activity_regularizer="l2"),
            qn.layers.BatchNormalization(),
            qn.layers.Dropout(0.2, seed=3),
            qn.layers.Dense(2),
        ]
        model = qn.Sequential(layers)
        loss = qn.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        return model

    qn.utils.set_random_seed(0)
    model, alone = make(), make()
    alone.set_weights(start := model.get_weights())
    frozen = make()  # nobody trains it: its outputs are known
    expected = frozen.predict(x, verbose=0)
    errors, turns = [], [0]
    ended = threading.Event()

    def work():
        while not ended.is_set():
            n = 20 + turns[0] % 50
            try:
                assert np.array_equal(frozen.predict(x[:n], verbose=0), expected[:n])
                assert np.array_equal(frozen(x[:n]).numpy(), expected[:n])
                assert float(ops.sum(qn.constant(x[:n]) * 0.0 + 1.0)) == n * 6
                with qn.GradientTape() as tape:
                    value = ops.sum(model(x[:n]))
                tape.gradient(value, model.trainable_weights)
                assert model.predict(x[:n], verbose=0).shape == (n, 2)
                held = [w.value for w in frozen.weights]
                assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(held, frozen.weights))
            except Exception as error:
                errors.append(error)
                return
            turns[0] += 1

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=work)
    thread.start()
    history, sizes = [], []
    try:
        until = time.monotonic() + 1.5
        while time.monotonic() < until and len(sizes) < 40:
            sizes.append(20 + len(sizes))
            history.append(model.fit(x, y, batch_size=sizes[-1], epochs=3, verbose=0, shuffle=False).history["loss"])
    finally:
        ended.set()
        thread.join(30)
        sys.setswitchinterval(switch)
    assert not errors and turns[0]
    assert len(start) == len(model.get_weights())
    for size, losses in zip(sizes, history):
        assert alone.fit(x, y, batch_size=size, epochs=3, verbose=0, shuffle=False).history["loss"] == losses
    assert all(np.array_equal(a, b) for a, b in zip(alone.get_weights(), model.get_weights()))
