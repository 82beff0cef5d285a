"""ops.simple_rnn and its kernels: values by hand, one step against many, masks, errors, plans, bits, torch."""

import itertools

import numpy as np
import pytest
from recurrence import a_plan_gives_the_bits_of_python, normal, same_bits_everywhere

import quernel as qn
from quernel import kernels as k
from quernel.testing import assert_close, assert_same_bits, engines

ENGINES = engines()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_values(engine):
    z, u = np.array([[[1.0], [2.0], [-3.0]]], "float32"), np.array([[2.0]], "float32")
    with engine:
        y, h = k.rnn_forward(z, u, np.float32([[1.0]]), activation="relu")
        assert y.ravel().tolist() == [3, 8, 13] and h.ravel().tolist() == [13]
        y, h = k.rnn_forward(z, u, go_backwards=True, activation="relu")
        assert y.ravel().tolist() == [0, 2, 5]
        y, h = k.rnn_forward(z, u, mask=np.array([[True, False, True]]), activation="linear")
        assert y.ravel().tolist() == [1, 1, -1] and h.ravel().tolist() == [-1]
        y, h = k.rnn_forward(z, u, dropout=np.float32([[0.5]]), activation="linear")
        assert y.ravel().tolist() == [1, 3, 0]
        dz, du, dh0 = k.rnn_dx(y, u, dh=np.float32([[1.0]]), dropout=np.float32([[0.5]]), activation="linear")
        assert dz.ravel().tolist() == [1, 1, 1] and du.tolist() == [[2]] and dh0.tolist() == [[1]]
        # tanh: two steps by hand
        y, _ = k.rnn_forward(z[:, :2], u)
        np.testing.assert_allclose(y.ravel(), [np.tanh(1), np.tanh(2 + 2 * np.tanh(1))], rtol=1e-6)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_masked_steps_carry(engine, backwards):
    z, u, h = normal(0, 1, 6, 3), normal(1, 3, 3), normal(2, 1, 3)
    mask = np.array([[True, False, True, True, False, True]])
    with engine:
        y, last = k.rnn_forward(z, u, h, mask, go_backwards=backwards)
        dz, du, dh0 = k.rnn_dx(y, u, None, normal(3, 1, 3), h, mask, go_backwards=backwards)
        on = [s for s in range(6) if mask[0, 5 - s if backwards else s]]
        alone, end = k.rnn_forward(z[:, [0, 2, 3, 5]], u, h, go_backwards=backwards)
        assert_same_bits(y[:, on], alone)
        assert_same_bits(last, end)
        same = k.rnn_dx(alone, u, None, normal(3, 1, 3), h, go_backwards=backwards)
        assert not dz[:, [1, 4]].any()
        for got, want in zip((dz[:, [0, 2, 3, 5]], du, dh0), same):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("n, units", [(1, 64), (1, 5), (7, 33), (64, 20)])
def test_a_cell_is_one_step(engine, n, units):
    x, w, u, b = normal(0, n, 9), normal(1, 9, units), normal(2, units, units), normal(3, units)
    h = normal(4, n, units)
    with engine:
        y, last = k.rnn_forward(k.dense_forward(x, w, b)[:, None], u, h)
        assert_same_bits(k.rnn_cell(x, w, u, h, b), last)


@pytest.mark.parametrize("n, t, units", [(1, 7, 400), (64, 5, 40), (5, 3, 300), (200, 3, 600)])
def test_bits_over_threads(n, t, units, sharing):
    z, u, h = normal(0, n, t, units), normal(1, units, units, scale=0.1), normal(4, n, units)
    mask = np.arange(t) < np.random.default_rng(2).integers(0, t + 1, (n, 1))
    dy = normal(3, n, t, units)

    def run():
        out = k.rnn_forward(z, u, h, mask)
        return *out, *k.rnn_dx(out[0], u, dy, None, h, mask)

    same_bits_everywhere(run)


Z, U, S = np.zeros((2, 3, 4), "float32"), np.zeros((4, 4), "float32"), np.zeros((2, 4), "float32")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: k.rnn_forward(Z, U[:, :3]), ValueError, ["u", "(k, k)", "(4, 3)"]),
        (lambda: k.rnn_forward(Z[:, :, :3], U), ValueError, ["z", "(n, t, k)", "(2, 3, 4)", "(2, 3, 3)"]),
        (lambda: k.rnn_forward(Z[0], U), ValueError, ["z", "(n, t, k)", "(3, 4)"]),
        (lambda: k.rnn_forward(Z, U, S[:1]), ValueError, ["h", "(n, k)", "(1, 4)"]),
        (lambda: k.rnn_forward(Z, U, mask=np.ones((3, 2), bool)), ValueError, ["mask", "(2, 3)", "(3, 2)"]),
        (lambda: k.rnn_forward(Z, U, mask=np.ones((2, 3), "int32")), TypeError, ["mask", "bool", "int32"]),
        (lambda: k.rnn_forward(Z, U, activation="gelu"), ValueError, ["activation", "gelu", "linear", "step"]),
        (lambda: k.rnn_dx(Z, U, S), ValueError, ["dy", "(n, t, k)", "(2, 4)"]),
        (lambda: k.rnn_cell(S, U, U, S[:1]), ValueError, ["h", "(n, k)", "(1, 4)"]),
        (lambda: k.rnn_cell(S, U, U, S, S), ValueError, ["b", "(k)", "(2, 4)"]),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_plan_gives_the_bits_of_python(monkeypatch):
    variables = [normal(i, *s, scale=0.3) for i, s in enumerate([(3, 5), (5, 5), (5,)])]

    def forward(variables, x, first, mask, target):
        y, h = qn.ops.simple_rnn(x, *variables, first, mask)
        return qn.ops.mean(qn.ops.square(y - target)) + qn.ops.mean(h * h)

    inputs = normal(5, 4, 6, 3), normal(7, 4, 5), np.arange(6) < np.array([[6], [2], [0], [4]]), normal(6, 4, 6, 5)
    a_plan_gives_the_bits_of_python(monkeypatch, variables, forward, inputs)


@pytest.mark.oracle
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("state, backwards", list(itertools.product([False, True], repeat=2)))
def test_against_torch(state, backwards, activation):
    torch = pytest.importorskip("torch")
    n, t, i, units = 5, 7, 6, 9
    x, w, u, b = normal(0, n, t, i), normal(1, i, units), normal(2, units, units, scale=0.3), normal(3, units)
    h = normal(4, n, units) if state else None
    dy = normal(5, n, t, units)
    layer = torch.nn.RNN(i, units, batch_first=True, nonlinearity=activation)
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), (w.T, u.T, 0.25 * b, 0.75 * b)):
            parameter.copy_(torch.tensor(value.copy()))
    tx = torch.tensor(x[:, ::-1].copy() if backwards else x, requires_grad=True)
    ts = torch.tensor(np.zeros((1, n, units), "float32") if h is None else h[None], requires_grad=True)
    ty, _ = layer(tx, ts)
    (ty * torch.tensor(dy)).sum().backward()
    tensors = [None if a is None else qn.constant(a) for a in (x, w, u, b, h)]
    given = [v for v in tensors if v is not None]
    with qn.GradientTape() as tape:
        tape.watch(given)
        y, _ = qn.ops.simple_rnn(*tensors, activation=activation, go_backwards=backwards)
        loss = qn.ops.sum(y * dy)
    gradients = tape.gradient(loss, given)
    eps = float(np.finfo("float32").eps)
    grown = (
        t * 2 * eps * (units + i) * max(1.0, float(ty.detach().abs().max())) * 10
    )  # t steps, sums of units + i terms
    assert_close(y.numpy(), ty.detach().numpy(), grown, "y")
    tdx = tx.grad.numpy()
    wants = [tdx[:, ::-1] if backwards else tdx, layer.weight_ih_l0.grad.numpy().T, layer.weight_hh_l0.grad.numpy().T,
             layer.bias_ih_l0.grad.numpy(), *[ts.grad[0].numpy()] * state]  # fmt: skip
    for j, (got, want) in enumerate(zip(gradients, wants)):
        assert_close(got.numpy(), want, grown * (1 + np.abs(want).max()), f"gradient {j}")
