"""Steps of several threads: each records and runs its own at the same time, with the bits that it has alone."""

import sys
import threading

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.plan import fused_loss


@pytest.fixture
def restless():
    """Threads take turns after almost every line."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def steps_of_a_tape(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(64, 9)).astype("float32"), rng.integers(0, 20, 64)
    w = rng.normal(size=(9, 20)).astype("float32")
    found = []
    for _ in range(3):
        v, optimizer = qn.Variable(w), qn.optimizers.Adam(0.1)
        optimizer.build([v])

        @qn.function
        def step(x, y, v=v, optimizer=optimizer):
            with qn.GradientTape() as tape:
                logits = ops.dense_forward(ops.tanh(x), v, None)
                loss = ops.mean(qn.losses.sparse_categorical_crossentropy(y, logits, from_logits=True))
            optimizer.apply(tape.gradient(loss, [v]), [v])
            return loss

        for n in (64, 31):
            found.append([step(x[:n], y[:n]).numpy().tobytes() for _ in range(4)])
    return found


def fits(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(30, 5)).astype("float32"), rng.integers(0, 3, 30)
    model = qn.Sequential(
        [
            qn.layers.Input((5,)),
            qn.layers.Dense(4, "tanh", kernel_initializer="ones", activity_regularizer="l2"),
            qn.layers.BatchNormalization(),
            qn.layers.Dropout(0.3, seed=seed),
            qn.layers.Dense(3, "softmax", kernel_initializer="ones"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    return history.history, [w.tobytes() for w in model.get_weights()], model.predict(x, verbose=0).tobytes()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("train", [steps_of_a_tape, fits])
def test_threads_record_side_by_side(train, fused, restless, side_by_side, monkeypatch):
    if fused:
        monkeypatch.setattr(fused_loss, "pays", lambda rows, classes, trains: True)
    expected = [train(seed) for seed in range(4)]
    seeds, wrong = iter(range(4)), []
    lock = threading.Lock()

    def work():
        with lock:
            seed = next(seeds)
        for _ in range(4):
            if train(seed) != expected[seed]:
                wrong.append(seed)

    side_by_side(work, 4)
    assert not wrong
