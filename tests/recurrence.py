"""What the tests of recurrent ops and layers share: a recurrence in plain NumPy, float64, written from the formulas; the
same bits with any threads and instruction set; a recorded training step beside Python.
"""

import numpy as np

import quernel as qn
from quernel.testing import assert_same_bits, each_backend, each_isa


def normal(seed, *shape, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def same_bits_everywhere(run):
    """run() gives the same arrays with 1, 2, 3 and 8 threads on all instruction sets with FMA; base has bits of its own."""
    first = {}
    for engine in each_isa() or each_backend()[:1]:
        with engine:
            for threads in (1, 2, 3, 8):
                qn.backend.set_num_threads(threads)
                found = run()
                for got, want in zip(found, first.setdefault(engine.isa == "base", found)):
                    assert_same_bits(got, want, f"{engine}, {threads} threads")


def a_plan_gives_the_bits_of_python(monkeypatch, variables, forward, inputs):
    """Five steps of descent on `forward(variables, *inputs)`, a loss: recorded and replayed, then from the start in
    Python.
    """
    monkeypatch.setenv("QUERNEL_CHECK_PLAN", "1")
    variables = [qn.Variable(value) for value in variables]
    optimizer = qn.optimizers.SGD(0.1)

    def train(*inputs):
        with qn.GradientTape() as tape:
            loss = forward(variables, *inputs)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    start = [v.numpy() for v in variables]
    step = qn.function(train)
    losses = [float(step(*map(qn.constant, inputs))) for _ in range(5)]
    replayed = [v.numpy() for v in variables]
    for v, value in zip(variables, start):
        v.assign(value)
    assert losses == [float(train(*map(qn.constant, inputs))) for _ in range(5)]
    assert losses[-1] < losses[0]
    for got, v in zip(replayed, variables):
        assert_same_bits(got, v.numpy())


ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "softsign": lambda x: x / (1 + np.abs(x)),
}


def simple_rnn_step(x, d, states, w, r, b, f, s):
    h = f(x @ w + d @ r + b)
    return h, [h]


def gru_step(x, d, states, w, r, b, f, s):
    (h,), u = states, r.shape[0]
    after = np.ndim(b) == 2
    p, q = x @ w + (b[0] if after else b), d @ r + (b[1] if after else 0)
    z, g = s(p[:, :u] + q[:, :u]), s(p[:, u : 2 * u] + q[:, u : 2 * u])
    inner = g * q[:, 2 * u :] if after else (g * d) @ r[:, 2 * u :]
    h = z * h + (1 - z) * f(p[:, 2 * u :] + inner)
    return h, [h]


def lstm_step(x, d, states, w, r, b, f, s):
    c, u = states[1], r.shape[0]
    p = x @ w + d @ r + b
    i, forget, g, o = (p[:, k * u : (k + 1) * u] for k in range(4))
    c = s(forget) * c + s(i) * f(g)
    h = s(o) * f(c)
    return h, [h, c]


# x: inputs, d: the state h as the products see it, states: [h] or [h, c]
STEPS = {"SimpleRNN": simple_rnn_step, "GRU": gru_step, "LSTM": lstm_step}


def recurrence(name, x, weights, states, mask=None, go_backwards=False, zero_output_for_mask=False,
               activation="tanh", recurrent_activation="sigmoid", x_factor=1.0, h_factor=1.0):  # fmt: skip
    """(outputs (n, t, units) in the order of the steps, last output, last states) for weights [w, r, b]; the factors are
    those of dropout.
    """
    w, r, b = (np.asarray(a, "float64") for a in weights)
    states = [np.asarray(s, "float64") for s in states]
    outputs = []
    for t in range(x.shape[1])[:: -1 if go_backwards else 1]:
        y, new = STEPS[name](
            np.asarray(x[:, t], "float64") * x_factor, states[0] * h_factor, states, w, r, b,
            ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation],
        )  # fmt: skip
        if mask is not None:
            on = mask[:, t, None]
            y = np.where(on, y, 0 if zero_output_for_mask else states[0])
            new = [np.where(on, a, old) for a, old in zip(new, states)]
        states = new
        outputs.append(y)
    last = outputs[-1] if outputs else states[0]
    y = np.stack(outputs, axis=1) if outputs else np.zeros((x.shape[0], 0, r.shape[0]))
    return y, last, states
