"""Optimizer steps and assignments: values computed by hand, equal bits on every backend, errors in words."""

import numpy as np
import pytest

import quernel as qn
from quernel.testing import assert_same_bits, engines
from quernel.testing.cases.assign import CASES as ASSIGN
from quernel.testing.cases.optim import CASES as OPTIM

F = np.float32


@pytest.fixture(params=engines(), ids=str)
def engine(request):
    with request.param as e:
        yield e


def written(case, layout=lambda a: a):
    """What the in-place inputs of a case hold after the call; `layout` is applied to the other float inputs."""
    kernel = getattr(qn.kernels, case.op)
    arrays = case.make("float32")
    for name, a in zip(kernel.inputs, arrays):
        if name not in kernel.updates and isinstance(a, list):
            a[:] = [layout(v) for v in a]
    kernel(*arrays, **case.attrs)
    flat = []
    for name, a in zip(kernel.inputs, arrays):
        if name in kernel.updates and a is not None:
            flat += a if isinstance(a, list) else [a]
    return flat


@pytest.mark.parametrize("case", OPTIM + ASSIGN, ids=str)
def test_every_backend_gives_the_same_bits(engine, case):
    with qn.backend.use_backend("numpy"):
        expected = written(case)
    for got, want in zip(written(case), expected):
        assert_same_bits(got, want, str(case))


@pytest.mark.parametrize("case", OPTIM, ids=str)
def test_gradients_of_any_strides(engine, case):
    def transposed(a):
        return np.array(a.T, order="C").T if a.ndim else a

    def backwards(a):
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1] if a.ndim else a

    for layout in (transposed, backwards):
        for got, want in zip(written(case, layout), written(case)):
            assert_same_bits(got, want, str(case))


def test_variables_of_any_strides(engine):
    wide = np.zeros((4, 600), F)
    w, plain = wide[::2, ::-2], np.zeros((2, 300), F)
    g = np.random.default_rng(0).standard_normal((2, 300)).astype(F)
    slots = [np.zeros((2, 300), F) for _ in range(4)]
    for target, m, v in ((w, *slots[:2]), (plain, *slots[2:])):
        qn.kernels.adam_update([target], [g], [m], [v], F(0.1), np.int64(0))
        qn.kernels.assign_add(target, g)
    assert_same_bits(w, plain)
    assert not wide[1::2].any() and not wide[:, ::2].any()


def test_sgd_by_hand(engine):
    w, v, g = np.array([1.0], F), np.array([0.5], F), np.array([2.0], F)
    qn.kernels.sgd_update([w], [g], F(0.25), [v], momentum=0.5)
    assert (w, v) == (0.75, -0.25)  # v = 0.5 * 0.5 - 2 * 0.25
    qn.kernels.sgd_update([w], [g], F(0.25), [v], F(0.5), momentum=0.5, nesterov=True)
    assert (w, v) == (0.75 - 0.4375, -0.375)  # v = -0.125 - 0.25; w += -0.1875 - 0.25


def test_adam_follows_keras_over_steps(engine):
    """Against the formulas of Keras 3's Adam, written out in float64."""
    rng = np.random.default_rng(3)
    w = rng.standard_normal(100).astype(F)
    m, v, iterations = np.zeros(100, F), np.zeros(100, F), np.zeros((), "int64")
    w64, m64, v64 = w.astype(float), np.zeros(100), np.zeros(100)
    for t in range(1, 21):
        g = rng.standard_normal(100).astype(F)
        qn.kernels.adam_update([w], [g], [m], [v], F(0.01), iterations)
        qn.kernels.assign_add(iterations, np.int64(1))
        m64 += (g - m64) * (1 - 0.9)
        v64 += (g.astype(float) ** 2 - v64) * (1 - 0.999)
        w64 -= m64 * 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) / (np.sqrt(v64) + 1e-7)
    assert np.abs(w - w64).max() < 20 * 4 * np.finfo(F).eps


def test_a_nan_gradient_reaches_the_weight(engine):
    for vhat in (None, [np.ones(40, F)]):
        w, m, v = (np.ones(40, F) for _ in range(3))
        g = np.zeros(40, F)
        g[37] = np.nan
        qn.kernels.adam_update([w], [g], [m], [v], F(0.1), np.int64(3), vhat)
        assert np.flatnonzero(np.isnan(w)).tolist() == [37]


@pytest.mark.parametrize("order", ["sorted", "mixed", "with exceptions"])
def test_the_root_of_the_squares_is_rounded_rightly(engine, order):
    """Against NumPy's roots, over all exponents whose roots csrc/simd/root.hpp makes itself, and beyond."""
    n = 1 << 18
    rng = np.random.default_rng(0)
    v = np.exp2(rng.uniform(-110, 110, n)).astype(F)
    if order == "sorted":
        v.sort()
    if order == "with exceptions":
        v[:: n // 256] = np.resize(np.array([0, np.inf, np.nan, 2**-120, 2**110], F), 256)
    w, m, g, expected = np.zeros(n, F), np.ones(n, F), np.zeros(n, F), v.copy()
    with np.errstate(all="ignore"):
        expected += (g * g - expected) * F(1 - 0.5)
        assert np.isfinite(expected).sum() > n - 256
        alpha = F(np.sqrt(np.float64(1 - 0.5)) / (1 - 0.5))
        root = np.sqrt(expected) + F(2**-70)
        expected = -((m + (g - m) * F(1 - 0.5)) * alpha) / root
    qn.kernels.adam_update([w], [g], [m], [v], F(1), np.int64(0), beta_1=0.5, beta_2=0.5, epsilon=2**-70)
    assert_same_bits(w, F(0) + expected)


def test_one_call_for_all_segments_equals_one_each(sharing):
    rng = np.random.default_rng(1)
    sizes = [1, 700, 0, 3, 5000, 16, 17]
    start = [[rng.standard_normal(n).astype(F) for n in sizes] for _ in range(4)]
    start[3] = [np.abs(a) for a in start[3]]
    apart = [[a.copy() for a in arrays] for arrays in start]
    for w, g, m, v in zip(*apart):
        qn.kernels.adam_update([w], [g], [m], [v], F(0.1), np.int64(5))
    for threads in (1, 2, 3, 7):
        qn.backend.set_num_threads(threads)
        together = [[a.copy() for a in arrays] for arrays in start]
        qn.kernels.adam_update(*together, F(0.1), np.int64(5))
        for got, want in zip(sum(together, []), sum(apart, [])):
            assert_same_bits(got, want)


W = np.ones(3, F)
FROZEN = np.ones(3, F)
FROZEN.flags.writeable = False


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: qn.kernels.sgd_update([W], [], F(1)), "gradients: expected 1 arrays, one a variable, received 0"),
        (lambda: qn.kernels.sgd_update([W], [W[:2].copy()], F(1)), r"gradients\[0\]: expected shape \(3,\)"),
        (lambda: qn.kernels.sgd_update([W], [W.astype(int)], F(1)), "expected the variable's float dtype"),
        (
            lambda: qn.kernels.sgd_update([W], [W.copy()], np.ones(1, F)),
            r"learning_rate: expected an array of shape \(\)",
        ),
        (lambda: qn.kernels.sgd_update([W], [W.copy()], F(1), momentum=0.9), "velocities: expected one array"),
        (lambda: qn.kernels.sgd_update([W], [W.copy()], F(1), momentum=2), r"momentum: expected a number in \[0, 1\]"),
        (lambda: qn.kernels.sgd_update([FROZEN], [W], F(1)), "received a read-only one"),
        (
            lambda: qn.kernels.adam_update([W], [W.copy()], [W.copy()], [W.copy()], F(1), F(0)),
            "iterations: expected dtype",
        ),
        (
            lambda: qn.kernels.adam_update([W], [W], [W], [W], F(1), np.int64(0), beta_1=1.0),
            r"beta_1: expected a number in \[0, 1\)",
        ),
        (lambda: qn.kernels.assign(W, np.ones(2, F)), "broadcasts to the target's"),
        (lambda: qn.kernels.assign(W, np.ones((1, 3), F)), "broadcasts to the target's"),
        (lambda: qn.kernels.assign_add(W, np.ones(3)), "one floating dtype|target's dtype float32"),
        (lambda: qn.kernels.assign_add(np.ones(3, bool), np.ones(3, bool)), "expected numbers"),
        (lambda: qn.kernels.lerp_update(np.ones(3, int), np.ones(3, int), momentum=0.5), "expected floats"),
        (lambda: qn.kernels.assign(W, W, out=W), "unknown argument 'out'"),
    ],
)
def test_errors(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()
