"""Pooling: values, ties, NaN, borders, dropped rows, order of sums, errors by message, second derivatives, shapes."""

import numpy as np
import pytest

import quernel as qn
from quernel import kernels as k
from quernel.kernels.kernel import Spec
from quernel.testing import assert_same_bits, each_isa, engines

ENGINES = engines()
NAN, INF = np.nan, np.inf


def image(rows):
    """(1, h, w, 1) float32."""
    a = np.array(rows, "float32")
    return a.reshape(1, *a.shape, 1)


def line(*values):
    """(1, n, 1) float32."""
    return np.array(values, "float32").reshape(1, -1, 1)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_values(engine):
    x = image([[1, 2, 3, 4, 9], [5, 6, 7, 8, 9], [-1, -2, 0, 1, 9], [-3, -4, 1, 0, 9], [9, 9, 9, 9, 9]])
    with engine:
        assert k.max_pool(x, pool_size=2).ravel().tolist() == [6, 8, -1, 1]
        assert k.average_pool(x, pool_size=2).ravel().tolist() == [3.5, 5.5, -2.5, 0.5]
        assert k.max_pool(x, pool_size=(5, 1), strides=(1, 2)).ravel().tolist() == [9, 9, 9]
        assert k.max_pool(x, pool_size=3, strides=2, padding="same").ravel().tolist() == [6, 8, 9, 6, 8, 9, 9, 9, 9]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_same_padding_is_absence(engine):
    x = line(-1, -2, -3, -4, -5)
    with engine:
        assert k.max_pool(x, pool_size=3, strides=2, padding="same").ravel().tolist() == [-1, -2, -4]
        assert k.average_pool(x, pool_size=3, strides=2, padding="same").ravel().tolist() == [-1.5, -3, -4.5]
        assert k.max_pool(x, pool_size=9, strides=9, padding="same").ravel().tolist() == [-1]
        assert k.average_pool(x, pool_size=9, strides=9, padding="same").ravel().tolist() == [-3]
        dx = k.average_pool_dx(line(1, 6, 2), input_shape=(1, 5, 1), pool_size=3, strides=2, padding="same")
        assert dx.ravel().tolist() == [0.5, 2.5, 2, 3, 1]
        all_minus_infinity = k.max_pool(line(-INF, -INF), pool_size=2, padding="same")
        assert all_minus_infinity.tolist() == [[[-INF]]]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_the_first_maximum_gets_the_gradient(engine):
    x = image([[1, 7, 7], [7, 0, 7], [2, 7, 7]])
    with engine:
        y = k.max_pool(x, pool_size=2, strides=1)
        dx = k.max_pool_dx(image([[1, 10], [100, 1000]]), x, y, pool_size=2, strides=1)
        assert dx[0, :, :, 0].tolist() == [[0, 11, 0], [100, 0, 1000], [0, 0, 0]]
        z = k.max_pool_gather(image([[0, 1, 2], [3, 4, 5], [6, 7, 8]]), x, y, pool_size=2, strides=1)
        assert z.ravel().tolist() == [1, 1, 3, 5]
        zeros = line(-0.0, 0.0, 0.0, -0.0)
        y = k.max_pool(zeros, pool_size=2)
        assert np.signbit(y).ravel().tolist() == [True, False]
        assert k.max_pool_dx(line(1, 1), zeros, y, pool_size=2).ravel().tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("channels", [1, 16, 37])
def test_nan_passes_and_gets_the_gradient(engine, channels):
    x = np.repeat(image([[1, NAN, INF, 2], [NAN, 3, NAN, -INF], [5, 4, 0, NAN], [1, 2, NAN, 9]]), channels, 3)
    with engine:
        y = k.max_pool(x, pool_size=2)
        for c in range(channels):
            assert np.array_equal(y[0, :, :, c], [[NAN, NAN], [5, NAN]], equal_nan=True)
        dx = k.max_pool_dx(np.ones_like(y), x, y, pool_size=2)
        for c in range(channels):
            assert dx[0, :, :, c].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
        y = k.global_max_pool(x)
        assert np.isnan(y).all()
        dx = k.global_max_pool_dx(np.ones_like(y), x, y)
        assert dx.sum() == channels and (dx[0, 0, 1] == 1).all()
        assert np.isnan(k.global_average_pool(x)).all()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("channels", [1, 37, 70])
def test_a_single_nan_is_met_at_every_tap(engine, channels):
    for pool in (2, 3):
        x = np.random.default_rng(pool).standard_normal((pool * pool, pool, pool, channels)).astype("float32")
        for tap in range(pool * pool):
            x[tap, tap // pool, tap % pool, tap % channels] = NAN
        with engine:
            y = k.max_pool(x, pool_size=pool)[:, 0, 0]
        assert np.array_equal(y, x.max(axis=(1, 2)), equal_nan=True)  # NumPy's maximum passes NaN on


@pytest.mark.parametrize("engine", each_isa(), ids=str)
@pytest.mark.parametrize("channels", [64, 65, 70, 200])
def test_average_pool_dx_of_many_channels(engine, channels):
    dy = np.random.default_rng(channels).standard_normal((3, 2, 2, channels)).astype("float32")
    dy[0, 0, 0, 0], dy[1, 0, 0, :2] = -0.0, (np.inf, 3e38)  # in vectors of their own
    with engine:
        dx = k.average_pool_dx(dy, input_shape=(3, 5, 7, channels), pool_size=(2, 3))
        whole = k.global_average_pool_dx(dy[:, 0, 0], input_shape=(3, 7, 5, channels))
    expected = np.zeros((3, 5, 7, channels), "float32")
    expected[:, :4, :6] = (dy / np.float32(6)).repeat(2, axis=1).repeat(3, axis=2)
    assert_same_bits(dx, expected)
    assert_same_bits(whole, np.broadcast_to((dy[:, :1, :1] / np.float32(35)), (3, 7, 5, channels)).copy())


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_dropped_rows_and_columns_get_zero(engine):
    dy = np.ones((2, 5, 5, 3), "float32")
    with engine:
        dx = k.average_pool_dx(dy, input_shape=(2, 11, 11, 3), pool_size=2)
        assert (dx[:, :10, :10] == 0.25).all() and (dx[:, 10] == 0).all() and (dx[:, :, 10] == 0).all()
        gaps = k.average_pool_dx(line(2, 4), input_shape=(1, 6, 1), pool_size=1, strides=3)
        assert gaps.ravel().tolist() == [2, 0, 0, 4, 0, 0]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_global(engine):
    x = np.arange(24, dtype="float32").reshape(2, 3, 2, 2)
    with engine:
        assert k.global_max_pool(x).tolist() == [[10, 11], [22, 23]]
        assert k.global_average_pool(x).tolist() == [[5, 6], [17, 18]]
        assert k.global_average_pool(x, keepdims=True).shape == (2, 1, 1, 2)
        assert k.global_max_pool(x, keepdims=True).tolist() == [[[[10, 11]]], [[[22, 23]]]]
        assert np.isnan(k.global_average_pool(np.zeros((2, 0, 3, 4), "float32"))).all()
        kept = np.ones((1, 1, 1, 2), "float32")
        assert k.global_average_pool_dx(kept, input_shape=(1, 2, 2, 2)).tolist() == [[[[0.25] * 2] * 2] * 2]


def chains_of_64(x):
    """The sum over the rows of (rows, c) in the order of csrc/fold/columns.hpp, in float32 step by step."""
    rows, c = x.shape
    group = 1
    while 2 * group * c <= 64:
        group *= 2
    parts = []
    for first in range(0, rows, 64 * group):
        chunk = x[first : first + 64 * group]
        chains = np.zeros((group, c), "float32")
        for r in range(len(chunk)):
            chains[r % group] += chunk[r]
        while len(chains) > 1:
            chains = chains[: len(chains) // 2] + chains[len(chains) // 2 :]
        parts.append(chains[0])
    while len(parts) > 1:
        parts = [np.add(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return parts[0]


@pytest.mark.parametrize("engine", each_isa(), ids=str)
@pytest.mark.parametrize("shape", [(1, 4099, 1), (2, 700, 3), (1, 200, 33), (1, 130, 70)])
def test_the_order_of_sums_is_the_documented_one(engine, shape):
    x = np.random.default_rng(1).standard_normal(shape).astype("float32")
    expected = np.stack([chains_of_64(image) / np.float32(shape[1]) for image in x])
    with engine:
        assert_same_bits(k.global_average_pool(x), expected)


def test_many_shapes_against_the_definition(sharing):
    rng = np.random.default_rng(3)
    for _ in range(60):
        rank = int(rng.integers(1, 4))
        shape = (int(rng.integers(1, 4)), *map(int, rng.integers(1, 8, rank)), int(rng.integers(1, 40)))
        attrs = {
            "pool_size": tuple(int(rng.integers(1, (n if rng.random() < 0.8 else 9) + 1)) for n in shape[1:-1]),
            "strides": tuple(map(int, rng.integers(1, 5, rank))),
            "padding": "same",
        }
        if all(p <= n for p, n in zip(attrs["pool_size"], shape[1:-1])) and rng.random() < 0.5:
            attrs["padding"] = "valid"
        x = rng.integers(-3, 4, shape).astype("float32")  # full of ties, exact sums
        y = k.max_pool(x, **attrs)
        dy = rng.integers(-3, 4, y.shape).astype("float32")
        for name, inputs, more in (
            ("max_pool", (x,), {}),
            ("max_pool_dx", (dy, x, y), {}),
            ("max_pool_gather", (x, x, y), {}),
            ("average_pool", (x,), {}),
        ):
            kernel = getattr(k, name)
            expected = kernel.definition(*inputs, **attrs, **more)
            assert np.array_equal(kernel(*inputs, **attrs), expected), (name, shape, attrs)
        assert np.array_equal(k.max_pool_gather(x, x, y, **attrs), y)
        close = k.average_pool_dx(dy, input_shape=shape, **attrs)
        np.testing.assert_allclose(
            close, k.average_pool_dx.definition(dy, input_shape=shape, **attrs), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("engine", each_isa(), ids=str)
@pytest.mark.parametrize("channels", [1, 70, 130])
@pytest.mark.parametrize("pool, stride, padding", [(3, 2, "same"), (3, 1, "valid"), (5, 2, "same"), (2, 3, "valid")])
def test_average_pool_dx_adds_quotients_in_ascending_order(engine, pool, stride, padding, channels):
    """Shares are what division gives, of every magnitude, and each element adds its windows' up from +0."""
    rng = np.random.default_rng(3)
    shape = (2, 9, 8, channels)
    attrs = {"pool_size": pool, "strides": stride, "padding": padding}
    dy = rng.standard_normal(k.average_pool(np.zeros(shape, "float32"), **attrs).shape).astype("float32")
    dy *= 10.0 ** rng.integers(-3, 3, dy.shape)
    odd = np.array([0.0, -0.0, 1e-36, -1e-30, 1e-20, 3e38, np.inf, np.nan], "float32")
    dy[:, 1, 1] = rng.choice(odd, dy[:, 1, 1].shape)
    dx = np.zeros(shape, "float32")
    pads = [max((o - 1) * stride + pool - i, 0) // 2 for o, i in zip(dy.shape[1:3], shape[1:3])]
    for o in np.ndindex(*dy.shape[1:3]):
        h, w = (slice(max(q * stride - p, 0), q * stride - p + pool) for q, p in zip(o, pads))
        count = np.float32(dx[0, h, w, 0].size)
        with np.errstate(all="ignore"):
            dx[:, h, w] += (dy[:, o[0], o[1]] / count)[:, None, None]
    with engine:
        assert_same_bits(k.average_pool_dx(dy, input_shape=shape, **attrs), dx)


@pytest.mark.parametrize("engine", each_isa(), ids=str)
def test_average_pool_dx_rounds_as_a_division_does(engine):
    """By 9 without one: a million mantissas, all over the binade."""
    dy = (np.arange(2**20, dtype="int32") * 8 + 0x3F800003).view("float32").reshape(2**13, 1, 1, 128)
    with engine:
        dx = k.average_pool_dx(dy, input_shape=(2**13, 3, 3, 128), pool_size=3, strides=2)
    assert np.array_equal(dx[:, 1, 2], dy[:, 0, 0] / np.float32(9))


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_the_gradient_of_a_global_mean_keeps_the_sign_of_zeros(engine):
    """Each element is a share of dy, not a sum that begins with +0."""
    with engine:
        dx = k.global_average_pool_dx(np.full((2, 3), -0.0, "float32"), input_shape=(2, 4, 5, 3))
    assert_same_bits(dx, np.full((2, 4, 5, 3), -0.0, "float32"))


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 70])
def test_gradients_of_windows_that_tile_keep_the_sign_of_zeros(engine, channels):
    """Five rows in twos: each of the first four has one window's gradient, the last none. Overlapping ones add to +0."""
    minus, x = np.full((1, 2, 1, channels), -0.0, "float32"), np.zeros((1, 5, 2, channels), "float32")
    with engine:
        share = k.average_pool_dx(minus, input_shape=x.shape, pool_size=2)
        first = k.max_pool_dx(minus, x, np.zeros_like(minus), pool_size=2)
        whole = k.global_max_pool_dx(minus[:, 0, 0], x, np.zeros((1, channels), "float32"))
        over = k.average_pool_dx(minus, input_shape=(1, 3, 1, channels), pool_size=(2, 1), strides=1)
        out = k.average_pool_dx(minus, input_shape=(1, 3, 1, channels), pool_size=(2, 1), padding="same")
    assert np.signbit(share[:, :4]).all() and not np.signbit(share[:, 4]).any()
    for dx, at in ((first, {(0, 0), (2, 0)}), (whole, {(0, 0)})):
        for h, w in np.ndindex(5, 2):
            assert (np.signbit(dx[0, h, w]) == ((h, w) in at)).all()
    assert not np.signbit(over).any() and not np.signbit(out).any()


def test_integers_and_bools_have_maxima():
    x = np.array([3, 1, 2, 5], "int32").reshape(1, 4, 1)
    y = k.max_pool(x, pool_size=2)
    assert y.dtype == np.int32 and y.ravel().tolist() == [3, 5]
    assert k.global_max_pool(x > 2).tolist() == [[True]]


def test_symbolic_shapes():
    x = Spec((None, None, 9, 3), np.dtype("float32"))
    attrs = {"pool_size": 2, "strides": None, "padding": "same"}
    assert k.max_pool.shape_rule(x, **attrs).shape == (None, None, 5, 3)
    assert k.average_pool.shape_rule(x, **{**attrs, "padding": "valid"}).shape == (None, None, 4, 3)
    assert k.global_average_pool.shape_rule(x, keepdims=False).shape == (None, 3)
    assert k.global_max_pool.shape_rule(x, keepdims=True).shape == (None, 1, 1, 3)


X = np.ones((2, 4, 4, 3), "float32")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: k.max_pool(X, pool_size=5), ValueError, ["at least pool_size (5, 5)", "(2, 4, 4, 3)", "same"]),
        (lambda: k.max_pool(X[0, 0], pool_size=2), ValueError, ["1 to 3 spatial axes", "(4, 3)"]),
        (lambda: k.max_pool(X, pool_size=(2, 2, 2)), ValueError, ["2 ints", "(2, 2, 2)"]),
        (lambda: k.max_pool(X, pool_size=0), ValueError, ["from 1", "0"]),
        (lambda: k.max_pool(X, pool_size=2.0), TypeError, ["int", "2.0"]),
        (lambda: k.max_pool(X, pool_size=2, strides=-1), ValueError, ["strides", "-1"]),
        (lambda: k.max_pool(X, pool_size=2, padding="full"), ValueError, ["'valid' or 'same'", "'full'"]),
        (lambda: k.average_pool(X.astype("int32"), pool_size=2), TypeError, ["floating", "int32"]),
        (lambda: k.max_pool_dx(X, X, X, pool_size=2), ValueError, ["dy", "(2, 2, 2, 3)", "(2, 4, 4, 3)"]),
        (lambda: k.max_pool_gather(X[:1], X, X, pool_size=1), ValueError, ["v", "(2, 4, 4, 3)", "(1, 4, 4, 3)"]),
        (lambda: k.average_pool_dx(X, input_shape=(2, 4, 4, 3), pool_size=2), ValueError, ["dy", "(2, 2, 2, 3)"]),
        (lambda: k.global_max_pool(X[:, :0]), ValueError, ["at least 1", "(2, 0, 4, 3)"]),
        (lambda: k.global_max_pool_dx(X, X, X), ValueError, ["dy", "(2, 3)", "(2, 4, 4, 3)"]),
        (lambda: k.global_average_pool_dx(X, input_shape=(2, 4, 4, 3)), ValueError, ["dy", "(2, 3)"]),
        (lambda: k.global_average_pool(X[0, 0]), ValueError, ["spatial", "(4, 3)"]),
        (lambda: qn.ops.max_pool(X, 2, data_format="nchw"), ValueError, ["channels_first", "'nchw'"]),
    ],
)
def test_errors_name_expected_and_received(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_channels_first():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5)).astype("float32")
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    for op in (qn.ops.max_pool, qn.ops.average_pool):
        first = op(x, (2, 3), strides=(1, 2), padding="same", data_format="channels_first")
        assert np.array_equal(np.moveaxis(first.numpy(), 1, -1), op(last, (2, 3), (1, 2), "same").numpy())


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_the_second_derivative_of_pool_squared(name):
    # sum(pool(x) ** 3) has a second derivative that goes through the rules of the dx ops and of max_pool_gather
    rng = np.random.default_rng(2)
    x = qn.constant(rng.permutation(2 * 5 * 5 * 2).reshape(2, 5, 5, 2) / 100.0, dtype="float64")
    v = qn.constant(rng.standard_normal((2, 5, 5, 2)), dtype="float64")
    pool = getattr(qn.ops, name)

    def slope(at):
        with qn.GradientTape() as tape:
            tape.watch(at)
            y = pool(at, 3, 2, "same")
            loss = qn.ops.sum(y * y * y)
        return tape.gradient(loss, at)

    with qn.GradientTape() as tape:
        tape.watch(x)
        along = qn.ops.sum(slope(x) * v)
    second = tape.gradient(along, x).numpy()
    step = 1e-5
    numeric = (slope(x + step * v).numpy() - slope(x - step * v).numpy()) / (2 * step)
    np.testing.assert_allclose(second, numeric, atol=1e-7)


@pytest.mark.oracle
@pytest.mark.parametrize("pool, stride", [(2, 2), (3, 2), (2, 3), (3, 1)])
def test_like_torch(pool, stride):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(4).standard_normal((3, 11, 9, 17)).astype("float32")
    t = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
    functional = torch.nn.functional
    for ours, theirs in (("max_pool", functional.max_pool2d), ("average_pool", functional.avg_pool2d)):
        y = getattr(k, ours)(x, pool_size=pool, strides=stride)
        ty = theirs(t, pool, stride)
        np.testing.assert_allclose(y, ty.detach().permute(0, 2, 3, 1).numpy(), atol=1e-6)
        dy = np.random.default_rng(5).standard_normal(y.shape).astype("float32")
        (tdx,) = torch.autograd.grad(ty, t, torch.tensor(dy).permute(0, 3, 1, 2))
        more = (x, y) if ours == "max_pool" else ()
        attrs = {} if ours == "max_pool" else {"input_shape": x.shape}
        dx = getattr(k, f"{ours}_dx")(dy, *more, pool_size=pool, strides=stride, **attrs)
        np.testing.assert_allclose(dx, tdx.permute(0, 2, 3, 1).numpy(), atol=1e-5)
