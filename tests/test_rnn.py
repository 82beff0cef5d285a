"""RNN: cells of one's own, stacks, both directions, states that stay, functional models, plans, files, masks."""

import copy

import numpy as np
import pytest
from recurrence import recurrence

import quernel as qn
from quernel.testing import assert_close, assert_same_bits

L = qn.layers
EPS = np.finfo("float32").eps
N, T, F, U = 3, 5, 4, 6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def close(actual, expected, k=T * (F + U)):
    expected = np.asarray(expected, "float64")
    assert_close(np.asarray(actual), expected, 2 * EPS * (k + 1) * max(1.0, np.abs(expected).max(initial=0.0)))


def leaves(value):
    return [leaf.numpy() for leaf in qn.tree.flatten(value)]


@qn.saving.register_keras_serializable("tests")
class Fading(L.Layer):
    """A cell with two states of different sizes, one of them of two axes, and outputs of a third size."""

    state_size = [2, 3]
    output_size = 4

    def call(self, inputs, states):
        a, b = states
        a = 0.5 * a + inputs[:, :2]
        b = b - qn.ops.sum(inputs, axis=-1, keepdims=True)
        return qn.ops.concatenate([a, a], axis=-1), (a, b)


class Plain:
    """A cell that is no layer."""

    state_size = F

    def call(self, inputs, states):
        return states[0] * inputs, [states[0] + inputs]

    def get_initial_state(self, batch_size=None):
        return qn.ops.ones((batch_size, F))


def test_cells_of_ones_own():
    x = normal(N, T, F)
    layer = L.RNN(Fading(), return_sequences=True, return_state=True)
    a, b, want = np.zeros((N, 2)), np.zeros((N, 3)), []
    for t in range(T):
        a, b = 0.5 * a + x[:, t, :2], b - x[:, t].sum(-1, keepdims=True)
        want.append(np.concatenate([a, a], -1))
    for actual, expected in zip(layer(x), [np.stack(want, 1), a, b]):
        close(actual, expected)
    assert [s.shape for s in layer(qn.Input((None, F)))] == [(None, None, 4), (None, 2), (None, 3)]
    again = L.RNN.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for a, b in zip(leaves(again(x)), leaves(layer(x))):
        assert_same_bits(a, b)
    y, h = L.RNN(Plain(), return_state=True)(x)
    close(h, 1 + x.sum(1, dtype="float64"))
    close(y, (1 + x[:, :-1].sum(1, dtype="float64")) * x[:, -1])

    class Short(Fading):
        def call(self, inputs, states):
            return states[0], [states[0]]

    with pytest.raises(ValueError, match="Short: expected 2 states, as its `state_size`.*received 1"):
        L.RNN(Short())(x)


def test_masked_outputs_of_another_size_than_the_states():
    """They are the output before, at first zeros; with zero_output_for_mask always zeros."""
    x, mask = normal(1, 4, F), np.array([[False, True, False, False]])
    y = L.RNN(Fading(), return_sequences=True)(x, mask=mask).numpy()
    want = np.concatenate([x[:, 1, :2], x[:, 1, :2]], -1)[0]
    np.testing.assert_array_equal(y[0], [np.zeros(4), want, want, want])
    y = L.RNN(Fading(), return_sequences=True, zero_output_for_mask=True)(x, mask=mask).numpy()
    np.testing.assert_array_equal(y[0], [np.zeros(4), want, np.zeros(4), np.zeros(4)])


class Images(L.Layer):
    """A cell whose inputs and states are images, with layers of its own."""

    state_size = 2

    def build(self, input_shape):
        self.built_for = input_shape

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.of_input, self.of_state = (L.Conv2D(2, 3, padding="same") for _ in range(2))

    def get_initial_state(self, batch_size=None):
        return qn.ops.zeros((batch_size, 4, 4, 2))

    def call(self, inputs, states):
        h = qn.ops.tanh(self.of_input(inputs) + self.of_state(states[0]))
        return h, [h]


def test_inputs_and_states_of_any_rank():
    x, mask = normal(2, 3, 4, 4, 3), np.array([[True, False, True], [True, True, False]])
    layer = L.RNN(Images(), return_sequences=True)
    y = layer(x, mask=mask)
    assert y.shape == (2, 3, 4, 4, 2) and len(layer.weights) == 4 and layer.cell.built_for == (2, 4, 4, 3)
    h, cell = np.zeros((2, 4, 4, 2), "float32"), layer.cell
    for t in range(3):
        new = cell(x[:, t], [qn.constant(h)])[0].numpy()
        h = np.where(mask[:, t, None, None, None], new, h)
        assert_same_bits(y[:, t], h)


MASK = np.array([[0, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0]], bool)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_stacks_are_layers_one_after_the_other(mask):
    x = normal(N, T, F)
    cells = [L.LSTMCell(U), L.GRUCell(3, reset_after=False), L.SimpleRNNCell(2)]
    stack = L.RNN(cells, return_sequences=True, return_state=True, name="stack")
    y, lstm, gru, simple = stack(x, mask=mask)
    assert [w.path for w in stack.weights][:4] == [
        "stack/" + stack.cell.name + "/" + cells[0].name + "/" + w for w in ("kernel", "recurrent_kernel", "bias")
    ] + ["stack/" + stack.cell.name + "/" + cells[1].name + "/kernel"]
    h, states, weights = x, [], stack.get_weights()
    names = ("LSTM", U), ("GRU", 3), ("SimpleRNN", 2)
    for i, (name, units) in enumerate(names):
        zero = [np.zeros((N, units))] * (2 if name == "LSTM" else 1)
        h, _, after = recurrence(name, h, weights[3 * i : 3 * i + 3], zero, mask)
        states += after
    for actual, expected in zip(qn.tree.flatten((y, lstm, gru, simple)), [h, *states]):
        close(actual, expected, k=3 * T * (F + U))
    assert type(lstm) is list and len(lstm) == 2
    symbolic = stack(qn.Input((T, F)))
    assert [s.shape for s in qn.tree.flatten(symbolic)] == [(None, T, 2), (None, U), (None, U), (None, 3), (None, 2)]
    again = L.RNN.from_config(stack.get_config())
    again(x)
    again.set_weights(weights)
    given = [[lstm[0], lstm[1]], gru, simple]
    for a, b in zip(leaves(again(x, initial_state=given)), leaves(stack(x, initial_state=qn.tree.flatten(given)))):
        assert_same_bits(a, b)


@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_masked_outputs_of_a_stack_are_states_of_its_last_cell(name):
    """Also before the first step that counts, where the state is the one that was given."""
    x, k = normal(N, T, F), 2 if name == "LSTM" else 1
    given = [normal(N, U, seed=3 + i) for i in range(2 * k)]
    stack = L.RNN(
        [getattr(L, name + "Cell")(U), getattr(L, name + "Cell")(U)], return_sequences=True, return_state=True
    )
    result = stack(x, initial_state=given, mask=MASK)
    weights = stack.get_weights()
    h, _, first = recurrence(name, x, weights[:3], given[:k], MASK)
    h, _, second = recurrence(name, h, weights[3:], given[k:], MASK)
    for actual, expected in zip(qn.tree.flatten(result), [h, *first, *second]):
        close(actual, expected, k=2 * T * (F + U))
    last, *states = stack(np.zeros((N, 0, F), "float32"), initial_state=given)
    assert last.shape == (N, 0, U)
    stack.return_sequences = False
    assert_same_bits(stack(np.zeros((N, 0, F), "float32"), initial_state=given)[0], given[k])


def test_a_stack_draws_a_dropout_mask_for_each_cell():
    x = np.repeat(normal(N, 1, F), T, axis=1)
    cells = [L.SimpleRNNCell(U, activation=None, dropout=0.5, recurrent_initializer="zeros", seed=s) for s in (1, 2)]
    y = L.RNN(cells, return_sequences=True)(x, training=True).numpy()
    for t in range(1, T):
        np.testing.assert_array_equal(y[:, t], y[:, 0])
    assert not np.array_equal(L.RNN(cells)(x, training=True), y[:, -1])


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_bidirectional(merge, sequences, masked):
    x, mask = normal(N, T, F), MASK if masked else None
    layer = L.Bidirectional(L.LSTM(U, return_sequences=sequences, return_state=True, name="l"), merge, name="both")
    result = layer(x, mask=mask)
    weights = layer.get_weights()
    assert [w.path for w in layer.weights][::3] == [
        "both/forward_l/lstm_cell/kernel",
        "both/backward_l/lstm_cell/kernel",
    ]
    zero = [np.zeros((N, U))] * 2
    fy, fl, fs = recurrence("LSTM", x, weights[:3], zero, mask, False, sequences)
    by, bl, bs = recurrence("LSTM", x, weights[3:], zero, mask, True, sequences)
    a, b = (fy, by[:, ::-1]) if sequences else (fl, bl)
    merged = {"concat": [np.concatenate([a, b], -1)], "sum": [a + b], "mul": [a * b], "ave": [(a + b) / 2],
              None: [a, b]}[merge]  # fmt: skip
    expected = [*merged, *fs, *bs]
    assert len(result) == len(expected)
    for actual, want in zip(result, expected):
        close(actual, want)
    assert [s.shape[1:] for s in layer(qn.Input((T, F)))] == [v.shape[1:] for v in expected]
    again = L.Bidirectional.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build((N, T, F))
    again.set_weights(weights)
    for one, two in zip(leaves(again(x, mask=mask, initial_state=list(result[-4:]))),
                        leaves(layer(x, mask=mask, initial_state=list(result[-4:])))):  # fmt: skip
        assert_same_bits(one, two)


def test_bidirectional_takes_states_and_hands_masks_on():
    x, given = qn.constant(normal(N, T, F)), [normal(N, U, seed=3 + i) for i in range(4)]
    layer = L.Bidirectional(L.LSTM(U, return_sequences=True, return_state=True), merge_mode=None)
    x._keras_mask = qn.constant(MASK)
    result = layer(x, initial_state=given)
    weights = layer.get_weights()
    a, _, a_states = recurrence("LSTM", x.numpy(), weights[:3], given[:2], MASK, False, True)
    b, _, b_states = recurrence("LSTM", x.numpy(), weights[3:], given[2:], MASK, True, True)
    for actual, expected in zip(result, [a, b[:, ::-1], *a_states, *b_states]):
        close(actual, expected)
    masks = [getattr(value, "_keras_mask", None) for value in result]
    assert masks[0] is not None and masks[1] is not None and masks[2:] == [None] * 4
    assert getattr(L.Bidirectional(L.GRU(U))(x), "_keras_mask", None) is None


def test_bidirectional_of_two_layers():
    x = normal(N, T, F)
    forward, backward = L.GRU(U), L.GRU(2, activation="relu", go_backwards=True)
    layer = L.Bidirectional(forward, backward_layer=backward)
    assert layer(x).shape == (N, U + 2) and layer.backward_layer is backward and layer.forward_layer is not forward
    twin = L.Bidirectional(L.GRU(U), backward_layer=L.GRU(2, activation="relu", go_backwards=True),
                           weights=layer.get_weights())  # fmt: skip
    assert_same_bits(twin(x), layer(x))
    assert layer.compute_output_shape((N, T, F)) == (N, U + 2)
    again = L.Bidirectional.from_config(layer.get_config())
    again.build((N, T, F))
    again.set_weights(layer.get_weights())
    assert_same_bits(again(x), layer(x))


# --- states


@pytest.mark.parametrize("make", [
    lambda **k: L.GRU(U, **k), lambda **k: L.LSTM(U, **k), lambda **k: L.SimpleRNN(U, **k),
    lambda **k: L.RNN([L.LSTMCell(U), L.GRUCell(2)], **k), lambda **k: L.RNN(Fading(), **k),
], ids=["gru", "lstm", "simple_rnn", "stack", "own"])  # fmt: skip
def test_stateful(make):
    """Two halves of a sequence, one after the other, give what the whole gives."""
    x = normal(N, 2 * T, F)
    whole = make(return_sequences=True)
    layer = make(return_sequences=True, stateful=True)
    y = whole(x)
    layer(x[:, :T])
    layer.set_weights(whole.get_weights())
    layer.reset_states()
    assert_same_bits(layer(x[:, :T]), y[:, :T])
    assert_same_bits(layer(x[:, T:]), y[:, T:])
    assert not layer.weights or not any("rnn_state" in w.path for w in layer.variables)
    states = [v.numpy() for v in qn.tree.flatten(layer.states)]
    layer.reset_state()
    assert not any(v.numpy().any() for v in qn.tree.flatten(layer.states))
    layer.reset_state(states)
    assert_same_bits(qn.tree.flatten(layer.states)[0], states[0])
    layer(x[:, :T], initial_state=[np.zeros_like(s) for s in states])
    after = leaves(layer.states)
    layer.reset_state()
    layer(x[:, :T])
    for a, b in zip(after, leaves(layer.states)):
        assert_same_bits(a, b)


def test_a_copy_of_a_stateful_layer_has_states_of_its_own():
    x, layer = normal(N, T, F), L.GRU(U, stateful=True)
    first = layer(x)
    twin = copy.deepcopy(layer)
    assert_same_bits(twin(x), first)  # from zeros; the weights are the same
    layer.reset_state()
    assert twin.states[0].numpy().any() and not layer.states[0].numpy().any()


def test_stateful_in_both_directions():
    x = normal(N, T, F)
    layer = L.Bidirectional(L.LSTM(U, stateful=True))
    first, second = layer(x), layer(x)
    assert not np.array_equal(first, second) and len(layer.states) == 4
    layer.reset_states()
    assert_same_bits(layer(x), first)


def stateful_model(**compiled):
    qn.utils.set_random_seed(7)
    layers = [L.GRU(U, stateful=True, return_sequences=True), L.LSTM(U, stateful=True, return_sequences=True)]
    model = qn.Sequential([qn.Input(batch_shape=(2, T, F)), *layers, L.Dense(1)])
    model.compile("adam", "mse", **compiled)
    return model


def test_truncated_backpropagation_in_fit():
    """fit carries the states from batch to batch, in a plan as in Python, and no gradient goes back into the batch
    before.
    """
    x, y = normal(8, T, F), normal(8, T, 1, seed=1)
    recorded, eager = stateful_model(), stateful_model(run_eagerly=True)
    for model in (recorded, eager):
        model.fit(x, y, batch_size=2, shuffle=False, epochs=3, verbose=0)
        for layer in model.layers[:2]:
            layer.reset_states()
        model.fit(x, y, batch_size=2, shuffle=False, epochs=2, verbose=0)
    for a, b in zip(recorded.get_weights(), eager.get_weights()):
        assert_same_bits(a, b)
    for a, b in zip(recorded.layers[:2], eager.layers[:2]):
        for v, w in zip(a.states, b.states):
            assert_same_bits(v, w)
    assert any(np.abs(v.numpy()).max() > 0 for v in recorded.layers[0].states)
    # by hand: two steps of SGD, the second from the states that the first left, as constants
    layer = L.SimpleRNN(U, stateful=True, return_sequences=True)
    model = qn.Sequential([qn.Input(batch_shape=(2, T, F)), layer])
    model.compile(qn.optimizers.SGD(0.1), "mse", run_eagerly=True)
    weights = model.get_weights()
    target = normal(4, T, U, seed=2)
    model.fit(x[:4], target, batch_size=2, shuffle=False, verbose=0)
    hand = L.SimpleRNN(U, return_sequences=True, return_state=True)
    hand.build((2, T, F))
    hand.set_weights(weights)
    h = np.zeros((2, U), "float32")
    for i in (0, 2):
        with qn.GradientTape() as tape:
            out, h = hand(x[i : i + 2], initial_state=h)
            loss = qn.ops.mean(qn.ops.square(out - target[i : i + 2]))
        for w, g in zip(hand.weights, tape.gradient(loss, hand.weights)):
            w.assign_sub(0.1 * g)
        h = h.numpy()
    for a, b in zip(model.get_weights(), hand.get_weights()):
        close(a, b, k=T * (2 + F + U))


# --- plans, functional models, files


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
@pytest.mark.parametrize("masked", [False, True])
def test_plans(name, masked):
    """fit records the step; dropout, masks and all, with the bits of Python."""
    x, y = normal(12, T, F), normal(12, 2, seed=1)
    if masked:
        x[:, 3:] = 0

    class Mask(L.Layer):
        def call(self, x):
            return qn.ops.copy(x)

        def compute_mask(self, x, mask):
            return qn.ops.any(qn.ops.not_equal(x, 0), axis=-1)

    def train(eagerly):
        qn.utils.set_random_seed(3)
        first = getattr(L, name)(U, return_sequences=True, dropout=0.2, recurrent_dropout=0.2, seed=1)
        second = L.Bidirectional(getattr(L, name)(U, seed=2))
        model = qn.Sequential([*([Mask()] if masked else []), first, second, L.Dense(2)])
        model.compile("adam", "mse", run_eagerly=eagerly)
        losses = model.fit(x, y, batch_size=4, epochs=4, shuffle=False, verbose=0).history["loss"]
        return losses, model

    (a, recorded), (b, eager) = train(False), train(True)
    assert a == b and a[-1] < a[0]
    for v, w in zip(recorded.get_weights(), eager.get_weights()):
        assert_same_bits(v, w)
    assert_same_bits(recorded.predict(x, verbose=0), eager.predict(x, verbose=0))


def test_states_of_a_functional_model():
    """Encoder and decoder: states go from one layer to the other as symbols; the model comes back from its config."""
    source, target = qn.Input((None, F), name="source"), qn.Input((None, 2), name="target")
    _, h, c = L.LSTM(U, return_state=True)(source)
    y = L.LSTM(U, return_sequences=True)(target, initial_state=[h, c])
    z = L.GRU(U)(y, initial_state=h)
    model = qn.Model([source, target], L.Dense(2)(z))
    a, b = normal(N, T, F), normal(N, 3, 2)
    out = model([a, b])
    encoder, decoder, last, dense = [layer for layer in model.layers if layer.weights]
    _, h, c = encoder(a)
    assert_same_bits(dense(last(decoder(b, initial_state=[h, c]), initial_state=h)), out)
    again = qn.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert_same_bits(again([a, b]), out)
    twin = qn.models.clone_model(model)
    twin.set_weights(model.get_weights())
    assert_same_bits(twin([a, b]), out)
    model.compile("adam", "mse")
    history = model.fit([a, b], normal(N, 2, seed=4), epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]
    mask = qn.Input((T,), dtype="bool")
    fixed = qn.Input((T, F))
    layer = L.GRU(U)
    masked = qn.Model([fixed, mask], layer(fixed, mask=mask))
    assert_same_bits(masked([a, MASK]), layer(a, mask=MASK))
    numeric = L.GRU(U)(source, initial_state=qn.ops.ones((1, U)))
    assert qn.Model(source, numeric)(a[:1]).shape == (1, U)


def test_a_model_that_asks_for_its_first_states():
    """A subclass in the way of the tutorials: states from get_initial_state(ops.shape(x)[0]), handed on between calls."""

    class Words(qn.Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.dense = L.Embedding(9, 4), L.Dense(9)
            self.gru = L.GRU(U, return_sequences=True, return_state=True)

        def call(self, inputs, states=None, return_state=False):
            x = self.embedding(inputs)
            if states is None:
                states = self.gru.get_initial_state(qn.ops.shape(x)[0])
            x, states = self.gru(x, initial_state=states)
            return (self.dense(x), states) if return_state else self.dense(x)

    ids = np.random.default_rng(0).integers(0, 9, (8, 7))
    weights = []
    for eagerly in (False, True):
        qn.utils.set_random_seed(1)
        model = Words()
        model.compile("adam", qn.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=eagerly)
        model.fit(ids[:, :-1], ids[:, 1:], batch_size=4, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights):
        assert_same_bits(a, b)
    first, state = model(ids[:, :3], return_state=True)
    second = model(ids[:, 3:], states=state)
    assert_same_bits(np.concatenate([first, second], axis=1), model(ids))


def test_files(tmp_path):
    def make():
        return qn.Sequential([
            qn.Input((T, F)), L.Bidirectional(L.LSTM(U, return_sequences=True)),
            L.RNN([L.GRUCell(3), L.LSTMCell(2)], return_sequences=True), L.SimpleRNN(2),
        ])  # fmt: skip

    a, b = make(), make()
    path = tmp_path / "model.weights.safetensors"
    a.save_weights(path)
    b.load_weights(path)
    x = normal(N, T, F)
    assert_same_bits(b(x), a(x))
    again = qn.Sequential.from_config(a.get_config())
    again.set_weights(a.get_weights())
    assert_same_bits(again(x), a(x))


def test_masks_reach_losses_and_layers():
    x, mask = qn.constant(normal(N, T, F)), qn.constant(MASK)
    x._keras_mask = mask
    layer = L.GRU(U, return_sequences=True, return_state=True)
    y, h = layer(x)
    assert_same_bits(y._keras_mask, MASK)
    assert getattr(h, "_keras_mask", None) is None
    assert getattr(L.GRU(U)(x), "_keras_mask", None) is None
    assert_same_bits(y, layer(normal(N, T, F), mask=MASK)[0])
    given = normal(N, U, seed=3)  # the mask counts beside initial_state, too
    assert_same_bits(layer(x, initial_state=given)[1], layer(normal(N, T, F), mask=MASK, initial_state=given)[1])
    both = L.Bidirectional(L.GRU(U, return_sequences=True))(x)
    assert_same_bits(both._keras_mask, MASK)
    assert not both.numpy()[~MASK].any()
    target = normal(N, T, U, seed=1)
    loss = qn.losses.MeanSquaredError()(target, y)
    error = ((y.numpy().astype("float64") - target) ** 2).mean(-1)
    assert_close(float(loss), error[MASK].sum() / MASK.sum(), 2 * EPS * (N * T * U + 1) * error.max())
    symbol = qn.Input((T, F))
    symbol._keras_mask = qn.KerasTensor((None, T), "bool")
    assert layer(symbol)[0]._keras_mask is symbol._keras_mask


def test_cells_by_themselves():
    """A cell keeps its dropout masks until they are reset."""
    cell = L.GRUCell(U, dropout=0.5, recurrent_dropout=0.5, seed=1)
    x, h = qn.ops.ones((N, F)), [qn.ops.ones((N, U))]
    first = cell(x, h, training=True)[0]
    assert_same_bits(cell(x, h, training=True)[0], first)
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    assert not np.array_equal(cell(x, h, training=True)[0], first)
    y, new = L.SimpleRNNCell(U)(x, h[0])
    assert new is y
    for kind, k in ((L.SimpleRNNCell, 1), (L.GRUCell, 1), (L.LSTMCell, 2)):  # states of integers are cast
        one, ones = kind(U), np.ones((N, U))
        assert_same_bits(one(x, [ones.astype("int64")] * k)[0], one(x, [ones.astype("float32")] * k)[0])
    cell = L.LSTMCell.from_config(L.LSTMCell(U, dropout=0.1, seed=4).get_config())
    assert (cell.units, cell.dropout, cell.seed, cell.state_size) == (U, 0.1, 4, [U, U])
