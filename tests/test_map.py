"""Elementwise ops: hand-computed values, NaN, ties, integers, dtypes, errors, gradients at edges, odd layouts."""

import numpy as np
import pytest

import quernel as qn
from quernel import autograd
from quernel.testing import assert_same_bits, engines

ENGINES = engines()
NAN, INF = np.nan, np.inf


def f32(*values):
    return np.array(values, "float32")


@pytest.fixture(params=ENGINES, ids=str)
def engine(request):
    with request.param:
        yield request.param


def test_arithmetic_by_hand(engine):
    a, b = f32(7, -7, 0.5), f32(2, 2, -0.25)
    expected = {
        "add": [9, -5, 0.25],
        "subtract": [5, -9, 0.75],
        "multiply": [14, -14, -0.125],
        "divide": [3.5, -3.5, -2],
        "floor_divide": [3, -4, -2],
        "mod": [1, 1, 0],
        "power": [49, 49, 0.5**-0.25],
        "maximum": [7, 2, 0.5],
        "minimum": [2, -7, -0.25],
    }
    for name, want in expected.items():
        np.testing.assert_allclose(getattr(qn.kernels, name)(a, b), f32(*want), rtol=2e-7, err_msg=name)


@pytest.mark.parametrize("scale", [1, 4, 60], ids=str)
def test_floor_divide_floors_the_quotient_in_float64(engine, scale):
    """Quotients next to whole numbers, of all lengths, with all signs, and the values that have rules of their own."""
    rng = np.random.default_rng(scale)
    y = (np.exp2(rng.uniform(-scale, scale, 20_000)) * rng.choice([-1, 1], 20_000)).astype("float32")
    x = (y * np.rint(np.exp2(rng.uniform(0, 26, y.size)))).astype("float32")
    x = np.concatenate([x, np.nextafter(x, f32(INF)), np.nextafter(x, f32(-INF)), rng.permutation(y)])
    special = f32(0, -0.0, 1, -1, 0.3, -0.3, 3, 2**22, 2**23 + 1, 1e-30, -1e-30, 1e30, -1e38, INF, -INF, NAN)
    a, b = np.meshgrid(special, special)
    x, y = np.concatenate([x, a.ravel()]), np.concatenate([np.tile(y, 4), b.ravel()])
    with np.errstate(all="ignore"):
        want = np.floor(x.astype("float64") / y.astype("float64")).astype("float32")
        got = qn.kernels.floor_divide(x, y)
    number = ~np.isnan(want)
    assert_same_bits(got[number], want[number])
    assert np.isnan(got[~number]).all()


@pytest.mark.parametrize("name, larger", [("maximum", True), ("minimum", False)])
def test_nan_wins_and_the_first_of_a_tie(engine, name, larger):
    a, b = f32(NAN, 1, 0.0, -0.0, INF, -INF), f32(1, NAN, -0.0, 0.0, 1, 1)
    got = getattr(qn.kernels, name)(a, b)
    assert_same_bits(got, f32(NAN, NAN, 0.0, -0.0, *((INF, 1) if larger else (1, -INF))))


def test_comparisons_with_nan(engine):
    a, b = f32(1, NAN, NAN), f32(NAN, 1, NAN)
    for name in ("equal", "less", "less_equal", "greater", "greater_equal"):
        assert not getattr(qn.kernels, name)(a, b).any(), name
    assert qn.kernels.not_equal(a, b).all()
    assert qn.kernels.isnan(f32(1, NAN, INF)).tolist() == [False, True, False]


def test_clip_lets_nan_pass(engine):
    assert_same_bits(qn.kernels.clip(f32(NAN, -INF, INF, 0.5), x_min=-1, x_max=1), f32(NAN, -1, 1, 0.5))
    assert qn.kernels.clip(np.array([-9, 9, 2]), x_min=0, x_max=5).tolist() == [0, 5, 2]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_wrap_and_divide_downwards(engine, dtype):
    info = np.iinfo(dtype)
    low, high = np.array([info.min], dtype), np.array([info.max], dtype)
    one, minus = np.ones(1, dtype), -np.ones(1, dtype)
    assert qn.kernels.add(high, one) == info.min
    assert qn.kernels.subtract(low, one) == info.max
    assert qn.kernels.multiply(high, np.array([2], dtype)) == -2
    assert qn.kernels.negative(low) == info.min
    assert qn.kernels.absolute(low) == info.min
    assert qn.kernels.floor_divide(low, minus) == info.min
    a, b = np.array([7, -7, 7, -7, 5], dtype), np.array([2, 2, -2, -2, 0], dtype)
    assert qn.kernels.floor_divide(a, b).tolist() == [3, -4, -4, 3, 0]
    assert qn.kernels.mod(a, b).tolist() == [1, 1, -1, -1, 0]


def test_uint8_wraps(engine):
    a, b = np.array([200, 3], "uint8"), np.array([100, 5], "uint8")
    assert qn.kernels.add(a, b).tolist() == [44, 8]
    assert qn.kernels.subtract(a, b).tolist() == [100, 254]
    assert qn.kernels.negative(b).tolist() == [156, 251]
    assert qn.kernels.greater(a, b).tolist() == [True, False]


def test_mod_is_exact_far_out(engine):
    a, b = f32(1e30, -1e30, 3e38, 5, -5, 1, INF, 1), f32(7, 7, 1e-30, INF, INF, 0, 3, NAN)
    with np.errstate(all="ignore"):
        want = np.mod(a.astype(np.float64), b.astype(np.float64)).astype("float32")
    assert_same_bits(qn.kernels.mod(a, b), want)


def test_mod_is_exact_everywhere(engine):
    """Quotients of all sizes, whole ones and their neighbours, rests near the smallest numbers, infinities and NaN."""
    rng = np.random.default_rng(7)
    odd = f32(0.0, -0.0, 1, -1, INF, -INF, NAN, 3e38, -3e38, 2e-38, -3e-38, 1e-30, 0.7)
    a, b = [rng.standard_normal(3000) * 10.0 ** rng.uniform(-9, 9, 3000)], [rng.standard_normal(3000)]
    whole = rng.standard_normal(3000).astype("float32")  # times a whole number, and the floats on both sides
    product = (whole.astype("float64") * rng.integers(-(2**23), 2**23, 3000)).astype("float32")
    a += [product, np.nextafter(product, f32(INF)), np.nextafter(product, f32(-INF)), rng.choice(odd, 3000)]
    b += [whole, whole, whole, rng.choice(odd, 3000)]
    a.append((1 + rng.integers(0, 2**23, 3000) * 2.0**-23) * 2.0 ** -rng.integers(18, 60, 3000))  # y - x is rounded
    b.append(-(1 + rng.integers(0, 8, 3000) * 2.0**-23))
    a, b = np.concatenate(a).astype("float32"), np.concatenate(b).astype("float32")
    with np.errstate(all="ignore"):
        x, y = a.astype("float64"), b.astype("float64")
        want = np.where(np.isinf(x) | (y == 0), NAN, np.fmod(np.abs(x), np.abs(y)))
        nothing = want == 0
        want = np.where(x < 0, -want, want)
        want = np.where((x < 0) != (y < 0), want + y, want)
        want = np.where(nothing, np.where(y < 0, -0.0, 0.0), want).astype("float32")
    normal = (want == 0) | ~(np.abs(want) < 1.2e-38)
    assert normal.mean() > 0.99
    got = qn.kernels.mod(a, b)
    assert np.array_equal(got[normal], want[normal], equal_nan=True)
    assert_same_bits(np.signbit(got[normal & ~np.isnan(want)]), np.signbit(want[normal & ~np.isnan(want)]))


def test_casts(engine):
    x = f32(1.9, -1.9, 0.0, -0.0, 2e9)
    assert qn.kernels.cast(x, dtype="int32").tolist() == [1, -1, 0, 0, 2_000_000_000]
    assert qn.kernels.cast(x, dtype="int64").tolist() == [1, -1, 0, 0, 2_000_000_000]
    assert qn.kernels.cast(f32(0.0, -0.0, NAN, 0.25), dtype="bool").tolist() == [False, False, True, True]
    assert qn.kernels.cast(np.array([256, 257, -1]), dtype="uint8").tolist() == [0, 1, 255]
    assert qn.kernels.cast(np.array([True, False]), dtype="float32").tolist() == [1.0, 0.0]
    assert qn.kernels.cast(np.array([3, 5], "int32"), dtype="bool").tolist() == [True, True]


def test_copies_and_where_keep_every_bit(engine):
    bits = np.array([0x7FC00001, 0xFFC12345, 0x00000001, 0x80000000, 0x3F800000], np.uint32)
    x = bits.view(np.float32)
    for y in (
        qn.kernels.copy(x),
        qn.kernels.cast(x, dtype="float32"),
        qn.kernels.where(np.array([True]), x, f32(0)),
        qn.kernels.where(np.array([False]), f32(0), x),
    ):
        assert y.view(np.uint32).tolist() == bits.tolist()


def odd_layouts(a):
    """The same elements in other memory: permuted axes, reversed, strided, repeated by zero strides where a repeats."""
    yield np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0)
    yield np.ascontiguousarray(a[::-1, :, ::-1])[::-1, :, ::-1]
    wide = np.zeros((a.shape[0], a.shape[1] * 3, a.shape[2] * 2), a.dtype)
    wide[:, ::3, ::2] = a
    yield wide[:, ::3, ::2]


@pytest.mark.parametrize("shape", [(3, 5, 67), (40, 33, 3), (2, 1, 1030), (1, 700, 2)])
def test_layouts_and_broadcasting_give_equal_bits(shape, sharing):
    rng = np.random.default_rng(1)
    a = rng.standard_normal(shape).astype("float32")
    b = rng.standard_normal(shape).astype("float32")
    partners = [b, b[:1], b[:, :1], b[..., :1], b[:1, :1, :1], b[0], b[0, 0], np.broadcast_to(b[:1], shape)]
    with np.errstate(all="ignore"):
        for partner in partners:
            want = np.subtract(a, partner)
            for x in (a, *odd_layouts(a)):
                for threads in (1, 3):
                    qn.backend.set_num_threads(threads)
                    assert_same_bits(qn.kernels.subtract(x, partner), want)
                    out = np.empty(shape[::-1], "float32").T
                    assert_same_bits(qn.kernels.subtract(x, partner, out=out), want)


def test_eight_axes_and_more(engine):
    a = np.arange(2**8, dtype="float32").reshape((2,) * 8).transpose(7, 6, 5, 4, 3, 2, 1, 0)
    b = np.ones((2, 1) * 4, "float32")
    assert_same_bits(qn.kernels.add(a, b), a + b)
    nine = np.ones((1,) * 8 + (3,), "float32")
    assert_same_bits(qn.kernels.add(nine, nine), nine + nine)


def test_errors_name_what_was_expected():
    with pytest.raises(ValueError, match=r"add: expected shapes that broadcast .* received x1 \(2,\), x2 \(3,\)"):
        qn.kernels.add(f32(1, 2), f32(1, 2, 3))
    with pytest.raises(TypeError, match="add: expected arrays of one dtype, received x1 float32, x2 int64"):
        qn.kernels.add(f32(1, 2), np.array([1, 2]))
    with pytest.raises(TypeError, match="exp: expected an array of float, received int64; cast first"):
        qn.kernels.exp(np.array([1, 2]))
    with pytest.raises(TypeError, match="where: condition: expected bools, received float32"):
        qn.kernels.where(f32(1), f32(1), f32(1))
    with pytest.raises(TypeError, match="clip: x_min: expected a number"):
        qn.kernels.clip(f32(1), x_min="low", x_max=1)
    with pytest.raises(ValueError, match="dtype: expected one of"):
        qn.kernels.cast(f32(1), dtype="float33")
    with pytest.raises(TypeError, match="subtract: expected an array of float or int, received bool"):
        qn.kernels.subtract(np.array([True]), np.array([True]))


@pytest.mark.parametrize(
    "x1, x2, op, dtype",
    [
        ("int32", "float32", "add", "float32"),
        ("int32", "int64", "multiply", "int64"),
        ("bool", "int32", "add", "int32"),
        ("int32", "int32", "divide", "float32"),
        ("uint8", 2, "multiply", "uint8"),
        ("int32", 2.5, "add", "float32"),
        ("float64", 1, "subtract", "float64"),
        ("bool", "bool", "divide", "float32"),
        ("float32", "float64", "maximum", "float64"),
        ("float32", 2, "power", "float32"),
        ("int32", 2, "floor_divide", "int32"),
    ],
)
def test_promotion(x1, x2, op, dtype):
    a = qn.ops.cast(f32(1, 2), x1)
    b = qn.ops.cast(f32(1, 1), x2) if isinstance(x2, str) else x2
    assert getattr(qn.ops, op)(a, b).dtype == dtype


def test_elementary_functions_of_integers_are_floats():
    assert qn.ops.exp(np.array([0, 1])).dtype == "float32"
    assert qn.ops.sigmoid(np.array([True])).dtype == "float32"
    assert qn.ops.isnan(np.array([0, 1])).numpy().tolist() == [False, False]


def gradients(function, *values, dtype="float32"):
    xs = [qn.ops.cast(np.array(v, dtype), dtype) for v in values]
    with autograd.GradientTape() as tape:
        tape.watch(xs)
        y = function(*xs)
    return [None if g is None else g.numpy().tolist() for g in tape.gradient(y, xs)]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_negative_integer_exponents_are_refused(engine, dtype):
    base = np.array([2, 3], dtype)
    assert qn.kernels.power(base, np.array([3, 0], dtype)).tolist() == [8, 1]
    with pytest.raises(ValueError, match="x2: expected integer exponents of at least 0, received -1"):
        qn.kernels.power(base, np.array([3, -1], dtype))


def test_gradient_of_a_tie_goes_to_the_first():
    assert gradients(qn.ops.maximum, [1, 2, 3], [3, 2, 1]) == [[0, 1, 1], [1, 0, 0]]
    assert gradients(qn.ops.minimum, [1, 2, 3], [3, 2, 1]) == [[1, 1, 0], [0, 0, 1]]


def test_gradients_sum_over_what_was_broadcast():
    dx1, dx2 = gradients(qn.ops.add, [[1, 2, 3], [4, 5, 6]], [[1], [2]])
    assert dx1 == [[1, 1, 1], [1, 1, 1]] and dx2 == [[3], [3]]
    assert gradients(lambda a, b: qn.ops.multiply(a, b), [1, 2, 3], 2)[1] == 6


def test_gradients_on_the_edge():
    assert gradients(lambda x: qn.ops.clip(x, -1, 1), [-2, -1, 0, 1, 2]) == [[0, 1, 1, 1, 0]]
    assert gradients(qn.ops.power, [0, 0, 2], [0, 1, 3]) == [[0, 1, 12], [0, 0, pytest.approx(8 * np.log(2))]]
    assert gradients(qn.ops.relu, [-1, 0, 2]) == [[0, 0, 1]]
    assert gradients(lambda x: x**2, [3]) == [[6]]


def test_nothing_equals_none():
    t, v = qn.constant([1.0, 2.0]), qn.Variable([1.0, 2.0])
    for value in (t, v, qn.layers.Input((2,))):
        assert (value == None) is False and (value != None) is True  # noqa: E711
        assert None not in [value]
    with pytest.raises(TypeError):
        t < None  # noqa: B015


def test_operators_of_tensors():
    t = qn.ops.cast(f32(1, 2), "float32")
    assert ((2 * t + 1) / t - t**2).numpy().tolist() == [2.0, -1.5]
    assert (t == f32(1, 3)).numpy().tolist() == [True, False]
    assert (
        (1 - t).numpy().tolist() == [0, -1]
        and (7 // t).numpy().tolist() == [7, 3]
        and (-abs(-t)).numpy().tolist() == [-1, -2]
    )
