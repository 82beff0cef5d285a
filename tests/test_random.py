"""Philox against published vectors, equal numbers everywhere, distributions, masks, permutations, errors in words."""

import math
from statistics import NormalDist

import numpy as np
import pytest

import quernel as qn
from quernel.kernels import philox
from quernel.testing import assert_same_bits, engines

F = np.float32
STATE = np.array([2**40 + 17, 2, 5], "int64")


@pytest.fixture(params=engines(), ids=str)
def engine(request):
    with request.param as e:
        yield e


# Known answers of the Random123 distribution (kat_vectors, philox4x32 10): counter, key, words.
VECTORS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize("counter, key, expected", VECTORS)
def test_known_answers(counter, key, expected):
    counter = [np.array([int(w, 16)], np.uint64) for w in counter.split()]
    words = philox.philox(counter, [int(w, 16) for w in key.split()])
    assert [f"{int(w[0]):08x}" for w in words] == expected.split()


def test_known_answer_through_a_kernel(engine):
    """Words 0, 16, 32, 48 of group 0 are those of counter 0; a range of 2^32 shows the high word of each pair."""
    words = [int(w, 16) for w in VECTORS[0][2].split()]
    u = qn.kernels.random_uniform(np.zeros(3, "int64"), shape=64)
    assert [int(v * 2**24) for v in u[::16]] == [w >> 8 for w in words]
    i = qn.kernels.random_integers(np.zeros(3, "int64"), shape=32, minval=0, maxval=2**32, dtype="int64")
    assert [int(v) for v in i[::16]] == [words[1], words[3]]


CALLS = [
    ("random_uniform", {"shape": (7, 333), "minval": -0.1, "maxval": 0.7}),
    ("random_integers", {"shape": (1000,), "minval": -7, "maxval": 93}),
    ("random_permutation", {"n": 777}),
]


@pytest.mark.parametrize("name, attrs", CALLS)
def test_equal_bits_on_every_engine(engine, name, attrs):
    for state in (STATE, np.array([-1, -(2**62), 2**63 - 1], "int64")):
        with qn.backend.use_backend("numpy"):
            expected = getattr(qn.kernels, name)(state, **attrs)
        assert_same_bits(getattr(qn.kernels, name)(state, **attrs), expected)


def test_seed_step_and_call_all_count(engine):
    seen = set()
    for state in ([0, 0, 0], [1, 0, 0], [2**32, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]):
        seen.add(qn.kernels.random_uniform(np.array(state, "int64"), shape=8).tobytes())
    assert len(seen) == 6


def test_a_longer_array_starts_alike(engine):
    for name in ("random_uniform", "random_normal", "random_truncated_normal"):
        kernel = getattr(qn.kernels, name)
        assert np.array_equal(kernel(STATE, shape=500)[:70], kernel(STATE, shape=70))


def test_uniform_has_the_right_moments_and_limits(engine):
    n = 1 << 18
    u = qn.kernels.random_uniform(STATE, shape=n).astype(float)
    assert u.min() >= 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 5 * math.sqrt(1 / 12 / n)
    counts = np.bincount((u * 256).astype(int), minlength=256)
    assert ((counts - n / 256) ** 2).sum() / (n / 256) < 255 + 5 * math.sqrt(2 * 255)  # chi squared
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 5 / math.sqrt(n)


def kolmogorov(x, cdf):
    x = np.sort(x)
    steps = np.arange(len(x) + 1) / len(x)
    values = np.array([cdf(v) for v in x])
    return max(np.max(values - steps[:-1]), np.max(steps[1:] - values))


def test_normal_is_normal(engine):
    x = qn.kernels.random_normal(STATE, shape=20000).astype(float)
    assert kolmogorov(x, NormalDist().cdf) < 1.95 / math.sqrt(len(x))  # one sample in a thousand exceeds this
    assert np.abs(x).max() < 5.77


def test_truncated_normal_is_the_middle_of_the_normal(engine):
    x = qn.kernels.random_truncated_normal(STATE, shape=20000).astype(float)
    low, inside = NormalDist().cdf(-2), NormalDist().cdf(2) - NormalDist().cdf(-2)
    assert kolmogorov(x, lambda v: (NormalDist().cdf(v) - low) / inside) < 1.95 / math.sqrt(len(x))
    assert np.abs(x).max() <= 2


def test_integers_are_spread_evenly(engine):
    n = 60000
    counts = np.bincount(qn.kernels.random_integers(STATE, shape=n, minval=0, maxval=6), minlength=6)
    assert len(counts) == 6
    assert ((counts - n / 6) ** 2).sum() / (n / 6) < 5 + 5 * math.sqrt(10)


def test_permutation(engine):
    p = qn.kernels.random_permutation(STATE, n=5000)
    assert np.array_equal(np.sort(p), np.arange(5000))
    assert abs(np.corrcoef(p, np.arange(5000))[0, 1]) < 5 / math.sqrt(5000)
    assert not np.array_equal(p, qn.kernels.random_permutation(STATE + [0, 1, 0], n=5000))


def test_each_permutation_of_three_is_as_likely():
    counts = {}
    for call in range(6000):
        p = tuple(qn.kernels.random_permutation(np.array([3, 0, call], "int64"), n=3).tolist())
        counts[p] = counts.get(p, 0) + 1
    assert len(counts) == 6
    assert sum((c - 1000) ** 2 for c in counts.values()) / 1000 < 5 + 5 * math.sqrt(10)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 1 / 3])
def test_dropout_drops_where_the_uniform_is_below_the_rate(engine, rate):
    x = np.random.default_rng(0).standard_normal((9, 111)).astype(F)
    u = qn.kernels.random_uniform(STATE, shape=x.shape)
    expected = np.where(u.astype(float) >= rate, x * F(1 / (1 - rate)), F(0))
    assert_same_bits(qn.kernels.dropout(x, STATE, rate=rate), expected)
    assert_same_bits(qn.kernels.dropout_dx(x, STATE, rate=rate), expected)


def test_dropout_of_nan_and_inf(engine):
    y = qn.kernels.dropout(np.full(640, np.nan, F), STATE, rate=0.5)
    assert 200 < np.isnan(y).sum() < 440
    assert not y[~np.isnan(y)].any()


def test_other_float_types():
    for dtype in ("float64", "float16"):
        wide = qn.kernels.random_normal(STATE, shape=1000, dtype=dtype)
        assert wide.dtype == dtype
        assert np.abs(wide - qn.kernels.random_normal(STATE, shape=1000)).max() < 6 * np.finfo("float16").eps
    u = qn.kernels.random_uniform(STATE, shape=100, dtype="float64")
    assert np.array_equal(u, qn.kernels.random_uniform(STATE, shape=100))


X = np.ones(4, F)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: qn.kernels.random_uniform(STATE[:2].copy(), shape=3), r"state: expected shape \(3,\)"),
        (lambda: qn.kernels.random_uniform(STATE.astype("int32"), shape=3), "state: expected int64"),
        (lambda: qn.kernels.random_uniform(STATE, shape=(-1,)), "sizes >= 0"),
        (lambda: qn.kernels.random_uniform(STATE, shape=3, dtype="int32"), "floating dtype, received int32"),
        (lambda: qn.kernels.random_normal(STATE, shape=3, mean="a"), "mean: expected a number"),
        (lambda: qn.kernels.random_integers(STATE, shape=3, minval=5, maxval=5), "minval < maxval"),
        (lambda: qn.kernels.random_integers(STATE, shape=3, minval=0, maxval=300, dtype="uint8"), "for uint8"),
        (lambda: qn.kernels.random_integers(STATE, shape=3, minval=0.5, maxval=3), "minval: expected an integer"),
        (lambda: qn.kernels.random_integers(STATE, shape=3, minval=0, maxval=3, dtype="float32"), "integer dtype"),
        (lambda: qn.kernels.random_permutation(STATE, n=-1), "integer >= 0, received -1"),
        (lambda: qn.kernels.dropout(X, STATE, rate=1.5), r"number in \[0, 1\], received 1.5"),
        (lambda: qn.kernels.dropout(X.astype("int32"), STATE, rate=0.5), "array of floats"),
    ],
)
def test_errors(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()
