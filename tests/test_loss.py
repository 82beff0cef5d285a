"""The losses: hand-computed values, clipping, stability, labels out of range, errors, Keras's axis and casts."""

import numpy as np
import pytest

import quernel as qn
from quernel import kernels as k
from quernel.testing import engines

ENGINES = engines()
LOG2 = np.log(2)


def f(*values):
    return np.array(values, "float32")


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_values(engine):
    with engine:
        assert k.mean_squared_error(f([0, 2], [1, 1]), f([1, 4], [1, 1])).tolist() == [2.5, 0]
        assert np.allclose(k.binary_crossentropy(f(1, 0, 0.5), f(0.5, 0.75, 0.5)), [LOG2, 2 * LOG2, LOG2], rtol=1e-6)
        assert np.allclose(k.binary_crossentropy(f(1, 0), f(0, 0), from_logits=True), LOG2, rtol=1e-6)
        t, p = f([0, 1, 0]), f([0.25, 0.5, 0.25])
        assert np.allclose(k.categorical_crossentropy(t, p), LOG2, rtol=1e-6)
        assert np.allclose(k.categorical_crossentropy(t, 8 * p), LOG2, rtol=1e-6)  # scaled to sum to one
        assert np.allclose(k.categorical_crossentropy(t, np.log(p), from_logits=True), LOG2, rtol=1e-6)
        assert np.allclose(k.sparse_categorical_crossentropy(np.array([1]), p), LOG2, rtol=1e-6)
        assert np.allclose(
            k.sparse_categorical_crossentropy(np.array([1]), np.log(p), from_logits=True), LOG2, rtol=1e-6
        )
        dx = k.sparse_categorical_crossentropy_dx(f(2), np.array([0]), np.log(p), from_logits=True)
        assert np.allclose(dx, [[-1.5, 1, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_probabilities_are_clipped(engine):
    low, high = float(np.float32(1e-7)), float(np.float32(1 - 1e-7))
    with engine:
        loss = k.binary_crossentropy(f(1, 1, 0, 0), f(0, 1, 0, 1))
        assert np.allclose(loss, [-np.log(low), -np.log(high), 1e-7, -np.log(1 - high)], rtol=1e-5, atol=1e-7)
        assert k.binary_crossentropy_dx(f(1, 1, 1, 1), f(1, 1, 0, 0), f(0, 1, -1, 2)).tolist() == [0, 0, 0, 0]
        assert np.allclose(
            k.sparse_categorical_crossentropy(np.array([0, 1]), f([0, 1], [0, 1])), [-np.log(low), 0], atol=2e-7
        )
        assert not k.sparse_categorical_crossentropy_dx(f(1, 1), np.array([0, 1]), f([0, 1], [0, 1])).any()
        assert np.allclose(k.categorical_crossentropy(f([1, 0]), f([0, 4])), -np.log(low))
        assert np.allclose(k.categorical_crossentropy_dx(f(1), f([1, 0]), f([0, 4])), 0)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_large_logits(engine):
    x = f([1e4, -1e4, 0])
    with engine:
        assert k.sparse_categorical_crossentropy(np.array([1]), x, from_logits=True).tolist() == [2e4]
        assert k.categorical_crossentropy(f([1, 0, 0]), x, from_logits=True).tolist() == [0]
        assert k.binary_crossentropy(f(0, 1), f(1e4, 1e4), from_logits=True).tolist() == [1e4, 0]
        assert k.binary_crossentropy_dx(f(1, 1), f(0, 1), f(-1e4, -1e4), from_logits=True).tolist() == [0, -1]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("bad", [-1, 3])
def test_labels_out_of_range(engine, from_logits, bad):
    target, output = np.array([0, bad, 1], "int32"), np.full((3, 3), 0.3, "float32")
    with engine:
        with pytest.raises(
            IndexError,
            match=rf"sparse_categorical_crossentropy: an index is out of range: expected labels in \[0, 3\).* received {bad}",
        ):
            k.sparse_categorical_crossentropy(target, output, from_logits=from_logits)
        with pytest.raises(IndexError, match="sparse_categorical_crossentropy_dx: an index is out of range"):
            k.sparse_categorical_crossentropy_dx(np.ones(3, "float32"), target, output, from_logits=from_logits)
        assert k.sparse_categorical_crossentropy(target[:1], output[:1]).shape == (1,)  # the next call is fine


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend != "numpy"], ids=str)
def test_rows_do_not_see_each_other(engine):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((64, 10)).astype("float32"), rng.integers(0, 10, 64)
    with engine:
        whole = k.sparse_categorical_crossentropy(t, x, from_logits=True)
        parts = [k.sparse_categorical_crossentropy(t[i : i + 1], x[i : i + 1], from_logits=True) for i in range(64)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_dense_and_sparse_agree():
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((9, 10)), rng.integers(0, 10, 9)
    hot = np.eye(10)[t]
    for logits in (True, False):
        p = x if logits else np.exp(x) / np.exp(x).sum(1, keepdims=True)
        dense = k.categorical_crossentropy(hot, p, from_logits=logits)
        assert np.allclose(dense, k.sparse_categorical_crossentropy(t, p, from_logits=logits))


def test_errors():
    x = np.zeros((2, 3), "float32")
    with pytest.raises(ValueError, match=r"y_true: expected y_pred's shape \(2, 3\), received \(3,\)"):
        k.mean_squared_error(x[0], x)
    with pytest.raises(ValueError, match=r"less its last axis \(2,\), received \(2, 3\); for one-hot targets use cat"):
        k.sparse_categorical_crossentropy(x.astype("int32"), x)
    with pytest.raises(ValueError, match=r"\(2, 3\), received \(2,\); for integer labels use sparse_categorical"):
        k.categorical_crossentropy(x[:, 0], x)
    with pytest.raises(TypeError, match="target: expected an integer dtype, received float32; for distributions use"):
        k.sparse_categorical_crossentropy(x[:, 0], x)
    with pytest.raises(TypeError, match="target: expected a float dtype, received int32; cast it first"):
        k.binary_crossentropy(x.astype("int32"), x)
    with pytest.raises(TypeError, match="from_logits: expected True or False, received 'yes'"):
        k.categorical_crossentropy(x, x, from_logits="yes")
    with pytest.raises(ValueError, match="output: expected at least one axis, received a scalar"):
        k.categorical_crossentropy(x[0, 0], x[0, 0])


def test_ops_take_what_keras_takes():
    labels = np.array([[1.0], [0.0]])  # float labels with a last axis of one
    p = f([0.25, 0.75], [0.5, 0.5])
    assert np.allclose(qn.ops.sparse_categorical_crossentropy(labels, p).numpy(), [-np.log(0.75), LOG2])
    first = qn.ops.categorical_crossentropy(np.array([[0, 1], [1, 0]]), p.T, axis=0)
    assert np.allclose(first.numpy(), [-np.log(0.75), LOG2])
    assert qn.ops.binary_crossentropy([1, 0], [0.5, 0.5]).dtype == "float32"
    assert np.allclose(qn.ops.mean_squared_error([1, 2], np.array([1, 4])).numpy(), 2)
