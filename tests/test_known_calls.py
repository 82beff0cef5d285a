"""Calls that the core has seen before and makes without Python (csrc/core/entry.cpp): whatever tells two calls apart
must tell them apart there, and nothing may be different the second time.
"""

import gc
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import quernel as qn
from quernel import kernels, ops
from quernel.testing.cases import all_cases

X = np.arange(12, dtype="float32").reshape(3, 4)
V = qn.Variable(X)
native = pytest.mark.skipif(qn.backend.backend() != "native", reason="only native calls are known")


def copies(arrays):
    return [[v.copy() for v in a] if isinstance(a, list) else None if a is None else a.copy() for a in arrays]


def flat(arrays):
    return [v for a in arrays if a is not None for v in (a if isinstance(a, list) else [a])]


@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_the_third_call_is_the_first_one(case):
    """Results and written arrays are equal to the bit; a tuple of arrays in place of a list goes the long way."""
    kernel, arrays = getattr(kernels, case.op), case.make()
    seen = []
    for turn in range(4):
        given = copies(arrays)
        if turn == 3:
            given = [tuple(a) if isinstance(a, list) else a for a in given]
        result = kernel(*given, **case.attrs)
        result = result if isinstance(result, tuple) else (result,) if result is not None else ()
        for value in result:
            assert type(value) is np.ndarray
            assert kernel.view or (value.flags.writeable and value.flags.c_contiguous)
        given = [list(a) if isinstance(a, tuple) else a for a in given]
        seen.append([(v.shape, v.dtype, v.tobytes()) for v in [*result, *flat(given)]])
    assert seen[1] == seen[0] and seen[2] == seen[0] and seen[3] == seen[0]


@pytest.fixture
def long_ways(monkeypatch):
    """The names of the kernels whose calls Python had to look at."""
    names, kind = [], type(kernels.add)
    way = kind.long_way
    monkeypatch.setattr(kind, "long_way", lambda self, *args: (names.append(self.name), way(self, *args))[1])
    return names


@native
@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.add(X, X),
        lambda: kernels.add(X.T, X.T),
        lambda: kernels.add(X[::-1, ::2], X[:, ::2]),
        lambda: kernels.add(X, np.broadcast_to(X[0], X.shape)),
        lambda: kernels.add(X, X, out=np.empty_like(X)),
        lambda: kernels.sum(X, axis=(0, 1), keepdims=True),
        lambda: kernels.sum(X, axis=[0, 1]),
        lambda: kernels.leaky_relu(X, negative_slope=0.0),
        lambda: kernels.cast(X, dtype="int32"),
        lambda: kernels.concat([X, X], axis=1),
        lambda: ops.add(X, X),
        lambda: ops.add(qn.constant(X), qn.Variable(X)),
        lambda: ops.concatenate([qn.Variable(X), qn.constant(X)]),
        lambda: ops.multiply(V, 2),
        lambda: 1.0 - V,
        lambda: kernels.transpose(X),
        lambda: ops.reshape(qn.constant(X), (4, 3)),
    ],
)
def test_what_is_known(long_ways, call):
    call()
    long_ways.clear()
    call()
    assert not long_ways


@native
def test_what_is_known_under_a_tape(long_ways):
    def gradient():
        with qn.GradientTape() as tape:
            y = ops.sum(ops.exp(ops.transpose(V * 2.0 - ops.relu(V))), axis=0)
        return tape.gradient(y, V).numpy()

    first = gradient()
    long_ways.clear()
    assert gradient().tobytes() == first.tobytes()
    assert not long_ways
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(first, np.where(X > 0, 1, 2) * np.exp(2 * X - np.maximum(X, 0)), rtol=1e-6)


def test_a_known_view_of_a_variable_keeps_its_value():
    v = qn.Variable(X)
    for turn in range(3):
        view = ops.reshape(v, (4, 3))
        flat = ops.reshape(ops.transpose(v.value), (12,))
        ops.reshape(qn.constant(X), (4, 3))
        v.assign(X + turn + 1)
        np.testing.assert_array_equal(view.numpy(), (X + turn).reshape(4, 3))
        np.testing.assert_array_equal(flat.numpy(), (X + turn).T.reshape(12))


def test_attributes_of_one_value_and_different_types_are_different_calls():
    for _ in range(3):
        assert (
            kernels.leaky_relu(-X, negative_slope=0.0).tobytes()
            != kernels.leaky_relu(-X, negative_slope=-0.0).tobytes()
        )
        assert kernels.sum(X, axis=0).shape == (4,) and kernels.sum(X, axis=(0, 1)).shape == ()
        with pytest.raises(TypeError, match="plain attribute values"):
            kernels.sum(X, axis=([0], 1))
        assert kernels.cast(X, dtype="int32").dtype == np.int32
        assert kernels.cast(X, dtype="int64").dtype == np.int64


def test_a_known_call_checks_where_it_writes():
    for _ in range(3):
        out, row = np.empty_like(X), np.empty((4, 4), "float32")
        assert kernels.add(X, X, out=out) is out and out[2, 3] == 22
        row[:3] = X
        with pytest.raises(ValueError, match="add: out: the output overlaps an input"):
            kernels.add(row[:3], X, out=row[1:])
        with pytest.raises(ValueError, match="add: out: expected shape"):
            kernels.add(X, X, out=np.empty((4, 3), "float32"))
        out.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            kernels.add(X, X, out=out)
        with pytest.raises(TypeError, match="unknown argument 'out'"):
            ops.relu_dx(X, X, out=np.empty_like(X))


def test_an_index_out_of_range_is_named_in_a_known_call():
    for _ in range(3):
        assert kernels.gather(X, np.array([0, 2]))[1, 0] == 8
        assert ops.take(X, np.array([0, 2]), axis=0).numpy()[1, 0] == 8
        for call in (kernels.gather, lambda x, i: ops.take(x, i, axis=0)):
            with pytest.raises(IndexError, match="3"):
                call(X, np.array([0, 3]))
        with pytest.raises(IndexError, match="3"):
            kernels.gather(X, np.array([0, 3]), out=np.empty((2, 4), "float32"))


def test_a_tape_or_a_plan_sees_known_calls():
    x = qn.Variable(X)
    for _ in range(3):
        ops.multiply(x, x)
    for _ in range(3):
        with qn.GradientTape(persistent=True) as tape:
            with tape.stop_recording():
                kept = ops.multiply(x, x)
            y = ops.multiply(x, x)
        after = ops.multiply(x, x)
        assert tape.gradient(y, x).numpy()[0, 3] == 6
        assert tape.gradient(kept, x) is None and tape.gradient(after, x) is None
    step = qn.function(ops.multiply)
    for turn in range(4):  # recorded, and replayed
        value = qn.constant(X + turn)
        assert ops.multiply(value, value).numpy().tobytes() == step(value, value).numpy().tobytes()


def test_a_tape_of_one_thread_leaves_known_calls_of_another_alone():
    x, seen = qn.Variable(X), []
    ops.multiply(x, x)
    with qn.GradientTape() as tape:
        y = ops.multiply(x, x)
        thread = threading.Thread(target=lambda: seen.append(ops.multiply(y, y)))
        thread.start()
        thread.join()
    assert tape.gradient(seen[0], x) is None


def test_a_tensor_read_from_a_variable_keeps_its_value_in_known_calls():
    v = qn.Variable(X)
    for turn in range(3):
        before = v.value
        doubled = ops.add(before, before)
        v.assign(X + turn + 1)
        np.testing.assert_array_equal(doubled.numpy(), 2 * before.numpy())
        np.testing.assert_array_equal(ops.add(v, v).numpy(), 2 * X + 2 * turn + 2)


@native
def test_threads_that_change_the_lists_of_a_known_call():
    """A call long enough to release the GIL keeps arrays alive that its caller's list has dropped."""
    stop, wrong = threading.Event(), []

    def drop():
        while not stop.is_set():
            parts[:] = [np.full((300, 1000), 2, "float32"), np.full((300, 1000), 2, "float32")]

    parts = [np.full((300, 1000), 2, "float32"), np.full((300, 1000), 2, "float32")]
    thread = threading.Thread(target=drop)
    thread.start()
    for _ in range(200):
        wrong.append(kernels.concat(parts).sum() != 1_200_000)
    stop.set()
    thread.join()
    assert not any(wrong)


@native
def test_the_core_refuses_what_no_kernel_tells_it():
    for arguments in ((), (1,), ((), {}, 0, None, [], True)):
        with pytest.raises(TypeError, match="expected"):
            kernels.relu.remember(*arguments)
    with pytest.raises(TypeError, match="expected 3 arguments, received 1"):
        kernels.relu.describe_inputs(0)


def test_thousands_of_shapes_need_no_more_memory():
    def calls(start):
        for n in range(start, start + 2000):
            kernels.relu(np.zeros(n % 4000, "float32"))
            ops.add(np.zeros((n % 4000, 1), "float32"), np.zeros(1, "float32"))

    calls(0)
    gc.collect()
    tracemalloc.start()
    calls(2000)
    calls(0)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 2_000_000  # 512 resolved calls an op, of less than 2 KB each


def test_arrays_and_memory_are_given_back():
    x, out = np.zeros(100, "float32"), np.zeros(100, "float32")
    tensor, tensor_of_two = qn.constant(x), qn.constant(x.reshape(10, 10))

    def once():
        kernels.relu(x)
        kernels.batch_norm_train(x.reshape(10, 10))  # three results
        ops.batch_norm_train(tensor_of_two)
        kernels.add(x, x, out=out)
        ops.add(tensor, tensor)
        with pytest.raises(ValueError, match="overlaps"):
            kernels.add(x, x, out=x)

    for _ in range(5):
        once()
    in_use = qn.backend._state.core.memory_stats()["in_use"] if qn.backend._state.core else 0
    counts = [sys.getrefcount(v) for v in (x, out, tensor, tensor._array, x.dtype)]
    for _ in range(50):
        once()
    assert [sys.getrefcount(v) for v in (x, out, tensor, tensor._array, x.dtype)] == counts
    assert not qn.backend._state.core or qn.backend._state.core.memory_stats()["in_use"] == in_use


def test_the_long_way_says_what_is_wrong_after_known_calls():
    for _ in range(3):
        kernels.relu(X)
        with pytest.raises(TypeError, match="relu: expected at most 1 arrays"):
            kernels.relu(X, X)
        with pytest.raises(TypeError, match="unknown argument 'nonsense'"):
            kernels.relu(X, nonsense=1)
        with pytest.raises(TypeError, match="'x' is missing"):
            kernels.relu()
        with pytest.raises(TypeError, match="received 'x' twice"):
            kernels.relu(X, x=X)
        np.testing.assert_array_equal(kernels.relu(x=X), X)
        assert kernels.relu(X, out=None)[2, 3] == 11


def test_where_one_list_ends_and_the_next_begins_is_part_of_the_call():
    rate = np.array(0.5, "float32")
    for _ in range(3):
        a, b, c, d = np.ones((4, 2), "float32")
        kernels.sgd_update([a, b], [c, d], rate)
        assert a.tolist() == b.tolist() == [0.5, 0.5]
        with pytest.raises(ValueError, match="gradients"):
            kernels.sgd_update([a], [b, c, d], rate)
        assert a.tolist() == b.tolist() == [0.5, 0.5]


def test_a_known_call_before_any_variable():
    """The core learns the class of Tensors with that of Variables, which a program of ops alone does not import."""
    code = (
        "import numpy as np, quernel as qn\n"
        "x = np.ones((1, 2, 2, 1), 'float32')\n"
        "for _ in range(3): y = qn.ops.max_pool(x, 2)\n"
        "print(np.asarray(y).sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["1.0"], done.stderr
