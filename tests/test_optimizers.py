"""Optimizers: updates worked out by hand, state, clipping, decay, constraints, configurations, errors."""

import numpy as np
import pytest

import quernel as qn


def step(optimizer, value, *gradients):
    v = qn.Variable(np.array(value, "float32"), name="v")
    for g in gradients:
        optimizer.apply_gradients([(qn.constant(np.array(g, "float32")), v)])
    return v.numpy()


def test_sgd():
    np.testing.assert_allclose(step(qn.optimizers.SGD(0.5), [1, 2], [1, 1]), [0.5, 1.5])
    grads = [[1.0, -2.0]] * 3
    w, v = np.array([1.0, 2.0]), np.zeros(2)
    for g in grads:
        v = 0.9 * v - 0.1 * np.array(g)
        w = w + v
    np.testing.assert_allclose(step(qn.optimizers.SGD(0.1, momentum=0.9), [1, 2], *grads), w, rtol=1e-6)
    w, v = np.array([1.0, 2.0]), np.zeros(2)
    for g in grads:
        v = 0.9 * v - 0.1 * np.array(g)
        w = w + 0.9 * v - 0.1 * np.array(g)
    np.testing.assert_allclose(step(qn.optimizers.SGD(0.1, momentum=0.9, nesterov=True), [1, 2], *grads), w, rtol=1e-6)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam(amsgrad):
    grads = [[1.0, -2.0], [0.1, 0.0], [3.0, 5.0]]
    w, m, v, hat = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2), np.zeros(2)
    for t, g in enumerate(np.array(grads), 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        hat = np.maximum(hat, v)
        alpha = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        w = w - alpha * m / (np.sqrt(hat if amsgrad else v) + 1e-7)
    optimizer = qn.optimizers.Adam(0.01, amsgrad=amsgrad)
    np.testing.assert_allclose(step(optimizer, [1, 2], *grads), w, rtol=2e-6)
    assert int(optimizer.iterations) == 3
    assert len(optimizer.variables) == (5 if amsgrad else 4)
    assert [v.name for v in optimizer.variables[:2]] == ["iteration", "learning_rate"]


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop(momentum, centered):
    w, v, a, m = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2), np.zeros(2)
    grads = [[1.0, -2.0], [0.1, 0.0], [3.0, 5.0]]
    for g in np.array(grads):
        v = 0.8 * v + 0.2 * g * g
        a = 0.8 * a + 0.2 * g
        m = momentum * m + 0.01 * g / np.sqrt(v - (a * a if centered else 0) + 1e-7)
        w = w - m
    optimizer = qn.optimizers.RMSprop(0.01, 0.8, momentum, centered=centered)
    np.testing.assert_allclose(step(optimizer, [1, 2], *grads), w, rtol=2e-6)
    assert len(optimizer.variables) == 3 + bool(momentum) + centered
    again = qn.optimizers.deserialize(qn.optimizers.serialize(optimizer))
    assert type(again) is qn.optimizers.RMSprop and again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="rho: expected a number from 0 to 1, received 2"):
        qn.optimizers.RMSprop(rho=2)


def test_a_model_compiled_without_an_optimizer_has_rmsprop():
    x, results = np.linspace(-1, 1, 40, dtype="float32").reshape(20, 2), []
    for eagerly in (True, False):
        qn.utils.set_random_seed(0)
        model = qn.Sequential([qn.layers.Input((2,)), qn.layers.Dense(1)])
        model.compile(loss="mse", run_eagerly=eagerly)
        assert type(model.optimizer) is qn.optimizers.RMSprop
        model.optimizer.learning_rate = 0.01
        losses = model.fit(x, x[:, :1], batch_size=5, epochs=30, verbose=0).history["loss"]
        assert losses[-1] < 0.1 * losses[0]
        results.append((losses, [w.tobytes() for w in model.get_weights()]))
    assert results[0] == results[1]


def test_learning_rate_is_a_variable():
    optimizer = qn.optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    np.testing.assert_allclose(step(optimizer, [1.0], [1.0]), [0.75])
    rate = qn.Variable(0.125, trainable=False)
    np.testing.assert_allclose(step(qn.optimizers.SGD(rate), [1.0], [1.0]), [0.875])


def test_clipping():
    np.testing.assert_allclose(step(qn.optimizers.SGD(1.0, clipvalue=0.5), [0, 0], [3, -0.25]), [-0.5, 0.25])
    np.testing.assert_allclose(step(qn.optimizers.SGD(1.0, clipnorm=1.0), [0, 0], [3, 4]), [-0.6, -0.8], rtol=1e-6)
    np.testing.assert_allclose(step(qn.optimizers.SGD(1.0, clipnorm=9.0), [0, 0], [3, 4]), [-3, -4], rtol=1e-6)
    a, b = qn.Variable([0.0]), qn.Variable([0.0])
    qn.optimizers.SGD(1.0, global_clipnorm=1.0).apply_gradients([(qn.constant([3.0]), a), (qn.constant([4.0]), b)])
    np.testing.assert_allclose([a.numpy()[0], b.numpy()[0]], [-0.6, -0.8], rtol=1e-6)
    with pytest.raises(ValueError, match="at most one of them"):
        qn.optimizers.SGD(clipnorm=1.0, clipvalue=1.0)


def test_weight_decay():
    optimizer = qn.optimizers.SGD(0.5, weight_decay=0.1)
    np.testing.assert_allclose(step(optimizer, [1.0], [0.0]), [0.95])
    a, b = qn.Variable([1.0], name="kernel"), qn.Variable([1.0], name="bias")
    optimizer = qn.optimizers.SGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    zero = qn.constant([0.0])
    optimizer.apply_gradients([(zero, a), (zero, b)])
    np.testing.assert_allclose([a.numpy()[0], b.numpy()[0]], [0.95, 1.0])


def test_constraints_follow_the_update():
    v = qn.Variable([1.0, 1.0])
    v.constraint = qn.constraints.NonNeg()
    qn.optimizers.SGD(1.0).apply_gradients([(qn.constant([3.0, 0.5]), v)])
    assert v.numpy().tolist() == [0.0, 0.5]


def test_values_read_before_stay():
    v = qn.Variable([1.0])
    before = v.value
    qn.optimizers.Adam().apply_gradients([(qn.constant([1.0]), v)])
    assert before.numpy() == 1.0 and v.numpy() != 1.0


def test_a_gradient_that_is_the_variable_itself():
    a, b = qn.Variable([1.0]), qn.Variable([2.0])
    qn.optimizers.SGD(0.5).apply_gradients([(b.value, a), (a.value, b)])
    assert [a.numpy()[0], b.numpy()[0]] == [0.0, 1.5]


def test_subsets_and_several_dtypes():
    a, b = qn.Variable([1.0]), qn.Variable(np.array([1.0]), dtype="float64")
    optimizer = qn.optimizers.Adam(0.5)
    optimizer.build([a, b])
    optimizer.apply([qn.constant([1.0]), qn.constant(np.array([1.0]))])
    np.testing.assert_allclose([a.numpy()[0], b.numpy()[0]], [0.5, 0.5], rtol=1e-5)
    with pytest.warns(UserWarning, match="No gradients"):
        optimizer.apply([None, qn.constant(np.array([1.0]))], [a, b])
    assert a.numpy() == np.float32(0.5) or abs(a.numpy()[0] - 0.5) < 1e-5
    assert b.numpy()[0] < 0.4


def test_gradients_may_be_arrays():
    v = qn.Variable([1.0, 2.0])
    optimizer = qn.optimizers.SGD(0.5)
    optimizer.apply_gradients([(np.array([1.0, 2.0]), v)])
    optimizer.apply_gradients([([1.0, 1.0], v)])
    np.testing.assert_array_equal(v.numpy(), [0.0, 0.5])


def test_errors():
    a, b = qn.Variable([1.0]), qn.Variable([1.0])
    g = qn.constant([1.0])
    optimizer = qn.optimizers.SGD()
    with pytest.raises(ValueError, match="build"):
        optimizer.apply([g])
    optimizer.apply([g], [a])
    with pytest.raises(ValueError, match="was built with, received 'variable"):
        optimizer.apply([g], [b])
    with pytest.raises(ValueError, match="at least one variable"):
        optimizer.apply([None], [a])
    with pytest.raises(ValueError, match="expected 1 gradients"):
        optimizer.apply([g, g])
    with pytest.raises(ValueError, match="learning_rate: expected"):
        qn.optimizers.SGD("fast")
    with pytest.raises(ValueError, match="momentum: expected"):
        qn.optimizers.SGD(momentum=2)
    with pytest.raises(ValueError, match="expected one of .*adam.* received 'adm'"):
        qn.optimizers.get("adm")


def test_configurations():
    optimizer = qn.optimizers.Adam(0.25, amsgrad=True, clipnorm=1.0)
    again = qn.optimizers.deserialize(qn.optimizers.serialize(optimizer))
    assert type(again) is qn.optimizers.Adam and again.get_config() == optimizer.get_config()
    assert qn.optimizers.get("SGD").get_config()["learning_rate"] == pytest.approx(0.01)
    assert qn.optimizers.get(optimizer) is optimizer
