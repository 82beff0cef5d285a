"""Losses: values worked out by hand, reductions, weights, masks, logits left by activations, names, errors."""

import math

import numpy as np
import pytest

import quernel as qn

LOG = math.log


def close(actual, expected, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(actual.numpy()), expected, rtol=tolerance, atol=tolerance)


def test_mean_squared_error():
    y_true, y_pred = [[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 3.0]]
    close(qn.losses.mean_squared_error(y_true, y_pred), [0.5, 5.0])
    close(qn.losses.MeanSquaredError()(y_true, y_pred), 2.75)
    close(qn.losses.MeanSquaredError(reduction="sum")(y_true, y_pred), 5.5)
    close(qn.losses.MeanSquaredError(reduction="none")(y_true, y_pred), [0.5, 5.0])
    close(qn.losses.MeanSquaredError(reduction=None)(y_true, y_pred), [0.5, 5.0])
    close(qn.losses.MeanSquaredError()(y_true, y_pred, sample_weight=[1.0, 0.2]), (0.5 + 1.0) / 2)
    weighted = qn.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    close(weighted(y_true, y_pred, sample_weight=[3.0, 1.0]), (1.5 + 5.0) / 4)


def test_binary_crossentropy():
    y_true, p = [[0.0, 1.0]], [[0.6, 0.4]]
    expected = (-LOG(0.4) - LOG(0.4)) / 2
    close(qn.losses.BinaryCrossentropy()(y_true, p), expected)
    logits = [[LOG(0.6 / 0.4), LOG(0.4 / 0.6)]]
    close(qn.losses.BinaryCrossentropy(from_logits=True)(y_true, logits), expected)
    smooth = (-0.9 * LOG(0.4) - 0.1 * LOG(0.6)) / 1
    close(qn.losses.BinaryCrossentropy(label_smoothing=0.2)(y_true, p), smooth)
    close(qn.losses.BinaryCrossentropy()([[1.0]], [[0.0]]), -LOG(1e-7), 1e-5)


def test_categorical_crossentropy():
    y_true, p = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    expected = [-LOG(0.95), -LOG(0.1)]
    close(qn.losses.categorical_crossentropy(y_true, p), expected, 1e-5)
    close(qn.losses.CategoricalCrossentropy()(y_true, p), sum(expected) / 2, 1e-5)
    close(qn.losses.sparse_categorical_crossentropy([1, 2], p), expected, 1e-5)
    close(qn.losses.SparseCategoricalCrossentropy()([[1], [2]], p), sum(expected) / 2, 1e-5)
    close(qn.losses.SparseCategoricalCrossentropy()(np.array([1.0, 2.0]), p), sum(expected) / 2, 1e-5)
    moved = np.array(p).T
    close(qn.losses.categorical_crossentropy(np.array(y_true).T, moved, axis=0), expected, 1e-5)
    close(qn.losses.sparse_categorical_crossentropy([1, 2], moved, axis=0), expected, 1e-5)
    uniform = qn.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)
    close(uniform([[0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]), LOG(3))


def test_labels_beyond_float32_integers():
    assert qn.losses.SparseCategoricalCrossentropy()._target(np.array([2**24 + 1])).dtype == "int64"


def test_ignore_class():
    p = [[0.5, 0.5], [0.1, 0.9], [0.2, 0.8]]
    loss = qn.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    close(loss([0, -1, 1], p), (-LOG(0.5) - LOG(0.8)) / 2, 1e-5)
    close(qn.losses.sparse_categorical_crossentropy([0, -1, 1], p, ignore_class=-1), [-LOG(0.5), 0, -LOG(0.8)], 1e-5)


def test_logits_of_activations_reach_the_loss():
    x = qn.constant([[0.0, 200.0]])
    p = qn.activations.softmax(x)
    assert p._keras_logits is x
    close(qn.losses.SparseCategoricalCrossentropy()([0], p), 200.0)
    close(qn.losses.CategoricalCrossentropy()([[1.0, 0.0]], p), 200.0)
    close(qn.losses.SparseCategoricalCrossentropy()([0], p.numpy()), -LOG(1e-7), 1e-5)  # bare probabilities are clipped
    y = qn.activations.sigmoid(qn.constant([[-200.0]]))
    close(qn.losses.BinaryCrossentropy()([[1.0]], y), 200.0)
    with pytest.warns(UserWarning, match="from_logits=True"):
        close(qn.losses.SparseCategoricalCrossentropy(from_logits=True)([0], p), 200.0)


def test_logits_of_another_function_or_axis_do_not():
    """A softmax's logits are none for the sigmoid of binary_crossentropy, and so on: the loss follows its formula."""
    x = qn.constant([[[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]]])
    target = np.array([[[0, 1, 0], [1, 0, 0]]], "float32")
    labels = target.argmax(axis=-1)
    soft, sigmoid = qn.activations.softmax(x), qn.activations.sigmoid(x)
    columns = qn.activations.softmax(x, axis=1)
    both = qn.activations.softmax(x, axis=(1, 2))
    for loss, t, p in (
        (qn.losses.binary_crossentropy, target, soft),
        (qn.losses.categorical_crossentropy, target, sigmoid),
        (qn.losses.sparse_categorical_crossentropy, labels, sigmoid),
        (qn.losses.categorical_crossentropy, target, columns),
        (qn.losses.categorical_crossentropy, target, both),
        (qn.losses.sparse_categorical_crossentropy, labels, columns),
    ):
        close(loss(t, p), loss(t, p.numpy()), 1e-6)
    close(
        qn.losses.categorical_crossentropy(target, columns, axis=-2), -np.sum(target * np.log(columns.numpy()), axis=1)
    )


def test_gradient_of_softmax_and_loss():
    x = qn.Variable([[1.0, 2.0, 3.0]])
    with qn.GradientTape() as tape:
        loss = qn.losses.SparseCategoricalCrossentropy()([2], qn.activations.softmax(x))
    p = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    close(tape.gradient(loss, x), [p - [0, 0, 1]])


def test_masks():
    y_pred = qn.constant([[1.0], [2.0], [3.0]])
    y_pred._keras_mask = qn.constant([True, False, True])
    close(qn.losses.MeanSquaredError()([[0.0]] * 3, y_pred), 5.0)
    close(qn.losses.MeanSquaredError(reduction="sum")([[0.0]] * 3, y_pred), 10.0)
    close(qn.losses.MeanSquaredError()([[0.0]] * 3, y_pred, sample_weight=[1.0, 1.0, 0.0]), 0.5)


def test_ranks_are_matched():
    close(qn.losses.MeanSquaredError()([1.0, 2.0], [[1.0], [4.0]]), 2.0)
    close(qn.losses.BinaryCrossentropy()([1, 0], [[0.5], [0.5]]), LOG(2))
    y = np.zeros((2, 3, 1), "float32")
    close(qn.losses.MeanSquaredError(reduction="none")(y, y + 1), np.ones((2, 3)))
    close(qn.losses.MeanSquaredError()(y, y + 2), 4.0)  # the mean is over all positions, not over the batch alone
    close(qn.losses.MeanSquaredError(reduction="mean")(y, y + 2), 4.0)
    close(qn.losses.MeanSquaredError(reduction="none")(y, y + 1, sample_weight=[1.0, 2.0]), [[1] * 3, [2] * 3])


def test_names_and_configurations():
    for name in ("mse", "MSE", "mean_squared_error"):
        assert qn.losses.get(name) is qn.losses.mean_squared_error
    assert isinstance(qn.losses.get("SparseCategoricalCrossentropy"), qn.losses.SparseCategoricalCrossentropy)
    assert qn.losses.get(None) is None
    loss = qn.losses.BinaryCrossentropy(label_smoothing=0.1, name="b")
    again = qn.losses.deserialize(qn.losses.serialize(loss))
    assert again.get_config() == loss.get_config() == {
        "name": "b", "reduction": "sum_over_batch_size", "from_logits": False, "label_smoothing": 0.1, "axis": -1
    }  # fmt: skip
    assert qn.losses.get(qn.losses.serialize(qn.losses.mean_squared_error)) is qn.losses.mean_squared_error


def test_errors():
    with pytest.raises(ValueError, match="expected one of .*mse.*received 'msee'"):
        qn.losses.get("msee")
    with pytest.raises(ValueError, match="reduction: expected .* received 'average'"):
        qn.losses.MeanSquaredError(reduction="average")
    with pytest.raises(ValueError, match="axis"):
        qn.losses.categorical_crossentropy([[1.0]], [[1.0, 2.0]], axis="last")
    with pytest.raises((ValueError, IndexError), match="label|index|class"):
        qn.losses.sparse_categorical_crossentropy([5], [[0.5, 0.5]]).numpy()
    with pytest.raises(TypeError, match="has to define call"):
        qn.losses.Loss()([1.0], [1.0])
