"""Epochs that nobody watches run many to a call: with the same bits, and the same errors, as one by one."""

import signal
import threading
import time

import numpy as np
import pytest

import quernel as qn
from quernel.models import loops
from quernel.plan import run_turns

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 6)).astype("float32")
Y = RNG.integers(0, 3, 100)


class Watcher(qn.callbacks.Callback):
    """Does nothing; fit has to run epochs one by one for it."""


def classifier():
    qn.utils.set_random_seed(3)
    model = qn.Sequential([qn.layers.Input((6,)), qn.layers.Dense(8, activation="relu"), qn.layers.Dropout(0.25),
                           qn.layers.BatchNormalization(), qn.layers.Dense(3, activation="softmax")])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    monkeypatch.setattr("quernel.plan.check.ENABLED", False)  # it runs steps one by one


@pytest.fixture
def alone(monkeypatch):
    """How many epochs run_epoch has run."""
    seen = []
    run_epoch = loops.run_epoch

    def counted(*args, **kwargs):
        seen.append(1)
        return run_epoch(*args, **kwargs)

    monkeypatch.setattr(loops, "run_epoch", counted)
    return seen


def outcome(model, history):
    weights = model.get_weights() + [v.numpy() for v in model.optimizer.variables]
    return [w.tobytes() for w in weights], history.epoch, history.history, qn.random.uniform((4,)).numpy().tolist()


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [25, 32, 100])
def test_the_same_bits_as_one_by_one(alone, shuffle, size):
    results = []
    for callbacks in ([], [Watcher()]):
        alone.clear()
        model = classifier()
        history = model.fit(X, Y, size, epochs=60, verbose=0, shuffle=shuffle, callbacks=callbacks)
        results.append(outcome(model, history))
        assert len(alone) == 60 if callbacks else len(alone) < 30
    assert results[0] == results[1]
    assert results[0][1] == list(range(60))


def test_who_watches_sees_each_epoch(alone):
    class Stop(qn.callbacks.History):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            self._model.stop_training = epoch == 12

    model = classifier()
    assert len(model.fit(X, Y, epochs=30, verbose=0, callbacks=[Stop()]).epoch) == 13 == len(alone)
    alone.clear()
    model.fit(X, Y, epochs=20, verbose=0, validation_data=(X, Y))
    assert len(alone) == 40
    alone.clear()
    model.fit(X, Y, epochs=20, verbose=0, steps_per_epoch=2)
    assert len(alone) == 20


def test_a_model_with_python_between_epochs_runs_them_one_by_one(alone):
    class Own(qn.Sequential):
        resets = 0

        def reset_metrics(self):
            self.resets += 1
            super().reset_metrics()

    model = Own([qn.layers.Input((6,)), qn.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=20, verbose=0)
    assert model.resets == 20 == len(alone)


def test_ctrl_c_leaves_whole_epochs_in_the_history(ctrl_c):
    model = qn.Sequential([qn.layers.Input((6,)), qn.layers.Dense(1)])
    model.compile("sgd", "mse")
    main = threading.main_thread().ident
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        signal.pthread_kill(main, signal.SIGINT)

    timer = threading.Timer(0.3, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, X[:, :1], 50, epochs=10**6, verbose=0)
    assert time.perf_counter() - sent[0] < 0.2
    epochs = len(model.history.epoch)
    assert epochs > 100
    assert 0 <= int(model.optimizer.iterations.numpy()) - 2 * epochs < 2


def counting_step(values):
    """A Function that adds values[i] to a total in its i-th run."""
    at, total = qn.Variable(0, dtype="int64"), qn.Variable(0.0)

    @qn.function
    def step(x):
        total.assign_add(qn.ops.take(x, at, axis=0))
        at.assign_add(1)
        return total * 1.0

    for _ in range(2):
        step(values)
    return step, at, total


def test_turns_return_each_result():
    values = np.arange(1.0, 13.0, dtype="float32")
    step, at, total = counting_step(values)
    results = run_turns([step.job((values,)), step.job((values,), steps=2)], 3)
    assert [float(r) for r in results] == [15.0, 36.0, 66.0]
    assert int(at.numpy()) == 11 and step.plans[0].runs == 9
    at.assign(0)
    assert len(run_turns([step.job((values,))], 10, seconds=1e-9)) == 1


def test_a_bad_index_in_a_turn():
    values = np.arange(1.0, 8.0, dtype="float32")
    step, at, total = counting_step(values)
    with pytest.raises(IndexError, match=r"step 1 of 2: .*7"):
        run_turns([step.job((values,), steps=2)], 5)
    assert int(at.numpy()) == 7 and float(total.numpy()) == values.sum()
    with pytest.raises(ValueError, match="at least 1"):
        run_turns([step.job((values,))], 0)

    finished = []
    at.assign(0)
    total.assign(0.0)
    with pytest.raises(IndexError, match="step 1 of 2"):
        run_turns([step.job((values,), steps=2)], 5, results=finished)
    assert [float(r) for r in finished] == [3.0, 10.0, 21.0] and int(at) == 7


class Page(qn.layers.Layer):
    """Adds one row of a table in each step; the rows end with step `n`."""

    def __init__(self, n):
        super().__init__()
        self.at = self.add_weight(shape=(), dtype="int64", trainable=False, initializer="zeros")
        self.table = self.add_weight(shape=(n, 3), trainable=False, initializer="ones")

    def call(self, x):
        y = x + qn.ops.take(self.table, self.at, axis=0)
        self.at.assign_add(1)
        return y


@pytest.mark.parametrize("verbose", [0, 2])
def test_epochs_before_one_that_fails_are_in_the_history(alone, verbose):
    found = []
    for eager in (False, True):
        qn.utils.set_random_seed(3)
        model = qn.Sequential([qn.layers.Input((6,)), qn.layers.Dense(3), Page(46)])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eager)
        with pytest.raises(IndexError, match="gather: .*46" if eager else "train_step: step 2 of 4: .*46"):
            model.fit(X, Y, batch_size=25, epochs=30, verbose=verbose)
        found.append(outcome(model, model.history))
        assert model.history.epoch == list(range(11)) and int(model.optimizer.iterations) == 46
        if not eager:
            assert (len(alone) < 12) is (verbose == 0)  # many in one call: what this test is about
        alone.clear()
    assert found[0] == found[1]


def test_no_job_without_a_plan(monkeypatch):
    step = qn.function(lambda x: x + 1.0)
    x = np.zeros(3, "float32")
    assert step.job((x,)) is None
    step(x)
    assert step.job((x,)) is None
    step(x)
    assert step.job((x,)) is not None
    assert step.job((np.zeros(4, "float32"),)) is None
    with qn.GradientTape():
        assert step.job((x,)) is None
    with qn.backend.use_backend("numpy"):
        assert step.job((x,)) is None


def test_outputs_that_are_too_small_are_refused():
    values = np.arange(1.0, 8.0, dtype="float32")
    step, _, _ = counting_step(values)
    job = step.job((values,))
    part, _ = job.plan.turn(job.leaves, 1, 2)
    with pytest.raises(ValueError, match="output 0: expected at least 12 bytes, received 8"):
        qn.backend._state.core.run_turns([part], 3, 0.0)
