"""History: what fit returns."""

from .callback import Callback


class History(Callback):
    """Records the epochs: `epoch` is the list of their numbers, `history` maps each metric to its values.

    Example:
        >>> import quernel as qn
        >>> h = qn.callbacks.History()
        >>> h.on_epoch_end(0, {"loss": 0.5})
        >>> h.epoch, h.history
        ([0], {'loss': [0.5]})
    """

    def __init__(self):
        super().__init__()
        self.epoch = []
        self.history = {}

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self._model is not None and getattr(self._model, "history", None) is not self:
            self._model.history = self
