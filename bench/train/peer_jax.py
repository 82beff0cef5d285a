"""Plain JAX, layers by hand, one jitted step that donates weights and optimizer state.

The variant is a list of words: step (a Python loop over steps) or scan (lax.scan over at most 32 batches in one call);
window (pooling by reduce_window) or shape (reshape and max, whose gradient is cheaper); sync (no asynchronous dispatch);
unroll (8 steps of a scan).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from models import ADAM, LSTM, NORM, Block, Conv, Embed, Flatten, Mean, Pool, Stem


class Weights:
    """The weights in order; `new` is what a training step makes of the moving statistics: {position: array}."""

    def __init__(self, arrays, training):
        self.arrays, self.training, self.position, self.new = arrays, training, 0, {}

    def __next__(self):
        self.position += 1
        return self.arrays[self.position - 1]


def conv(x, kernel, padding):
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def conv_norm(x, weights):
    x = conv(x, next(weights), "SAME")
    gamma, beta, mean, variance = (next(weights) for _ in range(4))
    if weights.training:
        keep, at = NORM["momentum"], weights.position
        batch_mean, batch_variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
        weights.new[at - 2] = keep * mean + (1 - keep) * batch_mean
        weights.new[at - 1] = keep * variance + (1 - keep) * batch_variance
        mean, variance = batch_mean, batch_variance
    return (x - mean) * lax.rsqrt(variance + NORM["epsilon"]) * gamma + beta


def block(x, layer, weights):
    y = conv_norm(jax.nn.relu(conv_norm(x, weights)), weights)
    return jax.nn.relu(y + (x if x.shape[-1] == layer.filters else conv_norm(x, weights)))


def lstm(x, weights):
    kernel, recurrent, bias = next(weights), next(weights), next(weights)
    zeros = jnp.zeros((len(x), len(recurrent)))

    def cell(state, z):
        h, c = state
        i, f, g, o = jnp.split(z + h @ recurrent, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    projected = (x @ kernel + bias).swapaxes(0, 1)  # of all steps as one product
    return lax.scan(cell, (zeros, zeros), projected)[1].swapaxes(0, 1)


def forward(model, pool, weights, x):
    """The logits, or the outputs where the loss takes those; weights: Weights."""
    for layer in model.layers:
        if isinstance(layer, Conv):
            x = jax.nn.relu(conv(x, next(weights), "VALID") + next(weights))
        elif isinstance(layer, Stem):
            x = jax.nn.relu(conv_norm(x, weights))
        elif isinstance(layer, Block):
            x = block(x, layer, weights)
        elif isinstance(layer, Pool):
            x = pool(x)
        elif isinstance(layer, Mean):
            x = jnp.mean(x, (1, 2))
        elif isinstance(layer, Flatten):
            x = x.reshape(len(x), -1)
        elif isinstance(layer, Embed):
            x = next(weights)[x]
        elif isinstance(layer, LSTM):
            x = lstm(x, weights)
        else:
            x = x @ next(weights) + next(weights)
            if layer.activation == "relu":
                x = jax.nn.relu(x)
            elif layer.activation == "sigmoid" and model.loss != "bce":
                x = jax.nn.sigmoid(x)
    return x


def pool_by_window(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def pool_by_shape(x):
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def loss_of(model, pool, arrays, x, y):
    """(the loss, the new moving statistics)."""
    weights = Weights(arrays, training=True)
    z = forward(model, pool, weights, x)
    if model.loss == "mse":
        loss = jnp.mean((z - y) ** 2)
    elif model.loss == "bce":
        loss = jnp.mean(jnp.logaddexp(0, z) - z * y)
    else:
        loss = -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[..., None], axis=-1))
    return loss, weights.new


def step(model, pool, state, x, y):
    """state: (weights,) for SGD, (weights, m, v, t) for Adam."""
    weights = state[0]
    gradients, statistics = jax.grad(functools.partial(loss_of, model, pool), has_aux=True)(weights, x, y)
    if model.optimizer == "sgd":
        return ([w - model.rate * g for w, g in zip(weights, gradients)],)
    _, m, v, t = state
    b1, b2, epsilon = ADAM["beta_1"], ADAM["beta_2"], ADAM["epsilon"]
    t = t + 1
    rate = model.rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
    m = [a + (1 - b1) * (g - a) for a, g in zip(m, gradients)]
    v = [a + (1 - b2) * (g * g - a) for a, g in zip(v, gradients)]
    weights = [w - rate * a / (jnp.sqrt(b) + epsilon) for w, a, b in zip(weights, m, v)]
    return [statistics.get(i, w) for i, w in enumerate(weights)], m, v, t


class Peer:
    def __init__(self, model, x, y, weights, variant, threads):
        words = variant.split(",")
        if "sync" in words:
            jax.config.update("jax_cpu_enable_async_dispatch", False)
        self.version = f"jax {jax.__version__}"
        self.model, self.weights = model, weights
        self.pool = pool_by_shape if "shape" in words else pool_by_window
        one = functools.partial(step, model, self.pool)
        size = model.batch
        if "scan" in words:
            chunk = model.batches // -(-model.batches // 32)
            x, y = (a.reshape(-1, chunk, size, *a.shape[1:]) for a in (x, y))

            def call(state, xs, ys):
                unroll = 8 if "unroll" in words else 1
                return lax.scan(lambda state, pair: (one(state, *pair), None), state, (xs, ys), unroll=unroll)[0]

        else:
            x, y = (a.reshape(-1, size, *a.shape[1:]) for a in (x, y))
            call = one
        self.call = jax.jit(call, donate_argnums=0)
        self.batches = [(jnp.asarray(a), jnp.asarray(b)) for a, b in zip(x, y)]
        self.reset()
        self.train(1)

    def train(self, epochs, in_order=True):
        state, call = self.state, self.call
        for _ in range(epochs):
            for x, y in self.batches:
                state = call(state, x, y)
        self.state = jax.block_until_ready(state)

    def warm(self):
        for x, y in self.batches[: 3 if self.batches[0][0].ndim == len(self.model.shape) + 1 else 1]:
            self.state = self.call(self.state, x, y)
        jax.block_until_ready(self.state)

    def reset(self):
        def zeros():
            return [jnp.zeros_like(w) for w in self.weights]

        weights = [jnp.array(w) for w in self.weights]
        self.state = (
            (weights,) if self.model.optimizer == "sgd" else (weights, zeros(), zeros(), jnp.zeros((), "float32"))
        )

    def get_weights(self):
        return [np.asarray(w) for w in self.state[0]]

    def predictor(self):
        def outputs(weights, x):
            return forward(self.model, self.pool, Weights(weights, training=False), x)

        call, weights = jax.jit(outputs), self.state[0]
        return lambda row: np.asarray(call(weights, row))
