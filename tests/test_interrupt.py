"""Ctrl-C in fit, and two fits at a time."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import quernel as qn

pytestmark = pytest.mark.usefixtures("ctrl_c")

X = np.linspace(-1, 1, 400, dtype="float32").reshape(100, 4)
Y = X[:, :1].copy()


class Halves(qn.Sequential):
    """A step that writes two counters, far apart in time where it runs in Python."""

    pause = 0.0

    def __init__(self, *args):
        super().__init__(*args)
        self.first = qn.Variable(0.0, trainable=False)
        self.last = qn.Variable(0.0, trainable=False)

    def train_step(self, data):
        self.first.assign_add(1.0)
        logs = super().train_step(data)
        time.sleep(self.pause)
        self.last.assign_add(1.0)
        return logs

    def whole(self):
        return float(self.first) == float(self.last) == int(self.optimizer.iterations.numpy())


def halves(**arguments):
    m = Halves([qn.layers.Input((4,)), qn.layers.Dense(1)])
    m.compile("sgd", "mse", **arguments)
    return m


def signals_after(seconds):
    main = threading.main_thread().ident
    threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGINT)).start()


def test_an_interrupt_waits_for_the_step():
    m = halves(run_eagerly=True)
    m.pause = 0.05
    for after in (0.13, 0.18):
        start = time.perf_counter()
        signals_after(after)
        with pytest.raises(KeyboardInterrupt):
            m.fit(X, Y, batch_size=4, epochs=1000, verbose=0)
        assert after <= time.perf_counter() - start < after + 0.05 + 1.0
        assert m.whole() and float(m.first) >= 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    m.pause = 0.0
    m.fit(X, Y, verbose=0)  # it may go on


def test_an_interrupt_stops_many_steps_in_one_call():
    m = halves()
    m.fit(X, Y, batch_size=1, epochs=3, verbose=0)
    big = np.zeros((2_000_000, 4), "float32")
    start = time.perf_counter()
    signals_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        m.fit(big, big[:, :1], batch_size=1, epochs=1000, verbose=0, shuffle=False)
    assert 0.5 <= time.perf_counter() - start < 0.5 + 1.0
    assert m.whole()


def test_an_interrupt_from_a_thread():
    m = halves()
    threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,)).start()
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, batch_size=4, epochs=10**6, verbose=0)
    assert m.whole()


def test_an_interrupt_from_a_callback():
    class Raise(qn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                signal.raise_signal(signal.SIGINT)
                raise AssertionError("not reached")

    m = halves()
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, batch_size=4, callbacks=[Raise()], verbose=0)
    assert m.whole() and float(m.first) == 4


def test_a_second_interrupt_does_not_wait():
    m = halves(run_eagerly=True)
    m.pause = 3.0
    start = time.perf_counter()
    signals_after(0.2)
    signals_after(0.4)
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, verbose=0)
    assert time.perf_counter() - start < 1.5


def test_handlers_of_others():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        m = halves(run_eagerly=True)
        m.pause = 0.05
        signals_after(0.1)
        m.fit(X, Y, batch_size=25, verbose=0)
        assert seen == [signal.SIGINT] and float(m.last) == 4
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        m.fit(X, Y, verbose=0)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


PROGRAM = """
import sys, time
import numpy as np, quernel as qn
sys.path.insert(0, {here!r})
from test_interrupt import halves
m = halves()
x = np.zeros((500_000, 4), "float32")
m.fit(x[:8], x[:8, :1], batch_size=1, epochs=2, verbose=0)
print("ready", flush=True)
try:
    m.fit(x, x[:, :1], batch_size={batch}, epochs=10**6, verbose={verbose}{callbacks})
except KeyboardInterrupt:
    print("stopped", m.whole(), flush=True)
"""


@pytest.mark.parametrize("callbacks", ["", ", callbacks=[type('C', (qn.callbacks.Callback,), {'on_train_batch_end': "
                                           "lambda self, batch, logs=None: None})()]"])  # fmt: skip
def test_interrupt_of_a_process(callbacks):
    here = os.path.dirname(__file__)
    program = PROGRAM.format(here=here, batch=2, verbose=0, callbacks=callbacks)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.7)
        start = time.perf_counter()
        process.send_signal(signal.SIGINT)
        line = process.stdout.readline()
        assert line == "stopped True\n" and time.perf_counter() - start < 1.0
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_second_fit_is_refused():
    m = halves()
    errors = []

    class Again(qn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(RuntimeError, match="is in fit already"):
                m.fit(X, Y, verbose=0)
            thread = threading.Thread(target=self.elsewhere)
            thread.start()
            thread.join()
            self.model.evaluate(X, Y, verbose=0)
            self.model.predict(X, verbose=0)

        def elsewhere(self):
            try:
                m.fit(X, Y, verbose=0)
            except RuntimeError as error:
                errors.append(error)
            halves().fit(X, Y, verbose=0)  # another model

    history = m.fit(X, Y, epochs=2, callbacks=[Again()], verbose=0)
    assert len(errors) == 2 and m.history is history and len(history.epoch) == 2
    m.fit(X, Y, verbose=0)

    class Fail(qn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        m.fit(X, Y, callbacks=[Fail()], verbose=0)
    m.fit(X, Y, verbose=0)


def test_fit_in_a_thread_leaves_signals_alone():
    handlers = []

    class Look(qn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=lambda: halves().fit(X, Y, callbacks=[Look()], verbose=0))
    thread.start()
    thread.join()
    assert handlers and set(handlers) == {signal.default_int_handler}


def test_predicts_side_by_side(side_by_side):
    m = halves()
    expected = m.predict(X, verbose=0)
    wrong = []

    def work():
        for i in range(100):
            if not np.array_equal(m.predict(X[i : i + 1], verbose=0)[0], expected[i]):
                wrong.append(i)
            if i % 10 == 0 and not np.array_equal(m.predict(X, batch_size=7, verbose=0), expected):
                wrong.append(-1)

    side_by_side(work, 4)
    assert not wrong
