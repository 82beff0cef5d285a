"""Plans and memory: replaying allocates nothing, what a process holds stays flat, workspaces are shared."""

import gc
import subprocess
import sys

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.plan import Function, Rows

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="there is no compiled core")


def walker(features=16):
    """A step with state, large and small buffers and results, over rows of an array."""
    model = qn.Sequential([qn.layers.Input((features,)), qn.layers.Dense(64, activation="tanh"), qn.layers.Dense(3)])
    optimizer = qn.optimizers.Adam(0.01)

    def step(x, y):
        with qn.GradientTape() as tape:
            loss = ops.mean(qn.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True))
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        return loss

    x = np.random.default_rng(0).normal(size=(640, features)).astype("float32")
    y = np.random.default_rng(1).integers(0, 3, 640)
    return Function(step), x, y


def allocations():
    return qn.memory_stats()["allocations"]


def test_replaying_allocates_nothing():
    run, x, y = walker()
    for _ in range(3):
        run.loop((Rows(x, 8), Rows(y, 8)), 80)
    counts = []
    for steps in (1, 10, 80):
        before = allocations()
        assert run.loop((Rows(x, 8), Rows(y, 8)), steps)[0] == steps
        counts.append(allocations() - before)
    assert counts == [1, 1, 1], "the loss that is handed out, whatever the number of steps"


def test_plans_share_workspaces():
    before = qn.memory_stats()["workspaces"]
    runs = [walker(n) for n in (4, 8, 16)]
    for run, x, y in runs * 3:
        run(x[:32], y[:32])
    assert qn.memory_stats()["workspaces"] <= max(before, 1)
    assert qn.memory_stats()["leased"] == 0


def test_plans_go_with_their_function():
    gc.collect()  # earlier tests' plans that only a collection frees would else be counted, then go
    before = qn.memory_stats()["plans"]
    run, x, y = walker()
    for _ in range(3):
        run(x[:4], y[:4])
    assert qn.memory_stats()["plans"] == before + 1
    del run
    gc.collect()
    assert qn.memory_stats()["plans"] == before


FLAT = """
import resource, sys
import numpy as np, quernel as qn
def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()
qn.utils.set_random_seed(0)
model = qn.Sequential([qn.layers.Input((8,)), qn.layers.Dense(16, activation="relu"), qn.layers.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
rng = np.random.default_rng(0)
x, y = rng.normal(size=(400, 8)).astype("float32"), rng.integers(0, 3, 400)
sizes = [int(s) for s in rng.permutation(np.arange(1, 201))] if sys.argv[1] == "sizes" else [32]
def steps(n):
    for i in range(n):
        b = sizes[i % len(sizes)]
        model.train_on_batch(x[:b], y[:b])
steps(800 if len(sizes) > 1 else 200)
before = resident()
steps(10000)
print(before, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("what", ["one", "sizes"])
def test_resident_memory_is_flat(what):
    out = subprocess.run([sys.executable, "-c", FLAT, what], capture_output=True, text=True, check=True).stdout
    before, after = map(int, out.split())
    assert after <= before * 1.01, f"{before} bytes after the first steps, {after} after 10,000"
