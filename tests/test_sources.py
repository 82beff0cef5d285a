"""Batches that Python code makes: iterables, data sets, the thread that fetches ahead, and that it changes no bit."""

import hashlib
import random
import signal
import threading
import time

import numpy as np
import pytest

import quernel as qn
from quernel.models import epochs as epochs_module
from quernel.models.prefetch import Prefetcher

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = X[:, :1] * 2


def model(width=4, **arguments):
    qn.utils.set_random_seed(2)
    m = qn.Sequential([qn.layers.Input((4,)), qn.layers.Dense(width, "tanh"), qn.layers.Dense(1)])
    m.compile("adam", "mse", **arguments)
    return m


def digest(m):
    return hashlib.sha256(b"".join(w.tobytes() for w in m.get_weights())).hexdigest()


def batches(n=12, size=5):
    for i in range(n):
        yield X[i * size : (i + 1) * size].astype("float64"), Y[i * size : (i + 1) * size]


class Batches(qn.utils.PyDataset):
    def __init__(self, size=5, **arguments):
        super().__init__(**arguments)
        self.size, self.asked, self.ends, self.threads = size, [], 0, set()

    def __len__(self):
        return 60 // self.size

    def __getitem__(self, i):
        self.asked.append(i)
        self.threads.add(threading.current_thread().name)
        return X[i * self.size : (i + 1) * self.size], Y[i * self.size : (i + 1) * self.size]

    def on_epoch_end(self):
        self.ends += 1


def own_threads():
    return [t for t in threading.enumerate() if t.name.startswith("quernel")]


@pytest.fixture
def always_ahead(monkeypatch):
    """The thread is started whatever a step takes."""
    monkeypatch.setattr(epochs_module, "WORTH", 0.0)


# --- data sets


def test_dataset_in_order_and_shuffled():
    data = Batches()
    m = model()
    m.fit(data, epochs=2, shuffle=False, verbose=0)
    assert data.asked == list(range(12)) * 2 and data.ends == 2
    plain = model()
    plain.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    assert digest(m) == digest(plain)
    data.asked.clear()
    m.fit(data, epochs=2, verbose=0)
    assert data.asked[:12] != data.asked[12:] and sorted(data.asked[:12]) == sorted(data.asked[12:]) == list(range(12))
    first = list(data.asked)
    qn.utils.set_random_seed(7)
    data.asked.clear()
    m.fit(data, epochs=2, verbose=0)
    second = list(data.asked)
    qn.utils.set_random_seed(7)
    data.asked.clear()
    m.fit(data, epochs=2, verbose=0)
    assert data.asked == second != first, "the seed gives the order"
    data.asked.clear()
    assert m.evaluate(data, verbose=0) == pytest.approx(m.evaluate(X, Y, batch_size=5, verbose=0))
    np.testing.assert_array_equal(m.predict(data, verbose=0), m.predict(X, verbose=0))
    assert data.asked == list(range(12)) * 2


def test_dataset_for_validation_and_in_steps():
    data, held_out = Batches(), Batches()
    history = model().fit(data, epochs=3, steps_per_epoch=5, validation_data=held_out, shuffle=False, verbose=0).history
    assert data.asked == [*range(12), 0, 1, 2] and data.ends == 3
    assert held_out.asked == list(range(12)) * 3 and held_out.ends == 3 and len(history["val_loss"]) == 3


def test_what_looks_like_a_dataset():
    class Plain:
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return X[i * 20 : i * 20 + 20], Y[i * 20 : i * 20 + 20]

    m = model()
    m.fit(Plain(), shuffle=False, epochs=2, verbose=0)
    plain = model()
    plain.fit(X, Y, batch_size=20, shuffle=False, epochs=2, verbose=0)
    assert digest(m) == digest(plain)
    with pytest.raises(ValueError, match="batch_size: expected None"):
        m.fit(Plain(), batch_size=3, verbose=0)


def test_dataset_arguments():
    for arguments in ({"workers": 0}, {"workers": 1.5}, {"use_multiprocessing": True}, {"max_queue_size": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected"):
            Batches(**arguments)
    with pytest.raises(TypeError, match="has to define __len__"):
        model().fit(qn.utils.PyDataset(), verbose=0)


@pytest.mark.parametrize("steps", [None, 5])
def test_workers_keep_the_order(steps):
    class Uneven(Batches):
        def __getitem__(self, i):
            time.sleep(random.random() * 0.003)
            return super().__getitem__(i)

        def on_epoch_end(self):
            assert len(self.asked) == (self.ends + 1) * (steps or 12), "nobody is at work when it is called"
            super().on_epoch_end()

    data, m = Uneven(workers=3, max_queue_size=4), model()
    m.fit(data, epochs=3, steps_per_epoch=steps, verbose=0)
    plain = model()
    plain.fit(Batches(), epochs=3, steps_per_epoch=steps, verbose=0)
    assert digest(m) == digest(plain) and data.ends == 3
    assert len(data.threads) > 1 and all(name.startswith("quernel-worker") for name in data.threads)
    wait_for_threads()


def wait_for_threads(seconds=2.0):
    end = time.perf_counter() + seconds
    while own_threads() and time.perf_counter() < end:
        time.sleep(0.01)
    assert not own_threads()


def test_errors_of_workers():
    class Bad(Batches):
        def __getitem__(self, i):
            if i == 7:
                raise KeyError("seven")
            return super().__getitem__(i)

    with pytest.raises(KeyError, match="seven") as raised:
        model().fit(Bad(workers=2), verbose=0)
    wait_for_threads()
    assert raised.traceback  # it is alive, and so are the frames of fit


# --- the thread


class Watched:
    """An iterable that notes by which threads its batches are made."""

    def __init__(self):
        self.threads = []

    def __len__(self):
        return 12

    def __iter__(self):
        for batch in batches():
            self.threads.append(threading.current_thread().name)
            yield batch


class Slow(qn.Sequential):
    """A step of 5 ms, replayed or not."""

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs)
        loop = qn.plan.Function.loop

        class Waiting(qn.plan.Function):
            def loop(self, *args, **kwargs):
                time.sleep(0.005)
                return loop(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("quernel.models.steps.Function", Waiting)
            from quernel.models.steps import steps_of

            steps_of(self)


def slow():
    qn.utils.set_random_seed(2)
    m = Slow([qn.layers.Input((4,)), qn.layers.Dense(4, "tanh"), qn.layers.Dense(1)])
    m.compile("adam", "mse")
    return m


def test_long_steps_start_the_thread():
    source, m = Watched(), slow()
    m.fit(source, epochs=2, verbose=0)
    assert source.threads[:5] == ["MainThread"] * 5 and source.threads[6:12] == ["quernel-prefetch"] * 6
    assert source.threads[12] == "quernel-prefetch" or source.threads[13:] == ["quernel-prefetch"] * 11
    wait_for_threads()
    plain = model()
    plain.fit(Watched(), epochs=2, verbose=0)
    assert digest(plain) == digest(m), "the thread changes no bit"


def test_the_thread_works_while_a_step_runs(always_ahead, monkeypatch):
    begun = [threading.Event() for _ in range(13)]
    begun[12].set()
    met = []
    loop = qn.plan.Function.loop

    class Meeting(qn.plan.Function):
        """A step that ends when the next batch is being made."""

        def loop(self, *args, **kwargs):
            if self.name == "train_step":
                step = len(met)
                met.append(begun[step + 1].wait(20 if step > 5 else 0))
            return loop(self, *args, **kwargs)

    monkeypatch.setattr("quernel.models.steps.Function", Meeting)

    def source():
        for i, batch in enumerate(batches()):
            begun[i].set()
            yield batch

    model().fit(source(), verbose=0)
    assert met[:5] == [False] * 5 and met[6:] == [True] * 6


def test_data_sets_have_the_thread_too(always_ahead):
    data, m = Batches(), model()
    m.fit(data, epochs=2, verbose=0)
    assert data.threads == {"MainThread", "quernel-prefetch"}
    eager = model(run_eagerly=True)
    eager.fit(Batches(), epochs=2, verbose=0)
    assert digest(m) == digest(eager)


def test_no_batch_is_lost_where_a_data_set_raises_stop_iteration():
    class Bad(Batches):
        def __getitem__(self, i):
            return super().__getitem__(i) if i < 3 else next(iter([]))

    for workers in (1, 2):
        with pytest.raises(RuntimeError, match="StopIteration"):
            model().fit(Bad(workers=workers), verbose=0)


def test_short_steps_start_none(monkeypatch):
    monkeypatch.setattr(epochs_module, "WORTH", 1e9)
    source = Watched()
    model().fit(source, epochs=3, verbose=0)
    assert set(source.threads) == {"MainThread"}


def test_eager_steps_start_none(always_ahead):
    source = Watched()
    model(run_eagerly=True).fit(source, epochs=3, verbose=0)
    assert set(source.threads) == {"MainThread"}, "they are Python code that may share state with the source"


def test_shared_random_numbers_start_none(always_ahead):
    threads = []

    class Noise(qn.Sequential):
        def train_step(self, data):
            x, y = data
            return super().train_step((x + qn.random.normal(x.shape), y))

    def source():
        for x, y in batches():
            threads.append(threading.current_thread().name)
            yield x + qn.random.normal(x.shape).numpy(), y

    def trained(eagerly):
        qn.utils.set_random_seed(2)
        m = Noise([qn.layers.Input((4,)), qn.layers.Dense(1)])
        m.compile("adam", "mse", run_eagerly=eagerly)
        m.fit(source(), verbose=0)
        return digest(m)

    assert trained(False) == trained(True) and set(threads) == {"MainThread"}


def test_a_generator_is_asked_for_no_more_than_is_used(always_ahead):
    source = (batch for _ in range(4) for batch in batches())
    m = model()
    m.fit(source, steps_per_epoch=11, epochs=3, verbose=0)
    assert len(list(source)) == 48 - 33
    wait_for_threads()


def test_errors_of_a_source_come_unchanged(always_ahead):
    class Mine(Exception):
        pass

    for at in (0, 4, 9):
        error = Mine(at)

        def source(at=at, error=error):
            for i, batch in enumerate(batches()):
                if i == at:
                    raise error
                yield batch

        with pytest.raises(Mine) as raised:
            model().fit(source(), verbose=0)
        assert raised.value is error
        assert any("source" in str(entry.name) for entry in raised.traceback), "with the line that raised it"
        wait_for_threads()


def test_errors_of_a_step_end_the_thread(always_ahead):
    class Fail(qn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 8:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model().fit(Watched(), callbacks=[Fail()], verbose=0)
    wait_for_threads()


def test_a_source_that_hangs_does_not_hold_an_error_back(always_ahead):
    release = threading.Event()

    def source():
        for i, batch in enumerate(batches()):
            if i == 9:
                release.wait(10)
            yield batch

    class Fail(qn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 8:
                raise ZeroDivisionError

    start = time.perf_counter()
    with pytest.raises(ZeroDivisionError):
        model().fit(source(), callbacks=[Fail()], verbose=0)
    assert time.perf_counter() - start < 5
    release.set()
    wait_for_threads()


def test_an_interrupt_while_a_batch_is_waited_for(ctrl_c, always_ahead):
    release = threading.Event()

    def source():
        for i, batch in enumerate(batches()):
            if i == 9:
                threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
                release.wait(20)
            yield batch

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model().fit(source(), verbose=0)
    assert time.perf_counter() - start < 10
    release.set()
    wait_for_threads()


def test_stop_training_in_the_middle(always_ahead):
    class Stop(qn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 8

    m, plain = model(), model()
    m.fit(Watched(), callbacks=[Stop()], epochs=3, verbose=0)
    plain.fit(batches(9), verbose=0)
    assert digest(m) == digest(plain)
    wait_for_threads()
    m.fit(Batches(workers=2), callbacks=[stop := Stop()], epochs=3, verbose=0)
    wait_for_threads()
    assert stop.model is m


def test_prefetcher_alone():
    p = Prefetcher()
    iterator = iter([1, 2])
    found = []
    for _ in range(3):
        p.ask(iterator)
        assert p.busy
        found.append(p.take())
    assert found == [1, 2, None] and not p.busy
    assert p.close()
