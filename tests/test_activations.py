"""Activations: hand-computed values, NaN and inf, far ends, the rule at zero, second order at chosen points."""

import math

import numpy as np
import pytest

import quernel as qn
from quernel import autograd
from quernel.testing import assert_same_bits, engines

NAN, INF = np.nan, np.inf
NAMES = ("relu", "leaky_relu", "elu", "selu", "gelu", "sigmoid", "tanh", "softplus", "silu")


def f32(*values):
    return np.array(values, "float32")


@pytest.fixture(params=engines(), ids=str)
def engine(request):
    with request.param:
        yield request.param


FORMULAS = {
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("name", NAMES)
def test_textbook_formulas(engine, name):
    x = np.linspace(-5, 5, 101).astype("float32")
    want = [FORMULAS[name](float(v)) for v in x]
    np.testing.assert_allclose(getattr(qn.kernels, name)(x), want, rtol=1e-6, atol=1e-6)


def test_exact_gelu(engine):
    x = np.linspace(-4, 4, 81).astype("float32")
    want = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.astype(float)]
    np.testing.assert_allclose(qn.kernels.gelu(x, approximate=False), want, rtol=1e-6, atol=1e-6)


def test_relu_rule(engine):
    y = qn.kernels.relu(f32(-1, -0.0, 0.0, 2, NAN, INF, -INF))
    assert_same_bits(y, f32(0.0, 0.0, 0.0, 2, NAN, INF, 0.0))
    assert_same_bits(qn.kernels.relu_dx(f32(1, 1, 1, 1), f32(0, 2, NAN, INF)), f32(0, 1, 1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_nan_passes(engine, name):
    assert np.isnan(getattr(qn.kernels, name)(f32(NAN, 1))).tolist() == [True, False]


FAR = {  # the values at -inf, -200, 200, inf
    "relu": (0, 0, 200, INF),
    "leaky_relu": (-INF, -40, 200, INF),
    "elu": (-1, -1, 200, INF),
    "sigmoid": (0, 0, 1, 1),
    "tanh": (-1, -1, 1, 1),
    "softplus": (0, 0, 200, INF),
    "silu": (NAN, 0, 200, INF),
    "gelu": (NAN, 0, 200, INF),
}


@pytest.mark.parametrize("name", FAR)
def test_far_ends_do_not_overflow(engine, name):
    with np.errstate(all="raise"):
        y = getattr(qn.kernels, name)(f32(-INF, -200, 200, INF))
    np.testing.assert_array_equal(y, f32(*FAR[name]))


def test_small_results_keep_their_precision(engine):
    """No 1 + tanh, no 1 - sigmoid: tails are right relative to themselves."""
    x = f32(-9, -12, -20, -60)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(qn.kernels.sigmoid(x), 1 / (1 + np.exp(-exact)), rtol=3e-7)
    np.testing.assert_allclose(qn.kernels.softplus(x), np.log1p(np.exp(exact)), rtol=4e-7)
    np.testing.assert_allclose(qn.kernels.silu(x), exact / (1 + np.exp(-exact)), rtol=4e-7)


def second(function, x):
    x = qn.ops.cast(np.array(x), "float64")
    with autograd.GradientTape() as outer:
        outer.watch(x)
        with autograd.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        dx = inner.gradient(y, x)
    return outer.gradient(dx, x).numpy()


@pytest.mark.parametrize(
    "name, function",
    [
        ("elu", lambda x: math.exp(x) if x < 0 else 0),
        ("tanh", lambda x: -2 * math.tanh(x) / math.cosh(x) ** 2),
        ("softplus", lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    ],
)
def test_second_derivatives(name, function):
    x = [-1.5, -0.25, 0.75, 2.0]
    np.testing.assert_allclose(second(getattr(qn.ops, name), x), [function(v) for v in x], rtol=1e-12)


def test_relu_has_no_second_derivative_but_a_gradient_of_dy():
    assert qn.ops.relu_dx(f32(3, 4), f32(0, 1)).numpy().tolist() == [0, 4]


def test_errors_name_what_was_expected():
    with pytest.raises(TypeError, match="relu: expected an array of float, received int64"):
        qn.kernels.relu(np.array([1]))
    with pytest.raises(TypeError, match="gelu: unknown argument 'approx'"):
        qn.kernels.gelu(f32(1), approx=True)
    with pytest.raises(ValueError, match="tanh_dx: expected shapes that broadcast"):
        qn.kernels.tanh_dx(f32(1, 2), f32(1, 2, 3))


def test_keras_defaults():
    x = f32(-1, 0.5)
    assert_same_bits(qn.ops.leaky_relu(x).numpy(), qn.kernels.leaky_relu(x, negative_slope=0.2))
    assert_same_bits(qn.ops.gelu(x).numpy(), qn.kernels.gelu(x, approximate=True))
    assert_same_bits(qn.ops.elu(x).numpy(), qn.kernels.elu(x, alpha=1.0))
    assert qn.ops.relu(np.array([-1, 2])).numpy().tolist() == [0, 2]
