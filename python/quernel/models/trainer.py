"""Trainer: compile, fit, evaluate, predict; what Model adds to Layer for learning."""

import functools
import inspect
import warnings

from .. import metrics as metrics_module
from .. import ops, optimizers, tree
from ..autograd import GradientTape
from ..callbacks.callback_list import CallbackList, floats
from ..dtypes import floatx, is_float
from .batches import ArrayBatches, make_epochs, split_validation, to_arrays, unpack_x_y_sample_weight
from .compile_loss import CompileLoss
from .compile_metrics import CompileMetrics
from .predictions import Predictions


class Trainer:
    """The part of Model that trains. `train_step(data)`, `test_step` and `predict_step` may be overridden.

    Attributes:
        optimizer, loss: what compile got.
        stop_training: set by a callback to end fit.
        history: the History of the last fit.
    """

    # what a model that was not compiled has; instances set their own in compile
    compiled = False
    optimizer = None
    loss = None
    stop_training = False
    run_eagerly = False
    _compile_loss = None
    _compile_metrics = None
    _loss_tracker = None

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
    ):
        """Configures the model for training.

        Args:
            optimizer: an Optimizer or the name of one.
            loss: a Loss, a function (y_true, y_pred) -> values, or a name; for several outputs a list or dict of them.
            loss_weights: factors of the losses, a list or dict as `loss`.
            metrics: list of Metrics, functions or names, which ignore sample weights; for several outputs a list of
                lists
                or a dict.
            weighted_metrics: the same, for metrics that use the sample weights.
            run_eagerly: whether train_step must run as Python at every step.
            steps_per_execution: 1; callbacks see every step.
            jit_compile: "auto" or False; there is no compiler to ask for.

        Raises:
            ValueError: an unknown name; an argument of another kind.

        Example:
            >>> import quernel as qn
            >>> model = qn.Sequential([qn.layers.Input((3,)), qn.layers.Dense(1)])
            >>> model.compile("sgd", loss="mse", metrics=["mse"])
            >>> model.compiled
            True
        """
        if steps_per_execution != 1:
            raise ValueError(f"steps_per_execution: expected 1, received {steps_per_execution!r}")
        if jit_compile not in ("auto", False, None):
            raise ValueError(
                f"jit_compile: expected 'auto' or False (kernels are compiled already), received {jit_compile!r}"
            )
        names = getattr(self, "output_names", None)
        put = functools.partial(object.__setattr__, self)  # none of this is a part of the layer
        put("optimizer", optimizers.get(optimizer))
        put("loss", loss)
        put("_compile_loss", None if loss is None else CompileLoss(loss, loss_weights, names))
        nothing = metrics is None and weighted_metrics is None
        put("_compile_metrics", None if nothing else CompileMetrics(metrics, weighted_metrics, names))
        put("_loss_tracker", metrics_module.Mean(name="loss"))
        put("run_eagerly", run_eagerly)
        put("stop_training", False)
        put("compiled", True)
        arguments = {
            "optimizer": self.optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
        }
        put("_compile_arguments", arguments)

    def _assert_compiled(self, method):
        if not self.compiled:
            raise ValueError(f"{method}: expected a compiled model; call compile(optimizer, loss, metrics) first")

    # --- metrics

    @property
    def metrics(self):
        """The loss tracker, the compiled metrics, the trackers of several losses, own metrics, those of the layers."""
        found = []
        if self._loss_tracker is not None:
            found.append(self._loss_tracker)
        if self._compile_metrics is not None:
            found.append(self._compile_metrics)
        if self._compile_loss is not None:
            found.extend(self._compile_loss.metrics)
        for layer in self._flatten_layers():
            found.extend(layer._tracker.metrics)
        return found

    @property
    def metrics_names(self):
        return [metric.name for metric in self.metrics]

    def reset_metrics(self):
        """Sets the state of all metrics to zero."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self):
        """{name: value} of all metrics."""
        results = {}
        for metric in self.metrics:
            value = metric.result()
            if isinstance(value, dict):
                results.update(value)
            else:
                results[metric.name] = value
        return results

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the compiled metrics with a batch; {name: value} of all metrics. May be overridden."""
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of a batch: that of compile, regularizers, add_loss. May be overridden.

        Returns:
            A scalar Tensor.

        Raises:
            ValueError: there is no loss at all.
        """
        values = []
        if self._compile_loss is not None:
            value = self._compile_loss(y, y_pred, sample_weight)
            if value is not None:
                values.append(value)
        for value in self.losses:
            values.append(ops.sum(value if is_float(value.dtype) else ops.cast(value, dtype=floatx())))
        if not values:
            raise ValueError("compute_loss: expected a loss; pass one to compile(loss=...) or call add_loss")
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def _compute_loss(self, x, y, y_pred, sample_weight, training):
        if _takes_training(type(self).compute_loss):
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight)

    # --- one step

    def train_step(self, data):
        """One update of the weights. May be overridden: `data` is x, (x, y) or (x, y, sample_weight).

        Returns:
            {name: value} for callbacks and the progress bar.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, True)
        self._loss_tracker.update_state(loss, sample_weight=tree.flatten(x)[0].shape[0])
        weights = self.trainable_weights
        if not weights:
            warnings.warn("The model has no trainable weights.", stacklevel=2)
        elif self.optimizer is None:
            raise ValueError("fit: expected an optimizer; compile(optimizer=...) got None")
        else:
            self.optimizer.apply(tape.gradient(loss, weights), weights)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data):
        """The loss and metrics of a batch. May be overridden."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self._compute_loss(x, y, y_pred, sample_weight, False)
        self._loss_tracker.update_state(loss, sample_weight=tree.flatten(x)[0].shape[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data):
        """The predictions for a batch. May be overridden."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    # --- loops

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
    ):
        """Trains the model for a number of epochs.

        Args:
            x: inputs: an array, a list or dict of arrays, or an iterable that yields batches (x, y) or
                (x, y, sample_weight).
            y: targets, as x; None where x is an iterable.
            batch_size: samples in an update, 32 by default.
            epochs: number of the last epoch.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line an epoch.
            callbacks: list of Callbacks.
            validation_split: share of the samples, taken from the end, that is kept for validation.
            validation_data: (x, y) or (x, y, sample_weight), or an iterable of batches, evaluated after each epoch.
            shuffle: whether the samples of arrays are put in a new order for each epoch.
            class_weight: dict {class: weight} for the loss.
            sample_weight: a weight for each sample for the loss.
            initial_epoch: number of the first epoch, from 0.
            steps_per_epoch: updates in an epoch; by default one pass over the data.
            validation_steps: batches of validation; by default one pass.
            validation_batch_size: as batch_size, for validation.
            validation_freq: validate every so many epochs, or after the epochs of a list.

        Returns:
            A History: `history` has a list of values for each metric.

        Raises:
            ValueError: the model is not compiled; the data do not fit together.

        Example:
            >>> import numpy as np, quernel as qn
            >>> model = qn.Sequential([qn.layers.Input((1,)), qn.layers.Dense(1)])
            >>> model.compile(qn.optimizers.SGD(0.1), loss="mse")
            >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
            >>> history = model.fit(x, 2 * x + 1, epochs=30, verbose=0)
            >>> history.history["loss"][-1] < 1e-3
            True
        """
        self._assert_compiled("fit")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation((x, y, sample_weight), validation_split)
        batches = make_epochs(x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight)
        validation = None
        if validation_data is not None:
            v_x, v_y, v_weight = _validation_parts(validation_data)
            v_size = (validation_batch_size or batch_size) if isinstance(validation_data, (list, tuple)) else None
            validation = make_epochs(v_x, v_y, v_weight, v_size, validation_steps)
        callbacks = self._callbacks(callbacks, verbose, batches.num_batches, epochs=epochs, add_history=True)

        self.stop_training = False
        logs = {}
        callbacks.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            step_logs = {}
            for step, data in enumerate(batches):
                callbacks.on_train_batch_begin(step)
                step_logs = self.train_step(data)
                callbacks.on_train_batch_end(step, step_logs)
                if self.stop_training:
                    break
            logs = self._epoch_logs(step_logs)
            if validation is not None and _due(epoch + 1, validation_freq):
                validation.restart()
                values = self.evaluate(validation, callbacks=callbacks, return_dict=True)
                logs.update({f"val_{name}": value for name, value in values.items()})
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        callbacks.on_train_end(logs)
        return self.history

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
        batches = make_epochs(x, y, sample_weight, batch_size, steps)
        callbacks = self._callbacks(callbacks, verbose, batches.num_batches, epochs=1)
        self.reset_metrics()
        callbacks.on_test_begin()
        logs = {}
        for step, data in enumerate(batches):
            callbacks.on_test_batch_begin(step)
            logs = self.test_step(data)
            callbacks.on_test_batch_end(step, logs)
        logs = self._epoch_logs(logs)
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
        batches = make_epochs(x, batch_size=batch_size, steps=steps)
        callbacks = self._callbacks(callbacks, verbose, batches.num_batches, epochs=1)
        callbacks.on_predict_begin()
        predictions = Predictions()
        for step, data in enumerate(batches):
            callbacks.on_predict_batch_begin(step)
            outputs = self.predict_step(data)
            predictions.add(outputs)
            callbacks.on_predict_batch_end(step, {"outputs": outputs})
        callbacks.on_predict_end()
        return predictions.result()

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One update with this batch. The metrics start anew, as in an epoch of one batch.

        Returns:
            The loss, or a list of the loss and the metrics, or a dict.
        """
        self._assert_compiled("train_on_batch")
        self.reset_metrics()
        logs = floats(self.train_step(_one_batch(x, y, sample_weight, class_weight)))
        return logs if return_dict else self._in_order(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss and metrics of this batch alone."""
        self._assert_compiled("test_on_batch")
        self.reset_metrics()
        logs = floats(self.test_step(_one_batch(x, y, sample_weight)))
        return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x):
        """The outputs for this batch as arrays."""
        predictions = Predictions()
        predictions.add(self.predict_step(_one_batch(x)))
        return predictions.result()

    # --- pieces

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

    def _epoch_logs(self, logs):
        """The model's metrics, or the last step's logs where an overridden step reports something else."""
        results = self.get_metrics_result()
        return floats(results if set(results) == set(logs) else logs)

    def _in_order(self, logs):
        names = []
        for metric in self.metrics:
            names.extend([m.name for m in metric.metrics] if isinstance(metric, CompileMetrics) else [metric.name])
        names = list(dict.fromkeys(names))
        values = [logs[name] for name in names if name in logs]
        values += [logs[name] for name in sorted(logs) if name not in names]
        return values[0] if len(values) == 1 else values


@functools.lru_cache(256)
def _takes_training(compute_loss):
    """Whether an overridden compute_loss has the argument `training`."""
    return "training" in inspect.signature(compute_loss).parameters


def _one_batch(x, y=None, sample_weight=None, class_weight=None):
    size = tree.flatten(to_arrays(x, "x"))[0].shape[0]
    (batch,) = ArrayBatches(x, y, sample_weight, max(size, 1), class_weight=class_weight)
    return batch


def _validation_parts(data):
    if isinstance(data, (list, tuple)):
        return unpack_x_y_sample_weight(tuple(data))
    return data, None, None


def _due(epoch, frequency):
    if isinstance(frequency, int):
        return epoch % frequency == 0
    if isinstance(frequency, (list, tuple)):
        return epoch in frequency
    raise ValueError(f"validation_freq: expected an int or a list of ints, received {frequency!r}")
