"""Recurrent layers: values by plain NumPy, the layer against RNN(cell), masks, states, dropout, plans, errors."""

import itertools

import numpy as np
import pytest
from recurrence import recurrence

import quernel as qn
from quernel.testing import assert_close, assert_same_bits

L = qn.layers
EPS = np.finfo("float32").eps
N, T, F, U = 3, 5, 4, 6
KINDS = [("SimpleRNN", {}), ("GRU", {}), ("GRU", {"reset_after": False}), ("LSTM", {})]
NAMES = ["SimpleRNN", "GRU", "GRU-before", "LSTM"]
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0]], bool)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def states_of(name, seed=5):
    return [normal(N, U, seed=seed + i) for i in range(2 if name == "LSTM" else 1)]


def layer_with_weights(name, **arguments):
    """A built layer whose biases are not zero."""
    layer = getattr(L, name)(U, **arguments)
    layer.build((N, T, F))
    layer.set_weights([w + 0.3 * normal(*w.shape, seed=9 + i) for i, w in enumerate(layer.get_weights())])
    return layer


def numpy_weights(layer):
    weights = layer.get_weights()
    return weights if len(weights) == 3 else [*weights, np.zeros(1)]


def close(actual, expected, k=T * (F + U)):
    """A recurrence of T steps, each a sum of F + U terms."""
    expected = np.asarray(expected, "float64")
    assert_close(np.asarray(actual), expected, 2 * EPS * (k + 1) * max(1.0, np.abs(expected).max(initial=0.0)))


def flags():
    for sequences, backwards, masked, zeros, given in itertools.product((False, True), repeat=5):
        if masked or not zeros:
            yield pytest.param(sequences, backwards, masked, zeros, given, id="".join(
                c if on else "-" for c, on in zip("sbmzi", (sequences, backwards, masked, zeros, given))))  # fmt: skip


@pytest.mark.parametrize(("sequences", "backwards", "masked", "zeros", "given"), list(flags()))
@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
def test_values_and_gradients(name, more, sequences, backwards, masked, zeros, given):
    """Values as NumPy's; all gradients as those of RNN(cell), which goes step by step."""
    arguments = {"return_sequences": sequences, "go_backwards": backwards, "zero_output_for_mask": zeros}
    layer = layer_with_weights(name, return_state=True, **arguments, **more)
    x, mask, states = normal(N, T, F), MASK if masked else None, states_of(name) if given else None
    zero = [np.zeros((N, U))] * len(states_of(name))
    y, last, after = recurrence(
        name, x, layer.get_weights(), states or zero, mask, backwards, zero_output_for_mask=zeros
    )
    steps = L.RNN(type(layer.cell).from_config(layer.cell.get_config()), return_state=True, **arguments)
    steps.build((N, T, F))
    steps.set_weights(layer.get_weights())
    gradients = []
    for one in (layer, steps):
        variables = [qn.Variable(a) for a in (x, *(states or ()))]
        keywords = {"initial_state": variables[1:]} if given else {}
        with qn.GradientTape() as tape:
            result = one(variables[0], mask=mask, **keywords)
            loss = sum(qn.ops.sum(v * normal(*v.shape, seed=20 + i)) for i, v in enumerate(result))
        for actual, expected in zip(result, [y if sequences else last, *after]):
            close(actual, expected)
        gradients.append(tape.gradient(loss, [*variables, *one.trainable_weights]))
    for a, b in zip(*gradients):
        close(a, b, k=T * (N + F + 4 * U))


@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
@pytest.mark.parametrize("activation", ["relu", "linear", "sigmoid", "softsign"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_activations(name, more, activation, use_bias):
    gate = (
        {} if name == "SimpleRNN" else {"recurrent_activation": "softsign" if activation == "softsign" else "sigmoid"}
    )
    layer = layer_with_weights(name, activation=activation, use_bias=use_bias, **gate, **more)
    x = normal(N, T, F)
    zero = [np.zeros((N, U))] * len(states_of(name))
    w, r, b = numpy_weights(layer)
    if name == "GRU" and not use_bias and layer.reset_after:
        b = np.zeros((2, 3 * U))
    _, last, _ = recurrence(name, x, [w, r, b], zero, activation=activation, **gate)
    close(layer(x), last)


@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
@pytest.mark.parametrize("rates", [(0.4, 0.0), (0.0, 0.4), (0.4, 0.4), (1.0, 0.5), (0.0, 1.0)])
def test_dropout(name, more, rates):
    """One mask for all steps of a call, another in the next call; NumPy with the same factors, and RNN(cell), agree."""
    arguments = {"dropout": rates[0], "recurrent_dropout": rates[1], "seed": 3, **more}
    layer = layer_with_weights(name, return_sequences=True, **arguments)
    cell = type(layer.cell)(U, **arguments)
    steps = L.RNN(cell, return_sequences=True)
    x = np.repeat(normal(N, 1, F), T, axis=1)
    assert_same_bits(layer(x), layer(x))
    plain = layer_with_weights(name, return_sequences=True, **more)
    plain.set_weights(layer.get_weights())
    assert_same_bits(layer(x), plain(x))
    steps(x)
    steps.set_weights(layer.get_weights())
    first, second = layer(x, training=True), layer(x, training=True)
    close(first, steps(x, training=True).numpy())
    close(second, steps(x, training=True).numpy())
    if rates != (0.0, 1.0):
        assert np.abs(first.numpy() - second.numpy()).max() > 1e-3
    generator = qn.random.SeedGenerator(3)
    x_mask = r_mask = np.ones(1)
    if rates[0]:
        x_mask = np.zeros((N, F)) if rates[0] == 1 else qn.random.dropout(qn.ones((N, F)), rates[0], seed=generator)
    if rates[1]:
        r_mask = np.zeros((N, U)) if rates[1] == 1 else qn.random.dropout(qn.ones((N, U)), rates[1], seed=generator)
    y, _, _ = recurrence(
        name, x, layer.get_weights(), [np.zeros((N, U))] * len(states_of(name)),
        x_factor=np.asarray(x_mask, "float64"), h_factor=np.asarray(r_mask, "float64"),
    )  # fmt: skip
    close(first, y)


def test_the_cell_forgets_its_dropout_masks_after_a_call():
    for name, more in KINDS:
        layer = getattr(L, name)(U, dropout=0.5, recurrent_dropout=0.5, **more)
        layer(normal(N, T, F), training=True)
        one = [qn.constant(s[:1]) for s in states_of(name)]
        assert layer.cell(normal(1, F), one, training=True)[0].shape == (1, U)


def test_the_layer_takes_no_dropout_masks_that_the_cell_holds():
    """Those of calls of the cell itself, with as many rows, stay in the cell until the layer begins."""
    for name, more in KINDS:
        layer, states = getattr(L, name)(U, dropout=0.5, seed=1, return_sequences=True, **more), states_of(name)
        layer.build((N, T, F))
        x = normal(N, 1, F)
        for one in (layer, L.RNN(layer.cell, return_sequences=True)):
            held = layer.cell.get_dropout_mask(qn.ones((N, F))).numpy()
            y = one(x, initial_state=states, training=True).numpy()[:, 0]
            assert np.abs(y - layer.cell(x[:, 0] * held, states)[0].numpy()).max() > 1e-3


@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
def test_first_states_of_other_types(name, more):
    layer, x = layer_with_weights(name, **more), normal(N, T, F)
    for one in (layer, L.RNN(layer.cell)):
        y = one(x, initial_state=[2 * np.ones_like(s) for s in states_of(name)])
        for kind in ("int32", "int64", "uint8", "float64"):
            assert_same_bits(one(x, initial_state=[2 * np.ones(s.shape, kind) for s in states_of(name)]), y)
        given = [2 * np.ones((U, 3 * N), "float32").T[::-3] for _ in states_of(name)]
        assert_same_bits(one(x, initial_state=tuple(given)), y)


def test_first_states_of_a_subclass():
    class Begun(L.GRU):
        def get_initial_state(self, batch_size):
            return [qn.ops.ones((batch_size, self.units))]

    layer = Begun(U)
    x = normal(N, T, F)
    plain = L.GRU(U)
    plain.build((N, T, F))
    layer.build((N, T, F))
    layer.set_weights(plain.get_weights())
    assert_same_bits(layer(x), plain(x, initial_state=np.ones((N, U), "float32")))


def test_weights():
    """Shapes, order, names and paths are Keras's; the forget gate starts at 1, the recurrent kernels orthogonal."""
    for name, gates, bias in (("SimpleRNN", 1, (U,)), ("GRU", 3, (2, 3 * U)), ("LSTM", 4, (4 * U,))):
        layer = getattr(L, name)(U, name="layer")
        layer(qn.ones((N, T, F)))
        cell = {"SimpleRNN": "simple_rnn_cell", "GRU": "gru_cell", "LSTM": "lstm_cell"}[name]
        assert [(w.path, w.shape) for w in layer.weights] == [
            (f"layer/{cell}/kernel", (F, gates * U)),
            (f"layer/{cell}/recurrent_kernel", (U, gates * U)),
            (f"layer/{cell}/bias", bias),
        ]
        r = layer.get_weights()[1].astype("float64")
        np.testing.assert_allclose(r @ r.T, np.eye(U), atol=8 * EPS)
    assert L.GRUCell(U, reset_after=False)._bias_shape() == (3 * U,)
    expected = np.zeros(4 * U)
    expected[U : 2 * U] = 1
    np.testing.assert_array_equal(layer.get_weights()[2], expected)
    layer = L.LSTM(U, unit_forget_bias=False, bias_initializer="ones", use_bias=True)
    layer.build((None, None, F))
    np.testing.assert_array_equal(layer.get_weights()[2], np.ones(4 * U))
    layer = L.LSTM(U, bias_initializer=qn.initializers.Constant(0.5))
    layer.build((None, None, F))
    np.testing.assert_array_equal(layer.get_weights()[2], np.where(expected, 1, 0.5))


def test_a_relu_that_begins_as_a_sum():
    """The recurrent kernel of Le, Jaitly and Hinton: at first the state sums up what relu leaves."""
    layer = L.SimpleRNN(U, activation="relu", kernel_initializer="ones", recurrent_initializer="identity")
    x = np.random.default_rng(0).integers(0, 5, (N, T, F)).astype("float32")
    np.testing.assert_array_equal(layer(x).numpy(), np.repeat(x.sum((1, 2))[:, None], U, axis=1))


def test_masks_of_numbers():
    """As in Keras what is not 0 counts; the mask may lie in memory in any way."""
    x = normal(N, T, F)
    for name, more in KINDS:
        layer = layer_with_weights(name, return_sequences=True, **more)
        y = layer(x, mask=MASK)
        for kind in ("int32", "uint8", "int64", "float32"):
            assert_same_bits(layer(x, mask=3 * MASK.astype(kind)), y)
        assert_same_bits(layer(x, mask=np.repeat(MASK[:, ::-1], 2, axis=1)[:, ::-2]), y)
        assert_same_bits(layer(x[:, ::-1][:, ::-1], mask=np.asfortranarray(MASK)), y)


EVERY = [
    (L.SimpleRNN, {"activation": "relu", "dropout": 0.2, "seed": 1}),
    (L.SimpleRNN, {"return_sequences": True, "kernel_regularizer": "l2", "activity_regularizer": "l1"}),
    (L.GRU, {"reset_after": False, "recurrent_activation": "hard_sigmoid", "bias_constraint": "non_neg"}),
    (L.GRU, {"return_sequences": True, "return_state": True, "unroll": True, "recurrent_regularizer": "l1"}),
    (L.LSTM, {"unit_forget_bias": False, "use_bias": False, "go_backwards": True, "zero_output_for_mask": True}),
    (L.LSTM, {"return_state": True, "recurrent_dropout": 0.3, "bias_regularizer": "l2", "trainable": False}),
    (L.LSTM, {"kernel_initializer": "he_normal", "recurrent_initializer": "zeros", "bias_initializer": "ones"}),
]


@pytest.mark.parametrize(("cls", "arguments"), EVERY, ids=[f"{c.__name__}-{i}" for i, (c, _) in enumerate(EVERY)])
def test_configurations(cls, arguments):
    layer = cls(U, name="one", **arguments)
    symbolic = layer(qn.KerasTensor((None, None, F)))
    x = normal(N, T, F)
    y = layer(x)
    for s, v in zip(qn.tree.flatten(symbolic), qn.tree.flatten(y)):
        assert s.dtype == v.dtype and s.shape == tuple(None if n in (N, T) else n for n in v.shape)
    config = layer.get_config()
    for name, value in arguments.items():
        assert name in config and (not isinstance(value, (bool, float, int)) or config[name] == value)
    again = cls.from_config(config)
    assert again.get_config() == config
    again(x)
    again.set_weights(layer.get_weights())
    for a, b in zip(qn.tree.flatten(again(x)), qn.tree.flatten(y)):
        assert_same_bits(a, b)
    assert (
        len(layer.losses) == sum("regularizer" in name for name in arguments) * layer.trainable or not layer.trainable
    )
    assert [float(loss) for loss in again.losses] == [float(loss) for loss in layer.losses]
    assert [w.trainable for w in layer.weights] == [layer.trainable] * len(layer.weights)


@pytest.mark.parametrize("which", ["kernel", "recurrent", "bias"])
@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
def test_constraints_and_regularizers_reach_their_weights(name, more, which):
    layer = getattr(L, name)(U, **{f"{which}_constraint": "non_neg", f"{which}_regularizer": "l2"}, **more)
    model = qn.Sequential([qn.Input((T, F)), layer])
    model.set_weights([normal(*w.shape, seed=i) for i, w in enumerate(model.weights)])
    model.compile(qn.optimizers.SGD(0.1), "mse")
    weights = dict(zip(("kernel", "recurrent", "bias"), layer.weights))
    (loss,) = layer.losses
    assert float(loss) == pytest.approx(0.01 * (weights[which].numpy().astype("float64") ** 2).sum(), rel=1e-5)
    model.fit(normal(N, T, F), normal(N, U), verbose=0)
    assert {kind for kind, w in weights.items() if w.numpy().min() >= 0} == {which}


@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
def test_activity_regularizers(name, more):
    """The mean over samples of the penalty of the outputs."""
    layer = layer_with_weights(name, activity_regularizer="l2", return_sequences=True, **more)
    for one in (layer, L.Bidirectional(layer), L.RNN(layer.cell, return_sequences=True, activity_regularizer="l2")):
        y = one(normal(N, T, F)).numpy().astype("float64")
        assert float(sum(one.losses)) == pytest.approx(0.01 * (y**2).sum() / N, rel=1e-5)


def test_unroll_is_the_same():
    x = normal(N, T, F)
    for name, more in KINDS:
        layer = layer_with_weights(name, **more)
        twin = getattr(L, name)(U, unroll=True, **more)
        twin(x)
        twin.set_weights(layer.get_weights())
        assert_same_bits(layer(x, mask=MASK), twin(x, mask=MASK))


@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
def test_batch_rows_are_alone(name, more):
    """A sample's result does not depend on the others, nor a padded tail on what it holds."""
    layer = layer_with_weights(name, return_sequences=True, **more)
    x = normal(N, T, F)
    whole = layer(x, mask=MASK)
    assert_same_bits(layer(x[1:2], mask=MASK[1:2]), whole[1:2])
    x[1, 2:] = np.nan
    with np.errstate(invalid="ignore"):
        assert_same_bits(layer(x, mask=MASK)[1:2], whole[1:2])


@pytest.mark.parametrize(("name", "more"), KINDS, ids=NAMES)
def test_no_steps_and_no_samples(name, more):
    layer = layer_with_weights(name, return_state=True, **more)
    states = states_of(name)
    result = layer(np.zeros((N, 0, F), "float32"), initial_state=states)
    for actual, expected in zip(result, [states[0], *states]):
        assert_same_bits(actual, expected)
    layer = layer_with_weights(name, return_sequences=True, **more)
    assert layer(np.zeros((N, 0, F), "float32")).shape == (N, 0, U)
    assert layer(np.zeros((0, T, F), "float32")).shape == (0, T, U)
    assert layer(np.zeros((0, T, F), "float32"), mask=np.zeros((0, T), bool)).shape == (0, T, U)


def test_nan_passes():
    for name, more in KINDS:
        layer = layer_with_weights(name, return_sequences=True, **more)
        x = normal(N, T, F)
        x[0, 2, 1] = np.nan
        y = layer(x).numpy()
        assert np.isfinite(y[0, :2]).all() and np.isnan(y[0, 2:]).any(axis=1).all() and np.isfinite(y[1:]).all()


def test_integers_and_other_floats():
    x = np.arange(N * T * F).reshape(N, T, F) % 5
    for name, more in KINDS:
        layer = layer_with_weights(name, **more)
        assert_same_bits(layer(x.astype("int32")), layer(x.astype("float32")))
        assert layer(x.astype("float64")).dtype == "float32"
        wide = getattr(L, name)(U, dtype="float64", **more)
        wide(x)
        wide.set_weights(layer.get_weights())
        y, _, _ = recurrence(name, x, layer.get_weights(), [np.zeros((N, U))] * len(states_of(name)))
        assert wide(x).dtype == "float64" and wide.cell.dtype == "float64"
        np.testing.assert_allclose(wide(x).numpy(), y[:, -1], rtol=1e-12, atol=1e-12)


ERRORS = [
    (lambda: L.LSTM(0), "units: expected an int of at least 1, received 0"),
    (lambda: L.GRU(3, dropout=1.5), "dropout: expected a number from 0 to 1, received 1.5"),
    (lambda: L.GRU(3, recurrent_dropout=-0.1), "recurrent_dropout: expected a number from 0 to 1"),
    (lambda: L.LSTM(3, use_cudnn=True), "there is no cuDNN here"),
    (lambda: L.LSTM(3, use_cudnn="no"), "use_cudnn: expected 'auto' or False"),
    (lambda: L.LSTM(3, activation="nothing"), "activation: expected one of"),
    (lambda: L.LSTM(3, depth=2), "LSTM: unknown argument 'depth'"),
    (lambda: L.LSTM(3)(np.ones((2, 4), "f")), "expected ndim=3, received ndim=2"),
    (lambda: L.LSTM(3)(qn.KerasTensor((2, 4, None))), "expected a known last axis"),
    (lambda: L.RNN(L.GRUCell(3))(np.ones((2, 4), "f")), "expected min_ndim=3, received ndim=2"),
    (lambda: L.GRU(3)(np.ones((2, 4, 5), "f"), mask=np.ones((2, 5), bool)), r"mask: expected shape \(2, 4\), received"),
    (lambda: L.GRU(3)(np.ones((2, 4, 5), "f"), mask=np.ones((2, 4, 1), bool)), r"received \(2, 4, 1\)"),
    (lambda: L.GRU(3)(np.ones((2, 4, 5), "f"), initial_state=np.ones((3, 3), "f")), r"initial_state: expected 1 of"),
    (
        lambda: L.GRU(3)(np.ones((2, 4, 5), "f"), initial_state=np.ones((2, 4), "f")),
        r"received 1 of shapes \[\(2, 4\)\]",
    ),
    (lambda: L.LSTM(3)(np.ones((2, 4, 5), "f"), initial_state=np.ones((2, 3), "f")), r"expected 2 of shapes"),
    (lambda: L.LSTM(3)(qn.Input((4, 5)), initial_state=qn.Input((4,))), r"expected 2 of shapes"),
    (
        lambda: L.GRU(3)(np.ones((2, 4, 5), "f"), mask=[[True] * 4] * 2),
        r"mask: expected arrays.*received True \(bool\)",
    ),
    (lambda: L.GRU(3)(np.ones((2, 4, 5), "f"), initial_state=[None]), "initial_state: expected arrays.*received None"),
    (lambda: L.RNN(L.GRUCell(3))(np.ones((2, 4, 5), "f"), initial_state=0.0), r"received 0.0 \(float\)"),
    (lambda: L.Bidirectional(L.GRU(3))(np.ones((2, 4, 5), "f"), initial_state=[None] * 2), "received None"),
    (lambda: L.LSTMCell(3)(np.ones((2, 5), "f"), np.ones((2, 3), "f")), r"states: expected 2 of shapes.*received 1 of"),
    (lambda: L.LSTMCell(3)(np.ones((2, 5), "f"), [np.ones((2, 3), "f")] * 3), "states: expected 2 of .* received 3 of"),
    (lambda: L.GRUCell(3)(np.ones((2, 5), "f"), [np.ones((1, 3), "f")]), r"received 1 of shapes \[\(1, 3\)\]"),
    (lambda: L.SimpleRNNCell(3)(np.ones((2, 5), "f"), np.ones((2, 4), "f")), r"\[\(2, 3\)\], received .*\(2, 4\)"),
    (
        lambda: L.StackedRNNCells([L.GRUCell(3), L.GRUCell(3)])(np.ones((2, 5), "f"), [np.ones((2, 3), "f")]),
        "of 2 cells",
    ),
    (lambda: L.LSTM(3, stateful=True)(qn.Input((4, 5))), "expected a fixed batch size with stateful=True"),
    (lambda: L.RNN(3), "cell: expected an object with a method"),
    (lambda: L.RNN(L.Dense(3)), "cell: expected a `state_size`"),
    (lambda: L.RNN([]), "StackedRNNCells: expected a list of cells"),
    (lambda: L.StackedRNNCells(L.GRUCell(2)), "StackedRNNCells: expected a list of cells"),
    (lambda: L.Bidirectional(L.GRUCell(2)), r"layer: expected a layer with \['go_backwards'"),
    (lambda: L.Bidirectional(3), "layer: expected a recurrent layer, received 3"),
    (lambda: L.Bidirectional(L.GRU(2), merge_mode="max"), "merge_mode: expected one of"),
    (lambda: L.Bidirectional(L.GRU(2), backward_layer=L.GRU(2)), "expected layers with different go_backwards"),
    (lambda: L.Bidirectional(L.GRU(2), backward_layer=L.GRU(2, go_backwards=True, stateful=True)), "the same stateful"),
    (
        lambda: L.Bidirectional(L.LSTM(2))(np.ones((2, 4, 5), "f"), initial_state=[np.ones((2, 2), "f")] * 3),
        "received 3",
    ),
    (lambda: L.Bidirectional(L.GRU(2)).reset_state(), "reset_state: expected stateful=True"),
]


@pytest.mark.parametrize(("make", "message"), ERRORS, ids=range(len(ERRORS)))
def test_errors(make, message):
    with pytest.raises((ValueError, TypeError, AttributeError), match=message):
        make()


def test_a_built_layer_refuses_other_sizes():
    layer = L.GRU(U, stateful=True)
    layer(normal(N, T, F))
    with pytest.raises(ValueError, match="axis -1 of size 4"):
        layer(normal(N, T, F + 1))
    with pytest.raises(ValueError, match="expected batches of 3 samples.*received 2"):
        layer(normal(2, T, F))
    with pytest.raises(ValueError, match="reset_state: expected 1 states, received 2"):
        layer.reset_state([normal(N, U)] * 2)


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_plans_ask_for_the_settings_of_the_cell(name):
    """A layer whose sequence is one op does not call its cell; a change of the cell counts all the same."""
    x, y = normal(8, T, F), normal(8, U, seed=1)

    def train(eagerly):
        qn.utils.set_random_seed(1)
        model = qn.Sequential([getattr(L, name)(U, seed=1)])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        model.layers[0].cell.dropout = 0.5
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    for a, b in zip(train(False), train(True)):
        assert_same_bits(a, b)


@pytest.mark.parametrize("units", [257, 300, 513, 700])
def test_a_step_sums_in_dots_order_whatever_it_takes_at_a_time(units):
    """Recurrent products of more terms than pass at once, and than a chain has, beside those of dense layers."""
    if not qn.backend.available("native"):
        pytest.skip("needs the compiled core")
    K, rng = qn.kernels, np.random.default_rng(units)
    z, h, u = (rng.standard_normal(shape).astype("float32") * 0.1 for shape in
               [(20, 1, 4 * units), (20, units), (units, 4 * units)])  # fmt: skip
    y, last, c, gates, cells = K.lstm_forward(z, u, h)
    expected = K.add(K.dense_forward(h, u), z[:, 0])
    for gate, function in enumerate([K.sigmoid, K.sigmoid, K.tanh, K.sigmoid]):
        part = slice(gate * units, (gate + 1) * units)
        assert np.array_equal(gates[:, 0, part], function(expected[:, part])), f"gate {gate}"
    dz, _, dh, _ = K.lstm_dx(y, gates, cells, u, rng.standard_normal(y.shape).astype("float32"))
    assert np.array_equal(dh, K.dense_dx(dz[:, 0], u))
