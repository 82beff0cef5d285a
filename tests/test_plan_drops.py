"""Convolutions before a pool leave out what it drops: the same bits as the whole sums, for any values."""

import copy

import numpy as np
import pytest

import quernel as qn
from quernel.plan import Function
from quernel.testing import each_isa

native = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")
K = qn.kernels

# name: (n, spatial..., channels) of x, kernel, filters, attributes, positions that matter
CASES = {
    "the demo's second layer": ((8, 13, 13, 32), (3, 3), 64, {}, (10, 10)),
    "images are the inner order of the sum": ((9, 6, 6, 5), (3, 3), 7, {}, (3, 2)),
    "strides": ((3, 12, 11, 6), (3, 3), 40, {"strides": 2, "padding": "same"}, (4, 6)),
    "dilation": ((3, 14, 15, 6), (3, 2), 8, {"dilation_rate": 2, "padding": "same"}, (13, 12)),
    "a block of the sum that is all dropped": ((2, 4, 700, 8), (3, 3), 33, {}, (1, 697)),
    "groups": ((5, 9, 9, 12), (2, 3), 10, {"groups": 2}, (6, 6)),
    "three dimensions": ((2, 5, 6, 7, 5), (2, 2, 2), 6, {}, (3, 4, 5)),
    "one channel": ((4, 12, 12, 1), (3, 3), 8, {}, (9, 9)),
    "one image": ((1, 21, 9, 16), (3, 3), 16, {}, (18, 6)),
    "blocks of 2 x 2, an odd number of positions": ((3, 14, 13, 36), (3, 3), 40, {"padding": "same"}, (9, 12)),
    "blocks of 2 x 2 of one image": ((1, 13, 13, 32), (3, 3), 64, {}, (11, 8)),
    "blocks of 2 x 2, nothing matters": ((2, 13, 14, 32), (3, 3), 32, {}, (0, 0)),
    "nothing matters": ((4, 8, 8, 6), (3, 3), 9, {}, (0, 0)),
}
VALUES = ["normal", "infinite x", "x NaN", "huge x", "w NaN", "w infinite", "underflow"]


def run(kernel, arrays, attrs, live=()):
    """The kernel's result, where only `live` positions of y or dy matter."""
    arrays = kernel.collect(arrays, attrs)
    attrs = kernel.freeze(attrs)
    resolved = copy.copy(kernel.resolve(arrays, attrs))
    *call, ints, floats = resolved.payload
    resolved.payload = (*call, (*ints, *live), floats)
    return kernel._execute(resolved, arrays, attrs, None)


def data(case, values):
    shape, taps, filters, attrs, live = CASES[case]
    rng = np.random.default_rng(0)
    if values == "underflow":  # each product is negative and below the smallest number: chains go to -0
        x, w = np.full(shape, 1e-30, "float32"), np.full((*taps, shape[-1], filters), 1e-30, "float32")
    else:
        x = rng.normal(size=shape).astype("float32")
        w = rng.normal(size=(*taps, shape[-1], filters)).astype("float32")
    w = w[..., : shape[-1] // attrs.get("groups", 1), :]
    if "x" in values:
        x[(-1, *(-1 for _ in taps), 0)] = np.nan if "NaN" in values else 2.0**125 if "huge" in values else np.inf
    if "w" in values and values != "underflow":
        w[(*(0 for _ in taps), 0, -1)] = np.nan if "NaN" in values else -np.inf
    y = K.conv_forward(x, w, **attrs)
    dy = np.zeros_like(y)
    inside = (slice(None), *(slice(n) for n in live))
    dy[inside] = -1e-30 if values == "underflow" else rng.normal(size=y[inside].shape)
    return x, w, y, dy, attrs, live, inside


@native
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("isa", each_isa(), ids=str)
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_the_whole_sum(case, values, isa, sharing):
    with isa:
        x, w, y, dy, attrs, live, inside = data(case, values)
        dx = K.conv_dx(dy, w, input_shape=x.shape, **attrs)
        dw = K.conv_dw(x, dy, kernel_shape=w.shape, **attrs)
        for threads in (1, 2, 3):
            qn.set_num_threads(threads)
            part = run(K.conv_forward, (x, w), dict(attrs), live)
            assert part[inside].tobytes() == y[inside].tobytes()
            assert run(K.conv_dx, (dy, w), {"input_shape": x.shape, **attrs}, live).tobytes() == dx.tobytes()
            assert run(K.conv_dw, (x, dy), {"kernel_shape": w.shape, **attrs}, live).tobytes() == dw.tobytes()


@native
def test_strided_arrays():
    x, w, y, dy, attrs, live, _ = data("the demo's second layer", "infinite x")
    dx = K.conv_dx(dy, w, input_shape=x.shape)
    dw = K.conv_dw(x, dy, kernel_shape=w.shape)
    turned = np.asfortranarray(x), np.asfortranarray(w), np.asfortranarray(dy)
    assert run(K.conv_dx, (turned[2], turned[1]), {"input_shape": x.shape}, live).tobytes() == dx.tobytes()
    assert run(K.conv_dw, (turned[0], turned[2]), {"kernel_shape": w.shape}, live).tobytes() == dw.tobytes()
    w[:] = 1
    w[0, 0, 0, 0] = np.nan
    dx = K.conv_dx(dy, w, input_shape=x.shape)
    assert run(K.conv_dx, (dy, np.asfortranarray(w)), {"input_shape": x.shape}, live).tobytes() == dx.tobytes()


@native
@pytest.mark.parametrize("live", [(11, 12), (-1, 3), (3,)])
def test_numbers_that_do_not_fit_are_refused(live):
    x, w = np.zeros((2, 13, 13, 4), "float32"), np.zeros((3, 3, 4, 4), "float32")
    with pytest.raises(ValueError):
        run(K.conv_forward, (x, w), {}, live)


def plans(monkeypatch, model, shape, rewrites=True):
    """The bits of weights and their gradients after recorded steps, and the plan's convolutions: {(op, size): live}."""
    from quernel.plan import rewrite

    if not rewrites:
        monkeypatch.setattr(rewrite, "REWRITES", [])
    qn.utils.set_random_seed(1)
    model = model()

    def step(x, y):
        with qn.GradientTape() as tape:
            loss = qn.ops.mean(qn.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True))
        return tape.gradient(loss, model.trainable_weights)

    recorded = Function(step)
    found = []
    for i in range(4):
        rng = np.random.default_rng(i)
        x = rng.normal(size=shape).astype("float32")
        if i == 3:
            x[0, -1, -1] = np.inf
        found.append([g.numpy().tobytes() for g in recorded(x, rng.integers(0, 3, len(x)))])
    convolutions = {}
    for op, _ in recorded.plans[0].program.calls:
        if op.kernel.name.startswith("conv"):
            size = {"conv_forward": op.outputs, "conv_dx": op.inputs, "conv_dw": op.inputs[1:]}[op.kernel.name][0].shape
            convolutions[op.kernel.name, size[1:3]] = op.resolved.payload[-2][9:]
    return found, convolutions


L = qn.layers
ALL = {(name, (11, 10)) for name in ("conv_forward", "conv_dx", "conv_dw")}
MODELS = {  # layers between a map of 11 x 10 and the end, positions that matter, the convolutions that are told
    "max": (lambda: [L.MaxPooling2D(2)], (10, 10), ALL),
    "max, no rest": (lambda: [L.MaxPooling2D((11, 5))], (), set()),
    "max, gaps": (lambda: [L.MaxPooling2D(2, strides=3)], (11, 8), ALL),
    "max, overlapping": (lambda: [L.MaxPooling2D(3, strides=2)], (11, 9), ALL),
    "max, same": (lambda: [L.MaxPooling2D(2, padding="same")], (), set()),
    "average": (lambda: [L.AveragePooling2D(3)], (9, 9), ALL),
    "a second reader": (lambda: [Beside(L.MaxPooling2D(3))], (), set()),
}


class Beside(qn.layers.Layer):
    """A pool, and all of its input besides."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def call(self, x):
        return qn.ops.concatenate([qn.ops.mean(x, axis=(1, 2)), qn.ops.mean(self.pool(x), axis=(1, 2))], axis=-1)


@native
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", MODELS)
def test_a_plan_tells_the_convolutions(monkeypatch, name):
    layers, live, told = MODELS[name]
    relu = None if name == "average" else "relu"  # its gradient would read the whole map

    def model():
        first, last = L.Conv2D(5, 3, activation="relu"), L.Conv2D(6, 3, activation=relu)
        return qn.Sequential([L.Input((15, 14, 3)), first, last, *layers(), L.Flatten(), L.Dense(3)])

    found, convolutions = plans(monkeypatch, model, (4, 15, 14, 3))
    assert {key for key, value in convolutions.items() if value} == told
    assert {value for value in convolutions.values() if value} == ({live} if told else set())
    expected, plain = plans(monkeypatch, model, (4, 15, 14, 3), rewrites=False)
    assert found == expected
    assert not any(plain.values())


@native
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_plan_of_blocks_of_2x2(monkeypatch):
    """Convolutions that go by F(2 x 2, 3 x 3) and back by F(3 x 3, 2 x 2): told or not, the same bits."""

    def model():
        first, last = L.Conv2D(32, 3, activation="relu"), L.Conv2D(36, 3, activation="relu")
        return qn.Sequential([L.Input((15, 15, 3)), first, last, L.MaxPooling2D(2), L.Flatten(), L.Dense(3)])

    found, convolutions = plans(monkeypatch, model, (4, 15, 15, 3))
    assert [value for value in convolutions.values() if value] == [(10, 10)] * 3
    expected, _ = plans(monkeypatch, model, (4, 15, 15, 3), rewrites=False)
    assert found == expected


@native
def test_a_map_that_the_step_returns_is_whole():
    w = qn.Variable(np.ones((2, 2, 1, 1), "float32"))

    @qn.function
    def step(x):
        y = qn.ops.conv(x, w)
        return y, qn.ops.max_pool(y, 2)

    for i in range(4):
        y, pooled = step(np.full((2, 6, 6, 1), i, "float32"))
    assert np.array_equal(y.numpy(), np.full((2, 5, 5, 1), 12, "float32"))
    assert pooled.shape == (2, 2, 2, 1)
