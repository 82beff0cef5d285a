"""QUERNEL_CHECK_PLAN=1: every replay of a plan runs beside the Python step, and every bit of results and state is compared."""

import os

import numpy as np

from .. import recording, tree
from .plan import BadIndex

ENABLED = os.environ.get("QUERNEL_CHECK_PLAN", "") not in ("", "0")


class PlanMismatch(AssertionError):
    """A plan computed something else than the step that it was recorded from."""


def checked_run(plan, eager, leaves, into, name):
    """Runs one step in Python and, from the same state, by the plan; returns what the plan's run returns.

    Args:
        plan: the Plan.
        eager: function without arguments that runs the step in Python.
        leaves, into: as for Plan.run.
        name: of the Function, for messages.

    Raises:
        PlanMismatch: results or any Variable of the process differ in a bit.
        BadIndex: both found an index out of range.
    """
    before = _state()
    try:
        expected = [_array(leaf) for leaf in tree.flatten(eager())]
    except (IndexError, ValueError) as error:
        _restore(before)
        try:
            plan.run(leaves, 1, 0.0, into)
        except BadIndex:
            _compare(name, before, _state(), "after an aborted step")
            raise
        raise PlanMismatch(f"{name}: the step raised {error!r} in Python, and not in its plan") from error
    after = _state()
    _restore(before)
    done, result = plan.run(leaves, 1, 0.0, into)
    _compare(name, after, _state(), "after a step")
    if into is None:
        received = [_array(leaf) for leaf in tree.flatten(result)]
    else:
        received = [target[: len(value)] for target, value in zip(into, expected)]
    for i, (x, y) in enumerate(zip(expected, received)):
        if type(x) is np.ndarray and not _equal(x, y):
            raise PlanMismatch(f"{name}: result {i} is {_short(x)} in Python and {_short(y)} in the plan")
    return done, result


def _array(leaf):
    if hasattr(leaf, "__quernel_tensor__"):
        return leaf
    return leaf._array.copy() if hasattr(leaf, "_array") else leaf


def _state():
    """{Variable: copy of its value} of the whole process."""
    return {variable: variable._array.copy() for variable in recording.variables()}


def _restore(state):
    for variable, value in state.items():
        if not _equal(variable._array, value):
            np.copyto(variable._prepare_write(), value)


def _compare(name, expected, received, when):
    for variable, value in expected.items():
        if variable in received and not _equal(value, received[variable]):
            raise PlanMismatch(
                f"{name}: the Variable {variable.path} is {_short(value)} in Python and {_short(received[variable])} "
                f"in the plan, {when}"
            )


def _equal(x, y):
    return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()


def _short(array):
    return str(array.tolist()) if array.size <= 4 else f"{str(array.ravel()[:4].tolist())[:-1]}, ...]"
