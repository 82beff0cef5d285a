"""CallbackList: calls the same hook of several callbacks."""

from .callback import Callback
from .history import History
from .progbar_logger import ProgbarLogger


def floats(logs):
    """The logs by name, with Python floats in place of scalar Tensors; what a dict in them holds comes to the top."""
    result = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            result.update(floats(value))
        elif getattr(value, "shape", None) == ():
            result[name] = float(value)
        else:
            result[name] = value
    return result


class CallbackList(Callback):
    """Callbacks in order, behind one.

    Args:
        callbacks: list of Callbacks (nested lists are flattened), one Callback, or None.
        add_history: whether to add a History unless there is one; the model gets it as `model.history`.
        add_progbar: whether to add a ProgbarLogger unless there is one.
        model: the model that the callbacks see.
        **params: what the callbacks see as `params`: verbose, epochs, steps.
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        super().__init__()
        self.callbacks = _flatten(callbacks)
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        if add_history and self._history is None:
            self._history = History()
            self.callbacks.append(self._history)
        self._listening = {}
        self._hooks = {}
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback):
        """Adds a callback at the end."""
        self.callbacks.append(callback)
        self._listening.clear()
        self._hooks.clear()

    def set_params(self, params):
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def _listeners(self, hook):
        """The callbacks that override a batch hook: nobody else needs the logs as floats."""
        if hook not in self._listening:
            names = (hook, hook.replace("train_", "")) if "train_" in hook else (hook,)
            self._listening[hook] = [
                c
                for c in self.callbacks
                if any(getattr(type(c), n) is not getattr(Callback, n) or n in vars(c) for n in names)
            ]
        return self._listening[hook]

    def batch_hooks(self, kind):
        """Which hooks the loop over batches has to call: (begin, end, timed), None for each that nobody waits for.

        `begin` and `end` are called for every batch. Where only progress bars listen, these are None and `timed` is
        to be called now and then, and after the last batch.
        """
        if kind in self._hooks:
            return self._hooks[kind]
        names = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        every = [any(not _is_by_time(c, name) for c in self._listeners(name)) for name in names]
        begin, end = (getattr(self, name) if self._listeners(name) else None for name in names)
        found = self._hooks[kind] = (begin, end, None) if any(every) else (None, None, end)
        return found

    def _batch(self, hook, batch, logs):
        listeners = self._listeners(hook)
        if listeners:
            logs = floats(logs)
            for callback in listeners:
                getattr(callback, hook)(batch, logs=logs)

    def _call(self, hook, *args, logs):
        logs = floats(logs) if logs else {}
        for callback in self.callbacks:
            getattr(callback, hook)(*args, logs=logs)

    def on_batch_begin(self, batch, logs=None):
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch, logs=None):
        self.on_train_batch_end(batch, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._call("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch, logs=None):
        self._call("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self._batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self._batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch, logs=None):
        self._batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self._batch("on_predict_batch_end", batch, logs)

    def on_train_begin(self, logs=None):
        self._call("on_train_begin", logs=logs)

    def on_train_end(self, logs=None):
        self._call("on_train_end", logs=logs)

    def on_test_begin(self, logs=None):
        self._call("on_test_begin", logs=logs)

    def on_test_end(self, logs=None):
        self._call("on_test_end", logs=logs)

    def on_predict_begin(self, logs=None):
        self._call("on_predict_begin", logs=logs)

    def on_predict_end(self, logs=None):
        self._call("on_predict_end", logs=logs)


def _is_by_time(callback, hook):
    return hook not in vars(callback) and getattr(getattr(type(callback), hook), "_by_time", False)


def _flatten(callbacks):
    if callbacks is None:
        return []
    if isinstance(callbacks, (list, tuple)):
        return [c for item in callbacks for c in _flatten(item)]
    if not isinstance(callbacks, Callback):
        raise TypeError(f"callbacks: expected Callback objects, received {callbacks!r}")
    return [callbacks]
