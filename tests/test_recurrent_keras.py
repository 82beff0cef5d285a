"""Recurrent layers against Keras's, `pytest -m oracle` where keras is installed, on whatever backend KERAS_BACKEND says:
values, states, gradients, names, shapes, configurations.
"""

import itertools

import keras
import numpy as np
import pytest

import quernel as qn
from quernel.testing import assert_close

pytestmark = pytest.mark.oracle
L, K = qn.layers, keras.layers
EPS = np.finfo("float32").eps
N, T, F, U = 3, 5, 4, 6
# The first step of each sample is not masked: there Keras's backends differ (zeros, or the first state).
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 1]], bool)
BACKEND = keras.backend.backend()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def near(a, b, k, what):
    b = np.asarray(b, "float64")
    assert_close(np.asarray(a), b, 2 * EPS * (k + 1) * max(1.0, np.abs(b).max(initial=0.0)), what)


def keras_run(layer, arrays, call, factors):
    """Results of call(layer, tensors), and the gradients of their sums with the factors: by arrays, then by weights."""

    def loss_of(result):
        return sum(
            keras.ops.sum(v * keras.ops.convert_to_tensor(f)) for v, f in zip(qn.tree.flatten(list(result)), factors)
        )

    if BACKEND == "tensorflow":
        import tensorflow as tf

        tensors = [tf.Variable(a) for a in arrays]
        with tf.GradientTape() as tape:
            result = call(layer, [tf.convert_to_tensor(t) for t in tensors])
            loss = loss_of(result)
        return result, tape.gradient(loss, [*tensors, *(w.value for w in layer.trainable_weights)])
    if BACKEND == "torch":
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        result = call(layer, tensors)
        sources = [*tensors, *(w.value for w in layer.trainable_weights)]
        found = torch.autograd.grad(loss_of(result), sources)
        return [v.detach().numpy() for v in qn.tree.flatten(list(result))], [g.numpy() for g in found]
    import jax

    def of(tensors, weights):
        with keras.StatelessScope(state_mapping=list(zip(layer.trainable_weights, weights))):
            result = call(layer, tensors)
        return loss_of(result), result

    weights = [w.value for w in layer.trainable_weights]
    (_, result), found = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(
        list(map(jax.numpy.asarray, arrays)), weights
    )
    return result, qn.tree.flatten(list(found))


def compare(ours, theirs, arrays, k, mask=None):
    """Both layers on the same weights, inputs and first states (arrays[1:])."""

    def call(layer, tensors):
        keywords = {} if mask is None else {"mask": mask}
        if len(tensors) > 1:
            keywords["initial_state"] = list(tensors[1:])
        return layer(tensors[0], **keywords)

    ours.build(arrays[0].shape)
    theirs.build(arrays[0].shape)
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, tuple(w.shape)) for w in theirs.weights]
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    weights = [normal(*w.shape, seed=30 + i) * 0.5 for i, w in enumerate(ours.weights)]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    variables = [qn.Variable(a) for a in arrays]
    with qn.GradientTape() as tape:
        result = qn.tree.flatten(list(call(ours, variables)))
        factors = [normal(*v.shape, seed=60 + i) for i, v in enumerate(result)]
        loss = sum(qn.ops.sum(v * f) for v, f in zip(result, factors))
    found = tape.gradient(loss, [*variables, *ours.trainable_weights])
    wanted, gradients = keras_run(theirs, arrays, call, factors)
    wanted = qn.tree.flatten(list(wanted))
    assert len(result) == len(wanted) and len(found) == len(gradients)
    for i, (a, b) in enumerate(zip(result, wanted)):
        near(a, b, k, f"result {i}")
    for i, (a, b) in enumerate(zip(found, gradients)):
        near(a, b, 4 * k, f"gradient {i}")


KINDS = [("SimpleRNN", {}), ("SimpleRNN", {"activation": "relu", "use_bias": False}), ("GRU", {}),
         ("GRU", {"reset_after": False}), ("GRU", {"use_bias": False, "activation": "relu"}),
         ("GRU", {"recurrent_activation": "hard_sigmoid", "activation": "softsign"}), ("LSTM", {}),
         ("LSTM", {"use_bias": False, "recurrent_activation": "hard_sigmoid"}),
         ("LSTM", {"activation": "linear"})]  # fmt: skip


@pytest.mark.parametrize("flags", list(itertools.product((False, True), repeat=4)),
                         ids=lambda f: "".join(c if on else "-" for c, on in zip("sbmi", f)))  # fmt: skip
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_layers(kind, flags):
    sequences, backwards, masked, given = flags
    name, more = KINDS[kind]
    arguments = {"return_sequences": sequences, "go_backwards": backwards, "return_state": True, "name": "one", **more}
    mask = MASK[:, ::-1].copy() if backwards else MASK
    states = [normal(N, U, seed=1 + i) for i in range((2 if name == "LSTM" else 1) if given else 0)]
    ours, theirs = getattr(L, name)(U, **arguments), getattr(K, name)(U, **arguments)
    compare(ours, theirs, [normal(N, T, F), *states], T * (F + U + N), mask if masked else None)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_both_directions(name, merge, masked):
    def make(layers):
        return layers.Bidirectional(
            getattr(layers, name)(U, return_sequences=True, return_state=True, name="one"), merge, name="both"
        )

    mask = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 0, 0, 1]], bool) if masked else None
    compare(make(L), make(K), [normal(N, T, F)], T * (F + U + N), mask)


@pytest.mark.parametrize("masked", [False, True])
def test_stacks(masked):
    def make(layers):
        cells = [layers.LSTMCell(U, name="a"), layers.LSTMCell(3, name="b")]
        stack = layers.StackedRNNCells(cells, name="cells")
        return layers.RNN(stack, return_sequences=True, return_state=True, name="one")

    compare(make(L), make(K), [normal(N, T, F)], 2 * T * (F + U + N), MASK if masked else None)


def test_states_that_stay():
    x = normal(N, T, F)
    for name in ("SimpleRNN", "GRU", "LSTM"):
        ours, theirs = getattr(L, name)(U, stateful=True), getattr(K, name)(U, stateful=True)
        ours(x), theirs(x)
        ours.set_weights(theirs.get_weights())
        ours.reset_state(), theirs.reset_state()
        for _ in range(2):
            near(ours(x), keras.ops.convert_to_numpy(theirs(x)), 2 * T * (F + U), name)
        assert [v.name for v in ours.states] == [v.name for v in theirs.states]
        assert len(ours.variables) == len(theirs.variables)


def test_configurations():
    """Every argument of Keras's stands in ours with an equal default, and a layer made of Keras's config is equal."""
    import inspect

    for name in ("SimpleRNNCell", "GRUCell", "LSTMCell", "StackedRNNCells", "RNN", "SimpleRNN", "GRU", "LSTM",
                 "Bidirectional"):  # fmt: skip
        ours, theirs = inspect.signature(getattr(L, name)).parameters, inspect.signature(getattr(K, name)).parameters
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()], name
    for name, more in KINDS:
        config = {k: v for k, v in getattr(K, name)(U, **more).get_config().items() if k != "dtype"}
        config = {k: v["class_name"] if isinstance(v, dict) else v for k, v in config.items()}
        made = getattr(L, name).from_config(config).get_config()
        for key, value in config.items():
            found = made[key]["class_name"] if isinstance(made[key], dict) else made[key]
            assert found == value, (name, key)
