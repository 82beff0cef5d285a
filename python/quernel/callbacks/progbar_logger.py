"""ProgbarLogger: the progress bar of fit, evaluate and predict."""

from ..utils.progbar import Progbar
from .callback import Callback, by_time


class ProgbarLogger(Callback):
    """Shows a Progbar: a bar an epoch with verbose=1 (or "auto"), a line an epoch with verbose=2.

    fit adds one by itself unless verbose=0. Validation inside fit has no bar of its own: its numbers close the epoch's.
    """

    def __init__(self):
        super().__init__()
        self.progbar = None
        self.seen = 0
        self._training = False

    @property
    def _verbose(self):
        verbose = self.params.get("verbose", 1)
        return 1 if verbose == "auto" else verbose

    def _start(self):
        self.seen = 0
        self.progbar = Progbar(target=self.params.get("steps"), verbose=self._verbose, interval=0.1)

    def _step(self, batch, logs):
        self.seen = batch + 1
        self.progbar.update(self.seen, list((logs or {}).items()), finalize=False)

    def _finish(self, logs):
        self.progbar.update(self.seen, list((logs or {}).items()), finalize=True)

    def on_train_begin(self, logs=None):
        self._training = True

    def on_train_end(self, logs=None):
        self._training = False

    def on_epoch_begin(self, epoch, logs=None):
        if self._verbose and self.params.get("epochs", 1) > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}", flush=True)
        self._start()

    @by_time
    def on_train_batch_end(self, batch, logs=None):
        self._step(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._finish(logs)

    def on_test_begin(self, logs=None):
        if not self._training:
            self._start()

    @by_time
    def on_test_batch_end(self, batch, logs=None):
        if not self._training:
            self._step(batch, logs)

    def on_test_end(self, logs=None):
        if not self._training:
            self._finish(logs)

    def on_predict_begin(self, logs=None):
        self._start()

    @by_time
    def on_predict_batch_end(self, batch, logs=None):
        self._step(batch, None)

    def on_predict_end(self, logs=None):
        self._finish(None)
