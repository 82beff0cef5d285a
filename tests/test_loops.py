"""The loops of fit, evaluate and predict: what runs as one call, what is copied, when hooks are called."""

import copy
import hashlib

import numpy as np
import pytest

import quernel as qn
from quernel.models import steps as steps_module
from quernel.plan import Function, Rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(41, 6)).astype("float32")
Y = RNG.integers(0, 3, 41)


def model(**arguments):
    qn.utils.set_random_seed(2)
    m = qn.Sequential(
        [qn.layers.Input((6,)), qn.layers.Dense(5, "tanh"), qn.layers.Dropout(0.2), qn.layers.Dense(3, "softmax")]
    )
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **arguments)
    return m


def digest(m):
    h = hashlib.sha256()
    for w in m.get_weights():
        h.update(w.tobytes())
    return h.hexdigest()


class Calls:
    """Every call of a Function's loop: (name, args, steps, seconds, into, done)."""

    def __init__(self, monkeypatch):
        self.made = made = []

        class Spy(Function):
            def loop(self, args, steps=1, seconds=0.0, into=None, named=False, within=None):
                done, result = super().loop(args, steps, seconds, into, named, within)
                made.append((self.name, args, steps, seconds, into, done))
                return done, result

        monkeypatch.setattr(steps_module, "Function", Spy)

    def of(self, name):
        return [call for call in self.made if call[0] == name]


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setattr("quernel.plan.check.ENABLED", False)  # it makes every step a call
    return Calls(monkeypatch)


# --- Functions


def test_an_epoch_is_one_call_and_its_tail(calls):
    m = model()
    m.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    calls.made.clear()
    m.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    made = calls.of("train_step")
    assert [(steps, done) for _, _, steps, _, _, done in made] == [(10, 10), (1, 1)] * 2
    assert all(seconds == 0.1 for _, _, _, seconds, _, _ in made)
    for _, (data, _), *_ in made:
        assert data[0] is X and data[1] is Y, "whole arrays of the user, never a copy"
    rows = made[0][1][1]
    assert type(rows) is Rows and rows.size == 4 and rows.array.dtype == np.int64
    order = np.concatenate([rows.array, made[1][1][1]])
    assert sorted(order.tolist()) == list(range(41))


def test_without_shuffle_rows_are_slices(calls):
    m = model()
    m.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    (first, *_, tail) = calls.of("train_step")
    (((x, y),), ((tail_x, _),)) = first[1], tail[1]
    assert np.shares_memory(x.array, X) and np.shares_memory(y.array, Y) and x.size == 4
    assert np.shares_memory(tail_x, X) and tail_x.shape == (1, 6)


def test_functions_live_from_compile_to_compile():
    m = model()
    m.fit(X, Y, verbose=0)
    first = m._steps
    m.evaluate(X, Y, verbose=0)
    assert m._steps is first and type(first.train.batch) is Function
    m.compile("sgd", "sparse_categorical_crossentropy")
    assert "_steps" not in vars(m)
    uncompiled = qn.Sequential([qn.layers.Input((6,)), qn.layers.Dense(2)])
    assert uncompiled.predict(X, verbose=0).shape == (41, 2) and type(uncompiled._steps.predict.batch) is Function


def test_copies_of_a_model_have_steps_of_their_own():
    m = model()
    m.fit(X, Y, epochs=4, verbose=0)
    before = m.predict(X, verbose=0)
    for twin in (copy.deepcopy(m), copy.copy(m)):
        np.testing.assert_array_equal(twin.predict(X, verbose=0), before)
        assert twin._steps is not m._steps and twin._steps.model() is twin
    twin = copy.deepcopy(m)
    twin.compile("adam", "sparse_categorical_crossentropy")
    twin.fit(X, Y, epochs=4, verbose=0)
    np.testing.assert_array_equal(m.predict(X, verbose=0), before)


def test_run_eagerly_runs_python_in_every_step():
    steps = []

    class Counting(qn.Sequential):
        def train_step(self, data):
            steps.append(float(data[0].numpy()[0, 0]))  # a recorded step may not read values
            return super().train_step(data)

    m = Counting([qn.layers.Input((6,)), qn.layers.Dense(3, "softmax")])
    m.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    m.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    assert len(steps) == 33
    m.train_on_batch(X, Y)
    assert len(steps) == 34


@pytest.mark.parametrize("shuffle", [False, True])
def test_plans_and_eager_steps_give_the_same_bits(shuffle):
    digests = set()
    for eagerly in (False, True):
        m = model(run_eagerly=eagerly)
        history = m.fit(
            X, Y, batch_size=4, epochs=4, shuffle=shuffle, sample_weight=np.linspace(0, 1, 41), verbose=0
        ).history
        scores = m.evaluate(X, Y, batch_size=5, verbose=0), m.train_on_batch(X[:4], Y[:4]), m.test_on_batch(X, Y)
        digests.add((digest(m), repr(history), repr(scores), m.predict(X, batch_size=3, verbose=0).tobytes()))
    assert len(digests) == 1


# --- data


def test_kinds_of_arrays(tmp_path):
    """float64, memory-mapped, strided and read-only arrays train as the float32 array with the same values."""
    file = np.memmap(tmp_path / "x", "float32", "w+", shape=X.shape)
    file[:] = X
    wide = np.zeros((82, 12), "float64")
    wide[::-2, ::2] = X
    fixed = X.copy()
    fixed.flags.writeable = False
    kinds = {"float64": X.astype("float64"), "memmap": file, "strided": wide[::-2, ::2], "fortran": np.asfortranarray(X),
             "fixed": fixed, "tensor": qn.constant(X), "list": X.tolist(), "swapped": X.astype(">f4")}  # fmt: skip
    for shuffle in (False, True):
        expected = None
        for name, x in {"float32": X, **kinds}.items():
            m = model()
            m.fit(x, Y, batch_size=4, epochs=3, shuffle=shuffle, verbose=0)
            found = digest(m), repr(m.evaluate(x, Y, verbose=0)), m.predict(x, batch_size=7, verbose=0).tobytes()
            expected = expected or found
            assert found == expected, name


def test_integers_stay_integers_and_floats_become_float32():
    images = RNG.integers(0, 256, (20, 4), dtype="uint8")
    seen = []

    class Spy(qn.Sequential):
        def train_step(self, data):
            seen.append((data[0].dtype, data[1].dtype))
            return super().train_step(data)

    m = Spy([qn.layers.Input((4,)), qn.layers.Dense(3, "softmax")])
    m.compile("sgd", "sparse_categorical_crossentropy")
    for dtype in ("int64", "int32", "uint8"):
        m.fit(images, Y[:20].astype(dtype), verbose=0)
        assert seen[-1] == ("uint8", dtype)
    for shuffle in (False, True):
        m.fit(images.astype("float64"), Y[:20], shuffle=shuffle, verbose=0)
        assert seen[-1] == ("float32", "int64")
    m.train_on_batch(images.astype("float64"), Y[:20])
    assert seen[-1] == ("float32", "int64")


def test_no_cast_of_whole_arrays(monkeypatch):
    x = X.astype("float64")
    sizes = []
    run = type(qn.kernels.cast).run

    def spy(self, arrays, attrs, out=None):
        if self.name == "cast" and arrays[0].dtype == "float64":
            sizes.append(arrays[0].shape[0])
        return run(self, arrays, attrs, out)

    monkeypatch.setattr(type(qn.kernels.cast), "run", spy)
    model().fit(x, Y, batch_size=4, verbose=0)
    assert sizes and max(sizes) == 4


# --- hooks


class Hooks(qn.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(("begin", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(("end", batch, logs["loss"]))

    def on_predict_batch_end(self, batch, logs=None):
        self.seen.append(("predict", batch, np.asarray(logs["outputs"])))


@pytest.mark.parametrize("n", [1, 3, 4, 100])
def test_steps_per_execution(n):
    reference = model()
    reference.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    m, hooks = model(steps_per_execution=n), Hooks()
    m.fit(X, Y, batch_size=4, epochs=3, callbacks=[hooks], verbose=0)
    assert digest(m) == digest(reference)
    begins = list(range(0, 11, n))
    ends = [min(b + n, 11) - 1 for b in begins]
    assert [e[:2] for e in hooks.seen if e[0] == "begin"] == [("begin", b) for b in begins] * 3
    assert [e[:2] for e in hooks.seen if e[0] == "end"] == [("end", e) for e in ends] * 3
    assert hooks.seen[-1][2] == m.history.history["loss"][-1], "the logs of the last step are those of the epoch"
    hooks.seen.clear()
    p = m.predict(X, batch_size=4, callbacks=[hooks], verbose=0)
    assert [e[1] for e in hooks.seen] == ends
    np.testing.assert_array_equal(np.concatenate([e[2] for e in hooks.seen]), p)


def test_steps_per_execution_is_checked():
    for value in (0, True, 2.0):
        with pytest.raises(ValueError, match="steps_per_execution: expected an int"):
            model(steps_per_execution=value)


def test_a_progress_bar_does_not_ask_for_every_batch(calls, capsys):
    m = model()
    m.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    calls.made.clear()
    m.fit(X, Y, batch_size=4)
    assert len(calls.of("train_step")) == 2
    text = capsys.readouterr().out
    assert "11/11" in text and "loss: " in text

    class Mine(qn.callbacks.ProgbarLogger):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)

    calls.made.clear()
    m.fit(X, Y, batch_size=4, callbacks=[Mine()])
    assert len(calls.of("train_step")) == 11, "a hook of one's own sees every batch"


def test_the_progress_bar_is_shown_by_time(monkeypatch):
    shown = []
    monkeypatch.setattr(qn.callbacks.ProgbarLogger, "_step", lambda self, batch, logs: shown.append((batch, logs)))
    monkeypatch.setattr(qn.callbacks.ProgbarLogger, "_finish", lambda self, logs: None)

    class Clock:
        now = 0.0

        def perf_counter(self):  # asked before and after each step
            Clock.now += 0.015
            return Clock.now

    m = model()
    m.fit(X, Y, batch_size=1, steps_per_epoch=2, verbose=0)
    monkeypatch.setattr("quernel.models.epoch_loop.time", Clock())
    m.fit(X, Y, batch_size=4)
    made = len(shown)
    assert 1 <= made <= 3 and shown[-1][0] == 10 and set(shown[0][1]) == {"accuracy", "loss"}
    m.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    shown.clear()
    m.fit(X, Y, batch_size=4)
    assert [batch for batch, _ in shown] == [3, 7, 10]


def test_stop_training_by_a_bar_or_an_epoch():
    class Stop(qn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    assert model().fit(X, Y, epochs=5, callbacks=[Stop()], verbose=0).epoch == [0]


def test_evaluate_in_a_callback_leaves_its_numbers():
    """evaluate resets the metrics, so an epoch's logs are those after it, as in Keras."""

    class Evaluate(qn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.scores = self.model.evaluate(X, Y, verbose=0, return_dict=True)
            self.predictions = self.model.predict(X, verbose=0)

    callback = Evaluate()
    history = model().fit(X, Y, batch_size=21, epochs=3, callbacks=[callback], verbose=0).history
    assert history["loss"][-1] == callback.scores["loss"] and callback.predictions.shape == (41, 3)


def test_logs_of_an_overridden_step():
    class Custom(qn.Sequential):
        def train_step(self, data):
            return {**super().train_step(data), "mine": qn.ops.sum(data[0])}

    m = Custom([qn.layers.Input((6,)), qn.layers.Dense(3, "softmax")])
    m.compile("sgd", "sparse_categorical_crossentropy")
    history = m.fit(X, Y, batch_size=40, epochs=4, shuffle=False, verbose=0).history
    assert history["mine"] == [float(qn.ops.sum(X[40:]))] * 4

    class SameNames(qn.Sequential):
        def train_step(self, data):
            super().train_step(data)
            return {"loss": qn.ops.sum(data[0])}

    m = SameNames([qn.layers.Input((6,)), qn.layers.Dense(3, "softmax")])
    m.compile(qn.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    history = m.fit(X, Y, batch_size=40, epochs=4, verbose=0).history
    assert history["loss"] == pytest.approx([m.evaluate(X, Y, verbose=0)] * 4), "the metric of that name, as in Keras"


# --- predict


def test_predict_writes_where_the_result_is(calls):
    m = model()
    expected = m(X).numpy()
    for _ in range(2):
        np.testing.assert_array_equal(m.predict(X, batch_size=4, verbose=0), expected)
    calls.made.clear()
    result = m.predict(X, batch_size=4, verbose=0)
    np.testing.assert_array_equal(result, expected)
    made = calls.of("predict_step")
    assert [(steps, into is not None) for _, _, steps, _, into, _ in made] == [(1, False), (9, True), (1, False)]
    assert np.shares_memory(made[1][4], result) and result.flags.writeable


@pytest.mark.parametrize("rows", [slice(None, None, -1), slice(None, None, 3), slice(40, None, -2)])
def test_rows_of_strided_arrays_one_by_one(rows):
    """A single row is contiguous, wherever the next one lies."""
    m = model()
    x, y = X[rows], Y[rows]
    for _ in range(3):
        np.testing.assert_array_equal(m.predict(x, batch_size=1, verbose=0), m.predict(x.copy(), verbose=0))
    m.fit(x, y, batch_size=1, shuffle=False, epochs=3, steps_per_epoch=1, verbose=0)


def test_predict_structures_and_odd_outputs():
    x = qn.layers.Input((6,))
    m = qn.Model(x, {"a": x * 2, "b": [x + 1, qn.layers.Dense(2)(x)]})
    for _ in range(3):
        p = m.predict(X, batch_size=4, verbose=0)
        np.testing.assert_array_equal(p["a"], X * 2)
        np.testing.assert_array_equal(p["b"][0], X + 1)
        assert p["b"][1].shape == (41, 2)

    class Pairs(qn.Model):
        def call(self, x):
            return qn.ops.matmul(x, qn.ops.transpose(x))  # as many columns as rows

    with pytest.raises(ValueError):
        Pairs().predict(X, batch_size=4, verbose=0)
    assert Pairs().predict(X[:40], batch_size=4, verbose=0).shape == (40, 4)

    class Twice(qn.Model):
        def call(self, x):
            return qn.ops.concatenate([x, x], axis=0)

    assert Twice().predict(X, batch_size=4, verbose=0).shape == (82, 6)

    class Sums(qn.Model):
        def call(self, x):
            return qn.ops.sum(x, axis=0)

    np.testing.assert_allclose(Sums().predict(X[:40], batch_size=4, verbose=0).shape, (60,))


def test_predict_gives_memory_of_its_own():
    class Same(qn.Model):
        def call(self, x):
            return x

    m = Same()
    for _ in range(4):
        for x in (X[:1], X):
            p = m.predict(x, verbose=0)
            assert not np.shares_memory(p, X)
            kept = p.copy()
            m.predict(x + 1, verbose=0)
            np.testing.assert_array_equal(p, kept)


def test_predict_of_one_row_makes_no_callbacks(monkeypatch):
    m = model()
    expected = m.predict(X, verbose=0)[:1]

    def fail(*args, **kwargs):
        raise AssertionError("the short way was left")

    monkeypatch.setattr("quernel.models.loops.CallbackList", fail)
    monkeypatch.setattr("quernel.models.loops.make_epochs", fail)
    for _ in range(4):
        np.testing.assert_array_equal(m.predict(X[:1], verbose=0), expected)
    np.testing.assert_array_equal(m.predict(X[:1].astype("float64"), verbose=0), expected)
    one = X[:1]
    field = np.zeros(3, [("a", "int8"), ("x", "float32", (6,))])["x"]  # strides that are no multiples of 4
    for x in (
        X,
        np.array(1.0),
        X[:0],
        one.astype("object"),
        one.astype(">f4"),
        one.astype("float16"),
        one.tolist(),
        field,
    ):
        with pytest.raises(AssertionError):
            m.predict(x, verbose=0)
    monkeypatch.undo()
    np.testing.assert_array_equal(m.predict(field, verbose=0), m.predict(field.copy(), verbose=0))


# --- single batches


def test_train_on_batch_is_one_call(calls):
    m = model()
    for _ in range(4):
        m.train_on_batch(X, Y)
    calls.made.clear()
    loss, accuracy = m.train_on_batch(X, Y)
    m.test_on_batch(X, Y)
    assert [name for name, *_ in calls.made] == ["train_on_batch", "test_on_batch"]
    assert type(loss) is float and type(accuracy) is float
    assert float(m._loss_tracker.count) == 41, "of this batch alone"


def test_a_reset_in_python_runs_in_python():
    class Counting(qn.metrics.Mean):
        resets = 0

        def reset_state(self):
            Counting.resets += 1
            super().reset_state()

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(qn.ops.sum(y_pred))

    m = qn.Sequential([qn.layers.Input((6,)), qn.layers.Dense(3)])
    m.compile("sgd", "mse", metrics=[Counting(name="mine")])
    y = X[:, :3]
    for _ in range(5):
        m.train_on_batch(X, y)
    m.fit(X, y, epochs=5, verbose=0)
    assert Counting.resets >= 9  # not before the first step, which makes the state


def test_single_batches_are_checked():
    m = model()
    for call in (m.train_on_batch, m.test_on_batch):
        with pytest.raises(ValueError, match="as many samples"):
            call(X, Y[:3])
        with pytest.raises(ValueError, match="at least one sample"):
            call(X[:0], Y[:0])
        with pytest.raises(ValueError, match="x: expected arrays"):
            call(None)
    with pytest.raises(ValueError, match="at least one sample"):
        m.predict_on_batch(X[:0])
