"""Callback: hooks that fit, evaluate and predict call."""


def by_time(hook):
    """Marks a batch hook that need not see every batch: without others that do, it is called now and then, and after
    the last batch.
    """
    hook._by_time = True
    return hook


class Callback:
    """The base of callbacks. Override the hooks that matter; `logs` holds losses and metrics as Python floats.

    Attributes:
        model: the model, set before the first hook.
        params: dict with "verbose", "epochs" and "steps" (None where unknown).

    Example:
        >>> import quernel as qn
        >>> class Losses(qn.callbacks.Callback):
        ...     def on_train_begin(self, logs=None):
        ...         self.losses = []
        ...     def on_train_batch_end(self, batch, logs=None):
        ...         self.losses.append(logs["loss"])
    """

    def __init__(self):
        self.params = None
        self._model = None

    def set_params(self, params):
        self.params = params

    def set_model(self, model):
        self._model = model

    @property
    def model(self):
        return self._model

    def on_batch_begin(self, batch, logs=None):
        """An older name of on_train_batch_begin."""

    def on_batch_end(self, batch, logs=None):
        """An older name of on_train_batch_end."""

    def on_epoch_begin(self, epoch, logs=None):
        """At the start of an epoch of fit; `epoch` counts from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """At the end of an epoch of fit; logs has the epoch's metrics, those of validation as "val_..." too."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a batch of fit."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a batch of fit."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of evaluate, also of fit's validation."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of evaluate, also of fit's validation."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of predict."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of predict; logs is {"outputs": ...}."""

    def on_train_begin(self, logs=None):
        """At the start of fit."""

    def on_train_end(self, logs=None):
        """At the end of fit; logs are those of the last epoch."""

    def on_test_begin(self, logs=None):
        """At the start of evaluate, also of fit's validation."""

    def on_test_end(self, logs=None):
        """At the end of evaluate, also of fit's validation."""

    def on_predict_begin(self, logs=None):
        """At the start of predict."""

    def on_predict_end(self, logs=None):
        """At the end of predict."""
