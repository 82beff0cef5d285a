"""Views share memory, symbolic shapes come out right, indexing equals NumPy's, and bad calls say what was expected."""

import numpy as np
import pytest

import quernel as qn
from quernel.kernels.kernel import spec
from quernel.tensor import Tensor

X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "name, attrs",
    [
        ("reshape", {"newshape": (6, 4)}),
        ("transpose", {}),
        ("slice", {"start": (0,), "stop": (1,), "step": (1,)}),
        ("expand_dims", {"axis": 1}),
        ("squeeze", {}),
        ("broadcast_to", {"shape": (5, 2, 3, 4)}),
    ],
)
def test_views_share_memory_and_take_no_out(name, attrs):
    kernel = getattr(qn.kernels, name)
    assert np.shares_memory(kernel(X, **attrs), X)
    with pytest.raises(TypeError, match="out"):
        kernel(X, **attrs, out=np.empty_like(X))


def test_reshape_of_other_orders_copies():
    y = qn.kernels.reshape(X.T, newshape=(24,))
    assert not np.shares_memory(y, X)
    assert np.array_equal(y, X.T.reshape(24))
    assert np.array_equal(qn.ops.reshape(Tensor(X.T), (4, 6)).numpy(), X.T.reshape(4, 6))


@pytest.mark.parametrize(
    "shape, attrs, expected",
    [
        ((None, 4, 4), {"newshape": (-1, 16)}, (None, 16)),
        ((None, 4), {"newshape": (2, 4)}, (2, 4)),
        ((2, 6), {"newshape": (-1, 4)}, (3, 4)),
        ((0, 6), {"newshape": (-1, 3)}, (0, 3)),
    ],
)
def test_symbolic_reshape(shape, attrs, expected):
    assert qn.kernels.reshape.specs([spec(shape, "float32")], attrs)[0].shape == expected


def test_symbolic_views():
    x = spec((None, 3, 1), "float32")

    def shape(name, **attrs):
        kernel = getattr(qn.kernels, name)
        return kernel.specs([x], kernel.freeze(attrs))[0].shape

    assert shape("transpose") == (1, 3, None)
    assert shape("expand_dims", axis=-1) == (None, 3, 1, 1)
    assert shape("squeeze") == (None, 3)
    assert shape("slice", start=(None, 1), stop=(None, None), step=(None, None)) == (None, 2, 1)
    assert shape("broadcast_to", shape=(7, 3, 2)) == (7, 3, 2)


INDICES = [
    0,
    -1,
    (1, 2),
    (1, -3, -1),
    slice(1, None),
    slice(None, None, -1),
    (slice(None), slice(2, None, -2)),
    (..., 0),
    (0, ..., slice(1, 3)),
    (None, 1, None, ..., None),
    (slice(5, 1), 0),
    (slice(None), [2, 0, -1]),
    [1, 0, 1],
    np.array([[0, 1], [1, 1]]),
    (..., np.array([3, 0])),
    (slice(None, None, -1), slice(1, None), np.array([1])),
    np.int64(1),
    (),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_getitem_is_numpys(index):
    assert np.array_equal(Tensor(X)[index].numpy(), X[index])
    assert Tensor(X)[index].shape == X[index].shape


@pytest.mark.parametrize(
    "index, words",
    [
        (2, "index 2 is out of range for axis 0 of size 2"),
        ((0, 0, 0, 0), "too many indices: expected at most 3, received 4"),
        ((..., ...), "one Ellipsis"),
        (1.5, "expected integers, slices"),
        (True, "boolean mask"),
        (np.array([True, False]), "boolean mask"),
        ((0, [0, 1]), "index in two steps"),
        (([0], [1]), "one after the other"),
    ],
)
def test_getitem_refuses(index, words):
    with pytest.raises(IndexError, match=words):
        Tensor(X)[index]


def test_splits():
    parts = qn.ops.split(X, 2, axis=-1)
    assert [p.shape for p in parts] == [(2, 3, 2)] * 2
    assert all(np.array_equal(a.numpy(), b) for a, b in zip(parts, np.split(X, 2, axis=-1)))
    parts = qn.ops.split(X, [1, 3], axis=2)
    assert all(np.array_equal(a.numpy(), b) for a, b in zip(parts, np.split(X, [1, 3], axis=2)))
    assert np.array_equal(qn.ops.unstack(X, axis=1)[2].numpy(), X[:, 2])
    with pytest.raises(ValueError, match="divides axis 1 of size 3, received 2"):
        qn.ops.split(X, 2, axis=1)


def test_axis_functions():
    assert np.array_equal(qn.ops.moveaxis(X, 0, -1).numpy(), np.moveaxis(X, 0, -1))
    assert np.array_equal(qn.ops.moveaxis(X, [0, 1], [-1, 0]).numpy(), np.moveaxis(X, [0, 1], [-1, 0]))
    assert np.array_equal(qn.ops.swapaxes(X, 0, -1).numpy(), np.swapaxes(X, 0, -1))
    assert np.array_equal(qn.ops.flip(X, (0, 2)).numpy(), np.flip(X, (0, 2)))
    assert np.array_equal(qn.ops.ravel(X[:0]).numpy(), X[:0].ravel())


@pytest.mark.parametrize(
    "name, attrs, words",
    [
        ("reshape", {"newshape": (5, 5)}, r"of shape \(2, 3, 4\) has, received \(5, 5\)"),
        ("reshape", {"newshape": (-1, -1)}, "at most one -1"),
        ("reshape", {"newshape": (2.0, 12)}, "tuple of integers"),
        ("transpose", {"axes": (0, 1)}, "permutation of 3 axes"),
        ("transpose", {"axes": (0, 1, 1)}, "distinct axes"),
        ("slice", {"start": (0,), "stop": (1,), "step": (0,)}, "other than zero"),
        ("slice", {"start": 0, "stop": 1, "step": 1}, "expected tuples"),
        ("expand_dims", {"axis": 5}, r"\[-4, 4\), received 5"),
        ("squeeze", {"axis": 1}, "axes of size 1, received axis 1"),
        ("broadcast_to", {"shape": (3, 4)}, r"\(2, 3, 4\) broadcasts to, received \(3, 4\)"),
        ("slice_dx", {"shape": (9, 3, 4), "start": (0,), "stop": (1,), "step": (1,)}, "dy: expected shape"),
    ],
)
def test_errors(name, attrs, words):
    with pytest.raises((ValueError, TypeError), match=words):
        getattr(qn.kernels, name)(X, **attrs)


def test_slice_dx_by_hand():
    dy = np.array([[1, 2]], np.float32)
    dx = qn.kernels.slice_dx(dy, shape=(2, 4), start=(1, 3), stop=(2, None), step=(1, -3))
    assert np.array_equal(dx, [[0, 0, 0, 0], [2, 0, 0, 1]])


def test_views_of_scalars_are_arrays():
    x = np.zeros((), np.float32)
    for y in (
        qn.kernels.reshape(x, newshape=()),
        qn.kernels.transpose(x),
        qn.kernels.slice(x, start=(), stop=(), step=()),
        qn.kernels.squeeze(x),
        qn.kernels.broadcast_to(x, shape=()),
    ):
        assert type(y) is np.ndarray
        assert y.shape == ()
