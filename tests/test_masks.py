"""Masks: who makes them, which layers pass them on, and that masked positions count nothing, as in Keras."""

import json
import warnings

import numpy as np
import pytest

import quernel as qn

L = qn.layers


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mask_of(y):
    mask = getattr(y, "_keras_mask", None)
    return None if mask is None else mask.numpy()


IDS = np.array([[3, 1, 0, 0], [2, 0, 4, 0]])
KEPT = IDS != 0


def test_embedding():
    layer = L.Embedding(5, 3, name="e")
    y = layer(IDS)
    (table,) = layer.get_weights()
    np.testing.assert_array_equal(y.numpy(), table[IDS])
    assert [v.path for v in layer.weights] == ["e/embeddings"] and table.shape == (5, 3)
    assert np.abs(table).max() <= 0.05 and mask_of(y) is None and layer.compute_mask(IDS) is None
    for kind in ("int32", "int64", "uint8", "float32"):
        np.testing.assert_array_equal(layer(IDS.astype(kind)).numpy(), table[IDS])
    assert layer(np.zeros((2, 0), "int32")).shape == (2, 0, 3) and layer(np.int32(3)).shape == (3,)
    given = L.Embedding(5, 3, weights=table)
    assert given.built
    np.testing.assert_array_equal(given(IDS).numpy(), y.numpy())
    np.testing.assert_array_equal(L.Embedding(5, 3, weights=[table])(IDS).numpy(), y.numpy())
    with pytest.warns(UserWarning, match="input_length is not needed"):
        L.Embedding(5, 3, input_length=4)
    for bad in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="input_dim: expected an int of at least 1"):
            L.Embedding(bad, 3)
    with pytest.raises(ValueError, match=r"expected shape \(5, 3\)"):
        L.Embedding(5, 3, weights=table[:4])


@pytest.mark.parametrize("kind", ["int8", "int16", "uint16", "uint32", "uint64", "bool", "float64"])
def test_ids_of_any_type(kind):
    layer, ids = L.Embedding(5, 3, mask_zero=True), (IDS > 2).astype(kind)
    y = layer(ids)
    np.testing.assert_array_equal(y.numpy(), layer.get_weights()[0][(IDS > 2).astype(int)])
    assert mask_of(y).tolist() == (IDS > 2).tolist()
    np.testing.assert_array_equal(layer(ids[::-1, ::-2]).numpy(), y.numpy()[::-1, ::-2])
    top = {"uint32": 2**32 - 1, "uint64": 2**32 + 1, "float64": 2.0**40}.get(kind)
    if top:  # as int32 they would be -1, and 1: a row of the table
        with pytest.raises(IndexError, match="an id is out of range"):
            layer(np.array([top], kind))


def test_embedding_begins_as_its_initializer_says():
    layer = L.Embedding(5, 3, embeddings_initializer=qn.initializers.Constant(2.0), activity_regularizer="l1")
    np.testing.assert_array_equal(layer(IDS).numpy(), np.full((2, 4, 3), 2.0))
    assert float(layer.losses[0]) == pytest.approx(0.01 * 2 * 4 * 3 * 2 / 2, rel=1e-6)  # the mean over two samples


@pytest.mark.parametrize("layer, x", [
    (L.Embedding(5, 3, "ones", "l2", "non_neg", mask_zero=True, activity_regularizer="l1"), IDS),
    (L.Masking(-1.5), np.array([[[1.0, 2.0], [-1.5, -1.5]]], "float32")),
    (L.RepeatVector(3), normal(2, 4)),
    (L.Permute((2, 1)), normal(2, 4, 3)),
    (L.TimeDistributed(L.Dense(3, activation="tanh")), normal(2, 4, 3)),
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_configurations(layer, x):
    y = layer(x)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    for name in ("embeddings_initializer", "embeddings_regularizer", "embeddings_constraint", "activity_regularizer"):
        if name in config:
            assert type(getattr(again, name)) is type(getattr(layer, name)) is not type(None)
    other = again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), y.numpy())
    np.testing.assert_array_equal(mask_of(other), mask_of(y))
    assert len(again.losses) == len(layer.losses) and other.dtype == y.dtype


def test_embedding_gradients_add_up_where_ids_repeat():
    layer = L.Embedding(5, 2, embeddings_regularizer=qn.regularizers.L2(0.5), embeddings_constraint="non_neg")
    with qn.GradientTape() as tape:
        y = layer(np.array([[1, 1, 3]])) * qn.constant([[[1.0], [2.0], [4.0]]])
        loss = qn.ops.sum(y)
    assert tape.gradient(loss, layer.embeddings).numpy().tolist() == [[0, 0], [3, 3], [0, 0], [4, 4], [0, 0]]
    assert len(layer.losses) == 1 and layer.embeddings.constraint is not None


def test_a_sequential_gets_ids_as_integers():
    model = qn.Sequential([L.Embedding(5, 1), L.Flatten()])
    model(IDS)
    assert model.inputs[0].dtype == "int64"
    with pytest.raises(IndexError, match="received 16777217 at position"):  # float32 does not hold this id
        model(IDS + 16_777_214)


def test_masking():
    x = np.array([[[1, 2], [0, 0], [0, 3]], [[0, 0], [np.nan, 0], [0, 0]]], "float32")
    y = L.Masking()(x)
    assert mask_of(y).tolist() == [[True, False, True], [False, True, False]]
    np.testing.assert_array_equal(y.numpy(), x)
    x[x == 0] = -1
    y = L.Masking(mask_value=-1)(x)
    assert mask_of(y).tolist() == [[True, False, True], [False, True, False]]
    assert y.numpy()[0].tolist() == [[1, 2], [0, 0], [-1, 3]]
    for bad in ("0", None, True):
        with pytest.raises(ValueError, match="mask_value: expected a number"):
            L.Masking(bad)
    for value in (np.nanmin(x), np.int64(-1)):  # NumPy's numbers, as they come from data
        layer = L.Masking(value)
        assert mask_of(layer(x)).tolist() == mask_of(y).tolist()
        assert json.loads(json.dumps(layer.get_config()))["mask_value"] == -1


def test_permute_and_repeat_vector():
    x = normal(2, 3, 4, 5)
    np.testing.assert_array_equal(L.Permute((3, 1, 2))(x).numpy(), x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(L.RepeatVector(3)(x[:, 0, 0]).numpy(), np.repeat(x[:, None, 0, 0], 3, axis=1))
    assert json.loads(json.dumps(L.Permute(np.array([2, 1])).get_config()))["dims"] == [2, 1]
    for dims in ((0, 1), (1, 3), (2, 2), 1, (2.0, 1.0), (True, 2), "21"):
        with pytest.raises(ValueError, match="dims: expected the numbers from 1"):
            L.Permute(dims)
    with pytest.raises(ValueError, match="n: expected an int of at least 1"):
        L.RepeatVector(0)
    with pytest.raises(ValueError, match="ndim=2"):
        L.RepeatVector(2)(x)


def test_time_distributed_is_the_layer_at_every_step():
    x = normal(2, 4, 5, 3)
    for inner in (L.Dense(6, activation="relu"), L.Conv1D(2, 2) if hasattr(L, "Conv1D") else L.Flatten()):
        layer = L.TimeDistributed(inner, name="td")
        y = layer(x)
        for t in range(4):
            np.testing.assert_array_equal(y.numpy()[:, t], inner(x[:, t]).numpy())
        assert layer(x[:, :0]).shape == (2, 0, *y.shape[2:])
    assert [v.path for v in L.TimeDistributed(L.Dense(2, name="d"), name="t").weights] == []
    layer = L.TimeDistributed(L.Dense(2, name="d"), name="t")
    layer(x)
    assert [v.path for v in layer.weights] == ["t/d/kernel", "t/d/bias"]
    with pytest.raises(ValueError, match="layer: expected a Layer"):
        L.TimeDistributed("dense")
    with pytest.raises(ValueError, match="at least 3 axes"):
        L.TimeDistributed(L.Dense(2))(normal(2, 3))
    with pytest.raises(ValueError, match=r"mask: expected shape \(2, 4\)"):
        layer(x, mask=qn.constant(np.ones((2, 3), bool)))
    with pytest.raises(TypeError, match="mask: expected an array or a Tensor"):
        layer(x, mask=[[True] * 4] * 2)
    several = L.TimeDistributed(L.LSTM(2, return_state=True))
    for one in (x, qn.Input((4, 5, 3))):
        with pytest.raises(ValueError, match="expected a layer with one output"):
            several(one)


def test_time_distributed_goes_step_by_step_where_samples_meet():
    x = normal(3, 4, 2)
    inner = L.BatchNormalization(momentum=0.5)
    y = L.TimeDistributed(inner)(x, training=True).numpy()
    alone = L.BatchNormalization(momentum=0.5)
    for t in range(4):
        np.testing.assert_array_equal(y[:, t], alone(x[:, t], training=True).numpy())
    np.testing.assert_array_equal(inner.moving_mean.numpy(), alone.moving_mean.numpy())

    class Centered(L.Layer):
        def call(self, x):
            return x - qn.ops.mean(x, axis=0, keepdims=True)

    def centered(x):
        return x - qn.ops.mean(x, axis=0, keepdims=True)

    for inner in (Centered(), L.Activation(centered), L.Dense(2, centered, kernel_initializer="identity")):
        y = L.TimeDistributed(inner)(x).numpy()
        np.testing.assert_allclose(y, x - x.mean(0, keepdims=True), atol=1e-6)
    y = L.TimeDistributed(L.Softmax(axis=0))(x).numpy()
    np.testing.assert_allclose(y.sum(0), np.ones((4, 2)), rtol=1e-6)
    y = L.TimeDistributed(L.Dropout(0.5, noise_shape=(1, 64), seed=1))(np.ones((3, 4, 64), "float32"), training=True)
    np.testing.assert_array_equal(y.numpy(), np.repeat(y.numpy()[:1], 3, axis=0))  # samples share what is dropped
    assert not any(np.array_equal(y.numpy()[0, t], y.numpy()[0, 0]) for t in (1, 2, 3))
    inner = L.GRU(2, stateful=True)
    y = L.TimeDistributed(inner)(normal(3, 4, 5, 2)).numpy()
    inner.reset_state()
    for t in range(4):
        np.testing.assert_array_equal(inner(normal(3, 4, 5, 2)[:, t]).numpy(), y[:, t])


def test_time_distributed_hands_each_step_its_mask():
    class Seen(L.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True
            self.seen = []

        def call(self, x, mask=None):
            self.seen.append(mask)
            return x * 1

    inner = Seen()
    y = L.TimeDistributed(inner)(L.Masking()(np.eye(3, dtype="float32")[None] * [[[1], [0], [1]]]))
    assert [m.numpy().tolist() for m in inner.seen] == [[True], [False], [True]]
    assert mask_of(y).tolist() == [[True, False, True]]


@pytest.mark.parametrize("between", [False, True])
def test_a_step_counts_where_anything_in_it_does(between):
    """Words make sentences, sentences a text: what pads either changes nothing."""
    ids = np.array([[[1, 2, 0], [3, 0, 0], [0, 0, 0]], [[1, 1, 1], [2, 2, 0], [4, 0, 0]]])
    i = L.Input((None, None), dtype="int32")
    h = L.Embedding(5, 4, mask_zero=True, embeddings_initializer="ones")(i)
    if between:
        h = L.TimeDistributed(L.GRU(4, return_sequences=True))(h)
        assert h._keras_mask.shape == (None, None, None)
    h = L.TimeDistributed(L.LSTM(3))(h)
    assert h._keras_mask.shape == (None, None)
    h = L.TimeDistributed(L.Dense(3))(h)
    model = qn.Model(i, L.SimpleRNN(2)(h))
    y = model(ids).numpy()
    for text, (sentences, words) in enumerate([(2, 2), (3, 3)]):
        np.testing.assert_array_equal(model(ids[text : text + 1, :sentences, :words]).numpy(), y[text : text + 1])
    y = L.TimeDistributed(L.Flatten())(with_mask(normal(2, 2, 3, 1), [[[0, 1, 0], [0, 0, 0]], [[1, 1, 1], [1, 0, 0]]]))
    assert mask_of(y).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    "layer",
    [L.Dense(2), L.Dropout(0.5), L.Activation("relu"), L.ReLU(), L.Softmax(), L.BatchNormalization(), L.Rescaling(2.0),
     L.TimeDistributed(L.Dense(2))],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_these_layers_pass_a_mask_on(layer):
    y = layer(L.Embedding(5, 3, mask_zero=True)(IDS), training=True)
    assert mask_of(y).tolist() == KEPT.tolist()


def test_softmax_leaves_masked_steps_out_of_sums_over_steps_only():
    x = with_mask(normal(2, 3, 4), [[True, False, True], [True, True, True]])
    np.testing.assert_array_equal(L.Softmax()(x).numpy(), L.Softmax()(x.numpy()).numpy())
    y = L.Softmax(axis=1)(x).numpy()
    assert not y[0, 1].any()
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_leaves_out_what_is_masked(axis):
    mask = np.array([[True, False, True], [True, True, False]])
    x = normal(2, 3, 4)
    x[~mask] = np.nan
    layer = L.BatchNormalization(axis=axis, momentum=0.5)
    y = layer(with_mask(x, mask), training=True)
    assert mask_of(y).tolist() == mask.tolist()
    kept = np.moveaxis(np.where(mask[..., None], x, np.nan), axis, -1).reshape(-1, x.shape[axis]).astype("float64")
    mean, variance = np.nanmean(kept, 0), np.nanvar(kept, 0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.5 * mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.5 + 0.5 * variance, rtol=1e-5)
    shape = [1, 1, 1]
    shape[axis] = -1
    expected = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-3)
    np.testing.assert_allclose(y.numpy()[mask], expected[mask], rtol=1e-4, atol=1e-5)
    plain = L.BatchNormalization(axis=axis, momentum=0.5)
    full = plain(with_mask(normal(2, 3, 4), np.ones((2, 3), bool)), training=True).numpy()
    other = L.BatchNormalization(axis=axis, momentum=0.5)(normal(2, 3, 4), training=True).numpy()
    np.testing.assert_allclose(full, other, rtol=1e-4, atol=1e-5)
    nothing = layer(with_mask(x, np.zeros((2, 3), bool)), training=True).numpy()
    assert np.isfinite(nothing[mask]).all() and np.isfinite(layer.moving_mean.numpy()).all()
    with pytest.raises(ValueError, match="mask: expected one axis less"):
        layer(x, mask=qn.constant(np.ones(2, bool)), training=True)


def test_other_layers_warn():
    y = L.Embedding(5, 3, mask_zero=True)(IDS)
    for layer in (L.Flatten(), L.Permute((2, 1)), L.Reshape((12,))):
        with pytest.warns(UserWarning, match="does not pass it on"):
            assert mask_of(layer(y)) is None


def with_mask(x, mask):
    tensor = qn.constant(x)
    tensor._keras_mask = qn.constant(np.array(mask))
    return tensor


def test_merging_layers_join_masks():
    a, b = normal(1, 3, 2), normal(1, 3, 2, seed=1)
    first, second = [[True, True, False]], [[True, False, False]]
    both = [with_mask(a, first), with_mask(b, second)]
    for layer in (L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum(), L.Concatenate()):
        assert mask_of(layer(both)).tolist() == first
        half = mask_of(layer([both[1], b]))
        assert half is None if type(layer) is not L.Concatenate else half.tolist() == [[True] * 3]
        assert mask_of(layer([a, b])) is None
    assert mask_of(L.Concatenate(axis=1)(both)).tolist() == [[*first[0], *second[0]]]
    assert mask_of(L.Concatenate(axis=1)([a, both[1]])).tolist() == [[True, True, True, *second[0]]]
    top = L.Maximum()(both).numpy()
    np.testing.assert_array_equal(top[0], [np.maximum(a, b)[0, 0], a[0, 1], a[0, 2]])
    bottom = L.Minimum()([both[1], both[0]]).numpy()
    np.testing.assert_array_equal(bottom[0, :2], [np.minimum(a, b)[0, 0], a[0, 1]])
    product = L.Multiply()(both).numpy()
    np.testing.assert_array_equal(product[0], [a[0, 0] * b[0, 0], a[0, 1], [0, 0]])


def test_masked_positions_reach_loss_and_metrics_as_weights():
    target = np.array([[1, 2, 0, 0], [3, 0, 1, 0]])
    i = L.Input((4,), dtype="int32")
    h = L.Dense(3)(L.Dropout(0.0)(L.Embedding(5, 3, mask_zero=True)(i)))
    h = L.Add()([L.Activation("tanh")(h), L.TimeDistributed(L.Dense(3))(h)])
    model = qn.Model(i, L.Dense(4, activation="softmax")(h))
    p = model.predict(IDS, verbose=0).astype("float64")
    at = np.take_along_axis(p, target[..., None], -1)[..., 0]
    right = p.argmax(-1) == target
    for kept, loss in (
        (KEPT, "sparse_categorical_crossentropy"),
        (KEPT & (target != 2), qn.losses.SparseCategoricalCrossentropy(ignore_class=2)),
    ):
        model.compile("sgd", loss, metrics=["accuracy"])
        found = model.evaluate(IDS, target, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(-np.log(at[kept]).mean(), rel=1e-5)
        assert found["accuracy"] == pytest.approx(right[KEPT].mean(), rel=1e-6)
    weights = np.array([[1.0, 2.0, 5.0, 5.0], [3.0, 5.0, 0.5, 5.0]], "float32")
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    found = model.evaluate(IDS, target, sample_weight=weights, verbose=0, return_dict=True)
    assert found["accuracy"] == pytest.approx((right * weights)[KEPT].sum() / weights[KEPT].sum(), rel=1e-6)
    assert found["loss"] == pytest.approx((-np.log(at) * weights)[KEPT].sum() / KEPT.sum(), rel=1e-5)


@pytest.mark.parametrize("t", [2, 3])
def test_weights_of_samples_weigh_all_their_positions(t):
    """With a mask as without one, also where there are as many steps as samples."""
    target, p, weights = normal(3, t, 2), normal(3, t, 2, seed=1), np.array([1.0, 0.5, 3.0], "float32")
    kept = np.arange(t) < np.array([[2], [1], [t]])
    error = ((p.astype("float64") - target) ** 2).mean(-1)
    for prediction, counts in ((p, np.ones((3, t), bool)), (with_mask(p, kept), kept)):
        for w in (weights, weights[:, None]):
            loss = float(qn.losses.MeanSquaredError()(target, prediction, sample_weight=w))
            assert loss == pytest.approx((error * weights[:, None])[counts].sum() / counts.sum(), rel=1e-6)
            metric = qn.metrics.MeanSquaredError()
            metric.update_state(target, prediction, sample_weight=w)
            whole = (weights[:, None] * counts).sum()
            assert float(metric.result()) == pytest.approx((error * weights[:, None])[counts].sum() / whole, rel=1e-6)
        for bad in (np.ones(t + 2, "float32"), np.ones((3, t + 2), "float32")):
            with pytest.raises(ValueError, match=rf"sample_weight: expected.*\(3,\).*\(3, {t}\), received shape"):
                qn.losses.MeanSquaredError()(target, prediction, sample_weight=bad)


def test_what_is_masked_changes_no_weight():
    target = np.array([[1, 2, 0, 0], [3, 0, 1, 0]])
    results = []
    for other in (0, 3):
        qn.utils.set_random_seed(1)
        model = qn.Sequential([L.Embedding(5, 3, mask_zero=True), L.Dense(4, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        y = np.where(KEPT, target, other)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            history = model.fit(np.tile(IDS, (8, 1)), np.tile(y, (8, 1)), batch_size=4, epochs=3, verbose=0)
        results.append((history.history, [w.tobytes() for w in model.get_weights()]))
    assert results[0] == results[1]


def test_masked_training_is_the_same_in_plans_and_in_python():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (40, 5)), rng.integers(0, 4, (40, 5))
    results = []
    for eagerly in (False, True):
        qn.utils.set_random_seed(1)
        i = L.Input((5,), dtype="int32")
        h = L.Embedding(9, 6, mask_zero=True)(i)
        h = L.Maximum()([h, L.Multiply()([h, L.TimeDistributed(L.Dense(6))(h)])])
        h = L.Concatenate()([L.Masking()(h), L.Dropout(0.3, seed=2)(h)])
        model = qn.Model(i, L.Dense(4)(h))
        model.compile(
            qn.optimizers.Adam(0.01, global_clipnorm=0.5),
            qn.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1),
            metrics=["accuracy"],
            run_eagerly=eagerly,
        )
        history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
        results.append((history, [w.tobytes() for w in model.get_weights()]))
    assert results[0] == results[1]
