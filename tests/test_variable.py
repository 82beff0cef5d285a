"""Variable: storage that never moves, Tensors that keep what they read."""

import copy
import gc
import weakref

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.reader import Reader


def values(tensor):
    return tensor.numpy().tolist()


def test_a_read_value_stays():
    w = qn.Variable([1.0, 2.0])
    before = w.value
    again = w.value
    w.assign([3.0, 4.0])
    assert values(before) == values(again) == [1, 2] and values(w.value) == [3, 4]
    after = w + 0
    w.assign_add([1.0, 1.0])
    assert values(after) == [3, 4] and values(w) == [4, 5]


def test_views_of_a_read_value_stay():
    w = qn.Variable(np.arange(6, dtype="float32").reshape(2, 3))
    flat, turned = ops.reshape(w, (6,)), ops.transpose(w)
    row = turned[1]
    w.assign(np.zeros((2, 3)))
    assert values(flat) == [0, 1, 2, 3, 4, 5]
    assert values(turned) == [[0, 3], [1, 4], [2, 5]]
    assert values(row) == [1, 4]
    w.assign(np.ones((2, 3)))
    assert values(row) == [1, 4]


def test_every_view_of_a_read_value_stays():
    w = qn.Variable(np.arange(3, dtype="float32").reshape(1, 3))
    views = [ops.expand_dims(w, 0), ops.squeeze(w), ops.broadcast_to(w, (2, 3)), ops.stop_gradient(w), w[:, ::-1], w[0]]
    views.append(ops.transpose(views[2]))
    before = [values(v) for v in views]
    w.assign([[7.0, 7.0, 7.0]])
    assert [values(v) for v in views] == before


def test_storage_never_moves():
    w = qn.Variable(np.zeros((4, 4), "float32"))
    storage = w._array
    keep = w.value
    for i in range(3):
        w.assign(np.full((4, 4), i))
        w.assign_sub(w)
        w.assign(w.value)
    assert w._array is storage and values(keep) == [[0] * 4] * 4


def test_writing_copies_nothing_when_nobody_looks(monkeypatch):
    w = qn.Variable(np.zeros(5, "float32"))
    values(w + 1)
    w.value  # noqa: B018
    monkeypatch.setattr(qn.Variable, "_detach", lambda self: pytest.fail("a Reader was alive"))
    w.assign_add(np.ones(5))
    with qn.GradientTape() as tape:
        loss = ops.sum(w * w)
    grad = tape.gradient(loss, w)
    w.assign_sub(grad)
    assert values(w) == [-1] * 5


def test_the_tape_keeps_the_old_value():
    w = qn.Variable([3.0])
    with qn.GradientTape() as tape:
        y = w * w
        w.assign([100.0])
    assert values(tape.gradient(y, w)) == [6]


def test_readers_die():
    w = qn.Variable(np.zeros(5, "float32"))
    with qn.GradientTape():
        for _ in range(10):
            ops.sum(w)
    gc.collect()
    assert len(w._readers) <= 1
    reference = weakref.ref(w.value)
    assert type(reference()) is Reader
    w.assign(np.ones(5))
    w.assign(np.ones(5))
    assert reference() is None


def test_assigning_from_itself():
    w = qn.Variable([1.0, 2.0, 3.0])
    w.assign(w.value[::-1])
    assert values(w) == [3, 2, 1]
    w.assign_add(w)
    assert values(w) == [6, 4, 2]
    w.assign_sub(1.0)
    assert values(w) == [5, 3, 1]


def test_what_numpy_gets_is_fresh():
    w = qn.Variable([1.0, 2.0])
    a, b, c = w.numpy(), np.asarray(w), np.asarray(w.value)
    w.assign([9.0, 9.0])
    assert a.tolist() == b.tolist() == c.tolist() == [1, 2]
    a[0] = 5
    assert values(w) == [9, 9]


def test_dtypes_and_shapes():
    assert qn.Variable([1, 2]).dtype == "int32" and qn.Variable(np.zeros(2)).dtype == "float64"
    w = qn.Variable(0.0, dtype="float32")
    w.assign(np.float64(2.5))
    assert (w.shape, w.dtype, w.ndim, w.size, float(w)) == ((), "float32", 0, 1, 2.5)
    counter = qn.Variable(0, dtype="int64", trainable=False)
    assert int(counter.assign_add(3)) == 3
    empty = qn.Variable(np.zeros((0, 3), "float32"))
    assert empty.assign(np.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match=r"assign: Variable .*: expected shape \(2,\), received \(3,\)"):
        qn.Variable([1.0, 2.0]).assign([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="expected a shape beside an initializer"):
        qn.Variable(lambda shape, dtype: np.zeros(shape, dtype))
    with pytest.raises(ValueError, match="expected a shape without None"):
        qn.Variable(lambda shape, dtype: np.zeros(shape, dtype), shape=(None, 2))


def test_names_and_paths():
    qn.utils.clear_session()
    assert [qn.Variable(0.0).name for _ in range(2)] == ["variable", "variable_1"]
    with qn.name_scope("a"), qn.name_scope("b"):
        w = qn.Variable(0.0, name="w")
    assert (w.name, w.path) == ("w", "a/b/w")
    with pytest.raises(ValueError, match="without '/'"):
        qn.Variable(0.0, name="a/b")


def test_initializers():
    w = qn.Variable("ones", shape=(2,))
    assert values(w) == [1, 1] and w.dtype == "float32"
    made = qn.Variable(lambda shape, dtype: np.full(shape, 2, dtype), shape=3, dtype="float64")
    assert values(made) == [2, 2, 2] and made.dtype == "float64"


def test_operators():
    w = qn.Variable([1.0, 2.0])
    assert values(w + w) == [2, 4] and values(1 - w) == [0, -1] and values(-w) == [-1, -2]
    assert values(w == [1.0, 3.0]) == [True, False]
    assert w in {w} and len(w) == 2 and [float(v) for v in w] == [1, 2]
    assert values(np.ones(2, "float32") * w) == [1, 2]


def test_kernels_take_the_storage():
    w = qn.Variable([1.0, 2.0])
    assert qn.kernels.copy(w).tolist() == [1, 2]
    with qn.GradientTape(), pytest.raises(TypeError, match="Variable that a GradientTape watches"):
        qn.kernels.copy(w)
    frozen = qn.Variable([1.0], trainable=False)
    with qn.GradientTape():
        assert qn.kernels.copy(frozen).tolist() == [1]


def test_deepcopy():
    w = qn.Variable([1.0, 2.0], trainable=False, name="w")
    twin = copy.deepcopy(w)
    w.assign([3.0, 4.0])
    assert values(twin) == [1, 2] and (twin.name, twin.path, twin.trainable) == ("w", "w", False)
