"""plan_summary: what it says of a plan, with and without a profile."""

import json

import numpy as np
import pytest

import quernel as qn


@pytest.fixture
def model():
    layers = qn.layers
    model = qn.Sequential(
        [layers.Input((8,)), layers.Dense(5, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data(n=64):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 8)).astype("float32"), rng.integers(0, 3, n)


def table(model, **arguments):
    texts = []
    model.plan_summary(print_fn=texts.append, **arguments)
    return texts[0]


def test_before_there_is_a_plan(model):
    assert "no plan yet" in table(model)
    with pytest.raises(ValueError, match="expected 'train', 'test' or 'predict', received 'fit'"):
        table(model, step="fit")


def test_calls_work_memory_and_constants(model):
    model.fit(*data(), batch_size=16, verbose=0)
    text = table(model)
    lines = text.splitlines()
    assert lines[0].startswith("train_step: ") and "2 runs" in lines[0]
    dense = next(line.split() for line in lines if line.startswith("dense_forward"))
    assert dense[1:3] == ["16x5", f"{2 * 16 * 8 * 5 / 1e6:.3f}"]
    assert "us" not in lines[1].split()
    assert any(line.startswith("workspace: ") for line in lines)
    assert "  adam_update: beta_1=0.9" in lines
    assert any(line.startswith("  divide: 16.0 (constant") or "16.0 (read where it is" in line for line in lines)


def test_workspace_numbers(model):
    model.fit(*data(), batch_size=16, verbose=0)
    from quernel.models.steps import steps_of

    layout = steps_of(model).train.rows.plans[0].engine.layout
    assert 0 < layout.bound <= layout.size < layout.separate


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_a_profile_sorts_by_time(model, tmp_path, backend):
    with qn.backend.use_backend(backend):
        model.fit(*data(), batch_size=16, epochs=2, verbose=0, profile=True)
        path = tmp_path / "trace.json"
        text = table(model, trace=path)
    lines = text.splitlines()
    assert lines[1].split()[-3:] == ["us", "share", "rate"]
    shares = [float(line.split("%")[0].split()[-1]) for line in lines[2:] if "%" in line]
    assert shares == sorted(shares, reverse=True)
    assert abs(sum(shares) - 100) < 3
    events = json.loads(path.read_text())["traceEvents"]
    assert len(events) == len(shares)
    assert all(e["ph"] == "X" and e["dur"] >= 0 for e in events)
    starts = [e["ts"] for e in events]
    assert starts == sorted(starts)


@pytest.mark.parametrize("profiled", [False, True])
def test_a_profile_leaves_the_deadline_of_a_python_plan_alone(profiled):
    total = qn.Variable(np.zeros((1, 3)), dtype="float64")  # native kernels take no float64
    step = qn.function(lambda x: total.assign_add(qn.ops.cast(x, "float64")))
    step.profile(profiled)
    data = qn.plan.Rows(np.ones((40, 3), "float32"), 1)
    for _ in range(2):
        assert step.loop((data,), 40)[0] == 1
    assert step.plans[0].engine.kind == "python"
    assert step.loop((data,), 40, 1000.0)[0] == 40
    assert step.loop((data,), 40, 1e-9)[0] == 1
    assert total.numpy().tolist() == [[43.0] * 3]


def test_a_trace_needs_a_profile(model, tmp_path):
    model.fit(*data(), batch_size=16, verbose=0)
    with pytest.raises(ValueError, match="profile=True"):
        model.plan_summary(print_fn=str, trace=tmp_path / "trace.json")
    with pytest.raises(ValueError, match="expected True or False, received 1"):
        model.fit(*data(), profile=1)
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match="run_eagerly"):
        model.fit(*data(), profile=True)


def test_a_call_that_numpy_makes_is_marked():
    w = qn.Variable(np.arange(3.0), dtype="float64")

    @qn.function
    def step(x):
        w.assign_add(qn.ops.cast(x, "float64"))
        return qn.ops.sum(x)

    for _ in range(3):
        step(qn.ones((3,)))
    text = step.summary()
    assert "python engine" in text
    assert "assign_add (numpy)" in text and "cast (numpy)" not in text
