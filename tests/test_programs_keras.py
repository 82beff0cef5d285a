"""Textbook programs with sequences, line by line the same for Keras and quernel but for the import: the same histories,
predictions and weights. `pytest -m oracle` where keras is installed.
"""

import keras
import numpy as np
import pytest

import quernel
from quernel.testing import assert_close

pytestmark = pytest.mark.oracle
EPS = np.finfo("float32").eps
RNG = np.random.default_rng


def normal(*shape, seed=0):
    return RNG(seed).normal(size=shape).astype("float32")


def with_weights(model, scale=0.4):
    model.set_weights([scale * normal(*w.shape, seed=50 + i) for i, w in enumerate(model.get_weights())])
    return model


def sentiment(m):
    L = m.layers
    x = RNG(0).integers(1, 50, (48, 12))
    x[:, 8:] *= RNG(1).integers(0, 2, (48, 4))
    y = (x.sum(1) % 2).astype("float32")
    model = m.Sequential([L.Embedding(50, 8, mask_zero=True), L.LSTM(7), L.Dense(1, activation="sigmoid")])
    model.build((None, 12))
    with_weights(model)
    model.compile(m.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, validation_data=(x[:20], y[:20]))
    return history.history, model.evaluate(x, y, verbose=0), model.predict(x[:5], verbose=0), model.get_weights()


def translation(m):
    """Encoder and decoder with teacher forcing, then the two as models of their own that hand states on."""
    L = m.layers
    source, given = (np.eye(n, dtype="float32")[RNG(n).integers(0, n, (24, t))] for n, t in ((7, 6), (5, 4)))
    encoder_in, decoder_in = m.Input((None, 7)), m.Input((None, 5))
    _, h, c = L.LSTM(6, return_state=True)(encoder_in)
    decoder, dense = L.LSTM(6, return_sequences=True, return_state=True), L.Dense(5, activation="softmax")
    y, _, _ = decoder(decoder_in, initial_state=[h, c])
    model = with_weights(m.Model([encoder_in, decoder_in], dense(y)))
    model.compile(m.optimizers.SGD(0.3, clipnorm=1.0), "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit([source, given], np.roll(given, -1, 1), batch_size=8, epochs=3, shuffle=False, verbose=0)
    h_in, c_in = m.Input((6,)), m.Input((6,))
    y, h_out, c_out = decoder(decoder_in, initial_state=[h_in, c_in])
    encode, decode = m.Model(encoder_in, [h, c]), m.Model([decoder_in, h_in, c_in], [dense(y), h_out, c_out])
    states, word, said = encode.predict(source[:3], verbose=0), given[:3, :1], []
    for _ in range(4):
        probabilities, *states = decode.predict([word, *states], verbose=0)
        said.append(probabilities)
        word = np.eye(5, dtype="float32")[probabilities.argmax(-1)]
    return history.history, said, states


def forecast(m):
    L = m.layers
    series = np.sin(np.arange(120) * 0.3).astype("float32")
    x, y = np.stack([series[i : i + 15] for i in range(100)])[..., None], series[15:115, None]
    model = m.Sequential([m.Input((15, 1)), L.GRU(8, return_sequences=True), L.GRU(5, reset_after=False), L.Dense(1)])
    with_weights(model)
    model.compile(m.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0), "mse", metrics=["mse"])
    history = model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0, validation_split=0.1)
    return history.history, model.get_weights()


def writing(m):
    """Characters one by one from a stateful model, and again after its states were reset."""
    L = m.layers
    model = m.Sequential([m.Input(batch_shape=(1, None)), L.Embedding(11, 6),
                          L.GRU(7, return_sequences=True, stateful=True), L.Dense(11)])  # fmt: skip
    with_weights(model, 0.8)
    found = []
    for _ in range(2):
        character = np.array([[3]])
        for _ in range(5):
            found.append(model.predict(character, verbose=0))
            character = found[-1][:, -1].argmax(-1)[:, None]
        found.append(np.asarray(model.layers[1].states[0]))
        model.layers[1].reset_state()
    return found


def tagging(m):
    L = m.layers
    x, y = RNG(0).integers(1, 30, (40, 9)), RNG(1).integers(0, 4, (40, 9))
    x[:, 6:] *= RNG(2).integers(0, 2, (40, 3))
    weights = RNG(3).random((40, 9)).astype("float32")
    words = m.Input((9,))
    h = L.Embedding(30, 6, mask_zero=True)(words)
    h = L.Bidirectional(L.LSTM(5, return_sequences=True), merge_mode="sum")(h)
    h = L.Bidirectional(L.RNN([L.GRUCell(4), L.SimpleRNNCell(3)], return_sequences=True))(h)
    model = with_weights(m.Model(words, L.TimeDistributed(L.Dense(4, activation="softmax"))(h)))
    model.compile(m.optimizers.SGD(0.5, clipvalue=0.1), m.losses.SparseCategoricalCrossentropy(ignore_class=2),
                  metrics=["accuracy"], weighted_metrics=["accuracy"])  # fmt: skip
    plain = model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    weighted = model.fit(x, y, sample_weight=weights, batch_size=10, epochs=2, shuffle=False, verbose=0)
    return plain.history, weighted.history, model.get_weights()


def film(m):
    L = m.layers
    model = m.Sequential([
        m.Input((4, 8, 8, 1)), L.TimeDistributed(L.Conv2D(3, 3, activation="relu")), L.TimeDistributed(L.MaxPooling2D()),
        L.TimeDistributed(L.Flatten()), L.LSTM(5), L.Dense(3, activation="softmax")])  # fmt: skip
    with_weights(model)
    model.compile(m.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = normal(6, 4, 8, 8, 1)
    history = model.fit(x, np.arange(6) % 3, batch_size=2, epochs=3, shuffle=False, verbose=0)
    return history.history, model.get_weights()


def copying(m):
    """An encoder, a decoder and between them one vector, repeated; inputs of other lengths are masked."""
    L = m.layers
    x = normal(6, 5, 4)
    x[0, 2:], x[1, 0], x[2] = 0, 0, 0
    model = m.Sequential([m.Input((5, 4)), L.Masking(), L.SimpleRNN(6, activation="relu"), L.RepeatVector(5),
                          L.LSTM(6, return_sequences=True, go_backwards=True), L.TimeDistributed(L.Dense(4))])  # fmt: skip
    with_weights(model)
    model.compile(m.optimizers.SGD(0.1), "mse", weighted_metrics=["mse"])
    history = model.fit(x, x, sample_weight=np.arange(6.0)[:, None], batch_size=3, epochs=3, shuffle=False, verbose=0)
    return history.history, model.get_weights()


def attention(m):
    L = m.layers
    x = m.Input((5, 4))
    h = L.Bidirectional(L.GRU(3, return_sequences=True))(x)
    share = L.Activation("softmax")(L.Flatten()(L.Dense(1, activation="tanh")(h)))
    h = L.Multiply()([h, L.Permute((2, 1))(L.RepeatVector(6)(share))])
    model = with_weights(m.Model(x, L.Dense(1)(L.Flatten()(h))))
    model.compile(m.optimizers.SGD(0.1), "mse")
    history = model.fit(normal(6, 5, 4), normal(6, 1, seed=1), batch_size=3, epochs=3, shuffle=False, verbose=0)
    return history.history, model.get_weights()


def language(m):
    """A subclassed model that asks for its first states, and hands states on."""
    L = m.layers

    class Words(m.Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.dense = L.Embedding(20, 5), L.Dense(20)
            self.gru = L.GRU(6, return_sequences=True, return_state=True)

        def call(self, inputs, states=None, return_state=False, training=False):
            x = self.embedding(inputs)
            if states is None:
                states = self.gru.get_initial_state(m.ops.shape(x)[0])
            x, states = self.gru(x, initial_state=states, training=training)
            return (self.dense(x), states) if return_state else self.dense(x)

    x, model = RNG(0).integers(0, 20, (8, 7)), Words()
    model(x)
    with_weights(model)
    model.compile(m.optimizers.SGD(0.5), m.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x[:, :-1], x[:, 1:], epochs=3, batch_size=4, verbose=0, shuffle=False)
    first, states = model(x[:2], return_state=True)
    second, states = model(x[2:4], states=states, return_state=True)
    return history.history, [np.asarray(v) for v in (first, second, states)], model.get_weights()


PROGRAMS = [sentiment, translation, forecast, writing, tagging, film, copying, attention, language]


def leaves(found):
    """{place: array} of a structure of lists, tuples, dicts and numbers."""
    if isinstance(found, dict):
        return {f"{k}.{place}": v for k in sorted(found) for place, v in leaves(found[k]).items()}
    if isinstance(found, (list, tuple)):
        return {f"{i}.{place}": v for i, one in enumerate(found) for place, v in leaves(one).items()}
    return {"": np.asarray(found)}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_import_line_alone_changes(program):
    ours, theirs = leaves(program(quernel)), leaves(program(keras))
    assert list(ours) == list(theirs) and len(ours) > 3
    # sums of at most 30 terms; in these programs neither steps nor updates let their rounding grow
    for place, value in theirs.items():
        assert ours[place].shape == value.shape, place
        assert_close(ours[place], value, 2 * EPS * 30 * max(1.0, np.abs(value).max()), place)
