"""LSTM: values by hand, one step against many, masks, edges, errors by message, plans, bits over threads, torch."""

import itertools

import numpy as np
import pytest
from recurrence import a_plan_gives_the_bits_of_python, normal, same_bits_everywhere, sigmoid

import quernel as qn
from quernel import kernels as k
from quernel.testing import assert_close, assert_same_bits, engines

ENGINES = engines()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_two_steps_by_hand(engine):
    z = np.array([[[1.0, -1.0, 0.5, 2.0], [0.0, 1.0, -1.0, 0.5]]], "float32")
    u = np.array([[0.5, -0.5, 1.0, 2.0]], "float32")
    i1, f1, g1, o1 = sigmoid(1 + 0.1), sigmoid(-1 - 0.1), np.tanh(0.5 + 0.2), sigmoid(2 + 0.4)  # z + 0.2 * u
    c1 = f1 * 0.25 + i1 * g1
    h1 = o1 * np.tanh(c1)
    i2, f2, g2, o2 = sigmoid(0.5 * h1), sigmoid(1 - 0.5 * h1), np.tanh(-1 + h1), sigmoid(0.5 + 2 * h1)
    c2 = f2 * c1 + i2 * g2
    with engine:
        y, h, c, gates, cells = k.lstm_forward(z, u, np.float32([[0.2]]), np.float32([[0.25]]))
        np.testing.assert_allclose(y.ravel(), [h1, o2 * np.tanh(c2)], rtol=1e-6)
        np.testing.assert_allclose(cells.ravel(), [c1, c2], rtol=1e-6)
        np.testing.assert_allclose(gates[0], [[i1, f1, g1, o1], [i2, f2, g2, o2]], rtol=1e-6)
        assert h == y[:, -1] and c == cells[:, -1]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("backwards", [False, True])
def test_masked_steps_carry(engine, backwards):
    """A masked sequence gives what its steps alone give; masked steps give the state before them, and no gradient."""
    z, u, h, c = normal(0, 1, 6, 12), normal(1, 3, 12), normal(2, 1, 3), normal(3, 1, 3)
    mask = np.array([[True, False, True, True, False, True]])
    dy = normal(4, 1, 6, 3)
    with engine:
        y, last, cell, gates, cells = k.lstm_forward(z, u, h, c, mask, go_backwards=backwards)
        dz, du, dh0, dc0 = k.lstm_dx(y, gates, cells, u, dy, None, None, h, c, mask, go_backwards=backwards)
        steps = [1, 4] if not backwards else [4, 1]  # times of the masked ones, in the order of the steps
        on = [s for s in range(6) if (5 - s if backwards else s) not in steps]
        alone = k.lstm_forward(z[:, [0, 2, 3, 5]], u, h, c, go_backwards=backwards)
        assert_same_bits(y[:, on], alone[0])
        assert_same_bits(last, alone[1])
        assert_same_bits(cell, alone[2])
        for s in set(range(6)) - set(on):
            assert_same_bits(y[:, s], y[:, s - 1])
            assert not gates[:, s].any()
        assert not dz[:, [1, 4]].any() and dz[:, [0, 2, 3, 5]].all()
        folded = dy.copy()  # the gradient of a masked step's y is one of the step before it
        for s in reversed(range(1, 6)):
            if s not in on:
                folded[:, s - 1] += folded[:, s]
        same = k.lstm_dx(alone[0], alone[3], alone[4], u, folded[:, on], None, None, h, c, go_backwards=backwards)
        for got, want in zip((dz[:, [0, 2, 3, 5]], du, dh0, dc0), same):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_absent_gradients_are_zeros(engine):
    z, u = normal(0, 3, 5, 16), normal(1, 4, 16)
    with engine:
        y, _, _, gates, cells = k.lstm_forward(z, u)
        dh = normal(2, 3, 4)
        none = k.lstm_dx(y, gates, cells, u, None, dh, None)
        zeros = k.lstm_dx(y, gates, cells, u, np.zeros_like(y), dh, np.zeros_like(dh))
        for got, want in zip(none, zeros):
            assert np.array_equal(got, want)
            assert want.any()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("n, units", [(1, 64), (1, 5), (7, 33), (64, 20)])
def test_a_cell_is_one_step(engine, n, units):
    x, w, u, b = normal(0, n, 9), normal(1, 9, 4 * units), normal(2, units, 4 * units), normal(3, 4 * units)
    h, c = normal(4, n, units), normal(5, n, units)
    with engine:
        z = k.dense_forward(x, w, b)
        y, last, cell, _, _ = k.lstm_forward(z[:, None], u, h, c)
        got = k.lstm_cell(x, w, u, b, h, c)
        assert_same_bits(got[0], last)
        assert_same_bits(got[1], cell)
        assert_same_bits(y[:, 0], last)


def test_a_cell_takes_its_weights_where_they_lie():
    """The native cell packs no whole panel; with 50 units the last panel is not whole."""
    for units in (50, 64):
        x, w, u = normal(0, 1, 8), normal(1, 8, 4 * units), normal(2, units, 4 * units)
        wide = np.zeros((units, 8 * units), "float32")
        wide[:, ::2] = u
        assert_same_bits(k.lstm_cell(x, w, u)[0], k.lstm_cell(x, w, wide[:, ::2])[0])


def test_the_number_of_rows_changes_no_bit():
    z, u = normal(0, 37, 5, 4 * 40), normal(1, 40, 160, scale=0.2)
    y, h, c, gates, cells = k.lstm_forward(z, u)
    dy = normal(2, 37, 5, 40)
    dz = k.lstm_dx(y, gates, cells, u, dy)[0]
    for rows in (slice(0, 1), slice(3, 5), slice(30, 37)):
        few = k.lstm_forward(z[rows], u)
        for got, want in zip(few, (y, h, c, gates, cells)):
            assert_same_bits(got, want[rows])
        assert_same_bits(k.lstm_dx(few[0], few[3], few[4], u, dy[rows])[0], dz[rows])


def test_what_goes_past_the_caches_has_the_same_bits():
    """From 16 MB on gates and dz are streamed; 64 rows of 64 steps and 256 units come to just that, 3 rows do not."""
    z, u = normal(0, 64, 64, 4 * 256), normal(1, 256, 4 * 256, scale=0.05)
    large = k.lstm_forward(z, u)
    assert large[3].nbytes >= 16 << 20
    few = k.lstm_forward(z[7:10], u)
    for got, want in zip(large, few):
        assert_same_bits(got[7:10], want)
    dy = normal(2, 64, 64, 256)
    dz, du, dh, dc = k.lstm_dx(large[0], large[3], large[4], u, dy)
    alone = k.lstm_dx(few[0], few[3], few[4], u, dy[7:10])
    for got, want in zip((dz, dh, dc), (alone[0], *alone[2:])):
        assert_same_bits(got[7:10], want)
    before = np.concatenate([np.zeros_like(dy[:, :1]), large[0][:, :-1]], axis=1)
    assert_same_bits(du, k.dense_dw(before, dz))


@pytest.mark.parametrize("n, t, units", [(1, 7, 200), (64, 5, 40), (5, 3, 300), (9, 4, 64), (200, 3, 310)])
def test_bits_over_threads(n, t, units, sharing):
    """Rows shared, units shared, more rows than a block."""
    z, u = normal(0, n, t, 4 * units), normal(1, units, 4 * units, scale=0.1)
    mask = np.arange(t) < np.random.default_rng(2).integers(0, t + 1, (n, 1))
    dy, h, c = normal(3, n, t, units), normal(4, n, units), normal(5, n, units)

    def run():
        out = k.lstm_forward(z, u, h, c, mask)
        return *out, *k.lstm_dx(out[0], out[3], out[4], u, dy, None, None, h, c, mask)

    same_bits_everywhere(run)


def test_nan_stays_in_its_row():
    z, u = normal(0, 20, 4, 24), normal(1, 6, 24)
    z[13, 2, 5] = np.nan
    y, h, c, gates, cells = k.lstm_forward(z, u)
    bad = np.isnan(y).any(axis=(1, 2))
    assert bad[13] and bad.sum() == 1 and not np.isnan(y[13, :2]).any() and np.isnan(y[13, 3]).all()


Z, U, S = np.zeros((2, 3, 8), "float32"), np.zeros((2, 8), "float32"), np.zeros((2, 2), "float32")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: k.lstm_forward(Z, U[:, :6]), ValueError, ["u", "(k, 4k)", "(2, 6)"]),
        (lambda: k.lstm_forward(Z[:, :, :4], U), ValueError, ["z", "(n, t, 4k)", "(2, 3, 8)", "(2, 3, 4)"]),
        (lambda: k.lstm_forward(Z[0], U), ValueError, ["z", "(n, t, 4k)", "(3, 8)"]),
        (lambda: k.lstm_forward(Z, U, S[:1]), ValueError, ["h", "(n, k)", "(2, 2)", "(1, 2)"]),
        (lambda: k.lstm_forward(Z, U, None, S[0]), ValueError, ["c", "(n, k)", "(2,)"]),
        (lambda: k.lstm_forward(Z, U, mask=np.ones((3, 2), bool)), ValueError, ["mask", "(2, 3)", "(3, 2)"]),
        (lambda: k.lstm_forward(Z, U, mask=np.ones((2, 3), "int32")), TypeError, ["mask", "bool", "int32"]),
        (lambda: k.lstm_forward(Z, U, dropout=Z), ValueError, ["dropout", "(n, k)"]),
        (lambda: k.lstm_forward(Z, U, activation="gelu"), ValueError, ["activation", "gelu", "linear", "step"]),
        (lambda: k.lstm_forward(Z, U, recurrent_activation=3), ValueError, ["recurrent_activation", "3"]),
        (lambda: k.lstm_forward(Z.astype("int32"), U), TypeError, ["z", "int32"]),
        (lambda: k.lstm_forward(Z, U.astype("float64")), TypeError, ["float32", "float64"]),
        (lambda: k.lstm_dx(Z[:, :, :2], Z, Z[:, :, :2], U, S), ValueError, ["dy", "(n, t, k)", "(2, 2)"]),
        (lambda: k.lstm_cell(S, U, U, Z[0]), ValueError, ["b", "(4k)", "(3, 8)"]),
        (lambda: k.lstm_cell(Z, U, U), ValueError, ["x", "(n, i)"]),
        (lambda: k.lstm_cell(S, U[:1], U), ValueError, ["w", "(i, 4k)", "(1, 8)"]),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_activations_none_is_linear():
    z, u = normal(0, 2, 3, 8), normal(1, 2, 8)
    assert_same_bits(
        k.lstm_forward(z, u, activation=None, recurrent_activation=None)[0],
        k.lstm_forward(z, u, activation="linear", recurrent_activation="linear")[0],
    )


def test_a_plan_gives_the_bits_of_python(monkeypatch):
    """A recorded training step with mask, states and both kinds of outputs, replayed."""
    variables = [normal(i, *s, scale=0.3) for i, s in enumerate([(3, 20), (5, 20), (20,)])]

    def forward(variables, x, first, mask, target):
        y, h, c = qn.ops.lstm(x, *variables, first, first, mask)
        return qn.ops.mean(qn.ops.square(y - target)) + qn.ops.mean(h * c)

    inputs = normal(5, 4, 6, 3), normal(7, 4, 5), np.arange(6) < np.array([[6], [2], [0], [4]]), normal(6, 4, 6, 5)
    a_plan_gives_the_bits_of_python(monkeypatch, variables, forward, inputs)


@pytest.mark.oracle
@pytest.mark.parametrize("states, backwards", list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("wanted", ["y", "h", "c", "yhc"])
def test_against_torch(states, backwards, wanted):
    """torch's gates are i, f, g, o by rows of weight_ih (4k, i), weight_hh (4k, k); its two biases add up."""
    torch = pytest.importorskip("torch")
    n, t, i, units = 5, 7, 6, 9
    x, w, u, b = normal(0, n, t, i), normal(1, i, 4 * units), normal(2, units, 4 * units), normal(3, 4 * units)
    h, c = (normal(4, n, units), normal(5, n, units)) if states else (None, None)
    dy, dh, dc = normal(6, n, t, units), normal(7, n, units), normal(8, n, units)

    cell = torch.nn.LSTM(i, units, batch_first=True)
    with torch.no_grad():
        for parameter, value in zip(cell.parameters(), (w.T, u.T, 0.25 * b, 0.75 * b)):
            parameter.copy_(torch.tensor(value.copy()))
    tx = torch.tensor(x[:, ::-1].copy() if backwards else x, requires_grad=True)
    ts = [
        torch.tensor(np.zeros((1, n, units), "float32") if s is None else s[None], requires_grad=True) for s in (h, c)
    ]
    ty, (th, tc) = cell(tx, tuple(ts))
    pairs = {"y": (ty, torch.tensor(dy)), "h": (th[0], torch.tensor(dh)), "c": (tc[0], torch.tensor(dc))}
    sum((pairs[name][0] * pairs[name][1]).sum() for name in wanted).backward()

    tensors = [qn.constant(a) for a in (x, w, u, b)] + [None if s is None else qn.constant(s) for s in (h, c)]
    with qn.GradientTape() as tape:
        tape.watch([v for v in tensors if v is not None])
        results = dict(zip("yhc", qn.ops.lstm(*tensors, go_backwards=backwards)))
        loss = sum(qn.ops.sum(results[m] * {"y": dy, "h": dh, "c": dc}[m]) for m in wanted)
    gradients = tape.gradient(loss, [v for v in tensors if v is not None])

    eps = float(np.finfo("float32").eps)
    grown = t * 2 * eps * (units + i) * np.abs(u).max() * 10  # t steps' roundings, each sum of units + i terms
    for name, want in (("y", ty), ("h", th[0]), ("c", tc[0])):
        assert_close(results[name].numpy(), want.detach().numpy(), grown, name)
    tdx = tx.grad.numpy()
    wants = [tdx[:, ::-1] if backwards else tdx, cell.weight_ih_l0.grad.numpy().T, cell.weight_hh_l0.grad.numpy().T,
             cell.bias_ih_l0.grad.numpy(), *(s.grad[0].numpy() for s in ts if states)]  # fmt: skip
    assert len(gradients) == len(wants)
    for name, got, want in zip(("x", "w", "u", "b", "h", "c"), gradients, wants):
        assert_close(got.numpy(), want, grown * (1 + np.abs(want).max()), f"gradient in {name}")
