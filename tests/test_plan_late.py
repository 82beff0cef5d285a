"""Late arrays: steps that are being recorded compute no logits that only a loss reads, and whoever reads them gets them."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import quernel as qn
from quernel import recording
from quernel.plan import fused_loss, late

if not qn.backend.available("native"):
    pytest.skip("needs the compiled core", allow_module_level=True)

CLASSES = 30


@pytest.fixture
def filled(monkeypatch):
    """The names of the kernels whose results were late and then filled, whatever their size."""
    names = []
    monkeypatch.setattr(fused_loss, "pays", lambda rows, classes, trains: True)
    fill = late.Late.fill
    monkeypatch.setattr(late.Late, "fill", lambda self, array: (names.append(self.kernel.name), fill(self, array))[1])
    return names


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


class Setting:
    """A last layer with its optimizer, inputs and labels."""

    def __init__(self, activation=None, bias=True):
        qn.utils.set_random_seed(4)
        self.x = qn.Variable(numbers(40, 6))
        self.y = qn.constant(np.random.default_rng(1).integers(0, CLASSES, 40))
        self.layer = qn.layers.Dense(CLASSES, activation=activation, use_bias=bias, bias_initializer="ones")
        self.layer.build((None, 6))
        self.optimizer = qn.optimizers.SGD(0.3)
        self.variables = [self.x, *self.layer.trainable_variables]
        self.optimizer.build(self.variables)

    def loss(self, z):
        from_logits = self.layer.activation is qn.activations.linear
        return qn.losses.SparseCategoricalCrossentropy(from_logits=from_logits)(self.y, z)


def compare(step, **setting):
    """Results and variables of three steps: in Python, and as a Function, of which two are recorded."""

    def once(wrap):
        s = Setting(**setting)
        run = wrap(lambda: step(s))
        results = [[np.array(v).tobytes() for v in qn.tree.flatten(run())] for _ in range(3)]
        return results, [np.array(v).tobytes() for v in s.variables]

    assert once(lambda run: run) == once(qn.function)
    assert not recording.LATE


def train(s, extra=lambda s, z, loss: (loss, ())):
    """A step of training; extra(s, logits, loss) -> (loss to differentiate, what else to return)."""
    with qn.GradientTape() as tape:
        z = s.layer(s.x)
        loss, more = extra(s, z, s.loss(z))
    s.optimizer.apply(tape.gradient(loss, s.variables), s.variables)
    return loss, more


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_loss_and_its_gradient_fill_nothing(filled, activation, bias):
    compare(train, activation=activation, bias=bias)
    assert filled == []


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_guess_of_an_accuracy_fills_nothing(filled, activation):
    compare(lambda s: train(s, lambda s, z, loss: (loss, qn.ops.argmax(z, axis=-1))), activation=activation)
    assert filled == []


READERS = {
    "a penalty": lambda s, z, loss: (loss + 0.01 * qn.ops.sum(z * z), ()),
    "two losses": lambda s, z, loss: (loss + 2.0 * s.loss(z), ()),
    "the step returns them": lambda s, z, loss: (loss, z),
    "a view": lambda s, z, loss: (loss, qn.ops.reshape(z, (CLASSES, 40))),
    "a slice": lambda s, z, loss: (loss, z[3:5]),
    "argmax twice": lambda s, z, loss: (loss, [qn.ops.argmax(z, axis=-1), qn.ops.argmax(z, axis=-1)]),
    "argmax along rows": lambda s, z, loss: (loss, qn.ops.argmax(z, axis=0)),
    "argmax of the softmax": lambda s, z, loss: (loss, qn.ops.argmax(qn.ops.softmax(z), axis=-1)),
    "softmax along rows": lambda s, z, loss: (loss, qn.ops.softmax(z, axis=0)),
    "the probabilities": lambda s, z, loss: (loss, qn.ops.softmax(z)),
}


@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_the_logits_gets_them(filled, reader):
    compare(lambda s: train(s, READERS[reader]))
    assert "dense_forward" in filled


def test_a_guess_before_the_loss(filled):
    def step(s):
        z = s.layer(s.x)
        guess = qn.ops.argmax(z, axis=-1)
        return guess, s.loss(z)

    compare(step)
    assert filled == ["dense_forward"] * 2


def test_frozen_weights(filled):
    def step(s):
        with qn.GradientTape() as tape:
            loss = s.loss(s.layer(s.x))
        s.optimizer.apply([tape.gradient(loss, s.x)], [s.x])
        return loss

    compare(step)
    assert filled == []


@pytest.mark.parametrize("written", ["kernel", "bias", "x"])
def test_logits_are_those_of_the_values_at_their_time(filled, written):
    def step(s):
        z = s.layer(s.x)
        variable = s.x if written == "x" else getattr(s.layer, written)
        variable.assign(variable * 0.5)
        return z

    compare(step)
    assert filled == ["dense_forward"] * 2


def test_the_slopes_of_the_logits_can_be_asked_for(filled):
    def step(s):
        with qn.GradientTape() as tape:
            z = s.layer(s.x)
            loss = s.loss(z)
        return tape.gradient(loss, [z, s.x])

    compare(step)
    assert "sparse_categorical_crossentropy_dx" in filled


def test_second_derivatives(filled):
    def step(s):
        with qn.GradientTape() as outer:
            with qn.GradientTape() as tape:
                loss = s.loss(s.layer(s.x))
            slope = qn.ops.sum(tape.gradient(loss, s.x) ** 2)
        s.optimizer.apply(outer.gradient(slope, s.variables[:2]), s.variables[:2])
        return slope

    compare(step)


def test_a_bad_label_has_the_message_of_the_loss(filled):
    s = Setting()
    step = qn.function(lambda y: qn.losses.SparseCategoricalCrossentropy(from_logits=True)(y, s.layer(s.x)))
    with pytest.raises(IndexError) as plain:
        qn.kernels.sparse_categorical_crossentropy(
            np.full(40, CLASSES), qn.kernels.dense_forward(np.array(s.x), np.array(s.layer.kernel)), from_logits=True
        )
    with pytest.raises(IndexError) as recorded:
        step(np.full(40, CLASSES))
    assert str(recorded.value) == str(plain.value)
    assert not recording.LATE


def test_a_step_that_fails_leaves_whole_arrays(filled):
    s, left = Setting(), []

    @qn.function
    def step():
        left.append(s.layer(s.x))
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        step()
    expected = qn.kernels.dense_forward(np.array(s.x), np.array(s.layer.kernel), np.array(s.layer.bias))
    assert np.array_equal(left[0].numpy(), expected) and not recording.LATE


PEAK = """
import numpy as np, quernel as qn
def most():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
rng = np.random.default_rng(0)
x, y = rng.standard_normal((4096, 32)).astype("float32"), rng.integers(0, 8192, 4096)
model = qn.Sequential([qn.layers.Input((32,)), qn.layers.Dense(32), qn.layers.Dense(8192, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.train_on_batch(x[:512], y[:512])
before = most()
for _ in range(2):
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
print(most() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
def test_recorded_steps_hold_no_logits():
    """Logits of 134 MB: a step that computed them would hold them, their softmax and their gradient."""
    run = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 100


def test_threads_that_record_side_by_side_fill_only_their_own(filled):
    mine, other = Setting(), Setting()
    met, done = threading.Event(), threading.Event()

    @qn.function
    def slow():
        z = mine.layer(mine.x)
        met.set()
        assert done.wait(30)
        return mine.loss(z)

    def record():
        met.wait(30)
        qn.function(lambda: other.layer(other.x))()  # returns its logits, so it fills them
        done.set()

    thread = threading.Thread(target=record)
    thread.start()
    slow()
    thread.join()
    assert filled == ["dense_forward"] and not recording.LATE
