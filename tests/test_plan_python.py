"""Python values in recorded steps: which of them are errors that name their line, and which are constants of the plan."""

import re

import numpy as np
import pytest
from plan_steps import X, recorded

import quernel as qn
from quernel import ops
from quernel.recording import RecordingError


def test_numpy_noise_is_an_error_that_names_its_line():
    rng = np.random.default_rng(0)

    def step(x):
        return x + qn.constant(rng.normal(size=2).astype("float32"))  # the line

    run = recorded(step, [X])
    with pytest.raises(RecordingError, match=r"array made in Python.*test_plan_python.py:\d+ in step"):
        run(X)
    run(X)  # starts again


def test_a_python_counter_is_an_error():
    counter = {"n": 0.0}

    def step(x):
        counter["n"] += 1
        return x * counter["n"]

    with pytest.raises(RecordingError, match=r"had other values in the second step \(1.0, then 2.0\)"):
        recorded(step, [X], [X])


def test_an_attribute_that_changes_is_an_error():
    widths = iter([1, 2])

    def step(x):
        return ops.clip(x, 0, next(widths))

    with pytest.raises(RecordingError, match="clip: .* was 1.* in one step and 2"):
        recorded(step, [X], [X])


def test_another_number_of_calls_is_an_error():
    turns = iter([True, False])

    def step(x):
        return x * 2.0 + 1.0 if next(turns) else x * 2.0

    with pytest.raises(RecordingError, match="one step called add|made 2 kernel calls|different arrays"):
        recorded(step, [X], [X])


READS = {
    "bool": bool,
    "float": float,
    "int": int,
    "numpy": lambda t: t.numpy(),
    "item": lambda t: t.item(),
    "__array__": np.asarray,
}


@pytest.mark.parametrize("what", READS)
def test_reading_a_value_says_why_not_and_how_to_go_on(what):
    def step(x):
        READS[what](ops.sum(x))
        return x

    with pytest.raises(RecordingError, match=rf"^{what}: .*being recorded.*run_eagerly=True"):
        recorded(step, [X])


def test_reading_a_variable_too():
    v = qn.Variable(1.0)
    with pytest.raises(RecordingError, match="Variable.numpy"):
        recorded(lambda x: x * float(v.numpy()), [X])


def test_a_constant_may_be_read():
    run = recorded(lambda x: x * float(X[0]), *[[X]] * 2)
    assert run(X).numpy().tolist() == [1.0, 2.0]


def test_variables_are_made_outside():
    with pytest.raises(RecordingError, match="Variables are made once"):
        recorded(lambda x: x + qn.Variable(1.0), *[[X]] * 3)


def test_a_captured_array_is_read_where_it_is():
    table = np.array([1.0, 1.0], "float32")
    run = recorded(lambda x: x + table, [X], [X], [X])
    table[:] = 5
    assert run(X).numpy().tolist() == [6.0, 7.0]
    assert run.plans


def test_a_constant_made_in_the_step_is_the_plans_own():
    made = []

    def step(x):
        made.append(np.array([1.0, 1.0], "float32"))
        return x + made[-1]

    run = recorded(step, [X], [X])
    made[-1][:] = 5
    assert run(X).numpy().tolist() == [2.0, 3.0]
    assert len(made) == 2


def test_function_refuses_what_is_no_function():
    with pytest.raises(TypeError, match=re.escape("function: expected a function, received int")):
        qn.function(3)
