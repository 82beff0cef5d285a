"""Recurrent layers against PyTorch's, `pytest -m oracle`: values and all gradients, with weights moved over as the
docstrings say.
"""

import numpy as np
import pytest
import torch

import quernel as qn
from quernel.testing import assert_close

pytestmark = pytest.mark.oracle
L = qn.layers
N, T, F, U = 4, 7, 5, 6
PEERS = {"SimpleRNN": torch.nn.RNN, "GRU": torch.nn.GRU, "LSTM": torch.nn.LSTM}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def swapped(a):
    r, z, n = np.split(a, 3)
    return np.concatenate([z, r, n])


def moved(name, peer, suffix=""):
    """torch's parameters of one direction as Keras's weights."""
    w, r, b, d = (getattr(peer, f"{p}_l0{suffix}").detach().numpy()
                  for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # fmt: skip
    if name == "GRU":
        return [swapped(w).T, swapped(r).T, np.stack([swapped(b), swapped(d)])]
    return [w.T, r.T, b + d]


def gradients(name, peer, suffix=""):
    """Those of torch's parameters, moved alike; the two biases of SimpleRNN and LSTM have the same gradient."""
    w, r, b, d = (getattr(peer, f"{p}_l0{suffix}").grad.numpy()
                  for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # fmt: skip
    if name == "GRU":
        return [swapped(w).T, swapped(r).T, np.stack([swapped(b), swapped(d)])]
    np.testing.assert_allclose(b, d)
    return [w.T, r.T, b]


def near(dtype, k, pairs):
    eps = np.finfo(dtype).eps
    for i, (a, b) in enumerate(pairs):
        b = b.detach().numpy() if isinstance(b, torch.Tensor) else b
        assert_close(np.asarray(a), b, 2 * eps * (k + 1) * max(1.0, np.abs(b).max()), f"{i}")


def lengths_and_mask():
    lengths = [7, 5, 2, 1]
    return lengths, np.arange(T) < np.array(lengths)[:, None]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", list(PEERS))
def test_layers(name, masked, dtype):
    """Outputs, states, and gradients of inputs, first states and weights; padded samples as packed sequences."""
    torch.manual_seed(1)
    peer = PEERS[name](F, U, batch_first=True, dtype=torch.float64)
    x, states = normal(N, T, F), [normal(N, U, seed=1 + i) for i in range(2 if name == "LSTM" else 1)]
    tx, ts = torch.tensor(x, requires_grad=True), [torch.tensor(s[None], requires_grad=True) for s in states]
    given = tuple(ts) if name == "LSTM" else ts[0]
    mask = None
    if masked:
        lengths, mask = lengths_and_mask()
        packed = torch.nn.utils.rnn.pack_padded_sequence(tx, lengths, batch_first=True)
        y, after = peer(packed, given)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    else:
        y, after = peer(tx, given)
    wanted = [y, *([s[0] for s in after] if name == "LSTM" else [after[0]])]
    factors = [normal(*v.shape, seed=7 + i) for i, v in enumerate(wanted)]
    sum((v * torch.tensor(f)).sum() for v, f in zip(wanted, factors)).backward()

    layer = getattr(L, name)(U, return_sequences=True, return_state=True, zero_output_for_mask=True, dtype=dtype)
    layer.build((N, T, F))
    layer.set_weights(moved(name, peer))
    sources = [qn.Variable(a.astype(dtype)) for a in (x, *states)]
    with qn.GradientTape() as tape:
        result = layer(sources[0], initial_state=sources[1:], mask=mask)
        loss = sum(qn.ops.sum(v * f.astype(dtype)) for v, f in zip(result, factors))
    found = tape.gradient(loss, [*sources, *layer.weights])
    near(dtype, T * (F + U), zip(result, wanted))
    expected = [tx.grad, *(s.grad[0] for s in ts), *gradients(name, peer)]
    near(dtype, T * (N + F + 4 * U), zip(found, expected))


@pytest.mark.parametrize("name", list(PEERS))
def test_both_directions(name):
    torch.manual_seed(2)
    peer = PEERS[name](F, U, batch_first=True, bidirectional=True, dtype=torch.float64)
    x = normal(N, T, F)
    tx = torch.tensor(x, requires_grad=True)
    y, after = peer(tx)
    after = list(after) if name == "LSTM" else [after]
    factor = normal(*y.shape, seed=3)
    (y * torch.tensor(factor)).sum().backward()
    layer = L.Bidirectional(getattr(L, name)(U, return_sequences=True, return_state=True))
    layer.build((N, T, F))
    layer.set_weights(moved(name, peer) + moved(name, peer, "_reverse"))
    variable = qn.Variable(x.astype("float32"))
    with qn.GradientTape() as tape:
        result = layer(variable)
        loss = qn.ops.sum(result[0] * factor.astype("float32"))
    found = tape.gradient(loss, [variable, *layer.weights])
    wanted = [y, *(s[0] for s in after), *(s[1] for s in after)]
    near("float32", T * (F + U), zip(result, wanted))
    expected = [tx.grad, *gradients(name, peer), *gradients(name, peer, "_reverse")]
    near("float32", T * (N + F + 4 * U), zip(found, expected))


@pytest.mark.parametrize(("cell", "peer"), [("SimpleRNNCell", torch.nn.RNNCell), ("GRUCell", torch.nn.GRUCell),
                                            ("LSTMCell", torch.nn.LSTMCell)])  # fmt: skip
def test_cells(cell, peer):
    torch.manual_seed(3)
    peer = peer(F, U, dtype=torch.float64)
    one = getattr(L, cell)(U)
    one.build((N, F))
    names = {k: v.detach().numpy() for k, v in peer.named_parameters()}
    w, r, b, d = (names[k] for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    if cell == "GRUCell":
        one.set_weights([swapped(w).T, swapped(r).T, np.stack([swapped(b), swapped(d)])])
    else:
        one.set_weights([w.T, r.T, b + d])
    x, h, c = normal(N, F), normal(N, U, seed=1), normal(N, U, seed=2)
    states = [h, c] if cell == "LSTMCell" else [h]
    wanted = peer(torch.tensor(x), tuple(map(torch.tensor, states)) if cell == "LSTMCell" else torch.tensor(h))
    wanted = list(wanted) if cell == "LSTMCell" else [wanted]
    y, new = one(x.astype("float32"), [qn.constant(s.astype("float32")) for s in states])
    near("float32", F + U, zip([y, *new], [wanted[0], *wanted]))
