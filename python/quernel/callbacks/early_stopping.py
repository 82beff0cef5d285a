"""EarlyStopping: ends training when a number stops getting better."""

import math
import warnings

from .callback import Callback


class EarlyStopping(Callback):
    """Stops fit after `patience` epochs without an improvement of `monitor`.

    Args:
        monitor: name of the number to watch.
        min_delta: smallest change that counts as an improvement.
        patience: number of epochs to wait for one.
        verbose: 1 prints when it acts.
        mode: "min", "max", or "auto": min for losses, for a metric of the model what it says.
        baseline: value that has to be improved upon first, or None.
        restore_best_weights: whether the model ends with the weights of its best epoch.
        start_from_epoch: number of epochs before watching starts.

    Raises:
        ValueError: unknown mode; "auto" with a metric whose direction is not known.

    Example:
        >>> import quernel as qn
        >>> stop = qn.callbacks.EarlyStopping(monitor="loss", patience=3)
    """

    def __init__(
        self,
        monitor="val_loss",
        min_delta=0,
        patience=0,
        verbose=0,
        mode="auto",
        baseline=None,
        restore_best_weights=False,
        start_from_epoch=0,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode: expected 'auto', 'min' or 'max', received {mode!r}")
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._upward = None
        self._reset()

    def _reset(self):
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights = None
        self.best_epoch = 0

    def _better(self, value, reference):
        if self._upward is None:
            self._upward = self._direction() == "up"
        if self._upward:
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def _worst(self):
        return -math.inf if self._direction() == "up" else math.inf

    def _direction(self):
        if self.mode != "auto":
            return "up" if self.mode == "max" else "down"
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return "down"
        for metric in self.model.metrics:
            for part in getattr(metric, "metrics", [metric]):
                if part.name in (name, name.split("_", 1)[-1]) and part._direction is not None:
                    return part._direction
        raise ValueError(
            f"mode: expected 'min' or 'max' for {self.monitor!r}, whose direction is not known, received 'auto'"
        )

    def on_train_begin(self, logs=None):
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in (logs or {}):
            warnings.warn(
                f"EarlyStopping watches {self.monitor!r}, which is not there. Available: {', '.join(logs or {})}",
                stacklevel=2,
            )
            return
        if epoch < self.start_from_epoch:
            return
        value = logs[self.monitor]
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self._better(value, self._worst() if self.best is None else self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
