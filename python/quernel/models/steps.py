"""Steps: what a model's loops call, each a Function of the plan, made once for a compile."""

import functools
import operator
import weakref
from typing import NamedTuple

from .. import ops, recording, tree
from ..dtypes import floatx, is_float
from ..metrics.metric import Metric
from ..plan import Function
from ..plan.function import as_argument, store
from .compile_metrics import CompileMetrics


class Pair(NamedTuple):
    """One step in two forms: `batch(data)` gets a batch, `rows(data, indices)` whole arrays and the rows to take."""

    batch: object
    rows: object = None


class Steps:
    """The Functions of a model: the pairs `train`, `test`, `predict`; `reset(zeroed)`, which sets Variables to zero, and
    `train_anew(zeroed, data)`, `test_anew`, which do so before the step.

    Args:
        model: the model; only a weak reference to it is kept.
    """

    def __init__(self, model):
        self.model = weakref.ref(model)
        make = Eager if model.run_eagerly else Function
        for name, step in (("train", "train_step"), ("test", "test_step"), ("predict", "predict_step")):
            batch = make(functools.partial(_batch, self.model, step), step)
            rows = make(functools.partial(_rows, self.model, step), step)
            setattr(self, name, Pair(batch, rows))
        self.train_anew = make(functools.partial(_anew, self.model, "train_step"), "train_on_batch")
        self.test_anew = make(functools.partial(_anew, self.model, "test_step"), "test_on_batch")
        self.reset = make(_reset, "reset_metrics")
        self._zeroed = Zeroed(())

    def functions(self, kind):
        """The Functions that run a step: of kind "train", "test" or "predict"."""
        anew = {"train": [self.train_anew], "test": [self.test_anew], "predict": []}[kind]
        return [*getattr(self, kind), *anew]

    def profile(self):
        """Measures the kernel calls of training steps from now on."""
        for function in self.functions("train"):
            function.profile()

    def zeroed(self, variables):
        """The same object for the same Variables: one argument, and one plan."""
        known = self._zeroed
        if len(known.variables) != len(variables) or not all(map(operator.is_, known.variables, variables)):
            known = self._zeroed = Zeroed(variables)
        return known


def steps_of(model):
    """The Steps of a model, made at the first use after compile."""
    steps = model.__dict__.get("_steps")
    if steps is None or steps.model() is not model:  # of the original, in a shallow copy
        steps = model.__dict__["_steps"] = Steps(model)
    return steps


def drop_steps(model):
    """Forgets the Steps: what they recorded may not hold any more."""
    model.__dict__.pop("_steps", None)


def _cast(leaf):
    """A leaf of a batch as train_step gets it: floats in the default dtype."""
    if leaf is None or not is_float(leaf.dtype) or leaf.dtype == floatx():
        return leaf
    return ops.cast(leaf, dtype=floatx())


def _run(model, step, data):
    model = model()
    recording.touch_settings(model)  # a train_step may call parts of the model only, and read its attributes
    return getattr(model, step)(data)


def _batch(model, step, data):
    return _run(model, step, tree.map_structure(_cast, data))


def _rows(model, step, data, rows):
    def take(leaf):
        return None if leaf is None else _cast(ops.take(leaf, rows, axis=0))

    return _run(model, step, tree.map_structure(take, data))


class Zeroed:
    """Variables that a reset of the metrics sets to zero."""

    __slots__ = ("variables",)

    def __init__(self, variables):
        self.variables = variables


def _reset(zeroed):
    for v in zeroed.variables:
        v.assign(ops.zeros(v.shape, dtype=v.dtype))


def _anew(model, step, zeroed, data):
    _reset(zeroed)
    return _batch(model, step, data)


def zeroed_by_reset(metrics):
    """The Variables that a reset of these metrics sets to zero; None where it may run Python code of a user, which a
    plan would not repeat.
    """
    found = []
    for metric in metrics:
        if type(metric) is CompileMetrics:
            variables = zeroed_by_reset(metric.metrics)
        else:
            variables = metric.variables if type(metric).reset_state is Metric.reset_state else None
        if variables is None:
            return None
        found.extend(variables)
    return tuple(found)


class Eager:
    """A Function that is none: each step runs in Python, as compile(run_eagerly=True) asks.

    Args:
        python: the step.
        name: as a Function's.
    """

    plans = ()

    def __init__(self, python, name):
        self.python = python
        self.name = name

    def __call__(self, *args):
        return self.python(*tree.map_structure(as_argument, args))

    def loop(self, args, steps=1, seconds=0.0, into=None, within=None):
        """Runs one step: (1, its result, or None with `into`, whose first rows it gets)."""
        return 1, store(self(*args), into)
