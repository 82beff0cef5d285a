"""What docs/plans.md promises of plans in fit, sentence by sentence, where no other file shows it."""

import inspect
import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.plan import Function
from quernel.plan.recorder import ARGUMENT
from quernel.recording import RecordingError

L = qn.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype("float32")
Y = RNG.integers(0, 3, 40)


def classifier(**arguments):
    qn.utils.set_random_seed(4)
    model = qn.Sequential([L.Input((6,)), L.Dense(5, "tanh"), L.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **arguments)
    return model


def outcome(model):
    return [v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]]


# --- data


@pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "memmap", "reversed", "fortran", "every other"])
def test_a_step_gathers_its_rows_from_the_users_array(kind, tmp_path):
    """The first call reads the whole array where it lies; what it takes there is a batch."""
    x = {
        "float32": lambda: X,
        "float64": lambda: X.astype("float64"),
        "uint8": lambda: (X * 20 + 99).astype("uint8"),
        "memmap": lambda: np.memmap(tmp_path / "x", "float32", "w+", shape=X.shape),
        "reversed": lambda: X[::-1],
        "fortran": lambda: np.asfortranarray(X),
        "every other": lambda: np.repeat(X, 2, axis=0)[::2],
    }[kind]()
    model = classifier()
    model.fit(x, Y, batch_size=8, epochs=2, verbose=0)
    (plan,) = model._steps.train.rows.plans
    first, _ = plan.program.calls[0]
    source = first.inputs[0]
    assert first.kernel is qn.kernels.gather and plan.program.roots[source.root].kind is ARGUMENT
    assert (source.shape, source.strides, source.dtype) == (x.shape, x.strides, x.dtype)
    assert [ref.shape for ref in first.outputs] == [(8, 6)]
    biggest = max(ref.shape[0] for op, _ in plan.program.calls for ref in op.writes() if ref.shape)
    assert biggest <= 8, "no call makes an array of all samples"


# --- recording: what Python computes is named with its line


def line_of(step, mark):
    """ "file:line in step" of the source line that ends in `# mark`."""
    lines, start = inspect.getsourcelines(step)
    (at,) = [i for i, text in enumerate(lines) if text.rstrip().endswith(f"# {mark}")]
    return rf"{os.path.basename(__file__)}:{start + at} in {step.__name__}"


def numpy_noise():
    rng = np.random.default_rng(0)

    def step(x):
        y = x * 2.0
        return y + rng.normal(size=2).astype("float32")  # here

    return step


def python_noise():
    def step(x):
        y = x + 1.0
        return y * random.random()  # here

    return step


def python_counter():
    count = 0

    def step(x):
        nonlocal count
        count += 1
        return ops.sum(x) + x * count  # here

    return step


def decay_in_python():
    w, rate = qn.Variable([1.0, 1.0]), 0.1

    def step(x):
        nonlocal rate
        with qn.GradientTape() as tape:
            loss = ops.sum(ops.square(w - x))
        gradient = tape.gradient(loss, w)
        rate = rate * 0.9
        w.assign_sub(gradient * rate)  # here
        return loss

    return step


def decay_of_an_optimizer():
    w, optimizer, decay = qn.Variable([1.0, 1.0]), qn.optimizers.SGD(0.1), 1.0
    optimizer.build([w])

    def step(x):
        nonlocal decay
        with qn.GradientTape() as tape:
            loss = ops.sum(ops.square(w - x))
        decay *= 0.9
        optimizer.learning_rate = 0.1 * decay  # here
        optimizer.apply([tape.gradient(loss, w)], [w])
        return loss

    return step


def attribute_of_a_call():
    sizes = iter(range(1, 9))

    def step(x):
        return ops.sum(ops.clip(x, 0.0, float(next(sizes))))  # here

    return step


def number_of_calls():
    turns = iter([False, True])

    def step(x):
        if next(turns):
            x = ops.tanh(x)  # here
        return ops.sum(x)

    return step


PYTHON = [numpy_noise, python_noise, python_counter, decay_in_python, decay_of_an_optimizer, attribute_of_a_call,
          number_of_calls]  # fmt: skip


@pytest.mark.parametrize("make", PYTHON)
def test_what_python_computes_in_a_step_is_named_with_its_line(make):
    step = make()
    run = qn.function(step)
    x = qn.constant([3.0, 4.0])
    run(x)
    with pytest.raises(RecordingError, match=rf"{line_of(step, 'here')}.*run_eagerly=True"):
        run(x)


def test_reading_a_value_in_a_train_step_says_where_to_go():
    class Reads(qn.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            if logs["loss"] > 100:
                raise AssertionError("not reached")
            return logs

    def make(**arguments):
        model = Reads([L.Input((6,)), L.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", **arguments)
        return model

    with pytest.raises(RecordingError, match=r"^bool: .*quernel\.ops\.where.*run_eagerly=True"):
        make().fit(X, Y, verbose=0)
    make(run_eagerly=True).fit(X, Y, verbose=0)


def test_a_function_with_a_plan_of_its_own_inlines_into_fit():
    scale = qn.Variable(2.0)
    inner = qn.function(lambda x: ops.tanh(x) * scale)
    for _ in range(4):
        inner(X[:8])
    assert inner.plans[0].runs == 2

    class Inlines(qn.Sequential):
        def train_step(self, data):
            x, y = data
            scale.assign(scale * 0.9)
            return super().train_step((inner(x), y))

    results = []
    for eagerly in (True, False):
        scale.assign(2.0)
        qn.utils.set_random_seed(1)
        model = Inlines([L.Input((6,)), L.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
        results.append([*outcome(model), float(scale)])
    assert results[0] == results[1]
    assert model._steps.train.rows.plans[0].runs == 8 and inner.plans[0].runs <= 3


# --- state


def test_new_weights_go_into_the_storage_that_plans_read(tmp_path):
    """set_weights, load_weights, restore_best_weights: no array moves, nothing is recorded anew."""
    model = classifier()
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    path = str(tmp_path / "w.weights.safetensors")
    model.save_weights(path)
    saved = model.get_weights()
    for _ in range(3):
        first = model.predict(X, verbose=0)
    recordings = {f: f._recordings for f in (model._steps.train.rows, model._steps.predict.batch)}
    arrays = [v._array for v in model.variables]

    def holds():
        assert all(v._array is a for v, a in zip(model.variables, arrays))
        np.testing.assert_array_equal(model.predict(X, verbose=0), first)

    for put_back in (lambda: model.set_weights(saved), lambda: model.load_weights(path)):
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
        assert not np.array_equal(model.predict(X, verbose=0), first)
        put_back()
        holds()

    class Worse(qn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = float(epoch)

    best = qn.callbacks.EarlyStopping("mine", mode="min", patience=3, restore_best_weights=True)
    model.optimizer.learning_rate = 0.0
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0, callbacks=[Worse(), best])
    model.optimizer.learning_rate = 0.1
    model.fit(X, Y, batch_size=8, epochs=9, initial_epoch=1, verbose=0, callbacks=[Worse(), again := type(best)(
        "mine", mode="min", baseline=0.0, patience=2, restore_best_weights=True)])  # fmt: skip
    assert again.stopped_epoch and all(v._array is a for v, a in zip(model.variables, arrays))
    model.set_weights(saved)
    holds()
    assert {f: f._recordings for f in recordings} == recordings


def test_a_learning_rate_that_a_step_computes_changes_from_step_to_step():
    """Many steps in one call: each has its own rate, from the iterations so far."""

    class Decays(qn.Sequential):
        def train_step(self, data):
            steps = ops.cast(self.optimizer.iterations, "float32")
            self.optimizer.learning_rate.assign(0.1 * ops.exp(steps * -0.05))
            return super().train_step(data)

    results = []
    for eagerly in (True, False):
        qn.utils.set_random_seed(3)
        model = Decays([L.Input((6,)), L.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=eagerly)
        model.fit(X, Y, batch_size=2, epochs=3, shuffle=False, verbose=0)
        results.append(outcome(model))
    assert results[0] == results[1]
    assert model._steps.train.batch.plans[0].runs == 58
    np.testing.assert_allclose(float(model.optimizer.learning_rate), 0.1 * np.exp(-0.05 * 59), rtol=1e-6)


# --- signature


def test_floatx_and_masks_are_part_of_the_signature():
    def step(x):
        y = ops.zeros((2,)) + ops.cast(x, qn.dtypes.floatx())
        mask = getattr(x, "_keras_mask", None)
        return y if mask is None else ops.where(mask, y, -1.0)

    run = qn.function(step)

    def argument(masked):
        x = qn.constant([1.0, 2.0], dtype="float32")
        if masked:
            x._keras_mask = qn.constant([True, False])
        return x

    for _ in range(3):
        assert run(argument(False)).numpy().tolist() == [1.0, 2.0]
        assert run(argument(True)).numpy().tolist() == [1.0, -1.0]
        qn.dtypes.set_floatx("float64")
        try:
            assert run(argument(False)).dtype == "float64"
        finally:
            qn.dtypes.set_floatx("float32")
    assert run(argument(False)).dtype == "float32"
    assert len(run.plans) == 3


def test_the_instruction_set_is_part_of_the_signature():
    run = qn.function(lambda x: ops.tanh(x))
    for _ in range(3):
        for isa in qn.backend.isas():
            with qn.backend.use_isa(isa):
                run(X)
    assert [p.runs for p in run.plans] == [1] * len(qn.backend.isas())
    assert {p.conditions._world[1] for p in run.plans} == set(qn.backend.isas())


# --- running


def test_a_plan_that_is_evicted_while_it_runs_ends_its_run(monkeypatch):
    monkeypatch.setattr("quernel.plan.check.ENABLED", False)  # it makes every step a call
    monkeypatch.setattr(sys.modules["quernel.plan.function"], "MAX_PLANS", 1)
    total = qn.Variable(np.zeros((200, 200), "float32"))
    grow = np.float32(1 / 128) * np.eye(200, dtype="float32")

    def step(x):
        total.assign_add(ops.matmul(x, grow))
        return total[0, 0]

    run = Function(step)
    x = np.ones((200, 200), "float32")
    for _ in range(2):
        run(x)
    (plan,) = run.plans
    found = []
    thread = threading.Thread(target=lambda: found.append(run.loop((x,), 3000)))
    thread.start()
    while not qn.memory_stats()["leased"] and thread.is_alive():
        time.sleep(0.001)
    run._new_entry("another signature")
    assert plan not in run.plans
    thread.join()
    ((done, value),) = found
    assert done == 3000 and float(value) == 3002 / 128
    assert plan.runs == 3000


def test_a_wrong_label_in_fit_names_its_step_however_the_calls_are_cut(monkeypatch):
    model = classifier()
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    labels = Y.copy()
    labels[30] = 3
    for turn in (1e9, 0.0):  # seconds of a call
        monkeypatch.setattr("quernel.models.epoch_loop.TURN", turn)
        before = int(model.optimizer.iterations)
        with pytest.raises((IndexError, ValueError), match="train_step: step 7 of 10: .*3"):
            model.fit(X, labels, batch_size=4, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == before + 7, "earlier steps stand"
    for _ in range(2):
        model.fit(X[:31], Y[:31], batch_size=3, shuffle=False, verbose=0)
    with pytest.raises((IndexError, ValueError), match="train_step: step 10 of 11: .*3"):
        model.fit(X[:31], labels[:31], batch_size=3, shuffle=False, verbose=0)


PROGRAM = """
import os, signal, sys, threading, time
import numpy as np, quernel as qn
model = qn.Sequential([qn.layers.Input((4,)), qn.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.zeros((500_000, 4), "float32")
model.fit(x[:64], x[:64, :1], batch_size=2, epochs=2, verbose=0)
waits = []
for _ in range(5):
    sent = []
    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        model.fit(x, x[:, :1], batch_size=2, epochs=10**6, verbose=0)
    except KeyboardInterrupt:
        waits.append(time.perf_counter() - sent[0])
print(sorted(waits)[len(waits) // 2])
"""


def test_ctrl_c_takes_a_fifth_of_a_second(ctrl_c):
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert float(told.stdout) < 0.2, told.stderr


def test_the_environment_asks_for_a_profile():
    code = (
        "import numpy as np, quernel as qn\n"
        "model = qn.Sequential([qn.layers.Input((4,)), qn.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(np.zeros((64, 4), 'f'), np.zeros((64, 1), 'f'), batch_size=8, verbose=0)\n"
        "model.plan_summary()\n"
    )
    for value, measured in (("1", True), ("0", False)):
        env = {**os.environ, "QUERNEL_PROFILE": value}
        text = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        assert ("share" in text.splitlines()[1]) is measured and ("GB/s" in text) is measured
