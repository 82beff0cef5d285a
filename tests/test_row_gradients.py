"""Gradients of some rows of a table, and lazy optimizers, which cost what the batch touches."""

import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.row_gradient import RowGradient

L = qn.layers
F = np.float32


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_a_tables_gradient_comes_as_rows_and_reads_dense():
    table = qn.Variable(normal(6, 2))
    with qn.GradientTape() as tape:
        loss = ops.sum(ops.embedding(table, np.array([3, 0, 3])) * qn.constant([[1.0], [2.0], [4.0]]))
    g = tape.gradient(loss, table)
    assert type(g) is RowGradient and (g.shape, g.dtype, g.ndim, g.size) == ((6, 2), "float32", 2, 12)
    rows, values = g.rows()
    assert rows.numpy().tolist() == [3, 0, -1] and values.numpy()[:, 0].tolist() == [5, 2, 0]
    assert g.numpy()[:, 0].tolist() == [2, 0, 0, 5, 0, 0] and (g * 2).numpy()[3, 1] == 10
    assert float(ops.sum(g)) == 14 and qn.constant(1.0) + g is not g


def test_take_gives_rows_too_also_for_negative_indices():
    table = qn.Variable(normal(6, 2))
    with qn.GradientTape() as tape:
        loss = ops.sum(ops.take(table, np.array([-1, 5]), axis=0))
    g = tape.gradient(loss, table)
    assert g.rows()[0].numpy().tolist() == [5, -1] and g.numpy()[:, 0].tolist() == [0, 0, 0, 0, 0, 2]
    with qn.GradientTape() as tape:
        loss = ops.sum(ops.take(table, np.array([1]), axis=1))
    assert type(tape.gradient(loss, table)) is not RowGradient


def test_uses_of_one_table_are_joined():
    table, a, b = qn.Variable(normal(6, 2)), np.array([3, 0]), np.array([[3, 5]])
    with qn.GradientTape() as tape:
        loss = ops.sum(ops.embedding(table, a)) + 2 * ops.sum(ops.embedding(table, b))
    g = tape.gradient(loss, table)
    expected = [1, 0, 0, 3, 0, 2]
    assert type(g) is RowGradient and g.numpy()[:, 0].tolist() == expected
    rows, values = g.rows()
    assert dict(zip(rows.numpy().tolist(), values.numpy()[:, 0].tolist())) == {0: 1, 3: 3, 5: 2, -1: 0}


@pytest.mark.parametrize("order", ["rows first", "product first"])
def test_a_table_that_is_used_in_a_product_too_has_a_dense_gradient(order):
    table, ids = qn.Variable(normal(6, 2)), np.array([3, 0, 3])
    with qn.GradientTape() as tape:
        if order == "rows first":
            h = ops.embedding(table, ids)
            loss = ops.sum(ops.matmul(h, ops.transpose(table)))
        else:
            other = ops.matmul(qn.constant(normal(3, 6, seed=1)), table)
            loss = ops.sum(other * ops.embedding(table, ids))
    g = tape.gradient(loss, table)
    assert type(g) is not RowGradient
    w = table.numpy().astype("float64")
    if order == "rows first":
        expected = np.tile(w[ids].sum(0), (6, 1))
        np.add.at(expected, ids, w.sum(0))
    else:
        a = normal(3, 6, seed=1).astype("float64")
        expected = a.T @ w[ids]
        np.add.at(expected, ids, a @ w)
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_second_derivatives_follow_through_rows():
    table, ids = qn.Variable(normal(4, 2)), np.array([3, 0, 3])
    with qn.GradientTape() as outer:
        with qn.GradientTape() as inner:
            loss = ops.sum(ops.embedding(table, ids) ** 3)
        g = inner.gradient(loss, table)
        total = ops.sum(g * g)
    second = outer.gradient(total, table).numpy()
    w = table.numpy().astype("float64")
    n = np.array([1, 0, 0, 2])[:, None]
    np.testing.assert_allclose(second, 2 * (3 * n * w**2) * (6 * n * w), rtol=1e-5, atol=1e-6)


def test_a_function_that_returns_a_gradient_returns_it_dense():
    table = qn.Variable(normal(6, 2))
    held = []

    @qn.function
    def step(ids):
        with qn.GradientTape() as tape:
            loss = ops.sum(ops.embedding(table, ids))
        g = tape.gradient(loss, table)
        held[:] = [g]
        return g

    for k in range(5):
        ids = np.array([k, 5], "int64")
        g = step(ids)
        expected = np.zeros(6)
        np.add.at(expected, ids, 1)
        assert g.numpy()[:, 0].tolist() == expected.tolist()
        assert held[0].numpy()[:, 0].tolist() == expected.tolist()


# --- lazy optimizers


def reference(kind, table, batches, momentum=0.9):
    """Lazy SGD or Adam in float64, row by row."""
    w = table.astype("float64")
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, (ids, dy) in enumerate(batches, 1):
        for r in np.unique(ids):
            g = dy[ids == r].astype("float64").sum(0)
            if kind == "SGD":
                m[r] = momentum * m[r] - 0.1 * g
                w[r] += m[r]
            else:
                m[r] += 0.1 * (g - m[r])
                v[r] += 0.001 * (g * g - v[r])
                w[r] -= 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m[r] / (np.sqrt(v[r]) + 1e-7)
    return w


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_lazy_steps_by_hand(kind):
    table = qn.Variable(normal(8, 3))
    make = {
        "SGD": lambda: qn.optimizers.SGD(0.1, momentum=0.9, lazy=True),
        "Adam": lambda: qn.optimizers.Adam(0.1, lazy=True),
    }
    optimizer = make[kind]()
    rng = np.random.default_rng(1)
    batches = [(rng.integers(0, 7, 5), rng.normal(size=(5, 3)).astype("float32")) for _ in range(6)]
    start = table.numpy()
    for ids, dy in batches:
        with qn.GradientTape() as tape:
            loss = ops.sum(ops.embedding(table, ids) * dy)
        optimizer.apply(tape.gradient(loss, [table]), [table])
    np.testing.assert_allclose(table.numpy(), reference(kind, start, batches), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(table.numpy()[7], start[7])
    assert int(optimizer.iterations) == 6
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.lazy and again.get_config() == {**optimizer.get_config(), "name": again.name}
    assert not type(optimizer)().lazy


@pytest.mark.parametrize("clip", [{"clipnorm": 0.5}, {"clipvalue": 0.1}, {"global_clipnorm": 0.5}], ids=str)
def test_clipping_sees_the_sums_of_rows(clip):
    ids, dy = np.array([1, 1, 4]), np.array([[0.3, -0.05], [0.4, 0.02], [0.6, 0.09]], "float32")
    sums = {1: dy[0] + dy[1], 4: dy[2]}
    other = np.array([3.0, -0.02], "float32")
    norm = np.sqrt(sum((s**2).sum() for s in sums.values()))
    both = np.sqrt(norm**2 + (other**2).sum())
    for lazy in (True, False):
        table, b = qn.Variable(np.zeros((6, 2), "float32")), qn.Variable(np.zeros(2, "float32"))
        with qn.GradientTape() as tape:
            loss = ops.sum(ops.embedding(table, ids) * dy) + ops.sum(b * other)
        qn.optimizers.SGD(1.0, lazy=lazy, **clip).apply(tape.gradient(loss, [table, b]), [table, b])
        for r, s in sums.items():
            expected = {
                "clipnorm": s * 0.5 / norm,
                "clipvalue": np.clip(s, -0.1, 0.1),
                "global_clipnorm": s * 0.5 / both,
            }[next(iter(clip))]
            np.testing.assert_allclose(table.numpy()[r], -expected, rtol=1e-5)
        assert not table.numpy()[[0, 2, 3, 5]].any()


def test_lazy_refuses_weight_decay_of_the_table_and_takes_it_elsewhere():
    ids = np.array([1, 1])

    def step(optimizer):
        table, b = qn.Variable(np.ones((4, 2), "float32"), name="table"), qn.Variable(np.ones(2, "float32"), name="b")
        with qn.GradientTape() as tape:
            loss = ops.sum(ops.embedding(table, ids)) + 0 * ops.sum(b)
        optimizer.apply(tape.gradient(loss, [table, b]), [table, b])
        return table.numpy(), b.numpy()

    with pytest.raises(ValueError, match="weight_decay: with lazy=True .*'table'.*exclude_from_weight_decay"):
        step(qn.optimizers.SGD(0.5, weight_decay=0.1, lazy=True))
    optimizer = qn.optimizers.SGD(0.5, weight_decay=0.1, lazy=True)
    optimizer.exclude_from_weight_decay(var_names=["table"])
    table, b = step(optimizer)
    assert table[:, 0].tolist() == [1, 0, 1, 1] and b.tolist() == [F(0.95)] * 2


def test_a_dense_gradient_under_lazy_moves_all_rows():
    table = qn.Variable(np.ones((4, 2), "float32"))
    optimizer = qn.optimizers.SGD(0.5, lazy=True)
    for loss_of in (lambda: ops.sum(table * table), lambda: ops.sum(ops.embedding(table, np.array([1])))):
        with qn.GradientTape() as tape:
            loss = loss_of()
        optimizer.apply(tape.gradient(loss, [table]), [table])
    assert table.numpy()[:, 0].tolist() == [0, -0.5, 0, 0]


def train(lazy, threads=2, eagerly=False, kind="Adam", **clip):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 300, (160, 12)), rng.integers(0, 5, (160, 12))
    before = qn.get_num_threads()
    qn.set_num_threads(threads)
    try:
        qn.utils.set_random_seed(1)
        shared = L.Embedding(300, 40, mask_zero=True)
        i, j = L.Input((12,), dtype="int32"), L.Input((12,), dtype="int32")
        h = L.Concatenate()([shared(i), shared(j), L.Embedding(300, 7)(i)])
        model = qn.Model([i, j], L.Dense(5, activation="softmax")(h))
        optimizer = getattr(qn.optimizers, kind)(0.05, lazy=lazy, **clip)
        model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=eagerly)
        history = model.fit([x, x[::-1]], y, batch_size=16, epochs=3, verbose=0).history
    finally:
        qn.set_num_threads(before)
    return history["loss"], [w.tobytes() for w in [*model.get_weights(), *[v.numpy() for v in optimizer.variables]]]


@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.1}], ids=["plain", "clipped"])
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_lazy_training_has_the_same_bits_in_plans_in_python_and_on_any_threads(kind, clip):
    first = train(True, kind=kind, **clip)
    for threads, eagerly in ((1, False), (3, False), (8, False), (2, True)):
        assert train(True, threads, eagerly, kind, **clip) == first
    assert np.isfinite(first[0]).all()


def test_plain_gradient_descent_is_the_same_lazy_or_not():
    lazy, dense = train(True, kind="SGD"), train(False, kind="SGD")
    np.testing.assert_allclose(lazy[0], dense[0], rtol=1e-6)


LAZY_STEPS = """
import ctypes
import mmap
import sys

import numpy as np

import quernel as qn
from quernel import ops

n, u, near = 1_000_000, 64, 4096
layer = qn.layers.Embedding(n, u, embeddings_initializer="zeros")
layer.build()
optimizer = qn.optimizers.Adam(0.01, lazy=sys.argv[1] == "lazy")
optimizer.build([layer.embeddings])
tables = [v for v in [layer.embeddings, *optimizer.variables] if v.shape == (n, u)]
assert len(tables) == 3


def step(ids):
    with qn.GradientTape() as tape:
        loss = ops.sum(layer(ids))
    optimizer.apply(tape.gradient(loss, [layer.embeddings]), [layer.embeddings])
    return loss


protect = ctypes.CDLL(None, use_errno=True).mprotect
for table in tables:  # rows from `near` on: neither read nor written from here
    array = table.__quernel_array__("table")
    first = -(-array[near:].ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (array.ctypes.data + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    assert protect(ctypes.c_void_p(first), ctypes.c_size_t(last - first), 0) == 0
print("protected", flush=True)
ids = np.random.default_rng(0).integers(0, near, 4096)
plan = qn.function(step)
for run in (step, plan):
    for _ in range(3):
        run(ids)
for table in tables:
    first = table.__quernel_array__("table").ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    protect(ctypes.c_void_p(first), ctypes.c_size_t(n * u * 4), 3)
print(sum("1000000x64" in line for line in plan.summary().splitlines()), flush=True)
"""


def lazy_steps(kind):
    command = [sys.executable, "-c", LAZY_STEPS, kind]
    env = {k: v for k, v in os.environ.items() if k != "QUERNEL_CHECK_PLAN"}  # its snapshots read every table
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def test_a_lazy_step_touches_the_rows_of_its_batch_alone():
    done = lazy_steps("lazy")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "protected\n1\n"  # the update in place: no call makes an array of the table's size


def test_a_step_that_is_not_lazy_touches_all_rows():
    done = lazy_steps("dense")
    assert done.returncode == -signal.SIGSEGV and done.stdout == "protected\n", done.stderr


@pytest.mark.oracle
@pytest.mark.parametrize("repeats", [False, True])
def test_lazy_adam_is_torchs_sparse_adam(repeats):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    w = rng.normal(size=(50, 8)).astype("float32")
    table = qn.Variable(w)
    weight = torch.nn.Parameter(torch.tensor(w))
    ours = qn.optimizers.Adam(0.01, epsilon=1e-8, lazy=True)
    theirs = torch.optim.SparseAdam([weight], lr=0.01, eps=1e-8)
    for _ in range(10):
        ids = rng.integers(0, 40, 20) if repeats else rng.permutation(40)[:20]
        dy = rng.normal(size=(20, 8)).astype("float32")
        with qn.GradientTape() as tape:
            loss = ops.sum(ops.embedding(table, ids) * dy)
        ours.apply(tape.gradient(loss, [table]), [table])
        theirs.zero_grad()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = torch.nn.functional.embedding(torch.tensor(ids), weight, sparse=True)
            (out * torch.tensor(dy)).sum().backward()
            theirs.step()
    # 10 steps of at most about lr, each off by some roundings of w, m, v, and of the root
    np.testing.assert_allclose(
        table.numpy(), weight.detach().numpy(), rtol=0, atol=10 * (8 * 2.0**-24 * np.abs(w).max() + 1e-7)
    )
