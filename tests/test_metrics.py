"""Metrics: values worked out by hand, weights, partial batches, precision of long sums, state, names."""

import numpy as np
import pytest

import quernel as qn


def test_mean():
    m = qn.metrics.Mean()
    assert float(m.result()) == 0.0
    m.update_state([1, 3, 5, 7])
    m.update_state(2.0)
    assert float(m.result()) == pytest.approx(18 / 5)
    m.reset_state()
    m.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    assert float(m.result()) == 2.0
    m.update_state(6.0, sample_weight=2)
    assert float(m.result()) == 4.0
    m.reset_state()
    m.update_state([[1.0, 3.0], [5.0, 7.0]])
    assert float(m.result()) == 4.0
    m.reset_state()
    m.update_state([[1.0, 3.0], [5.0, 7.0]], sample_weight=[1.0, 3.0])
    assert float(m.result()) == 5.0


def test_mean_does_not_lose_small_values():
    m = qn.metrics.Mean()
    m.update_state(2.0**24, sample_weight=1)
    for _ in range(64):
        m.update_state(qn.constant(0.5), sample_weight=1)
    assert float(m.total) == 2.0**24 + 32
    plain = np.float32(2.0**24)
    for _ in range(64):
        plain += np.float32(0.5)
    assert plain == 2.0**24  # what an ordinary float32 sum does


def test_accuracies():
    assert float(qn.metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])) == 0.75
    assert float(qn.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])) == 0.75
    assert float(qn.metrics.BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]])) == 0.75
    assert float(qn.metrics.BinaryAccuracy(threshold=0.7)([1, 1, 0, 0], [[0.98], [1], [0], [0.6]])) == 1.0
    assert float(qn.metrics.BinaryAccuracy()([[0], [1]], [[0.5], [0.6]])) == 1  # the threshold itself counts as 0
    p = [[0.1, 0.6, 0.3], [0.05, 0.95, 0]]
    assert float(qn.metrics.SparseCategoricalAccuracy()([2, 1], p)) == 0.5
    assert float(qn.metrics.SparseCategoricalAccuracy()([[2], [1]], p)) == 0.5
    assert float(qn.metrics.SparseCategoricalAccuracy()(np.array([2, 1], "uint8"), p)) == 0.5
    assert float(qn.metrics.CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], p)) == 0.5
    weighted = qn.metrics.SparseCategoricalAccuracy()
    assert float(weighted([2, 1], p, sample_weight=[0.7, 0.3])) == pytest.approx(0.3)
    images = qn.metrics.SparseCategoricalAccuracy()
    assert float(images(np.zeros((2, 3), int), np.eye(2, dtype="float32")[np.array([[0, 0, 1], [1, 0, 0]])])) == (
        pytest.approx(4 / 6)
    )


def test_partial_batches_count_by_samples():
    m = qn.metrics.SparseCategoricalAccuracy()
    m.update_state([0, 0, 0], [[1.0, 0.0]] * 3)
    m.update_state([0], [[0.0, 1.0]])
    assert float(m.result()) == 0.75


def test_mean_squared_error():
    m = qn.metrics.MeanSquaredError()
    m.update_state([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 3.0]])
    assert float(m.result()) == 2.75
    m.reset_state()
    assert float(m.result()) == 0.0 and all(float(v) == 0 for v in m.variables)


def test_masks_are_weights():
    y_pred = qn.constant([[1.0], [2.0], [3.0]])
    y_pred._keras_mask = qn.constant([True, False, True])
    m = qn.metrics.MeanSquaredError()
    m.update_state([[0.0]] * 3, y_pred)
    assert float(m.result()) == 5.0


def test_state_is_in_variables():
    class Two(qn.metrics.Metric):
        def __init__(self):
            super().__init__(name="two")
            self.inner = qn.metrics.Mean()
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, x):
            self.inner.update_state(x)
            self.count.assign_add(1.0)

        def result(self):
            return {"mean": self.inner.result(), "count": self.count.value}

    m = Two()
    assert {k: float(v) for k, v in m([2.0, 4.0]).items()} == {"mean": 3.0, "count": 1.0}
    assert [v.path for v in m.variables[:1]] == ["two/count"] and len(m.variables) == 1 + len(m.inner.variables)
    m.reset_state()
    assert all(float(v) == 0.0 for v in m.variables)
    assert not any(v.trainable for v in m.variables)


def test_names_and_configurations():
    assert isinstance(qn.metrics.get("mse"), qn.metrics.MeanSquaredError)
    assert isinstance(qn.metrics.get("SparseCategoricalAccuracy"), qn.metrics.SparseCategoricalAccuracy)
    assert isinstance(qn.metrics.get("sparse_categorical_accuracy"), qn.metrics.SparseCategoricalAccuracy)
    m = qn.metrics.BinaryAccuracy(name="b", threshold=0.25)
    again = qn.metrics.deserialize(qn.metrics.serialize(m))
    assert again.get_config() == m.get_config() == {"name": "b", "dtype": "float32", "threshold": 0.25}


def test_errors():
    with pytest.raises(ValueError, match="threshold: expected .* received 2"):
        qn.metrics.BinaryAccuracy(threshold=2)
    with pytest.raises(ValueError, match="expected one of .* received 'accurracy'"):
        qn.metrics.get("accurracy")

    class Forgot(qn.metrics.Metric):
        def __init__(self):
            self.total = qn.Variable(0.0)

    with pytest.raises(RuntimeError, match="super"):
        Forgot()
