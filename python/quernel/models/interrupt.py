"""When fit may begin and be interrupted: one fit of a model at a time, and Ctrl-C waits until the step that runs is whole."""

import contextlib
import signal
import threading


class Shield:
    """Between `with` and its end SIGINT does what it did before, but not within a step: there it waits for `release`.

    A second one does not wait. Only the main thread gets signals; elsewhere, and where SIGINT is ignored or handled
    outside of Python, nothing is changed.
    """

    def __init__(self):
        self._before = None
        self._installed = False
        self._held = False
        self._pending = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if callable(before):
                self._before = before
                signal.signal(signal.SIGINT, self._handle)
                self._installed = True
        return self

    def __exit__(self, *_):
        if self._installed and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number, frame):
        if self._held and self._pending is None:
            self._pending = number, frame
        else:
            self._before(number, frame)

    def hold(self):
        """A step begins."""
        self._held = True

    def release(self):
        """The step has ended: what waited happens now."""
        self._held = False
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._before(*pending)


_fitting = set()  # ids of the models that are in fit
_FITTING_LOCK = threading.Lock()


@contextlib.contextmanager
def lone_fit(model):
    """Within it no other fit of the model begins.

    Raises:
        RuntimeError: one has begun and is not over.
    """
    with _FITTING_LOCK:
        if id(model) in _fitting:
            raise RuntimeError(
                f"fit: the model {model.name!r} is in fit already (in another thread, or a callback called fit); "
                f"wait until it ends, or train a clone (models.clone_model)"
            )
        _fitting.add(id(model))
    try:
        yield
    finally:
        _fitting.discard(id(model))
