"""Loops: fit, evaluate and predict, over an epoch or a batch; the part of Trainer that runs steps."""

import time

import numpy as np

from ..callbacks.callback_list import CallbackList, floats
from ..tensor import Tensor
from .batches import checked, rows_of, split_validation, unpack_x_y_sample_weight
from .compile_metrics import CompileMetrics
from .epoch_loop import run_epoch
from .epochs import epoch_numbers, make_epochs, validated
from .interrupt import Shield, lone_fit
from .predictions import Predictions, joined
from .short_epochs import ShortEpochs
from .steps import steps_of

_QUICK = frozenset(np.dtype(name) for name in ("float32", "float64", "int32", "int64", "uint8", "bool"))


class Loops:
    """What Trainer does with its steps."""

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
        profile=False,
    ):
        """Trains the model for a number of epochs.

        Args:
            x: inputs: an array, a list or dict of arrays, an iterable that yields batches (x, y) or
                (x, y, sample_weight), or a `utils.PyDataset` of them. Where steps are long, a thread gets the next
                batch from the latter two while a step runs.
            y: targets, as x; None where x is an iterable.
            batch_size: samples in an update, 32 by default.
            epochs: number of the last epoch.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line an epoch.
            callbacks: list of Callbacks.
            validation_split: share of the samples, taken from the end, that is kept for validation.
            validation_data: (x, y) or (x, y, sample_weight), or an iterable of batches, evaluated after each epoch.
            shuffle: whether the samples of arrays, or the batches of a data set, come in a new order for each epoch.
            class_weight: dict {class: weight} for the loss.
            sample_weight: a weight for each sample for the loss.
            initial_epoch: number of the first epoch, from 0.
            steps_per_epoch: updates in an epoch; by default one pass over the data.
            validation_steps: batches of validation; by default one pass.
            validation_batch_size: as batch_size, for validation.
            validation_freq: validate every so many epochs, or after the epochs of a list.
            profile: whether to measure each kernel call of the steps, for `plan_summary`.

        Returns:
            A History: `history` has a list of values for each metric.

        Raises:
            ValueError: the model is not compiled; the data do not fit together.
            RuntimeError: another fit of this model is not over.

        Example:
            >>> import numpy as np, quernel as qn
            >>> model = qn.Sequential([qn.layers.Input((1,)), qn.layers.Dense(1)])
            >>> model.compile(qn.optimizers.SGD(0.1), loss="mse")
            >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
            >>> history = model.fit(x, 2 * x + 1, epochs=60, verbose=0)
            >>> history.history["loss"][-1] < 1e-3
            True
        """
        self._assert_compiled("fit")
        numbers = epoch_numbers(initial_epoch, epochs)
        if validation_data is not None or validation_split:
            validated(1, validation_freq)
        if not isinstance(profile, bool):
            raise ValueError(f"profile: expected True or False, received {profile!r}")
        if profile and self.run_eagerly:
            raise ValueError(
                "profile: expected a model that runs plans, which are measured; compile it without run_eagerly"
            )
        with lone_fit(self), Shield() as shield:
            if profile:
                steps_of(self).profile()
            if validation_split and validation_data is None:
                (x, y, sample_weight), validation_data = split_validation((x, y, sample_weight), validation_split)
            ahead = not self.run_eagerly
            batches = make_epochs(x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight, ahead)
            validation = None
            if validation_data is not None:
                v_x, v_y, v_weight = _validation_parts(validation_data)
                v_size = batch_size if validation_batch_size is None else validation_batch_size
                v_size = v_size if isinstance(validation_data, (list, tuple)) else None
                validation = make_epochs(v_x, v_y, v_weight, v_size, validation_steps, ahead=ahead)
            callbacks = self._callbacks(callbacks, verbose, batches.num_batches, epochs=epochs, add_history=True)
            try:
                self._fit(batches, validation, callbacks, numbers, validation_freq, shield)
            finally:
                batches.close()
                if validation is not None:
                    validation.close()
        return self.history

    def _fit(self, batches, validation, callbacks, epochs, validation_freq, shield):
        object.__setattr__(self, "stop_training", False)  # no change of the layer
        logs = {}
        callbacks.on_train_begin()
        short = ShortEpochs(self, batches, validation, callbacks, shield)
        epoch = epochs.start
        while epoch < epochs.stop:
            several = short.run(epoch, epochs.stop)
            if several:
                epoch, logs = epoch + len(several), several[-1]
                continue
            begun = time.perf_counter()
            self._reset_metrics()
            callbacks.on_epoch_begin(epoch)
            logs = self._epoch_logs(*run_epoch(self, steps_of(self).train, batches, callbacks, "train", shield))
            short.took(time.perf_counter() - begun)
            if validation is not None and validated(epoch + 1, validation_freq):
                validation.restart()
                values = self.evaluate(validation, callbacks=callbacks, return_dict=True)
                logs.update({f"val_{name}": value for name, value in values.items()})
            callbacks.on_epoch_end(epoch, logs)
            epoch += 1
            if self.stop_training:
                break
        callbacks.on_train_end(logs)

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
    ):
        """The loss and the metrics on data.

        Args:
            x, y, batch_size, sample_weight: as in fit.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line.
            steps: number of batches; by default one pass.
            callbacks: list of Callbacks.
            return_dict: whether to return {name: value}.

        Returns:
            The loss, or a list: the loss, the losses of several outputs, the metrics; or a dict.

        Raises:
            ValueError: the model is not compiled; the data do not fit together.
        """
        self._assert_compiled("evaluate")
        batches = make_epochs(x, y, sample_weight, batch_size, steps, ahead=not self.run_eagerly)
        callbacks = self._callbacks(callbacks, verbose, batches.num_batches, epochs=1)
        self._reset_metrics()
        callbacks.on_test_begin()
        try:
            logs = self._epoch_logs(*run_epoch(self, steps_of(self).test, batches, callbacks, "test"))
        finally:
            if batches is not x:  # else they are those of fit
                batches.close()
        callbacks.on_test_end(logs)
        return logs if return_dict else self._in_order(logs)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The model's outputs for data.

        Args:
            x, batch_size: as in fit.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line.
            steps: number of batches; by default one pass.
            callbacks: list of Callbacks.

        Returns:
            Arrays in the structure of the model's outputs, with all samples along the first axis.

        Raises:
            ValueError: there is no data.
        """
        if verbose == 0 and callbacks is None and steps is None and batch_size is None and _is_one_batch(x):
            outputs = steps_of(self).predict.batch((x,))  # nothing to cut, nobody to call
            return outputs.numpy() if type(outputs) is Tensor else joined(outputs)
        batches = make_epochs(x, batch_size=batch_size, steps=steps, ahead=not self.run_eagerly)
        callbacks = self._callbacks(callbacks, verbose, batches.num_batches, epochs=1)
        predictions = Predictions(getattr(batches.source, "size", None) if steps is None else None)
        callbacks.on_predict_begin()
        try:
            run_epoch(self, steps_of(self).predict, batches, callbacks, "predict", predictions=predictions)
        finally:
            batches.close()
        callbacks.on_predict_end()
        return predictions.result()

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One update with this batch. The metrics start anew, as in an epoch of one batch.

        Returns:
            The loss, or a list of the loss and the metrics, or a dict.
        """
        self._assert_compiled("train_on_batch")
        data = _one_batch(x, y, sample_weight, class_weight)
        logs = floats(self._anew("train", data))
        return logs if return_dict else self._in_order(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss and metrics of this batch alone."""
        self._assert_compiled("test_on_batch")
        data = _one_batch(x, y, sample_weight)
        logs = floats(self._anew("test", data))
        return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x):
        """The outputs for this batch as arrays."""
        return joined(steps_of(self).predict.batch(_one_batch(x)))

    # --- pieces

    def _reset_metrics(self):
        variables = self._zeroed_by_reset()
        if variables is None:
            self.reset_metrics()
        else:
            steps = steps_of(self)
            steps.reset(steps.zeroed(variables))

    def _anew(self, kind, data):
        """A step on fresh metrics: in one Function where that may hold the reset as well."""
        steps = steps_of(self)
        variables = self._zeroed_by_reset()
        if variables is None:
            self.reset_metrics()
            return getattr(steps, kind).batch(data)
        return getattr(steps, f"{kind}_anew")(steps.zeroed(variables), data)

    def _callbacks(self, callbacks, verbose, steps, epochs, add_history=False):
        if isinstance(callbacks, CallbackList):
            return callbacks
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"verbose: expected 'auto', 0, 1 or 2, received {verbose!r}")
        return CallbackList(
            callbacks,
            add_history=add_history,
            add_progbar=verbose != 0,
            model=self,
            verbose=1 if verbose == "auto" else int(verbose),
            epochs=epochs,
            steps=steps,
        )

    def _epoch_logs(self, logs, watched):
        """The model's metrics, or the last step's logs where an overridden step reports something else."""
        if not watched and self._logs_are_metrics():
            return floats(logs)
        results = self.get_metrics_result()
        return floats(results if set(results) == set(logs) else logs)

    def _in_order(self, logs):
        if len(logs) == 1:
            return next(iter(logs.values()))
        names = []
        for metric in self.metrics:
            names.extend([m.name for m in metric.metrics] if isinstance(metric, CompileMetrics) else [metric.name])
        names = list(dict.fromkeys(names))
        values = [logs[name] for name in names if name in logs]
        return values + [logs[name] for name in sorted(logs) if name not in names]


def _is_one_batch(x):
    return type(x) is np.ndarray and x.ndim > 0 and 0 < x.shape[0] <= 32 and x.dtype in _QUICK and x.flags.c_contiguous


def _one_batch(x, y=None, sample_weight=None, class_weight=None):
    if x is None:
        raise ValueError("x: expected arrays, received None")
    data = checked(x, y, sample_weight, class_weight)
    rows_of(data)
    return data


def _validation_parts(data):
    return unpack_x_y_sample_weight(tuple(data)) if isinstance(data, (list, tuple)) else (data, None, None)
