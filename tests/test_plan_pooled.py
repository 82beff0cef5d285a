"""A first convolution and the max pool behind it as one call of a plan: the bits of the calls it was made of."""

import copy

import numpy as np
import pytest

import quernel as qn
from quernel.kernels.kernel import spec
from quernel.plan import Function
from quernel.testing import each_isa

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")
K = qn.kernels

# name: x, kernel, filters, window, attributes
CASES = {
    "the demo's first layer": ((5, 28, 28, 1), (3, 3), 32, (2, 2), {}),
    "colours": ((3, 17, 15, 3), (3, 3), 24, (2, 2), {"padding": "same"}),
    "a rest below and at the side": ((4, 12, 13, 2), (2, 2), 40, (3, 5), {}),
    "wide windows": ((2, 9, 24, 1), (5, 5), 17, (2, 15), {"padding": "same"}),
    "strides": ((3, 26, 25, 3), (4, 3), 9, (2, 2), {"strides": 2}),
    "dilation across rows": ((3, 14, 12, 1), (3, 2), 33, (1, 2), {"dilation_rate": (2, 1)}),
    "rows longer than a chain": ((2, 6, 530, 1), (1, 3), 8, (2, 2), {"padding": "same"}),
    "one line of windows": ((64, 4, 32, 7), (1, 1), 16, (4, 4), {}),
}
VALUES = ["normal", "integers", "NaN", "infinite", "negative"]


def call(kernel, arrays, attrs, ints, outs, shape_of=None):
    """The kernel's form of csrc/conv/pooled.hpp."""
    attrs = kernel.freeze(dict(attrs))
    resolved = copy.copy(kernel.resolve(shape_of or arrays, attrs))
    *rest, usual, floats = resolved.payload
    resolved.payload = (*rest, (*usual, *ints), floats)
    resolved.outs, resolved.single = tuple(spec(*o) for o in outs), False
    return kernel._execute(resolved, list(arrays), attrs, None)


def data(case, values):
    shape, taps, filters, window, attrs = CASES[case]
    rng = np.random.default_rng(0)
    draw = (lambda s: rng.integers(-1, 2, s)) if values == "integers" else (lambda s: rng.normal(size=s))  # many ties
    x, w = draw(shape).astype("float32"), draw((*taps, shape[-1], filters)).astype("float32")
    b = draw(filters).astype("float32")
    if values == "NaN":
        x[0, 2:4, 3] = np.nan
    if values == "infinite":
        x[-1, 1, 1:3], w[0, 0, 0, 0] = np.inf, -1
    if values == "negative":
        b -= 100
    return x, w, b, window, attrs


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("isa", each_isa(), ids=str)
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_the_separate_calls(case, values, activation, isa, sharing):
    x, w, b, window, attrs = data(case, values)
    with isa:
        z = K.conv_forward(x, w, b, activation=activation, **attrs)
        y = K.max_pool(z, pool_size=window)
        dy = np.random.default_rng(1).normal(size=y.shape).astype("float32")
        dz = K.max_pool_dx(K.relu_dx(dy, y) if activation else dy, z, y, pool_size=window)
        dw, db = K.conv_dw(x, dz, kernel_shape=w.shape, **attrs), K.bias_db(dz)
        sizes = (*window, *z.shape[1:-1])
        for threads in (1, 2, 3):
            qn.set_num_threads(threads)
            outs = [(y.shape, "float32"), (y.shape, "uint8")]
            pooled, at = call(K.conv_forward, (x, w, b), {"activation": activation, **attrs}, sizes, outs)
            assert pooled.tobytes() == y.tobytes()
            outs = [(w.shape, "float32"), (b.shape, "float32")]
            both = call(K.conv_dw, (x, dy, at), {"kernel_shape": w.shape, **attrs}, sizes, outs, (x, z))
            assert both[0].tobytes() == dw.tobytes()
            assert both[1].tobytes() == db.tobytes()


def test_where_a_maximum_is_by_hand():
    x = np.array([[1, 5, -2, -3], [5, 2, -4, -2]], "float32").reshape(1, 2, 4, 1)
    outs = [((1, 1, 2, 8), "float32"), ((1, 1, 2, 8), "uint8")]
    for activation, second, where in (("relu", 0, 255), (None, -2, 0)):
        y, at = call(
            K.conv_forward, (x, np.ones((1, 1, 1, 8), "float32"), None), {"activation": activation}, (2, 2, 2, 4), outs
        )
        assert y[0, 0, :, 7].tolist() == [5, second]
        assert at[0, 0, :, 7].tolist() == [1, where]  # the first of equal ones; nobody where relu is off


@pytest.mark.parametrize("ints", [(2, 2), (2, 2, 27, 26), (0, 2, 26, 26), (2, 16, 26, 26)])
def test_numbers_that_do_not_fit_are_refused(ints):
    x, w = np.zeros((2, 28, 28, 1), "float32"), np.zeros((3, 3, 1, 8), "float32")
    outs = [((2, 13, 13, 8), "float32"), ((2, 13, 13, 8), "uint8")]
    if ints == (2, 2, 27, 26):
        outs = [((2, 14, 13, 8), "float32"), ((2, 14, 13, 8), "uint8")]
    with pytest.raises(ValueError):
        call(K.conv_forward, (x, w, None), {}, ints, outs)


L = qn.layers


def network(first=("relu", 3, 1), pool=lambda: L.MaxPooling2D(2), bias=True):
    activation, taps, strides = first
    return qn.Sequential(
        [
            L.Input((13, 12, 2)),
            L.Conv2D(9, taps, strides=strides, activation=activation, use_bias=bias),
            pool(),
            L.Conv2D(6, 2, padding="same", activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(3),
        ]
    )


MODELS = {  # the network, whether its first two layers become one call
    "relu": (network, True),
    "no activation": (lambda: network((None, 3, 1)), True),
    "tanh": (lambda: network(("tanh", 3, 1)), False),
    "no bias": (lambda: network(bias=False), False),
    "overlapping windows": (lambda: network(pool=lambda: L.MaxPooling2D(3, strides=2)), False),
    "windows that stick out": (lambda: network(pool=lambda: L.MaxPooling2D(3, padding="same")), False),
    "average": (lambda: network(pool=lambda: L.AveragePooling2D(2)), False),
    "few positions": (lambda: network(("relu", (9, 8), 1)), False),
}


def train(monkeypatch, make, rewrites, watch=False, steps=5):
    """The bits of all weights and losses after recorded steps, and the names of the plan's calls."""
    from quernel.plan import rewrite

    with monkeypatch.context() as patched:
        if not rewrites:
            patched.setattr(rewrite, "REWRITES", [])
        qn.utils.set_random_seed(1)
        model, optimizer = make(), qn.optimizers.Adam(0.01)

        def step(x, y):
            with qn.GradientTape() as tape:
                if watch:
                    tape.watch(x)
                loss = qn.ops.mean(qn.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True))
            sources = [x] if watch else []
            gradients = tape.gradient(loss, sources + model.trainable_weights)
            optimizer.apply(gradients[len(sources) :], model.trainable_weights)
            return loss, gradients[: len(sources)]

        recorded = Function(step)
        found = []
        for i in range(steps):
            rng = np.random.default_rng(i)
            x = rng.normal(size=(8, 13, 12, 2)).astype("float32")
            if i == steps - 1:
                x[0, 5, 5] = np.nan
            found.append([v.numpy().tobytes() for v in qn.tree.flatten(recorded(x, rng.integers(0, 3, 8)))])
        found.append([w.numpy().tobytes() for w in model.weights])
        return found, [op.kernel.name for op, _ in recorded.plans[0].program.calls]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", MODELS)
def test_a_plan_makes_two_calls_of_six(monkeypatch, name):
    make, fused = MODELS[name]
    found, calls = train(monkeypatch, make, True)
    expected, plain = train(monkeypatch, make, False)
    assert found == expected
    six = ("conv_forward", "max_pool", "relu_dx", "max_pool_dx", "conv_dw", "bias_db")
    fewer = {kernel: plain.count(kernel) - calls.count(kernel) for kernel in six}
    gone = (0, 1, 1 if name == "relu" else 0, 1, 0, 1) if fused else (0, 0, 0, 0, 0, 0)
    assert fewer == dict(zip(six, gone))


def test_a_gradient_of_the_images_needs_the_map(monkeypatch):
    found, calls = train(monkeypatch, network, True, watch=True)
    assert found == train(monkeypatch, network, False, watch=True)[0]
    assert calls.count("max_pool") == 2


def test_the_python_engine_runs_it_too(monkeypatch):
    from quernel.plan import plan

    expected = train(monkeypatch, network, True)[0]
    monkeypatch.setattr(plan, "can_run", lambda program: False)
    found, calls = train(monkeypatch, network, True)
    assert found == expected
    assert calls.count("max_pool") == 1
