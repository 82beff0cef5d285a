"""Function: a Python step that runs twice while it is recorded, and then as a plan."""

import collections
import copy
import functools
import types

import numpy as np

from .. import autograd, kernels, recording, tree
from ..operation import any_symbolic
from ..reader import Reader, settle_readers
from ..recording import RecordingError
from ..spec_scope import in_spec_scope
from ..tensor import Tensor, as_tensor
from . import check, late, summary
from .arguments import describe, fill, fill_step, first_step
from .entry import Entry, recent
from .memory import give_back
from .plan import BadIndex, Plan
from .recorder import OUTSIDE, Recorder
from .rows import Rows
from .trace import Trace, difference
from .turns import Job

MAX_PLANS = 512  # of a Function; the least recently used one goes. 200 batch sizes are no rarity, 512 are


class Function:
    """A step that runs as a plan from its third call with equal shapes on.

    Args:
        python: the function; it gets Tensors in place of arrays.
        name: for messages; default: the function's.
    """

    def __init__(self, python, name=None):
        functools.update_wrapper(self, python, updated=())
        self.python = python
        self.name = name or getattr(python, "__name__", type(python).__name__)
        self._entries = collections.OrderedDict()
        self._recordings = 0
        self.profiled = summary.PROFILE

    def profile(self, on=True):
        """Whether the plans, those to come too, measure their calls."""
        self.profiled = on
        for plan in self.plans:
            plan.engine.profile(on)

    def summary(self):
        """The tables of all plans as text."""
        return "\n\n".join(summary.text(plan, self.name) for plan in self.plans) or f"{self.name}: no plan yet"

    def __get__(self, instance, owner=None):
        """A method: each instance has a Function, and so plans, of its own, which go when it goes."""
        if instance is None:
            return self
        own = getattr(instance, "__dict__", None)
        if own is None:
            return functools.partial(self, instance)
        key = f"recorded {getattr(self.python, '__qualname__', self.name)}"
        bound = own.get(key)
        if bound is None or getattr(bound.python, "__self__", None) is not instance:  # of the original, in a copy
            bound = own[key] = Function(types.MethodType(self.python, instance), self.name)
            bound.profiled = self.profiled
        return bound

    def __deepcopy__(self, memo):
        return Function(copy.deepcopy(self.python, memo), self.name)

    def __reduce__(self):
        return Function, (self.python, self.name)

    def __call__(self, *args, **kwargs):
        return self.loop((args, kwargs) if kwargs else args, named=bool(kwargs))[1]

    @property
    def plans(self):
        """The plans made so far."""
        return [plan for entry in self._entries.values() for plan in entry.plans]

    def loop(self, args, steps=1, seconds=0.0, into=None, named=False, within=None):
        """Runs up to `steps` steps, at least one.

        Args:
            args: tuple of structures with arrays, Tensors or Rows as leaves; the arguments of the first step.
            steps: how many steps the Rows hold.
            seconds: stop after the first step that ends later than this; 0: no limit.
            into: structure of arrays that take the outputs of all `steps` steps, rows by rows, or None.
            named: whether args is (positional arguments, dict of named ones).
            within: (number of the first step, number of all steps) of a longer loop, for messages.

        Returns:
            (steps done, result of the last one, or None with `into`).

        Raises:
            RecordingError: two runs of the step differ in what they compute, or it reads a value in Python.
            IndexError, ValueError: what the step raises; from the third step on the state is as before the step.
        """
        leaves = []
        key = named, describe(args, leaves)
        if autograd.tapes() or in_spec_scope() or (recording.count and recording.current() is not None):
            return self._inline(args, named, into)
        entry = self._entries.get(key)
        if entry is None:
            if any_symbolic(args):
                return self._inline(args, named, into)
            entry = self._new_entry(key)
        plan = entry.plan()
        if plan is None:
            self._entries.move_to_end(key)
            return 1, self._record(entry, args, named, leaves, into)
        if len(self._entries) > MAX_PLANS // 2:
            self._entries.move_to_end(key)
        flat = None if into is None else tree.flatten(into)
        try:
            if check.ENABLED:
                return check.checked_run(
                    plan, lambda: self._call(fill_step(args, leaves, 0), named), leaves, flat, self.name
                )
            return plan.run(leaves, steps, seconds, flat)
        except BadIndex as bad:
            self._explain(entry, plan, args, named, leaves, bad.done, within or (0, steps))

    def job(self, args, steps=1, outs=None, within=None):
        """A Job of `steps` steps for `run_turns`, or None where a step is yet to be recorded, or is to run in Python.

        Args:
            args, steps, within: as for `loop`.
            outs: arrays that take the outputs, of each turn anew; default: `run_turns` returns them.
        """
        leaves = []
        entry = self._entries.get((False, describe(args, leaves)))
        if entry is None or check.ENABLED or autograd.tapes() or in_spec_scope() or recording.current() is not None:
            return None
        plan = entry.plan()
        if plan is None or not plan.takes_turns:
            return None
        return Job(self, entry, plan, args, leaves, steps, outs, within or (0, steps))

    def _inline(self, args, named, into):
        """Plain Python: the calls reach the tapes, or the recorder of another Function, around this one."""
        return 1, store(self._call(tree.map_structure(as_argument, args), named), into)

    def _call(self, args, named):
        return self.python(*args[0], **args[1]) if named else self.python(*args)

    def _new_entry(self, key):
        while len(self._entries) >= MAX_PLANS:
            self._entries.popitem(last=False)
        entry = self._entries[key] = Entry()
        return entry

    def _record(self, entry, args, named, leaves, into):
        settle_readers()
        watched = [root.what for trace in entry.firsts for root in trace.roots if root.kind is OUTSIDE]
        recorder = Recorder(arrays := first_step(leaves), watched)
        filled = fill(args, iter(arrays))
        recorder.keep(leaf for leaf in tree.flatten(filled) if type(leaf) is Tensor)
        with recording.use(recorder):
            _touch_all(getattr(self.python, "__self__", None), filled)
            try:
                result = self._call(filled, named)
                recorder.settle()
            finally:
                late.settle(recorder.step)
        del filled
        result = tree.map_structure(_another, result)  # a Tensor of the step that still lives is held by somebody
        trace = Trace(recorder, result)
        if recorder.step.disturbed:
            return store(result, into)  # right in Python; the next step is recorded in its place
        self._recordings += 1
        first = entry.take_first()
        if first is None:
            entry.firsts.append(trace)
        else:
            found = difference(first, trace)
            if found is None:
                plan = Plan(trace, leaves)
                plan.engine.profile(self.profiled)
                entry.plans = [*recent(entry.plans), plan]
                give_back()
            elif first.built and not trace.built:  # the first step made state, and may have computed for it
                entry.firsts.append(trace)
            else:
                raise RecordingError(
                    f"{self.name}: two steps with equal arguments computed different things, so the step cannot be "
                    f"recorded: {found}. What Python and NumPy compute in a step would be a constant: pass it as an "
                    f"argument, keep it in a Variable, or run the step in Python: compile(run_eagerly=True)"
                )
        return store(result, into)

    def _explain(self, entry, plan, args, named, leaves, done, within):
        """Runs the bad step in Python for its message, puts the state back, raises with the number of the step."""
        saved = [(v, kernels.copy(v._array)) for v in plan.written]
        try:
            self._call(fill_step(args, leaves, done), named)
        except (IndexError, ValueError) as error:
            where = f"{self.name}: step {within[0] + done} of {within[1]}: " if within[1] > 1 else ""
            raise type(error)(f"{where}{error}") from None
        finally:
            if plan.program.alive:  # Python now holds Tensors that the plan knows nothing of
                entry.plans.remove(plan)
            for variable, before in saved:
                kernels.assign(variable._prepare_write(), before)
        raise IndexError(f"{self.name}: step {within[0] + done} of {within[1]}: an index is out of range")


def as_argument(leaf):
    """What a step in Python gets: a Tensor for an array or Rows; Tensors stay the objects that tapes follow."""
    if type(leaf) is Rows:
        return as_tensor(leaf.at(0))
    return as_tensor(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf


def _touch_all(*values):
    """Layers, losses and the like whose method a step is, or that it gets: it may read their attributes."""
    for value in tree.flatten(values):
        recording.touch_settings(value)


def _another(leaf):
    """A second Tensor with the values of a first, and no logits or mask: a plan returns values alone."""
    if not isinstance(leaf, Tensor):
        return leaf
    variable = leaf._variable if type(leaf) is Reader else None
    return Tensor(leaf._array) if variable is None else Reader(leaf._array, variable)


def store(result, into):
    """Writes the result of a first step to the first rows of the arrays of `into`: None; or just returns it."""
    if into is None:
        return result
    for target, value in zip(tree.flatten(into), tree.flatten(result)):
        target[: value.shape[0]] = as_tensor(value)._array
    return None


def function(python=None, *, name=None):
    """A step that is recorded while it runs, and then replayed by one native call.

    The first two calls with arguments of new shapes, dtypes or Python values run the Python function and note its kernel
    calls; when both noted the same, later calls replay them. Whatever changes from step to step is an argument (an array
    or a Tensor) or lives in a Variable; Python code in the function runs in the first two calls only. Under a
    GradientTape, or inside of another recorded function, it is an ordinary function.

    Args:
        python: a function of arrays, Tensors and Python values that returns Tensors, or a structure of them.
        name: for messages.

    Returns:
        A callable with the function's signature.

    Raises:
        RecordingError: (when called) the step reads a value in Python, or two runs of it differ.

    Example:
        >>> import quernel as qn
        >>> w = qn.Variable(1.0)
        >>> @qn.function
        ... def step(x):
        ...     with qn.GradientTape() as tape:
        ...         loss = (w * x - 3.0) ** 2
        ...     w.assign_sub(0.1 * tape.gradient(loss, w))
        ...     return loss
        >>> for _ in range(50):
        ...     loss = step(qn.constant(1.0))
        >>> round(float(w), 3)
        3.0
    """
    if python is None:
        return functools.partial(function, name=name)
    if not callable(python):
        raise TypeError(f"function: expected a function, received {type(python).__name__}")
    return Function(python, name)
