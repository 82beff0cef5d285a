"""The referee: the loss of a model from its weights alone, in float64, by plain NumPy."""

import numpy as np
from models import LSTM, NORM, Block, Conv, Embed, Flatten, Mean, Pool, Stem


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def conv(x, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))  # n h w c kh kw
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel, optimize=True)


def conv_norm(x, weights):
    """Convolution with "same" padding, then batch normalization by the moving statistics."""
    kernel, gamma, beta, mean, variance = (next(weights) for _ in range(5))
    side = kernel.shape[0] // 2
    y = conv(np.pad(x, ((0, 0), (side, side), (side, side), (0, 0))), kernel)
    return (y - mean) / np.sqrt(variance + NORM["epsilon"]) * gamma + beta


def block(x, layer, weights):
    y = conv_norm(relu(conv_norm(x, weights)), weights)
    return relu(y + (x if x.shape[-1] == layer.filters else conv_norm(x, weights)))


def lstm(x, weights):
    kernel, recurrent, bias = next(weights), next(weights), next(weights)
    h = c = np.zeros((len(x), len(recurrent)))
    outputs = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def referee(model, x, y, weights, samples=256):
    """The mean loss of the first samples."""
    x, y = x[:samples], y[:samples]
    if not model.has_tokens:
        x = x.astype("float64")
    weights = iter([w.astype("float64") for w in weights])
    for layer in model.layers:
        if isinstance(layer, Conv):
            x = relu(conv(x, next(weights)) + next(weights))
        elif isinstance(layer, Stem):
            x = relu(conv_norm(x, weights))
        elif isinstance(layer, Block):
            x = block(x, layer, weights)
        elif isinstance(layer, Pool):
            h, w = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * h, : 2 * w].reshape(len(x), h, 2, w, 2, -1).max(axis=(2, 4))
        elif isinstance(layer, Mean):
            x = x.mean(axis=(1, 2))
        elif isinstance(layer, Flatten):
            x = x.reshape(len(x), -1)
        elif isinstance(layer, Embed):
            x = next(weights)[x]
        elif isinstance(layer, LSTM):
            x = lstm(x, weights)
        else:
            x = x @ next(weights) + next(weights)
            if layer.activation == "relu":
                x = relu(x)
            elif layer.activation == "sigmoid" and model.loss != "bce":
                x = sigmoid(x)
    if model.loss == "mse":
        return float(np.mean((x - y.astype("float64")) ** 2))
    if model.loss == "bce":
        return float(np.mean(np.logaddexp(0, x) - x * y))
    top = x.max(axis=-1, keepdims=True)
    total = np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0]
    return float(np.mean(total - np.take_along_axis(x, y[..., None], axis=-1)[..., 0]))
