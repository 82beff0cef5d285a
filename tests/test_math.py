"""exp, log, tanh, erf, sin, power and their kin over all of float32: under 2 ulp, and the special values."""

import math

import numpy as np
import pytest

import quernel as qn
from quernel.testing import assert_same_bits, each_isa

ISAS = each_isa()
TINY = np.finfo(np.float32).tiny
HUGE = float(np.finfo(np.float32).max)
NAN, INF = math.nan, math.inf


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


REFERENCES = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "sin": np.sin,
    "cos": np.cos,
}


def every(step):
    """Floats whose bits are multiples of `step`: all exponents and signs, NaN and inf."""
    return np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)


def flushed(x):
    """Subnormals become zeros of their sign."""
    return np.where(np.abs(x) < TINY, np.copysign(0, x), x)


def in_ulps(got, want):
    """The error in units of the last place of `want`; 0 where both are NaN, or at most the smallest normal number."""
    with np.errstate(all="ignore"):
        unit = np.exp2(np.floor(np.log2(np.maximum(np.abs(want), TINY))) - 23)
        error = np.abs(got.astype(np.float64) - want) / unit
        fine = (np.isnan(got) & np.isnan(want)) | (got == want.astype(np.float32))
        fine |= (np.abs(got) <= TINY) & (np.abs(want) <= TINY)
        fine |= (np.abs(got) >= HUGE) & (np.abs(want) >= HUGE * (1 - 1e-7)) & (np.sign(got) == np.sign(want))
    return np.where(fine, 0, np.where(np.isnan(error), np.inf, error))


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("name", REFERENCES)
def test_within_two_ulp(isa, name):
    x = every(6007 if name != "erf" else 40009)
    with np.errstate(all="ignore"):
        want = REFERENCES[name](flushed(x).astype(np.float64))
    with isa:
        got = getattr(qn.kernels, name)(x)
    error = in_ulps(got, want)
    worst = int(np.argmax(error))
    assert error[worst] < 2, (
        f"{name}({x[worst]!r}): expected {want[worst]!r}, received {got[worst]!r}, {error[worst]:.2f} ulp"
    )


@pytest.mark.parametrize("name", [*REFERENCES, "power"])
def test_vector_width_does_not_matter(name):
    x = every(70001)
    inputs = (x, np.roll(x, 12345)) if name == "power" else (x,)
    results = []
    for isa in ISAS:
        if isa.isa != "base":
            with isa:
                results.append(getattr(qn.kernels, name)(*inputs))
    for other in results[1:]:
        assert_same_bits(other, results[0], name)


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_any_nan_stays_nan(isa):
    """Whatever its payload: exponents are shifted in as integers."""
    x = np.concatenate([np.arange(0x7F800001, 0x7F800001 + 1024), np.arange(0xFFC00000, 0xFFC00000 + 1024)])
    x = np.stack([x.astype(np.uint32).view(np.float32), np.ones(2048, np.float32)], axis=1)
    for name in REFERENCES:
        with isa:
            got = getattr(qn.kernels, name)(x)
        assert np.isnan(got[:, 0]).all() and not np.isnan(got[:, 1]).any(), name


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_tanh_is_odd_at_most_one_and_within_its_error(isa):
    """docs/numerics.md promises 1.04 ulp where there is FMA."""
    x = every(3001)
    with isa:
        y, opposite = qn.kernels.tanh(x), qn.kernels.tanh(-x)
    assert_same_bits(opposite, -y, "tanh(-x)")
    with np.errstate(all="ignore"):
        error = in_ulps(y, np.tanh(flushed(x).astype(np.float64)))
    assert error.max() < (2 if isa.isa == "base" else 1.045)
    assert np.nanmax(y) == 1
    assert (y[(x >= 9.02) & (x < INF)] == 1).all()


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_roots_are_those_of_ieee(isa):
    """Also where one vector holds zeros, negative, tiny, huge and usual numbers beside each other."""
    rng = np.random.default_rng(5)
    odd = np.array([0, -0.0, -1, -INF, INF, NAN, TINY, HUGE, 2.0**-80, 2.0**100, 2.0**-81, 2.0**101, 1e-40], "float32")
    x = np.concatenate([every(6007), np.exp2(rng.uniform(-90, 110, 100_000)).astype("float32")])
    for mixed in ((), odd[:4], odd):
        x = x.copy()
        if len(mixed):
            x[rng.integers(0, x.size, x.size // 8)] = rng.choice(mixed, x.size // 8)
        with np.errstate(invalid="ignore"):
            want = np.sqrt(flushed(x))
        with isa:
            assert_same_bits(qn.kernels.sqrt(x), want, "sqrt")


SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (88.8, INF), (-88.0, 0.0), (1e-40, 1.0)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF), (-INF, NAN), (1e-40, -INF)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-1.5, NAN), (INF, INF), (-INF, NAN)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (-100.0, -1.0), (88.8, INF)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (20.0, 1.0)],
    "sigmoid": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-100.0, 0.0), (100.0, 1.0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (5.0, 1.0)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (-1.0, NAN), (-INF, NAN), (INF, INF), (1e-40, 0.0), (4.0, 2.0)],
    "rsqrt": [(0.0, INF), (-0.0, -INF), (-1.0, NAN), (INF, 0.0), (4.0, 0.5)],
    "floor": [(-0.0, -0.0), (-0.25, -1.0), (0.75, 0.0), (INF, INF), (-INF, -INF), (8388607.5, 8388607.0), (-3e9, -3e9)],
}


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(isa, name):
    arguments, want = (np.array(v, "float32") for v in zip(*SPECIAL[name], (NAN, NAN)))
    with isa:
        got = getattr(qn.kernels, name)(arguments)
    assert_same_bits(got, want, name)


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_power_within_two_ulp(isa):
    rng = np.random.default_rng(3)
    x = np.exp2(rng.uniform(-20, 20, 300_000)).astype("float32")
    y = (rng.uniform(-1, 1, x.size) * 128 / np.log2(x)).astype("float32")  # results over the whole range
    near = (1 + rng.uniform(-1e-3, 1e-3, 100_000)).astype("float32")
    with np.errstate(all="ignore"):
        steep = (rng.uniform(-1, 1, near.size) * 130 / np.log2(near)).astype("float32")
    anything = rng.integers(0, 2**32, (2, 200_000), dtype=np.uint32).view(np.float32)
    x = np.concatenate([x, near, anything[0], -np.arange(1, 65, dtype="float32")])
    y = np.concatenate([y, steep, anything[1], np.tile(np.arange(-4, 4, dtype="float32"), 8)])
    with np.errstate(all="ignore"):
        want = np.power(flushed(x).astype(np.float64), flushed(y).astype(np.float64))
    with isa:
        got = qn.kernels.power(x, y)
    error = in_ulps(got, want)
    worst = int(np.argmax(error))
    assert error[worst] < 2, f"{x[worst]!r} ** {y[worst]!r}: expected {want[worst]!r}, received {got[worst]!r}"


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_power_of_special_values(isa):
    values = np.array(
        [0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 2**24, 2**24 - 1, -(2**24) + 1, 1e30, INF, -INF, NAN], "float32"
    )
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = np.power(x.astype(np.float64), y.astype(np.float64))
    with isa:
        got = qn.kernels.power(x, y)
    assert in_ulps(got, want).max() < 2
    number = ~np.isnan(want)
    assert (np.signbit(got) == np.signbit(want))[number].all()
