"""Callbacks: which hooks are called with what, early stopping, the progress bar."""

import numpy as np
import pytest

import quernel as qn


class Log(qn.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []


def _recorder(name):
    def hook(self, *args, logs=None):
        self.calls.append((name, *args))
        assert all(isinstance(v, float) for v in (logs or {}).values() if "outputs" not in logs)

    return hook


for _name in dir(qn.callbacks.Callback):
    if _name.startswith("on_") and "_batch_" not in _name or _name.count("_") == 3 and _name.startswith("on_"):
        setattr(Log, _name, _recorder(_name))


def model():
    qn.utils.set_random_seed(0)
    m = qn.Sequential([qn.layers.Input((2,)), qn.layers.Dense(1)])
    m.compile(qn.optimizers.SGD(0.1), loss="mse", metrics=["mse"])
    return m


X = np.arange(12, dtype="float32").reshape(6, 2) / 12
Y = X.sum(axis=1, keepdims=True)


def test_hooks_in_order():
    log = Log()
    history = model().fit(X, Y, batch_size=4, epochs=2, validation_data=(X, Y), callbacks=[log], verbose=0)
    batches = [(f"on_train_batch_{when}", step) for step in range(2) for when in ("begin", "end")]
    tests = [(f"on_test_batch_{when}", step) for step in range(2) for when in ("begin", "end")]
    epoch = [*batches, ("on_test_begin",), *tests, ("on_test_end",)]
    assert log.calls == [
        ("on_train_begin",),
        ("on_epoch_begin", 0), *epoch, ("on_epoch_end", 0),
        ("on_epoch_begin", 1), *epoch, ("on_epoch_end", 1),
        ("on_train_end",),
    ]  # fmt: skip
    assert history.epoch == [0, 1] and set(history.history) == {"loss", "mse", "val_loss", "val_mse"}
    assert log.params == {"verbose": 0, "epochs": 2, "steps": 2}


def test_evaluate_and_predict_hooks():
    log = Log()
    m = model()
    m.evaluate(X, Y, batch_size=3, callbacks=[log], verbose=0)
    assert log.calls[0] == ("on_test_begin",) and log.calls[-1] == ("on_test_end",) and len(log.calls) == 6
    log.calls.clear()
    m.predict(X, batch_size=3, callbacks=[log], verbose=0)
    assert log.calls[0] == ("on_predict_begin",) and log.calls[-1] == ("on_predict_end",) and len(log.calls) == 6


class Scripted(qn.callbacks.Callback):
    """Gives EarlyStopping the values of a list."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def run(self, stopping, weights=None):
        class Model:
            stop_training = False
            metrics = ()
            weights = None

            def get_weights(self):
                return self.weights

            def set_weights(self, weights):
                self.weights = weights

        m = Model()
        stopping.set_model(m)
        stopping.on_train_begin()
        for epoch, value in enumerate(self.values):
            m.weights = epoch
            stopping.on_epoch_end(epoch, {"val_loss": value})
            if m.stop_training:
                break
        stopping.on_train_end()
        return epoch, m.weights


@pytest.mark.parametrize(
    ("values", "arguments", "last", "weights"),
    [
        ([3, 2, 1, 0], {}, 3, 3),
        ([3, 2, 2.5, 1], {}, 2, 2),
        ([3, 2, 2.5, 2.4, 2.3, 1], {"patience": 3}, 4, 4),
        ([3, 2, 2.5, 2.4, 2.3, 1], {"patience": 3, "restore_best_weights": True}, 4, 1),
        ([3, 2, 1], {"restore_best_weights": True}, 2, 2),
        ([3, 2.9, 2.8], {"min_delta": 0.5}, 1, 1),
        ([1, 2, 3, 2], {"mode": "max"}, 3, 3),
        ([3, 2, 1], {"baseline": 0.5, "patience": 2}, 2, 2),
        ([1, 2, 3, 4], {"start_from_epoch": 2}, 3, 3),
        ([float("nan"), float("nan")], {}, 1, 1),
    ],
)
def test_early_stopping(values, arguments, last, weights):
    assert Scripted(values).run(qn.callbacks.EarlyStopping(**arguments)) == (last, weights)


def test_early_stopping_in_fit():
    stop = qn.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=2)
    history = model().fit(X, Y, epochs=10, callbacks=[stop], verbose=0)
    assert len(history.epoch) == 3
    with pytest.warns(UserWarning, match="watches 'val_loss'"):
        model().fit(X, Y, callbacks=[qn.callbacks.EarlyStopping()], verbose=0)
    stop = qn.callbacks.EarlyStopping(monitor="val_mse", patience=1)
    model().fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[stop], verbose=0)
    assert stop._direction() == "down"
    with pytest.raises(ValueError, match="mode: expected"):
        qn.callbacks.EarlyStopping(mode="up")


def test_progress(capsys):
    m = model()
    m.fit(X, Y, batch_size=3, epochs=2)
    text = capsys.readouterr().out
    assert "Epoch 1/2" in text and "Epoch 2/2" in text and "2/2" in text and "ms/step" in text or "us/step" in text
    assert "loss: " in text and "mse: " in text
    m.fit(X, Y, batch_size=3, epochs=2, verbose=2, validation_data=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == "Epoch 1/2" and lines[1].startswith("2/2 - 0s - ") and "val_loss: " in lines[1] and len(lines) == 4
    )
    m.evaluate(X, Y)
    assert "loss: " in capsys.readouterr().out
    m.fit(X, Y, verbose=0)
    m.predict(X, verbose=0)
    out = capsys.readouterr()
    assert out.out == "" and out.err == ""
    with pytest.raises(ValueError, match="verbose: expected"):
        m.fit(X, Y, verbose=3)


def test_stop_from_a_callback():
    class Stop(qn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    assert model().fit(X, Y, batch_size=1, epochs=5, callbacks=[Stop()], verbose=0).epoch == [0]
    with pytest.raises(TypeError, match="callbacks: expected Callback"):
        model().fit(X, Y, callbacks=[print])
