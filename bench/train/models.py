"""The seven models of the bench: layers, data, initial weights, and a plain NumPy forward pass as referee.

Everything that the peers share is made here from one seed and given to each as arrays, so that all of them do the same
training: same batches, same weights before the first step. Weights are in Keras's layout: (in, out), (kh, kw, in, out).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

DIGITS = Path(__file__).resolve().parents[2] / "python" / "quernel" / "datasets" / "mnist_sample.npz"


class Conv(NamedTuple):
    """A 3 x 3 convolution without padding, and relu."""

    filters: int


class Pool(NamedTuple):
    """Maximum of 2 x 2 windows, stride 2."""


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
        return any(isinstance(layer, Conv) for layer in self.layers)


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
)  # fmt: skip
MODELS = {model.name: model for model in MODELS}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


def sequential(api, model):
    """The network of a Model by Keras's names, which quernel shares; `api` is one of the two."""
    layers = [api.layers.Input(model.shape)]
    for layer in model.layers:
        if isinstance(layer, Conv):
            layers.append(api.layers.Conv2D(layer.filters, 3, activation="relu"))
        elif isinstance(layer, Pool):
            layers.append(api.layers.MaxPooling2D(2))
        elif isinstance(layer, Flatten):
            layers.append(api.layers.Flatten())
        else:
            layers.append(api.layers.Dense(layer.units, activation=layer.activation))
    return api.Sequential(layers)


def make_arrays(model):
    """(x, y, weights): the samples of an epoch and the initial weights, Glorot uniform with zero biases, float32."""
    rng = np.random.default_rng(1234)
    n = model.batch * model.batches
    if model.shape[0] in (784, 28):
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
    weights, shape = [], model.shape
    for layer in model.layers:
        if isinstance(layer, (Conv, Dense)):
            kernel = (3, 3, shape[-1], layer.filters) if isinstance(layer, Conv) else (shape[-1], layer.units)
            limit = np.sqrt(6 / (np.prod(kernel[:-2]) * (kernel[-2] + kernel[-1])))
            weights.append(rng.uniform(-limit, limit, kernel).astype("float32"))
            weights.append(np.zeros(kernel[-1], "float32"))
        shape = shape_after(layer, shape)
    return x, y, weights


def shape_after(layer, shape):
    """The shape of a sample behind the layer."""
    if isinstance(layer, Conv):
        return (shape[0] - 2, shape[1] - 2, layer.filters)
    if isinstance(layer, Pool):
        return (shape[0] // 2, shape[1] // 2, shape[2])
    return (int(np.prod(shape)),) if isinstance(layer, Flatten) else (layer.units,)


def referee(model, x, y, weights, samples=256):
    """The mean loss of the first samples, computed in float64 from the weights alone."""
    x, y = x[:samples].astype("float64"), y[:samples]
    target = y.astype("float64")
    weights = iter([w.astype("float64") for w in weights])
    for layer in model.layers:
        if isinstance(layer, Conv):
            windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # n h w c kh kw
            x = np.maximum(np.einsum("nhwcij,ijco->nhwo", windows, next(weights), optimize=True) + next(weights), 0)
        elif isinstance(layer, Pool):
            h, w = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * h, : 2 * w].reshape(len(x), h, 2, w, 2, -1).max(axis=(2, 4))
        elif isinstance(layer, Flatten):
            x = x.reshape(len(x), -1)
        else:
            x = x @ next(weights) + next(weights)
            if layer.activation == "relu":
                x = np.maximum(x, 0)
            elif layer.activation == "sigmoid" and model.loss != "bce":
                x = 1 / (1 + np.exp(-x))
    if model.loss == "mse":
        return float(np.mean((x - target) ** 2))
    if model.loss == "bce":
        return float(np.mean(np.logaddexp(0, x) - x * target))
    top = x.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(x - top).sum(axis=1)) + top[:, 0] - x[np.arange(len(y)), y]))
