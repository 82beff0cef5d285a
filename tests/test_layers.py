"""Layers: values worked out by hand or by NumPy, weights and their order, shapes, configurations, errors."""

import math
from functools import partial

import numpy as np
import pytest

import quernel as qn

L = qn.layers


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


EVERY = [
    (L.Dense, {"units": 3}, (2, 4), (2, 3)),
    (L.Dense, {"units": 3, "activation": "relu", "use_bias": False}, (2, 5, 4), (2, 5, 3)),
    (L.Dense, {"units": 3, "activation": "softmax", "kernel_regularizer": "l2", "bias_constraint": "non_neg"},
     (2, 4), (2, 3)),
    (L.Conv2D, {"filters": 6, "kernel_size": 3}, (2, 7, 6, 3), (2, 5, 4, 6)),
    (L.Conv2D, {"filters": 6, "kernel_size": (3, 2), "strides": 2, "padding": "same", "activation": "tanh"},
     (2, 7, 6, 3), (2, 4, 3, 6)),
    (L.Conv2D, {"filters": 6, "kernel_size": 3, "dilation_rate": 2, "groups": 3, "activation": "gelu"},
     (2, 7, 6, 3), (2, 3, 2, 6)),
    (L.DepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 2, "activation": "relu"}, (2, 7, 6, 3), (2, 5, 4, 6)),
    (L.MaxPooling2D, {}, (2, 7, 6, 3), (2, 3, 3, 3)),
    (L.MaxPooling2D, {"pool_size": (3, 2), "strides": 1, "padding": "same"}, (2, 7, 6, 3), (2, 7, 6, 3)),
    (L.AveragePooling2D, {"pool_size": 2, "padding": "same"}, (2, 7, 6, 3), (2, 4, 3, 3)),
    (L.GlobalAveragePooling2D, {}, (2, 7, 6, 3), (2, 3)),
    (L.GlobalAveragePooling2D, {"keepdims": True}, (2, 7, 6, 3), (2, 1, 1, 3)),
    (L.GlobalMaxPooling2D, {}, (2, 7, 6, 3), (2, 3)),
    (L.BatchNormalization, {}, (4, 3), (4, 3)),
    (L.BatchNormalization, {"axis": 1, "center": False, "momentum": 0.5}, (4, 3, 5, 2), (4, 3, 5, 2)),
    (L.Flatten, {}, (2, 3, 4), (2, 12)),
    (L.Reshape, {"target_shape": (4, -1)}, (2, 3, 4), (2, 4, 3)),
    (L.Activation, {"activation": "silu"}, (2, 3), (2, 3)),
    (L.ReLU, {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.5}, (2, 3), (2, 3)),
    (L.Softmax, {"axis": 1}, (2, 3, 4), (2, 3, 4)),
    (L.Masking, {"mask_value": 0.5}, (2, 3, 4), (2, 3, 4)),
    (L.Permute, {"dims": (2, 1)}, (2, 3, 4), (2, 4, 3)),
    (L.RepeatVector, {"n": 3}, (2, 4), (2, 3, 4)),
    (L.TimeDistributed, {"layer": L.Dense(3)}, (2, 5, 4), (2, 5, 3)),
    (L.Rescaling, {"scale": 2.0, "offset": [0.5, 1.0, -1.0]}, (2, 3), (2, 3)),
    (L.Dropout, {"rate": 0.5, "noise_shape": (None, 1), "seed": 1}, (2, 3), (2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "arguments", "shape", "expected"), EVERY, ids=[f"{c.__name__}-{i}" for i, (c, *_) in enumerate(EVERY)]
)
def test_every_layer(cls, arguments, shape, expected):
    layer = cls(**arguments)
    x = normal(*shape)
    symbolic = layer(qn.KerasTensor((None, *shape[1:])))
    assert symbolic.shape == (None, *expected[1:]) and symbolic.dtype == "float32"
    assert layer.compute_output_shape(shape) == expected
    for training in (False, True):
        y = layer(x, training=training)
        assert y.shape == expected and y.dtype == "float32" and np.isfinite(y.numpy()).all()
    again = cls.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), layer(x).numpy())
    assert layer(x.astype("float64")).dtype == "float32"
    variable = qn.Variable(x)
    with qn.GradientTape() as tape:
        loss = qn.ops.sum(qn.ops.square(layer(variable, training=True)))
    grads = tape.gradient(loss, [variable, *layer.trainable_weights])
    assert all(g is not None and g.shape == v.shape for g, v in zip(grads, [variable, *layer.trainable_weights]))


def test_integers_are_inputs_too():
    x = np.arange(12, dtype="uint8").reshape(1, 2, 2, 3)
    for layer in (
        L.Conv2D(2, 1),
        L.MaxPooling2D(),
        L.BatchNormalization(),
        L.Dense(2),
        L.ReLU(),
        L.GlobalMaxPooling2D(),
    ):
        np.testing.assert_array_equal(layer(x).numpy(), layer(x.astype("float32")).numpy())
    assert L.Flatten()(x).dtype == "uint8" and L.Reshape((12,))(x).dtype == "uint8"


def test_rescaling():
    x = np.array([[0, 128, 255]], "uint8")
    np.testing.assert_allclose(L.Rescaling(1 / 255)(x).numpy(), x / 255, rtol=1e-6)
    y = L.Rescaling(scale=[1, 2, 3], offset=(0.5, 0, -1))(x)
    assert y.numpy().tolist() == [[0.5, 256.0, 764.0]]
    for bad in ("2", True, [1, None]):
        with pytest.raises(ValueError, match="scale: expected a number or a list of numbers"):
            L.Rescaling(bad)


def test_uint8_images_are_gathered_as_they_are_and_scaled_in_the_step():
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), "uint8")
    labels = np.arange(40) % 3
    losses = []
    for x, first in ((images, [L.Rescaling(1 / 255)]), (images.astype("float32") * np.float32(1 / 255), [])):
        qn.utils.set_random_seed(4)
        model = qn.Sequential([L.Input((6, 6, 1)), *first, L.Flatten(), L.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        losses.append(model.fit(x, labels, batch_size=8, epochs=3, verbose=0).history["loss"])
    assert losses[0] == losses[1]


def test_dense():
    layer = L.Dense(2, activation="relu", name="d")
    x = normal(3, 4)
    y = layer(x).numpy()
    w, b = layer.get_weights()
    assert w.shape == (4, 2) and b.shape == (2,) and not b.any()
    assert [v.path for v in layer.weights] == ["d/kernel", "d/bias"]
    np.testing.assert_allclose(y, np.maximum(x @ w, 0), rtol=1e-5, atol=1e-6)
    layer.set_weights([w, [1.0, -1.0]])
    np.testing.assert_allclose(layer(x).numpy(), np.maximum(x @ w + [1, -1], 0), rtol=1e-5, atol=1e-6)
    deep = L.Dense(2, activation="sigmoid")
    z = deep(normal(2, 3, 4))
    assert z.shape == (2, 3, 2) and z._keras_logits.shape == (2, 3, 2)
    assert L.Dense(2, "softmax")(x)._keras_logits.shape == (3, 2)


def test_conv():
    layer = L.Conv2D(5, (2, 3), padding="valid", name="c")
    x = normal(2, 4, 5, 3)
    layer(x)
    w, b = layer.get_weights()
    assert w.shape == (2, 3, 3, 5) and b.shape == (5,) and [v.path for v in layer.weights] == ["c/kernel", "c/bias"]
    b = normal(5, seed=1)
    layer.set_weights([w, b])
    expected = np.zeros((2, 3, 3, 5))
    for i in range(3):
        for j in range(3):
            expected[:, i, j] = np.tensordot(x[:, i : i + 2, j : j + 3], w, 3) + b
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    depthwise = L.DepthwiseConv2D(2, depth_multiplier=2)
    y = depthwise(x).numpy()
    w = depthwise.get_weights()[0]
    assert w.shape == (2, 2, 3, 2) and depthwise.bias.shape == (6,)
    np.testing.assert_allclose(y[0, 0, 0, 5], (x[0, :2, :2, 2] * w[:, :, 2, 1]).sum(), rtol=1e-4, atol=1e-5)


def test_batch_normalization():
    layer = L.BatchNormalization(name="n")
    x = normal(50, 3) * [1, 2, 3] + [0, 5, -5]
    x = x.astype("float32")
    y = layer(x, training=True).numpy()
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), rtol=1e-4, atol=1e-4)
    assert [v.name for v in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert len(layer.trainable_weights) == 2
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.01 * x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.99 + 0.01 * x.var(0), rtol=1e-4)
    moving = layer.moving_mean.numpy()
    inference = layer(x).numpy()
    expected = (x - layer.moving_mean.numpy()) / np.sqrt(layer.moving_variance.numpy() + 1e-3)
    np.testing.assert_allclose(inference, expected, rtol=1e-4, atol=1e-4)
    layer.trainable = False
    np.testing.assert_array_equal(layer(x, training=True).numpy(), inference)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), moving)
    first = L.BatchNormalization(axis=1)
    z = normal(6, 3, 4)
    np.testing.assert_allclose(first(z, training=True).numpy().std((0, 2)), 1, atol=1e-2)
    assert first.gamma.shape == (3,)


def test_dropout():
    layer = L.Dropout(0.25, seed=3)
    x = np.ones((100, 100), "float32")
    assert layer(x).numpy().all()
    a, b = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert (a != b).any() and set(np.unique(a)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (a > 0).mean() == pytest.approx(0.75, abs=0.02)
    np.testing.assert_array_equal(L.Dropout(0.25, seed=3)(x, training=True).numpy(), a)
    assert not L.Dropout(1.0)(x, training=True).numpy().any()
    assert layer.weights == [] and len(layer.variables) == 1
    v = qn.Variable(x)
    with qn.GradientTape() as tape:
        y = layer(v, training=True)
    np.testing.assert_array_equal(tape.gradient(y, v).numpy(), y.numpy())


def test_merging():
    a, b = normal(2, 3), normal(2, 3, seed=1)
    for layer, expected in (
        (L.Add(), a + b), (L.Subtract(), a - b), (L.Multiply(), a * b), (L.Average(), (a + b) / 2),
        (L.Maximum(), np.maximum(a, b)), (L.Minimum(), np.minimum(a, b)), (L.Concatenate(), np.hstack([a, b])),
        (L.Concatenate(axis=0), np.vstack([a, b])),
    ):  # fmt: skip
        np.testing.assert_allclose(layer([a, b]).numpy(), expected, rtol=1e-6)
        x = [qn.KerasTensor((None, 3)), qn.KerasTensor((None, 3))]
        assert layer(x).shape == (None, *expected.shape[1:])
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    np.testing.assert_allclose(L.Add()([a, b, a]).numpy(), a + b + a, rtol=1e-6)
    assert L.Add()([normal(2, 4, 3), a]).shape == (2, 4, 3)
    with pytest.raises(ValueError, match="Add: expected a list"):
        L.Add()(a)
    with pytest.raises(ValueError, match="same number of samples"):
        L.Add()([a, normal(3, 3)])
    with pytest.raises(ValueError, match="Subtract: expected 2 inputs"):
        L.Subtract()([a, b, a])
    with pytest.raises(ValueError):
        L.Concatenate()([a, normal(3, 3)])


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "gelu": lambda z: z * np.array([1 + math.erf(v / math.sqrt(2)) for v in z.ravel()]).reshape(z.shape) / 2,
    "of one's own": lambda z: z * 3.0,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "layer, shape",
    [
        (partial(L.Dense, 3), (4, 5)),
        (partial(L.Conv2D, 3, 2), (2, 4, 5, 3)),
        (partial(L.DepthwiseConv2D, 2), (2, 4, 5, 3)),
    ],
    ids=["Dense", "Conv2D", "DepthwiseConv2D"],
)
def test_layers_apply_their_activation(layer, shape, activation):
    """Fused into the kernel or as an op behind it."""
    x, function = normal(*shape), ACTIVATIONS[activation]
    plain, made = layer(), layer(activation=function if activation == "of one's own" else activation)
    z = plain(x).numpy().astype("float64")
    made.build(shape)
    made.set_weights(plain.get_weights())
    # z of both is of one kernel; then at most 4 units in the last place of 1 or of the result
    np.testing.assert_allclose(made(x).numpy(), function(z), rtol=4 * 2.0**-23, atol=4 * 2.0**-24)
    assert np.abs(function(z) - z).max() > 0.1


def test_activations():
    x = np.array([-3.0, -1.0, 0.0, 1.0, 7.0], "float32")
    A = qn.activations
    for function, expected in (
        (A.linear, x), (A.relu, np.maximum(x, 0)), (A.relu6, np.clip(x, 0, 6)),
        (A.leaky_relu, np.where(x > 0, x, 0.2 * x)),
        (A.elu, np.where(x > 0, x, np.expm1(x))), (A.sigmoid, 1 / (1 + np.exp(-x))), (A.tanh, np.tanh(x)),
        (A.softplus, np.log1p(np.exp(x))), (A.softsign, x / (1 + abs(x))), (A.silu, x / (1 + np.exp(-x))),
        (A.mish, x * np.tanh(np.log1p(np.exp(x)))), (A.exponential, np.exp(x)),
        (A.hard_sigmoid, np.clip(x / 6 + 0.5, 0, 1)), (A.hard_silu, x * np.clip(x / 6 + 0.5, 0, 1)),
        (A.softmax, np.exp(x) / np.exp(x).sum()), (A.log_softmax, x - np.log(np.exp(x).sum())),
        (A.selu, 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(x))),
        (lambda v: A.gelu(v, approximate=True), 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
        (lambda v: A.relu(v, 0.1, 2.0, 0.5), np.minimum(np.where(x > 0.5, x, 0.1 * (x - 0.5)), 2.0)),
    ):  # fmt: skip
        np.testing.assert_allclose(function(qn.constant(x)).numpy(), expected, rtol=2e-6, atol=1e-6)
    for name in ("relu", "swish", "hard_sigmoid", "softmax", "linear"):
        function = A.get(name)
        assert A.get(A.serialize(function)) is function
    assert A.get(None) is A.linear
    with pytest.raises(ValueError, match="activation: expected one of .* received 'rellu'"):
        A.get("rellu")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Dense(0), "units: expected an int of at least 1"),
        (lambda: L.Dense(2.5), "units: expected an int"),
        (lambda: L.Conv2D(4, 0), "kernel_size: expected"),
        (lambda: L.Conv2D(4, (3, 3, 3)), "kernel_size: expected an int or a tuple of 2 ints"),
        (lambda: L.Conv2D(4, 3, padding="full"), "padding: expected 'valid' or 'same'"),
        (lambda: L.Conv2D(4, 3, data_format="channels_first"), "data_format: expected 'channels_last'"),
        (lambda: L.Conv2D(4, 3, groups=3), "filters: expected a multiple of groups"),
        (lambda: L.Conv2D(4, 3, strides=2, dilation_rate=2), "strides, dilation_rate"),
        (lambda: L.Conv2D(4, 3, groups=2)(normal(1, 5, 5, 3)), "multiple of groups=2, received 3"),
        (lambda: L.Conv2D(4, 3)(normal(5, 5, 3)), "ndim=4"),
        (lambda: L.MaxPooling2D(0), "pool_size: expected"),
        (lambda: L.BatchNormalization(axis=2)(normal(2, 3)), "with an axis 2"),
        (lambda: L.Reshape((5,))(normal(2, 3)), "expected samples whose size fits"),
        (lambda: L.Reshape((-1, -1)), "at most one -1"),
        (lambda: L.ReLU(negative_slope=-1.0), "negative_slope: expected"),
        (lambda: L.Dropout(1.5), "rate: expected a number from 0 to 1"),
        (lambda: L.Dense(2, kernel_initializer="glorot"), "initializer: expected one of"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_built_layer_refuses_other_sizes():
    layer = L.Dense(2)
    layer(normal(1, 3))
    with pytest.raises(ValueError, match="size 3"):
        layer(normal(1, 4))


def test_shapes_that_are_none():
    with pytest.raises(ValueError, match=r"Flatten: expected an input with an axis of samples, received shape \(\)"):
        qn.layers.Flatten()(qn.constant(1.0))
    with pytest.raises(ValueError, match=r"shape: expected ints of 0 or more, or None, received \('a',\)"):
        qn.Input(("a",))
