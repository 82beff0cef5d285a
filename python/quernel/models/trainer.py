"""Trainer: compile, metrics, losses and the steps; what Model adds to Layer for learning."""

import copy
import functools
import inspect
import warnings

from .. import metrics as metrics_module
from .. import ops, optimizers, recording, tree
from ..autograd import GradientTape
from ..dtypes import floatx, is_float
from ..plan import summary as plan_table
from .batches import unpack_x_y_sample_weight
from .compile_loss import CompileLoss
from .compile_metrics import CompileMetrics
from .loops import Loops
from .steps import drop_steps, steps_of, zeroed_by_reset


class Trainer(Loops):
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
    steps_per_execution = 1
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
            steps_per_execution: after how many steps the hooks of callbacks for batches are called.
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
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(f"steps_per_execution: expected an int of at least 1, received {steps_per_execution!r}")
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
        put("run_eagerly", bool(run_eagerly))
        put("steps_per_execution", steps_per_execution)
        put("stop_training", False)
        put("compiled", True)
        arguments = {
            "optimizer": self.optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
        }
        put("_compile_arguments", arguments)
        drop_steps(self)
        recording.bump(self)  # for steps of one's own that call train_step

    def __getstate__(self):
        return {key: value for key, value in self.__dict__.items() if key != "_steps"}  # made anew where they are used

    def __deepcopy__(self, memo):
        """An equal model with weights, optimizer and metrics of its own; the optimizer goes on from its state."""
        twin = super().__deepcopy__(memo)
        if self.compiled:
            memo.update((id(v), w) for v, w in zip(self.weights, twin.weights))
            twin.compile(**copy.deepcopy(self._compile_arguments, memo))
        return twin

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

    def _zeroed_by_reset(self):
        """The Variables that reset_metrics sets to zero, if it does no more than that, else None."""
        return zeroed_by_reset(self.metrics) if type(self).reset_metrics is Trainer.reset_metrics else None

    def _logs_are_metrics(self):
        """Whether what a step returns is get_metrics_result()."""
        cls = type(self)
        return all(getattr(cls, name) is getattr(Trainer, name) for name in _STEP_METHODS)

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

    def plan_summary(self, step="train", print_fn=None, trace=None):
        """Prints what the recorded steps do: each kernel call with shape, work and ranks, the memory of the workspace,
        and the numbers that are constants; times and rates too where fit(..., profile=True) or QUERNEL_PROFILE=1
        measured them.

        Args:
            step: "train", "test" or "predict".
            print_fn: what prints the text; default `print`.
            trace: name of a file for the measured calls, as JSON for chrome://tracing; of the plan with the most runs.

        Raises:
            ValueError: another step; a trace without a profile.

        Example:
            >>> import quernel as qn
            >>> model = qn.Sequential([qn.layers.Input((2,)), qn.layers.Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> _ = model.fit(qn.ones((96, 2)), qn.ones((96, 1)), epochs=2, verbose=0)
            >>> model.plan_summary(print_fn=lambda text: print(text.splitlines()[0]))
            train_step: 13 calls, native engine, 4 runs
        """
        if step not in ("train", "test", "predict"):
            raise ValueError(f"plan_summary: step: expected 'train', 'test' or 'predict', received {step!r}")
        functions = steps_of(self).functions(step)
        plans = [(function.name, plan) for function in functions for plan in function.plans]
        texts = [plan_table.text(plan, name) for name, plan in plans]
        if not texts:
            texts.append(f"{step}: no plan yet: a step is recorded twice, and runs as a plan from the third on")
        (print_fn or print)("\n\n".join(texts))
        if trace is not None:
            if not plans:
                raise ValueError("plan_summary: trace: expected a plan; run more steps first")
            name, plan = max(plans, key=lambda pair: pair[1].runs)
            plan_table.write_trace(plan, trace, name)

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


@functools.lru_cache(256)
def _takes_training(compute_loss):
    """Whether an overridden compute_loss has the argument `training`."""
    return "training" in inspect.signature(compute_loss).parameters


_STEP_METHODS = ("train_step", "test_step", "compute_metrics", "get_metrics_result")
