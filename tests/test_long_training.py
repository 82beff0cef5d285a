"""Long training of sequence models: with clipping it stays finite, also where it explodes without, and memory is flat."""

import numpy as np
import pytest

import quernel as qn

L = qn.layers
STEPS = 2000


def model_of(cell, optimizer, mask_zero=True, **kwargs):
    qn.utils.set_random_seed(3)
    model = qn.Sequential(
        [
            L.Embedding(60, 12, mask_zero=mask_zero),
            cell(16, return_sequences=True, **kwargs),
            cell(16, return_sequences=True, **kwargs),
            L.Dense(60),
        ]
    )
    model.compile(optimizer, qn.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def text(batches, batch, steps, seed=0):
    """Token ids with a tail of padding, and what follows each of them: a fixed successor nine times of ten."""
    rng = np.random.default_rng(seed)
    after = rng.permutation(np.arange(1, 60))
    x = np.zeros((batches * batch, steps + 1), "int32")
    x[:, 0] = rng.integers(1, 60, len(x))
    for t in range(steps):
        x[:, t + 1] = np.where(rng.random(len(x)) < 0.9, after[x[:, t] - 1], rng.integers(1, 60, len(x)))
    lengths = rng.integers(2, steps + 2, len(x))
    x[np.arange(steps + 1) >= lengths[:, None]] = 0
    return x[:, :-1], x[:, 1:]


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


@pytest.mark.parametrize(
    ("cell", "optimizer"),
    [
        ("GRU", lambda: qn.optimizers.Adam(0.01, global_clipnorm=1.0, lazy=True)),
        ("LSTM", lambda: qn.optimizers.SGD(0.5, momentum=0.9, clipnorm=0.5)),
        ("SimpleRNN", lambda: qn.optimizers.Adam(0.003, clipvalue=0.1)),
    ],
    ids=["gru-lazy-global_clipnorm", "lstm-clipnorm", "rnn-clipvalue"],
)
def test_2000_steps_stay_finite_and_memory_is_flat(cell, optimizer):
    model = model_of(getattr(L, cell), optimizer())
    x, y = text(50, 8, 12)
    first = model.fit(x, y, batch_size=8, epochs=4, verbose=0).history["loss"]
    before, rss = qn.memory_stats(), resident()
    rest = model.fit(x, y, batch_size=8, epochs=STEPS // 50 - 4, verbose=0).history["loss"]
    after = qn.memory_stats()
    assert int(model.optimizer.iterations) == STEPS
    assert np.isfinite(first + rest).all() and rest[-1] < first[0] / 2
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert after["plans"] == before["plans"] and after["workspaces"] == before["workspaces"]
    assert after["mapped"] == before["mapped"] and after["in_use"] <= before["in_use"] + (1 << 16)
    assert resident() - rss < 8 << 20


def test_steps_that_explode_without_clipping_stay_finite_with_it():
    """Gradients of 60 recurrent steps with a weight of 3 grow like 3^60: one step of descent leaves float32."""
    losses = {}
    for clip in ({}, {"global_clipnorm": 0.1}):
        qn.utils.set_random_seed(0)
        inputs = qn.Input((60, 1))
        h = L.SimpleRNN(4, "linear", use_bias=False, recurrent_initializer=qn.initializers.Constant(0.75))(inputs)
        model = qn.Model(inputs, h)
        model.compile(qn.optimizers.SGD(0.01, **clip), "mse")
        x = np.full((8, 60, 1), 1e-27, "float32")
        losses[bool(clip)] = model.fit(x, np.zeros((8, 4), "float32"), batch_size=8, epochs=200, verbose=0).history[
            "loss"
        ]
    assert not np.isfinite(losses[False]).all()
    assert np.isfinite(losses[True]).all() and losses[True][-1] < losses[True][0]


@pytest.mark.parametrize("clip", [{"clipnorm": 0.3}, {"clipvalue": 0.01}, {"global_clipnorm": 0.3}], ids=str)
def test_clipped_gradients_of_a_sequence_model_are_as_defined(clip):
    x, y = text(1, 8, 12)
    model = model_of(L.GRU, qn.optimizers.SGD(1.0, **clip))
    model(x)
    loss = qn.losses.SparseCategoricalCrossentropy(from_logits=True)
    before = [v.numpy() for v in model.trainable_variables]
    with qn.GradientTape() as tape:
        value = 50 * loss(y, model(x))
    grads = [g.numpy().astype("float64") for g in tape.gradient(value, model.trainable_variables)]
    norms = [np.sqrt((g**2).sum()) for g in grads]
    (name, limit), total = next(iter(clip.items())), np.sqrt(sum(n**2 for n in norms))
    if name == "clipvalue":
        expected = [np.clip(g, -limit, limit) for g in grads]
    elif name == "clipnorm":
        expected = [g * limit / max(n, limit) for g, n in zip(grads, norms)]
    else:
        expected = [g * limit / max(total, limit) for g in grads]
    assert total > limit and max(norms) > limit and max(np.abs(g).max() for g in grads) > 0.01

    def scaled(y_true, y_pred):
        return 50 * qn.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

    model.compile(model.optimizer, scaled)
    model.train_on_batch(x, y)
    for w, g, v in zip(before, expected, model.trainable_variables):
        np.testing.assert_allclose(w - v.numpy(), g, rtol=1e-4, atol=4 * 2.0**-24 * max(1, np.abs(w).max()))
