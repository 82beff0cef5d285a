"""The models of the bench: layers, data and initial weights; referee.py has a plain NumPy forward pass.

Everything that the peers share is made here from one seed and given to each as arrays, so that all of them do the same
training: same batches, same weights before the first step. Weights are in Keras's layout: (in, out), (kh, kw, in, out).
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

DIGITS = Path(__file__).resolve().parents[2] / "python" / "quernel" / "datasets" / "mnist_sample.npz"


class Conv(NamedTuple):
    """A 3 x 3 convolution without padding, and relu."""

    filters: int


class Pool(NamedTuple):
    """Maximum of 2 x 2 windows, stride 2."""


class Stem(NamedTuple):
    """A 3 x 3 convolution with "same" padding and no bias, batch normalization, relu."""

    filters: int


class Block(NamedTuple):
    """A residual block: relu(norm(conv(relu(norm(conv(x))))) + x), 3 x 3 as in Stem; x through norm(1 x 1) where the
    channels change.
    """

    filters: int


class Mean(NamedTuple):
    """(h, w, c) to c."""


class Embed(NamedTuple):
    """Whole numbers below `tokens` to rows of a table."""

    tokens: int
    units: int


class LSTM(NamedTuple):
    """A layer of LSTM cells that gives all steps."""

    units: int


class Flatten(NamedTuple):
    """(h, w, c) to h * w * c."""


class Dense(NamedTuple):
    """activation: None, "relu", "sigmoid"; "softmax" in the last layer of a classifier."""

    units: int
    activation: str = None


class Model(NamedTuple):
    """batches: how many different ones an epoch has. loss: "mse", "bce" (on a sigmoid), "crossentropy" (on a softmax)."""

    name: str
    title: str
    shape: tuple
    layers: tuple
    loss: str
    optimizer: str
    rate: float
    batch: int
    batches: int

    @property
    def has_conv(self):
        return any(isinstance(layer, (Conv, Stem)) for layer in self.layers)

    @property
    def has_tokens(self):
        return isinstance(self.layers[0], Embed)


def dense(units, *, last):
    return (*(Dense(n, "relu") for n in units), Dense(*last))


MODELS = (
    Model("linear", "linear regression 13-1", (13,), dense((), last=(1,)), "mse", "sgd", 0.01, 32, 64),
    Model("tiny", "10-10-1", (10,), dense((10,), last=(1, "sigmoid")), "bce", "sgd", 0.1, 100, 64),
    Model("policy", "4-120-84-2", (4,), dense((120, 84), last=(2, "softmax")), "crossentropy", "adam", 1e-3, 32, 64),
    Model("mlp", "784-512-512-10", (784,), dense((512, 512), last=(10, "softmax")), "crossentropy", "adam", 1e-3, 128, 32),
    Model("autoencoder", "784-128-32-128-784", (784,), dense((128, 32, 128), last=(784, "sigmoid")),
          "mse", "adam", 1e-3, 256, 16),
    Model("demo", "digit CNN of the demo", (28, 28, 1),
          (Conv(32), Pool(), Conv(64), Pool(), Conv(64), Flatten(), Dense(64, "relu"), Dense(10, "softmax")),
          "crossentropy", "adam", 1e-3, 64, 62),
    Model("cnn", "conv32-pool-conv64-pool-128-10", (28, 28, 1),
          (Conv(32), Pool(), Conv(64), Pool(), Flatten(), Dense(128, "relu"), Dense(10, "softmax")),
          "crossentropy", "adam", 1e-3, 100, 40),
    Model("residual", "residual network of 3 blocks", (28, 28, 1),
          (Stem(16), Block(16), Pool(), Block(32), Pool(), Block(64), Mean(), Dense(10, "softmax")),
          "crossentropy", "adam", 1e-3, 64, 16),
    Model("lstm", "2-layer LSTM of 256, 128 steps", (128,), (Embed(96, 96), LSTM(256), LSTM(256), Dense(96, "softmax")),
          "crossentropy", "adam", 1e-3, 64, 4),
)  # fmt: skip
MODELS = {model.name: model for model in MODELS}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


NORM = {"momentum": 0.9, "epsilon": 1e-3}  # of batch normalization, in Keras's sense


def network(api, model):
    """(network, its layers that have weights, in the order of `make_arrays`), by Keras's names, which quernel shares."""
    kinds, made = api.layers, []

    def put(layer):
        made.append(layer)
        return layer

    def conv(x, filters, size):
        x = put(kinds.Conv2D(filters, size, padding="same", use_bias=False))(x)
        return put(kinds.BatchNormalization(**NORM))(x)

    inputs = x = kinds.Input(model.shape, dtype="int32" if model.has_tokens else "float32")
    for layer in model.layers:
        if isinstance(layer, Conv):
            x = put(kinds.Conv2D(layer.filters, 3, activation="relu"))(x)
        elif isinstance(layer, Stem):
            x = kinds.ReLU()(conv(x, layer.filters, 3))
        elif isinstance(layer, Block):
            y = conv(kinds.ReLU()(conv(x, layer.filters, 3)), layer.filters, 3)
            skip = x if x.shape[-1] == layer.filters else conv(x, layer.filters, 1)
            x = kinds.ReLU()(kinds.Add()([y, skip]))
        elif isinstance(layer, Pool):
            x = kinds.MaxPooling2D(2)(x)
        elif isinstance(layer, Mean):
            x = kinds.GlobalAveragePooling2D()(x)
        elif isinstance(layer, Flatten):
            x = kinds.Flatten()(x)
        elif isinstance(layer, Embed):
            x = put(kinds.Embedding(layer.tokens, layer.units))(x)
        elif isinstance(layer, LSTM):
            x = put(kinds.LSTM(layer.units, return_sequences=True))(x)
        else:
            x = put(kinds.Dense(layer.units, activation=layer.activation))(x)
    return api.Model(inputs, x), made


def get_weights(made):
    """The weights of layers, in order."""
    return [w for layer in made for w in layer.get_weights()]


def set_weights(made, weights):
    weights = iter(weights)
    for layer in made:
        layer.set_weights([next(weights) for _ in layer.weights])


def text(n):
    """The first n characters of the Python standard library's own source files, as numbers below 96."""
    codes = np.zeros(256, "int32")  # 0: what has no number of its own
    codes[10], codes[32:127] = 95, np.arange(95)
    found = b""
    for path in sorted(Path(json.__file__).parents[1].glob("*.py")):
        found += path.read_bytes()
        if len(found) >= n:
            return codes[np.frombuffer(found[:n], "uint8")]
    raise SystemExit(f"expected {n} characters of Python files beside {json.__file__}, found {len(found)}")


def make_arrays(model):
    """(x, y, weights): the samples of an epoch and the initial weights, Glorot uniform with zero biases, float32."""
    rng = np.random.default_rng(1234)
    n = model.batch * model.batches
    if model.has_tokens:
        tokens = text(n * model.shape[0] + 1)
        x, y = (tokens[i : i + n * model.shape[0]].reshape(n, -1) for i in (0, 1))
    elif model.shape[0] in (784, 28):
        with np.load(DIGITS) as file:
            chosen = rng.permutation(len(file["images"]))[:n]
            images, labels = file["images"][chosen], file["labels"][chosen]
        x = (images.astype("float32") / 255).reshape(n, *model.shape)
        y = labels.astype("int32") if model.loss == "crossentropy" else x
    else:
        x = rng.standard_normal((n, *model.shape), dtype="float32")
        score = x @ rng.standard_normal(model.shape, dtype="float32")
        noise = rng.standard_normal(n, dtype="float32")  # keeps the gradients from dying out
        y = {"mse": (score + noise)[:, None], "bce": (score + 2 * noise > 0)[:, None].astype("float32"),
             "crossentropy": (score + noise > 0).astype("int32")}[model.loss]  # fmt: skip
    shape, weights = model.shape, []
    for layer in model.layers:
        weights += initial(layer, shape, rng)
        shape = shape_after(layer, shape)
    return x, y, weights


def initial(layer, shape, rng):
    """The weights of a layer on samples of a shape: Glorot uniform, zero biases, statistics of nothing seen."""

    def glorot(*kernel):
        limit = np.sqrt(6 / (np.prod(kernel[:-2]) * (kernel[-2] + kernel[-1])))
        return rng.uniform(-limit, limit, kernel).astype("float32")

    def constants(n, *values):
        return [np.full(n, value, "float32") for value in values]

    c, n = shape[-1], layer[-1] if isinstance(layer, (Embed, LSTM)) else layer[0] if layer else 0
    if isinstance(layer, Conv):
        return [glorot(3, 3, c, n), *constants(n, 0)]
    if isinstance(layer, Dense):
        return [glorot(c, n), *constants(n, 0)]
    if isinstance(layer, Stem):
        return [glorot(3, 3, c, n), *constants(n, 1, 0, 0, 1)]
    if isinstance(layer, Block):
        kernels = [(3, 3, c, n), (3, 3, n, n)] + [(1, 1, c, n)] * (c != n)
        return [w for kernel in kernels for w in (glorot(*kernel), *constants(n, 1, 0, 0, 1))]
    if isinstance(layer, Embed):
        return [rng.uniform(-0.05, 0.05, layer).astype("float32")]
    if isinstance(layer, LSTM):
        return [glorot(c, 4 * n), glorot(n, 4 * n), *constants(4 * n, 0)]
    return []


def shape_after(layer, shape):
    """The shape of a sample behind the layer."""
    if isinstance(layer, Conv):
        return (shape[0] - 2, shape[1] - 2, layer.filters)
    if isinstance(layer, (Stem, Block)):
        return (*shape[:2], layer.filters)
    if isinstance(layer, Pool):
        return (shape[0] // 2, shape[1] // 2, shape[2])
    if isinstance(layer, Flatten):
        return (int(np.prod(shape)),)
    if isinstance(layer, Mean):
        return (shape[-1],)
    if isinstance(layer, Embed):
        return (*shape, layer.units)
    return (*shape[:-1], layer.units)
