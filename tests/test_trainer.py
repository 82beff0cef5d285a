"""compile, fit, evaluate, predict: numbers worked out by hand, all kinds of data, overridden steps, errors."""

import numpy as np
import pytest

import quernel as qn

X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]], "float32")
Y = np.array([[1.0], [3.0], [5.0], [7.0], [9.0]], "float32")


def line(loss="mse", metrics=("mse",), optimizer=None, **arguments):
    """y = w x + b with w = 0, b = 0 at first."""
    m = qn.Sequential([qn.layers.Input((1,)), qn.layers.Dense(1, kernel_initializer="zeros")])
    m.compile(optimizer or qn.optimizers.SGD(0.0), loss=loss, metrics=list(metrics), **arguments)
    return m


def test_losses_are_means_over_samples():
    m = line()
    expected = float((Y**2).mean())
    for batch_size in (1, 2, 3, 5, 32):
        assert m.evaluate(X, Y, batch_size=batch_size, verbose=0) == pytest.approx([expected, expected])
        history = m.fit(X, Y, batch_size=batch_size, epochs=2, verbose=0, validation_data=(X, Y)).history
        for name in ("loss", "mse", "val_loss", "val_mse"):
            assert history[name] == pytest.approx([expected] * 2)
    assert m.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx({"loss": expected, "mse": expected})
    assert line(metrics=()).evaluate(X, Y, verbose=0) == pytest.approx(expected)


def test_learns():
    m = line(optimizer=qn.optimizers.SGD(0.05))
    m.fit(X, Y, epochs=400, batch_size=5, verbose=0)
    np.testing.assert_allclose(m.predict(X, verbose=0), Y, atol=0.02)
    w, b = m.get_weights()
    assert w[0, 0] == pytest.approx(2, abs=0.02) and b[0] == pytest.approx(1, abs=0.05)


def test_one_step_by_hand():
    m = line(optimizer=qn.optimizers.SGD(0.1))
    m.fit(X[:2], Y[:2], batch_size=2, shuffle=False, verbose=0)
    # loss = mean (w x + b - y)^2, so dw = mean 2 (0 - y) x = -3, db = mean 2 (0 - y) = -4
    np.testing.assert_allclose(m.get_weights()[0], [[0.3]], rtol=1e-6)
    np.testing.assert_allclose(m.get_weights()[1], [0.4], rtol=1e-6)


def test_shuffling():
    seen = []

    class Spy(qn.Sequential):
        def train_step(self, data):
            seen.append(data[0].numpy().ravel().tolist())
            return super().train_step(data)

    def run(**arguments):
        seen.clear()
        m = Spy([qn.layers.Input((1,)), qn.layers.Dense(1)])
        m.compile("sgd", "mse", run_eagerly=True)
        m.fit(X, Y, batch_size=2, epochs=2, verbose=0, **arguments)
        return [sum(seen[:3], []), sum(seen[3:], [])]

    assert run(shuffle=False) == [[0, 1, 2, 3, 4]] * 2
    qn.utils.set_random_seed(1)
    first = run()
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in first)
    qn.utils.set_random_seed(1)
    assert run() == first
    assert [len(batch) for batch in seen] == [2, 2, 1] * 2


def test_permutation_is_one():
    from quernel.models.batches import permutation

    assert sorted(permutation(1000).tolist()) == list(range(1000))


def test_sample_and_class_weights():
    m = line(weighted_metrics=["mse"])
    w = np.array([1.0, 0.0, 0.0, 0.0, 2.0])
    expected = float((w[:, None] * Y**2).sum() / 5)
    values = m.evaluate(X, Y, sample_weight=w, verbose=0, return_dict=True)
    assert values["loss"] == pytest.approx(expected)
    assert values["mse"] == pytest.approx(float((Y**2).mean()))
    assert values["weighted_mse"] == pytest.approx(float((w[:, None] * Y**2).sum() / 3))
    labels = np.array([0, 1, 1, 0, 2])
    c = qn.Sequential([qn.layers.Input((1,)), qn.layers.Dense(3, "softmax", kernel_initializer="zeros")])
    c.compile(qn.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    for y in (labels, labels[:, None], labels.astype("uint8")):
        loss = c.fit(X, y, class_weight={0: 2.0, 2: 0.5}, verbose=0).history["loss"][0]
        assert loss == pytest.approx(np.log(3) * (2 + 1 + 1 + 2 + 0.5) / 5, rel=1e-5)
    c.compile(qn.optimizers.SGD(0.0), "categorical_crossentropy")
    loss = c.fit(X, qn.utils.to_categorical(labels), class_weight={0: 2.0, 2: 0.5}, verbose=0).history["loss"][0]
    assert loss == pytest.approx(np.log(3) * 6.5 / 5, rel=1e-5)
    with pytest.raises(ValueError, match="without sample_weight"):
        m.fit(X, Y, sample_weight=w, class_weight={0: 1.0}, verbose=0)
    with pytest.raises(ValueError, match="class_weight: expected labels of at least 0, received -1"):
        c.fit(X, labels - 1, class_weight={0: 2.0}, verbose=0)  # -1 would weigh as the last class


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"epochs": 1.5}, "epochs: expected an int of at least 0, received 1.5"),
        ({"epochs": -1}, "epochs: expected an int of at least 0, received -1"),
        ({"epochs": None}, "epochs: expected an int of at least 0, received None"),
        ({"initial_epoch": "a"}, "initial_epoch: expected an int of at least 0, received 'a'"),
        ({"validation_split": 0.2, "validation_freq": 0}, "validation_freq: expected an int of at least 1, received 0"),
        ({"validation_data": (X, Y), "validation_batch_size": 0}, "batch_size: expected an int of at least 1"),
        ({"validation_split": "a"}, "validation_split: expected a number between 0 and 1, received 'a'"),
        ({"class_weight": [1.0]}, r"class_weight: expected a dict .*, received \[1.0\]"),
        ({"class_weight": {-1: 1.0}}, "class_weight: expected a dict .*, received {-1: 1.0}"),
        ({"class_weight": {0: "a"}}, "class_weight: expected a dict .*, received {0: 'a'}"),
    ],
)
def test_bad_arguments_of_fit(arguments, words):
    m = line()
    before = m.get_weights()
    with pytest.raises(ValueError, match=words):
        m.fit(X, Y, verbose=0, **arguments)
    for a, b in zip(m.get_weights(), before):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("classes", "activation", "y", "kind"),
    [(1, "sigmoid", [[0], [1]], "Binary"), (3, "softmax", [0, 2], "Sparse"), (3, "softmax", [[0], [2]], "Sparse"),
     (3, "softmax", [[1, 0, 0], [0, 0, 1]], "Categorical")],
)  # fmt: skip
def test_accuracy_and_crossentropy_by_shape(classes, activation, y, kind):
    m = qn.Sequential([qn.layers.Input((1,)), qn.layers.Dense(classes, activation)])
    m.compile("sgd", "crossentropy", metrics=["accuracy", "acc"])
    m.fit(X[:2], np.array(y), verbose=0)
    first, second = m._compile_metrics.metrics
    assert type(first).__name__.startswith(kind) and type(second) is type(first)
    assert list(m.history.history) == ["acc", "accuracy", "loss"]


def test_regularizers_and_add_loss():
    class Penalty(qn.layers.Layer):
        def call(self, x):
            self.add_loss(qn.constant(0.25))
            return x

    m = qn.Sequential(
        [qn.layers.Input((1,)), Penalty(), qn.layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")]
    )
    m.compile("sgd", "mse")
    assert m.evaluate(X, X, verbose=0) == pytest.approx(0.26)
    m.compile(qn.optimizers.SGD(1.0), "mse")
    m.fit(X[:1], X[:1], verbose=0)
    assert m.get_weights()[0][0, 0] == pytest.approx(0.98)


def test_activity_regularizer_counts_per_sample():
    m = qn.Sequential([qn.layers.Input((1,)), qn.layers.Dense(1, kernel_initializer="ones", activity_regularizer="l1")])
    m.compile("sgd", "mse")
    assert m.evaluate(X, X, verbose=0) == pytest.approx(0.01 * float(X.mean()))


def two_outputs(kind):
    x = qn.layers.Input((1,))
    a = qn.layers.Dense(1, kernel_initializer="zeros", name="a")(x)
    b = qn.layers.Dense(1, kernel_initializer="ones", name="b")(x)
    return qn.Model(x, {"list": [a, b], "dict": {"a": a, "b": b}}[kind])


@pytest.mark.parametrize("kind", ["list", "dict"])
@pytest.mark.parametrize("given", ["list", "dict", "one"])
def test_several_outputs(kind, given):
    loss = {"list": ["mse", "mse"], "dict": {"a": "mse", "b": "mse"}, "one": "mse"}[given]
    weights = {"a": 1.0, "b": 0.5} if given == "dict" else [1.0, 0.5]
    m = two_outputs(kind)
    m.compile(qn.optimizers.SGD(0.0), loss=loss, loss_weights=weights, metrics={"a": ["mse"], "b": ["mse"]})
    y = [Y, Y] if kind == "list" else {"a": Y, "b": Y}
    la, lb = float((Y**2).mean()), float(((Y - X) ** 2).mean())
    values = m.evaluate(X, y, batch_size=2, verbose=0, return_dict=True)
    assert values == pytest.approx(
        {"loss": la + 0.5 * lb, "a_loss": la, "b_loss": lb, "a_mse": la, "b_mse": lb}, rel=1e-5
    )
    assert values == pytest.approx({k: v[0] for k, v in m.fit(X, y, verbose=0, batch_size=2).history.items()}, rel=1e-5)
    assert m.evaluate(X, y, verbose=0) == pytest.approx([la + 0.5 * lb, la, lb, la, lb], rel=1e-5)
    p = m.predict(X, batch_size=2, verbose=0)
    assert type(p).__name__ == kind
    np.testing.assert_allclose(p["b"] if kind == "dict" else p[1], X)


def test_loss_for_one_of_two_outputs():
    m = two_outputs("list")
    m.compile("sgd", loss=[None, "mse"])
    assert m.evaluate(X, [Y, Y], verbose=0) == pytest.approx(float(((Y - X) ** 2).mean()), rel=1e-5)
    assert m.evaluate(X, [Y], verbose=0) == pytest.approx(float(((Y - X) ** 2).mean()), rel=1e-5)


def test_several_inputs():
    a, b = qn.layers.Input((1,), name="a"), qn.layers.Input((1,), name="b")
    m = qn.Model([a, b], qn.layers.Add()([a, b]))
    m.compile("sgd", "mse")
    assert m.evaluate([X, X], 2 * X, batch_size=2, verbose=0) == 0.0
    assert m.evaluate({"a": X, "b": X}, 2 * X, verbose=0) == 0.0
    np.testing.assert_array_equal(m.predict([X, X], verbose=0), 2 * X)


def test_iterables_of_batches():
    batches = [(X[:2], Y[:2]), (X[2:], Y[2:])]
    m = line(metrics=())
    expected = float((Y**2).mean())
    assert m.fit(iter(batches), verbose=0).history["loss"] == pytest.approx([expected])
    generator = (batch for _ in range(3) for batch in batches)
    assert m.fit(generator, epochs=3, steps_per_epoch=2, verbose=0).history["loss"] == pytest.approx([expected] * 3)

    class Source:
        def __len__(self):
            return 2

        def __iter__(self):
            return iter(batches)

    history = m.fit(Source(), epochs=2, validation_data=Source(), verbose=0).history
    assert history["loss"] == history["val_loss"] == pytest.approx([expected] * 2)
    assert m.evaluate(Source(), verbose=0) == pytest.approx(expected)
    np.testing.assert_array_equal(m.predict(Source(), verbose=0), 0 * Y)
    with pytest.warns(UserWarning, match="data ended before 5 steps"):
        m.fit(iter(batches), steps_per_epoch=5, verbose=0)
    with pytest.raises(ValueError, match="y: expected None"):
        m.fit(iter(batches), Y)
    with pytest.warns(UserWarning, match="An epoch without data: an iterator gives its batches once"):
        assert len(m.fit(iter(batches), epochs=2, verbose=0).history["loss"]) == 1
    for call in (m.fit, m.evaluate, m.predict):
        with pytest.raises(ValueError, match="x: expected at least one batch of data, received none"):
            call(iter([]), verbose=0)
    with pytest.raises(ValueError, match="x: expected at least one batch of data, received none"):
        m.fit(iter([]), steps_per_epoch=2, verbose=0)


def test_steps_go_on_where_they_stopped():
    seen = []

    class Spy(qn.Sequential):
        def train_step(self, data):
            seen.append(int(data[0].numpy()[0, 0]))
            return super().train_step(data)

    m = Spy([qn.layers.Input((1,)), qn.layers.Dense(1)])
    m.compile("sgd", "mse", run_eagerly=True)
    m.fit(X, Y, batch_size=1, steps_per_epoch=2, epochs=3, shuffle=False, verbose=0)
    assert seen == [0, 1, 2, 3, 4, 0]
    m.fit(X, Y, batch_size=1, validation_data=(X, Y), validation_steps=2, verbose=0)


def test_validation_split():
    m = line(metrics=())
    history = m.fit(X, Y, validation_split=0.4, verbose=0).history
    assert history["loss"] == pytest.approx([float((Y[:3] ** 2).mean())])
    assert history["val_loss"] == pytest.approx([float((Y[3:] ** 2).mean())])
    with pytest.raises(ValueError, match="would be empty"):
        m.fit(X[:1], Y[:1], validation_split=0.1)
    history = m.fit(X, Y, epochs=4, initial_epoch=1, validation_data=(X, Y), validation_freq=2, verbose=0)
    assert history.epoch == [1, 2, 3] and len(history.history["val_loss"]) == 2


def test_batches_by_hand():
    m = line(optimizer=qn.optimizers.SGD(0.1))
    first = m.train_on_batch(X[:2], Y[:2])
    assert first == pytest.approx([5.0, 5.0])
    np.testing.assert_allclose(m.get_weights()[0], [[0.3]], rtol=1e-6)
    second = m.train_on_batch(X[:2], Y[:2], return_dict=True)["loss"]  # of this batch, not the mean with the first one
    third = m.test_on_batch(X[:2], Y[:2], return_dict=True)["loss"]
    assert third == pytest.approx(float(((m(X[:2]).numpy() - Y[:2]) ** 2).mean())) and third < second < 5.0
    np.testing.assert_allclose(m.predict_on_batch(X[:2]), m(X[:2]).numpy())


def test_overridden_train_step():
    class Custom(qn.Model):
        def __init__(self):
            super().__init__()
            self.dense = qn.layers.Dense(1)
            self.tracker = qn.metrics.Mean(name="mine")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with qn.GradientTape() as tape:
                loss = qn.ops.mean(qn.ops.square(self(x, training=True) - y))
            grads = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
            self.tracker.update_state(loss)
            return {"mine": self.tracker.result()}

    m = Custom()
    m.compile(qn.optimizers.SGD(0.05))
    history = m.fit(X, Y, epochs=5, verbose=0).history
    assert list(history) == ["mine"] and history["mine"][-1] < history["mine"][0]


def test_train_step_of_the_keras_guide():
    class Custom(qn.Sequential):
        def train_step(self, data):
            x, y = data
            with qn.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    m = Custom([qn.layers.Dense(1, kernel_initializer="zeros")])  # built by the first batch
    m.compile(qn.optimizers.SGD(0.0), "mse", metrics=["mse"])
    history = m.fit(X, Y, verbose=0).history
    assert history == {"loss": [pytest.approx(33.0)], "mse": [pytest.approx(33.0)]}


def test_overridden_compute_loss():
    class Custom(qn.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return qn.ops.mean(qn.ops.absolute(y - y_pred))

    m = Custom([qn.layers.Input((1,)), qn.layers.Dense(1, kernel_initializer="zeros")])
    m.compile("sgd")
    assert m.evaluate(X, Y, verbose=0) == 5.0


def test_training_flag_and_frozen_layers():
    m = qn.Sequential(
        [qn.layers.Input((4,)), qn.layers.BatchNormalization(), qn.layers.Dropout(0.5), qn.layers.Dense(1)]
    )
    m.compile("sgd", "mse")
    x = np.ones((6, 4), "float32")
    before = m.layers[0].moving_variance.numpy()
    m.evaluate(x, x[:, :1], verbose=0)
    np.testing.assert_array_equal(before, m.layers[0].moving_variance.numpy())
    m.fit(x, x[:, :1], verbose=0)
    np.testing.assert_allclose(m.layers[0].moving_variance.numpy(), 0.99 * before, rtol=1e-6)
    np.testing.assert_allclose(m.layers[0].moving_mean.numpy(), 0.01 * np.ones(4), rtol=1e-5)
    np.testing.assert_array_equal(m.predict(x, verbose=0), m.predict(x, verbose=0))
    kept = m.get_weights()
    m.trainable = False
    with pytest.warns(UserWarning, match="no trainable weights"):
        m.fit(x, x[:, :1], verbose=0)
    for a, b in zip(kept, m.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_data_of_other_kinds():
    m = line(metrics=())
    expected = float((Y**2).mean())
    for x, y in ((X.tolist(), Y.tolist()), (X.astype("float64"), Y.astype("int64")), (qn.constant(X), qn.constant(Y))):
        assert m.evaluate(x, y, verbose=0) == pytest.approx(expected)
    assert m.evaluate(X[::-1], Y[::-1], verbose=0) == pytest.approx(expected)
    assert m.predict(X.astype("float64"), verbose=0).dtype == np.float32


def test_nan_is_shown():
    m = line(metrics=())
    assert np.isnan(m.fit(X * np.nan, Y, verbose=0).history["loss"][0])


def test_errors():
    m = qn.Sequential([qn.layers.Input((1,)), qn.layers.Dense(1)])
    with pytest.raises(ValueError, match="fit: expected a compiled model"):
        m.fit(X, Y)
    with pytest.raises(ValueError, match="optimizer: expected one of .*adam.* received 'adm'"):
        m.compile("adm")
    with pytest.raises(ValueError, match="metrics: expected a list"):
        m.compile("sgd", "mse", metrics="accuracy")
    m.compile("sgd", "mse")
    with pytest.raises(ValueError, match="as many samples"):
        m.fit(X, Y[:3])
    with pytest.raises(ValueError, match="at least one sample"):
        m.evaluate(X[:0], Y[:0])
    with pytest.raises(ValueError, match="x: expected arrays or an iterable of batches, received None"):
        m.fit()
    with pytest.raises(ValueError, match="y: expected targets for the loss that compile was given, received None"):
        m.fit(X, verbose=0)
    with pytest.raises(ValueError, match="batch_size: expected an int"):
        m.fit(X, Y, batch_size=0)
    with pytest.raises(ValueError, match="one entry for each of the 1 outputs"):
        line(loss=["mse", "mse"]).fit(X, Y, verbose=0)
    m.compile("sgd")
    with pytest.raises(ValueError, match="expected a loss"):
        m.fit(X, Y, verbose=0)
    m.compile("sgd", loss={"nothing": "mse"})
    with pytest.raises(ValueError, match="expected keys among the outputs"):
        m.fit(X, Y, verbose=0)
