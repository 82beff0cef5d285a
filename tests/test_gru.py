"""GRU: values by hand, one step against many, masks, edges, errors by message, plans, bits over threads, torch."""

import itertools

import numpy as np
import pytest
from recurrence import a_plan_gives_the_bits_of_python, normal, same_bits_everywhere, sigmoid

import quernel as qn
from quernel import kernels as k
from quernel.testing import assert_close, assert_same_bits, engines

ENGINES = engines()
AFTER = pytest.mark.parametrize("after", [True, False])


@AFTER
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_two_steps_by_hand(engine, after):
    z = np.array([[[1.0, -1.0, 0.5], [0.0, 1.0, -1.0]]], "float32")
    u = np.array([[0.5, -0.5, 2.0]], "float32")
    b = np.array([0.25, 0.5, -1.0], "float32")
    h, want, gates = 0.2, [], []
    for x in z[0]:
        bias = b if after else np.zeros(3)
        update, reset = sigmoid(x[0] + 0.5 * h + bias[0]), sigmoid(x[1] - 0.5 * h + bias[1])
        kept = 2 * h + bias[2] if after else reset * h
        candidate = np.tanh(x[2] + (reset * kept if after else 2 * kept))
        h = update * h + (1 - update) * candidate
        want.append(h)
        gates.append([[update, reset, candidate, kept]])
    with engine:
        y, last, kept = k.gru_forward(z, u, b if after else None, np.float32([[0.2]]), reset_after=after)
        np.testing.assert_allclose(y.ravel(), want, rtol=2e-6)
        np.testing.assert_allclose(kept, gates, rtol=2e-6)
        assert last == y[:, -1]


@AFTER
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_masked_steps_carry(engine, backwards, after):
    """A masked sequence gives what its steps alone give; masked steps give the state before them, and no gradient."""
    z, u, h = normal(0, 1, 6, 9), normal(1, 3, 9), normal(2, 1, 3)
    b = normal(3, 9) if after else None
    mask = np.array([[True, False, True, True, False, True]])
    dy = normal(4, 1, 6, 3)
    attrs = {"go_backwards": backwards, "reset_after": after}
    with engine:
        y, last, gates = k.gru_forward(z, u, b, h, mask, **attrs)
        dz, du, db, dh0 = k.gru_dx(y, gates, u, dy, None, b, h, mask, **attrs)
        on = [s for s in range(6) if mask[0, 5 - s if backwards else s]]
        alone = k.gru_forward(z[:, [0, 2, 3, 5]], u, b, h, **attrs)
        assert_same_bits(y[:, on], alone[0])
        assert_same_bits(last, alone[1])
        for s in set(range(6)) - set(on):
            assert_same_bits(y[:, s], y[:, s - 1] if s else h)
            assert not gates[s].any()
        assert not dz[:, [1, 4]].any() and dz[:, [0, 2, 3, 5]].all()
        folded = dy.copy()  # the gradient of a masked step's y is one of the step before it
        for s in reversed(range(1, 6)):
            if s not in on:
                folded[:, s - 1] += folded[:, s]
        same = k.gru_dx(alone[0], alone[2], u, folded[:, on], None, b, h, **attrs)
        for got, want in zip((dz[:, [0, 2, 3, 5]], du, db, dh0), same):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_absent_gradients_are_zeros(engine):
    z, u, b = normal(0, 3, 5, 12), normal(1, 4, 12), normal(2, 12)
    with engine:
        y, _, gates = k.gru_forward(z, u, b)
        dh, dy = normal(3, 3, 4), normal(4, 3, 5, 4)
        for none, zeros in (((None, dh), (0 * dy, dh)), ((dy, None), (dy, 0 * dh))):
            without_bias = k.gru_dx(y, gates, u, *none)
            assert without_bias[2].shape == (0,)
            for got, want in zip(k.gru_dx(y, gates, u, *none, b), k.gru_dx(y, gates, u, *zeros, b)):
                assert np.array_equal(got, want) and want.any()


@AFTER
@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("n, units", [(1, 64), (1, 5), (7, 33), (64, 20)])
def test_a_cell_is_one_step(engine, n, units, after):
    x, w, u, b = normal(0, n, 9), normal(1, 9, 3 * units), normal(2, units, 3 * units), normal(3, 3 * units)
    h, c = normal(4, n, units), normal(5, 3 * units) if after else None
    with engine:
        y, last, _ = k.gru_forward(k.dense_forward(x, w, b)[:, None], u, c, h, reset_after=after)
        assert_same_bits(k.gru_cell(x, w, u, h, b, c, reset_after=after), last)
        assert_same_bits(y[:, 0], last)


@AFTER
def test_the_number_of_rows_changes_no_bit(after):
    z, u = normal(0, 37, 5, 3 * 40), normal(1, 40, 120, scale=0.2)
    y, h, gates = k.gru_forward(z, u, reset_after=after)
    dy = normal(2, 37, 5, 40)
    dz = k.gru_dx(y, gates, u, dy, reset_after=after)[0]
    for rows in (slice(0, 1), slice(3, 5), slice(30, 37)):
        few = k.gru_forward(z[rows], u, reset_after=after)
        for got, want in zip(few, (y[rows], h[rows], gates[:, rows])):
            assert_same_bits(got, want)
        assert_same_bits(k.gru_dx(few[0], few[2], u, dy[rows], reset_after=after)[0], dz[rows])


def test_gates_past_the_caches_have_the_same_bits():
    """From 16 MB on gates are streamed; 64 rows of 64 steps and 256 units come to just that, 3 rows do not."""
    z, u = normal(0, 64, 64, 3 * 256), normal(1, 256, 3 * 256, scale=0.05)
    y, h, gates = k.gru_forward(z, u)
    assert gates.nbytes >= 16 << 20
    for got, want in zip((y[7:10], h[7:10], gates[:, 7:10]), k.gru_forward(z[7:10], u)):
        assert_same_bits(got, want)


@AFTER
@pytest.mark.parametrize("n, t, units", [(1, 7, 200), (64, 5, 40), (5, 3, 300), (9, 4, 64), (200, 3, 370)])
def test_bits_over_threads(n, t, units, after, sharing):
    """Rows shared, units shared, more rows than a block."""
    z, u, h = normal(0, n, t, 3 * units), normal(1, units, 3 * units, scale=0.1), normal(4, n, units)
    b = normal(5, 3 * units) if after else None
    mask = np.arange(t) < np.random.default_rng(2).integers(0, t + 1, (n, 1))
    dy = normal(3, n, t, units)

    def run():
        out = k.gru_forward(z, u, b, h, mask, reset_after=after)
        return *out, *k.gru_dx(out[0], out[2], u, dy, None, b, h, mask, reset_after=after)

    same_bits_everywhere(run)


def test_nan_stays_in_its_row():
    z, u = normal(0, 20, 4, 18), normal(1, 6, 18)
    z[13, 2, 5] = np.nan
    y, h, gates = k.gru_forward(z, u)
    bad = np.isnan(y).any(axis=(1, 2))
    assert bad[13] and bad.sum() == 1 and not np.isnan(y[13, :2]).any() and np.isnan(y[13, 3]).all()


Z, U, S = np.zeros((2, 3, 6), "float32"), np.zeros((2, 6), "float32"), np.zeros((2, 2), "float32")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: k.gru_forward(Z, U[:, :4]), ValueError, ["u", "(k, 3k)", "(2, 4)"]),
        (lambda: k.gru_forward(Z[:, :, :4], U), ValueError, ["z", "(n, t, 3k)", "(2, 3, 6)", "(2, 3, 4)"]),
        (lambda: k.gru_forward(Z[0], U), ValueError, ["z", "(n, t, 3k)", "(3, 6)"]),
        (lambda: k.gru_forward(Z, U, U[0, :2]), ValueError, ["b", "(3k)", "(2,)"]),
        (lambda: k.gru_forward(Z, U, U[0], reset_after=False), ValueError, ["recurrent bias", "reset_after", "(6,)"]),
        (lambda: k.gru_forward(Z, U, None, S[:1]), ValueError, ["h", "(n, k)", "(2, 2)", "(1, 2)"]),
        (lambda: k.gru_forward(Z, U, mask=np.ones((3, 2), bool)), ValueError, ["mask", "(2, 3)", "(3, 2)"]),
        (lambda: k.gru_forward(Z, U, mask=np.ones((2, 3), "int32")), TypeError, ["mask", "bool", "int32"]),
        (lambda: k.gru_forward(Z, U, dropout=Z), ValueError, ["dropout", "(n, k)"]),
        (lambda: k.gru_forward(Z, U, activation="gelu"), ValueError, ["activation", "gelu", "linear", "step"]),
        (lambda: k.gru_forward(Z, U, recurrent_activation=3), ValueError, ["recurrent_activation", "3"]),
        (lambda: k.gru_forward(Z.astype("int32"), U), TypeError, ["z", "int32"]),
        (lambda: k.gru_forward(Z, U.astype("float64")), TypeError, ["float32", "float64"]),
        (lambda: k.gru_dx(Z[:, :, :2], np.zeros((3, 2, 8), "float32"), U, S), ValueError, ["dy", "(n, t, k)"]),
        (lambda: k.gru_dx(Z[:, :, :2], Z, U), ValueError, ["gates", "(t, n, 4k)", "(3, 2, 8)"]),
        (lambda: k.gru_cell(S, U, U, S, Z[0]), ValueError, ["b", "(3k)", "(3, 6)"]),
        (lambda: k.gru_cell(S, U, U, Z), ValueError, ["h", "(n, k)"]),
        (lambda: k.gru_cell(Z, U, U, S), ValueError, ["x", "(n, i)"]),
        (lambda: k.gru_cell(S, U[:1], U, S), ValueError, ["w", "(i, 3k)", "(1, 6)"]),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_activations_none_is_linear():
    z, u = normal(0, 2, 3, 6), normal(1, 2, 6)
    assert_same_bits(
        k.gru_forward(z, u, activation=None, recurrent_activation=None)[0],
        k.gru_forward(z, u, activation="linear", recurrent_activation="linear")[0],
    )


def test_gradients_with_dropout():
    """The factor reaches the products only: the state that is carried on stays as it is. Differences in float64."""
    rng = np.random.default_rng(9)
    z, u, h, b = (rng.standard_normal(s) for s in ((2, 3, 12), (4, 12), (2, 4), (12,)))
    dropout, weight = rng.uniform(0, 2, (2, 4)), rng.standard_normal((2, 3, 4))
    for after, mask in itertools.product((True, False), (None, np.array([[True, False, True], [True, True, False]]))):
        inputs = [z, u, h, *([b] if after else [])]

        def loss(z, u, h, b=None, after=after, mask=mask):
            return float(np.sum(k.gru_forward(z, u, b, h, mask, dropout, reset_after=after)[0] * weight))

        tensors = [qn.constant(a, dtype="float64") for a in inputs]
        with qn.GradientTape() as tape:
            tape.watch(tensors)
            y = qn.ops.gru_forward(
                tensors[0], tensors[1], tensors[3] if after else None, tensors[2], mask, dropout, reset_after=after
            )[0]
            total = qn.ops.sum(y * qn.constant(weight, dtype="float64"))
        for i, got in enumerate(tape.gradient(total, tensors)):
            direction = rng.standard_normal(inputs[i].shape)
            up, down = ([a + s * direction if j == i else a for j, a in enumerate(inputs)] for s in (1e-6, -1e-6))
            np.testing.assert_allclose(np.vdot(got.numpy(), direction), (loss(*up) - loss(*down)) / 2e-6, rtol=1e-6)


def test_a_plan_gives_the_bits_of_python(monkeypatch):
    """A recorded training step with mask, state and both outputs, replayed."""
    variables = [normal(i, *s, scale=0.3) for i, s in enumerate([(3, 15), (5, 15), (15,), (15,)])]

    def forward(variables, x, first, mask, target):
        y, h = qn.ops.gru(x, *variables, first, mask)
        return qn.ops.mean(qn.ops.square(y - target)) + qn.ops.mean(h * h)

    inputs = normal(5, 4, 6, 3), normal(7, 4, 5), np.arange(6) < np.array([[6], [2], [0], [4]]), normal(6, 4, 6, 5)
    a_plan_gives_the_bits_of_python(monkeypatch, variables, forward, inputs)


def by_torch(a, units):
    """Keras's gates update, reset, candidate as torch's rows reset, update, candidate."""
    update, reset, candidate = np.split(a.T, 3)
    return np.concatenate([reset, update, candidate])


@pytest.mark.oracle
@pytest.mark.parametrize("state, backwards, bias", list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("wanted", ["y", "h", "yh"])
def test_against_torch(state, backwards, bias, wanted):
    """torch's GRU is reset_after=True: the candidate's recurrent bias lies within the reset."""
    torch = pytest.importorskip("torch")
    n, t, i, units = 5, 7, 6, 9
    x, w, u = normal(0, n, t, i), normal(1, i, 3 * units), normal(2, units, 3 * units)
    b, c = (normal(3, 3 * units), normal(4, 3 * units)) if bias else (None, None)
    h = normal(5, n, units) if state else None
    dy, dh = normal(6, n, t, units), normal(7, n, units)

    layer = torch.nn.GRU(i, units, batch_first=True, bias=bias)
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), (w, u, b, c)):
            parameter.copy_(torch.tensor(by_torch(value, units).copy()))
    tx = torch.tensor(x[:, ::-1].copy() if backwards else x, requires_grad=True)
    ts = torch.tensor(np.zeros((1, n, units), "float32") if h is None else h[None], requires_grad=True)
    ty, th = layer(tx, ts)
    pairs = {"y": (ty, torch.tensor(dy)), "h": (th[0], torch.tensor(dh))}
    sum((pairs[name][0] * pairs[name][1]).sum() for name in wanted).backward()

    tensors = [None if a is None else qn.constant(a) for a in (x, w, u, b, c, h)]
    given = [v for v in tensors if v is not None]
    with qn.GradientTape() as tape:
        tape.watch(given)
        results = dict(zip("yh", qn.ops.gru(*tensors, go_backwards=backwards)))
        loss = sum(qn.ops.sum(results[m] * {"y": dy, "h": dh}[m]) for m in wanted)
    gradients = tape.gradient(loss, given)

    eps = float(np.finfo("float32").eps)
    grown = t * 2 * eps * (units + i) * np.abs(u).max() * 10  # t steps' roundings, each sum of units + i terms
    for name, want in (("y", ty), ("h", th[0])):
        assert_close(results[name].numpy(), want.detach().numpy(), grown, name)
    tdx = tx.grad.numpy()
    wants = [tdx[:, ::-1] if backwards else tdx, *(p.grad.numpy() for p in layer.parameters())]
    gradients = [gradients[0].numpy(), *(by_torch(g.numpy(), units) for g in gradients[1 : 5 if bias else 3]),
                 *(g.numpy() for g in gradients[5 if bias else 3 :])]  # fmt: skip
    for j, (got, want) in enumerate(zip(gradients, wants + [ts.grad[0].numpy()] * state)):
        assert_close(got, want, grown * (1 + np.abs(want).max()), f"gradient {j}")
