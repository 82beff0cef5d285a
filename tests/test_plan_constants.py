"""Calls on constants alone are made once, when the plan is; what NumPy may still change is none."""

import numpy as np
import pytest

import quernel as qn
from quernel import ops

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")


def names(step):
    (plan,) = step.plans
    return [op.kernel.name for op, _ in plan.program.calls]


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_results_of_constants_are_constants(backend):
    @qn.function
    def step(x):
        third = ops.ones((4,)) / 3.0
        return x * third, ops.exp(third), ops.cast(2, "float32") * 0.5

    x = np.arange(4.0, dtype="float32")
    with qn.backend.use_backend(backend):
        results = [[t.numpy().tobytes() for t in step(x)] for _ in range(4)]
        assert results[2] == results[3] == results[0] == results[1]
        assert names(step) == ["multiply", "exp", "multiply"]  # what a step returns is made anew in each run


def test_an_array_that_numpy_may_change_is_none():
    outside = np.full(3, 2.0, "float32")

    @qn.function
    def step(x):
        return x + ops.square(outside)

    x = np.zeros(3, "float32")
    for _ in range(3):
        assert step(x).numpy().tolist() == [4.0] * 3
    outside[:] = 3.0
    assert step(x).numpy().tolist() == [9.0] * 3
    assert "square" in names(step)


def test_large_constants_are_made_in_each_step():
    @qn.function
    def step(x):
        return x + ops.ones((64, 64))

    x = np.zeros((64, 64), "float32")
    for _ in range(3):
        assert (step(x).numpy() == 1).all()
    assert names(step) == ["full", "add"]


def test_a_variable_is_none_and_a_constant_index_is_checked():
    w = qn.Variable([1.0, 2.0])

    @qn.function
    def step(x):
        return x + ops.square(w) + ops.take(ops.ones((2,)), np.array([0, 1], "int64"), axis=0)

    x = np.zeros(2, "float32")
    for _ in range(3):
        step(x)
    w.assign([3.0, 4.0])
    assert step(x).numpy().tolist() == [10.0, 17.0]
    assert names(step) == ["square", "add", "gather", "add"]


def test_random_numbers_of_a_state_are_no_constants():
    generator = qn.random.SeedGenerator(1)

    @qn.function
    def step(x):
        return x + qn.random.uniform((3,), seed=generator)

    x = np.zeros(3, "float32")
    assert len({step(x).numpy().tobytes() for _ in range(6)}) == 6


def test_a_step_of_linear_regression_has_thirteen_calls():
    model = qn.Sequential([qn.layers.Input((13,)), qn.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((96, 13), "float32")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    lines = []
    model.plan_summary(print_fn=lines.append)
    assert lines[0].startswith("train_step: 13 calls")
