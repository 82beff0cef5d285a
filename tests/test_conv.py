"""Convolutions: values by hand, padding rules, borders that see no zeros, errors in words."""

import numpy as np
import pytest

import quernel as qn
from quernel.testing import assert_same_bits, engines

ENGINES = engines()
K = qn.kernels


def image(values):
    a = np.array(values, "float32")
    return a.reshape(1, *a.shape, 1)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_values_by_hand(engine):
    x = image([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    w = np.array([[1, 10], [100, 1000]], "float32").reshape(2, 2, 1, 1)
    with engine:
        y = K.conv_forward(x, w, np.array([0.5], "float32"))
        assert y[0, :, :, 0].tolist() == [[5421.5, 6532.5], [8754.5, 9865.5]]
        dy = image([[1, 2], [3, 4]])
        dx = K.conv_dx(dy, w, input_shape=x.shape)
        assert dx[0, :, :, 0].tolist() == [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]
        dw = K.conv_dw(x, dy, kernel_shape=w.shape)
        assert dw[:, :, 0, 0].tolist() == [[37, 47], [67, 77]]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_same_padding_puts_the_odd_element_last(engine):
    x = np.arange(1, 5, dtype="float32").reshape(1, 4, 1)
    w = np.array([1, 10, 100], "float32").reshape(3, 1, 1)
    with engine:
        stride1 = K.conv_forward(x, w, padding="same").ravel()
        stride2 = K.conv_forward(x, w, padding="same", strides=2).ravel()
        even = K.conv_forward(x, w[:2], padding="same").ravel()
    assert stride1.tolist() == [210, 321, 432, 43]
    assert stride2.tolist() == [321, 43]  # one element of padding: at the end
    assert even.tolist() == [21, 32, 43, 4]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_padding_is_absence(engine):
    """A tap outside the input is left out: an infinite weight there makes no NaN."""
    x = np.ones((1, 3, 3, 1), "float32")
    w = np.ones((3, 3, 1, 1), "float32")
    w[0, 0] = np.inf
    with engine:
        y = K.conv_forward(x, w, padding="same")[0, :, :, 0]
        depthwise = K.depthwise_conv_forward(x, w, padding="same")[0, :, :, 0]
    assert y.tolist() == [[4, 6, 4], [6, np.inf, np.inf], [4, np.inf, np.inf]]
    assert depthwise.tolist() == y.tolist()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_groups_and_depthwise_agree(engine):
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, 5, 6, 4)).astype("float32")
    w = rng.integers(-3, 4, (3, 3, 4, 2)).astype("float32")
    with engine:
        grouped = K.conv_forward(x, w.reshape(3, 3, 1, 8), groups=4, padding="same")
        assert np.array_equal(K.depthwise_conv_forward(x, w, padding="same"), grouped)
        dy = rng.integers(-3, 4, grouped.shape).astype("float32")
        for own, general in [
            (K.depthwise_conv_dx(dy, w, input_shape=x.shape, padding="same"),
             K.conv_dx(dy, w.reshape(3, 3, 1, 8), input_shape=x.shape, padding="same", groups=4)),
            (K.depthwise_conv_dw(x, dy, kernel_shape=w.shape, padding="same"),
             K.conv_dw(x, dy, kernel_shape=(3, 3, 1, 8), padding="same", groups=4).reshape(w.shape)),
        ]:  # fmt: skip
            assert np.array_equal(own, general)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_empty_sums_are_zero(engine):
    with engine:
        assert np.array_equal(
            K.conv_dw(np.ones((0, 4, 4, 2), "float32"), np.ones((0, 2, 2, 3), "float32"), kernel_shape=(3, 3, 2, 3)),
            np.zeros((3, 3, 2, 3)),
        )
        b = np.array([1, -1], "float32")
        y = K.conv_forward(np.ones((1, 2, 2, 0), "float32"), np.ones((1, 1, 0, 2), "float32"), b, activation="relu")
        assert y[0, 0, 0].tolist() == [1, 0]


def patches(x, kernel, strides, padding):
    """Rows (image, position), columns (tap, channel) of the padded images, in float32; their positions."""
    n, *sizes, c = x.shape
    if padding == "same":
        out = [-(-i // s) for i, s in zip(sizes, strides)]
        missing = [max((o - 1) * s + k - i, 0) for o, s, k, i in zip(out, strides, kernel, sizes)]
        x = np.pad(x, [(0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)])
    else:
        out = [(i - k) // s + 1 for i, s, k in zip(sizes, strides, kernel)]
    taps = [
        x[(slice(None), *(slice(t, t + (o - 1) * s + 1, s) for t, o, s in zip(tap, out, strides)))]
        for tap in np.ndindex(*kernel)
    ]
    return np.stack(taps, axis=-2).reshape(n * int(np.prod(out)), -1), out


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend == "native" and e.isa != "base"], ids=str)
@pytest.mark.parametrize(
    "images, kernel, o, strides, padding",
    [
        ((20, 28, 28, 1), (3, 3), 32, (1, 1), "valid"),
        ((20, 17, 40, 3), (3, 3), 40, (1, 1), "same"),
        ((20, 33, 33, 3), (7, 7), 20, (2, 2), "same"),
        ((3, 5, 1100, 1), (3, 5), 17, (1, 2), "same"),
        ((70, 200, 5), (4,), 70, (2,), "same"),
        ((20, 9, 8, 9, 2), (3, 2, 3), 33, (1, 2, 1), "same"),
    ],
)
def test_weights_gradient_of_few_channels(engine, images, kernel, o, strides, padding, sharing):
    """The documented order: images and positions as the terms of a matrix product; and padding is absence."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(images).astype("float32")
    rows, out = patches(x, kernel, strides, padding)
    dy = rng.standard_normal((images[0], *out, o)).astype("float32")
    shape = (*kernel, images[-1], o)
    with engine:
        expected = qn.kernels.gemm(rows, dy.reshape(-1, o), transpose_a=True).reshape(shape)
        wild = dy.copy()
        wild[0, ..., 0] = np.inf
        apart = np.repeat(x, 2, axis=-1)[..., ::2]  # channels that are no neighbours: the general way
        for threads in (1, 2, 3):
            qn.backend.set_num_threads(threads)
            dw = qn.kernels.conv_dw(x, dy, kernel_shape=shape, strides=strides, padding=padding)
            assert_same_bits(dw, expected)
            got = qn.kernels.conv_dw(x, wild, kernel_shape=shape, strides=strides, padding=padding)
            want = qn.kernels.conv_dw(apart, wild, kernel_shape=shape, strides=strides, padding=padding)
            assert_same_bits(got, want)


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend == "native" and e.isa != "base"], ids=str)
@pytest.mark.parametrize(
    "sizes, kernel, o, strides, dilation, padding",
    [
        ((3, 30, 28), (3, 3), 32, 1, 1, "valid"),
        ((2, 37, 41), (7, 7), 24, 2, 1, "same"),
        ((2, 21, 34), (3, 3), 70, 1, 2, "same"),  # chains of 512 end inside a tap
        ((2, 25, 70), (4, 3), 5, (1, 3), (3, 2), "same"),
        ((2, 66), (5,), 130, 3, 1, "valid"),
        ((1, 6, 5, 35), (2, 3, 2), 17, (2, 1, 1), 1, "same"),
    ],
)
def test_few_channels_have_the_bits_of_many(engine, sizes, kernel, o, strides, dilation, padding):
    rng = np.random.default_rng(0)
    attrs = {"strides": strides, "dilation_rate": dilation, "padding": padding}
    x, w = (rng.standard_normal(s).astype("float32") for s in ((*sizes, o), (*kernel, 20, o)))
    w[(0,) * len(kernel)] = np.inf  # no product with a tap that is clipped, not even with zero
    b, forward = rng.standard_normal(20).astype("float32"), np.moveaxis(w, -1, -2)
    with engine:
        y = K.conv_forward(rng.standard_normal((*sizes, 20)).astype("float32"), w, **attrs)
        dy = rng.standard_normal(y.shape).astype("float32")
        wide = K.conv_dx(dy, w, input_shape=(*sizes, 20), **attrs)
        same = K.conv_forward(x, forward, b, activation="tanh", **attrs)
        for few in (1, 2, 3, 4):
            narrow = K.conv_dx(dy, w[..., :few, :], input_shape=(*sizes, few), **attrs)
            assert_same_bits(narrow, wide[..., :few])
            reverse = np.ascontiguousarray(np.moveaxis(dy, -1, 0)).transpose(*range(1, dy.ndim), 0)
            assert_same_bits(K.conv_dx(reverse, w[..., :few, :], input_shape=(*sizes, few), **attrs), narrow)
            assert_same_bits(
                K.conv_forward(x, forward[..., :few], b[:few], activation="tanh", **attrs), same[..., :few]
            )


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend == "native" and e.isa != "base"], ids=str)
@pytest.mark.parametrize(
    "sizes, kernel, strides, dilation",
    [
        ((1, 101, 100, 2), (31, 31), 1, 1),  # sums of 20 blocks of terms do not fit the room for a wave of them
        ((3, 28, 27, 40), (3, 3), 1, 1),
        ((2, 11, 18, 75), (3, 3), 1, 1),  # positions share what they read, in whole vectors and the tail
        ((2, 30, 33, 70), (4, 5), 2, 1),
        ((2, 9, 33, 3), (2, 3), 1, 3),
    ],
)
def test_depthwise_is_one_group_a_channel(engine, sizes, kernel, strides, dilation):
    rng = np.random.default_rng(0)
    attrs = {"strides": strides, "dilation_rate": dilation, "padding": "same"}
    x, w = (rng.standard_normal(s).astype("float32") for s in (sizes, (*kernel, 1, sizes[-1])))
    each = w.swapaxes(-1, -2)
    with engine:
        y = K.conv_forward(x, w, groups=sizes[-1], **attrs)
        dy = rng.standard_normal(y.shape).astype("float32")
        dx = K.conv_dx(dy, w, input_shape=sizes, groups=sizes[-1], **attrs)
        dw = K.conv_dw(x, dy, kernel_shape=w.shape, groups=sizes[-1], **attrs)
        if np.prod(kernel) <= 512:  # one chain
            assert np.array_equal(K.depthwise_conv_forward(x, each, **attrs), y)
            assert np.array_equal(K.depthwise_conv_dx(dy, each, input_shape=sizes, **attrs), dx)
        assert np.array_equal(K.depthwise_conv_dw(x, dy, kernel_shape=each.shape, **attrs), dw.swapaxes(-1, -2))


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend == "native"], ids=str)
def test_one_image_equals_its_row_of_the_batch(engine):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 6, 6, 70)).astype("float32")
    w = rng.standard_normal((3, 3, 70, 40)).astype("float32")
    with engine:
        y = K.conv_forward(x, w, padding="same")
        dx = K.conv_dx(y, w, input_shape=x.shape, padding="same")
        for i in (0, 39):
            assert np.array_equal(K.conv_forward(x[i : i + 1], w, padding="same"), y[i : i + 1])
            assert np.array_equal(K.conv_dx(y[i : i + 1], w, input_shape=(1, 6, 6, 70), padding="same"), dx[i : i + 1])


X = np.ones((2, 5, 5, 4), "float32")
W = np.ones((3, 3, 4, 6), "float32")


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: K.conv_forward(X, W[:, :, :3]), "expected input channels = .* 1 \\* 3, received 4 channels"),
        (lambda: K.conv_forward(X, W[:, :, :2], groups=3), "expected input channels"),
        (lambda: K.conv_forward(X, W[:, :, :1, :5], groups=4), "expected filters divisible by groups, received 5"),
        (lambda: K.conv_forward(X, W[0]), "w: expected 4 dimensions, received shape"),
        (lambda: K.conv_forward(X[0, 0], W), "x: expected 3 to 5 dimensions"),
        (lambda: K.conv_forward(X, W, np.ones(5, "float32")), "b: expected shape \\(6,\\), received \\(5,\\)"),
        (lambda: K.conv_forward(X, W, strides=0), "strides: expected a positive int or 2 of them, received 0"),
        (lambda: K.conv_forward(X, W, strides=(1, 2, 3)), "strides: expected a positive int or 2 of them"),
        (lambda: K.conv_forward(X, W, padding="causal"), 'padding: expected "valid" or "same", received'),
        (lambda: K.conv_forward(X, W, dilation_rate=3), "5 elements, fewer than the window's 7; pass padding"),
        (lambda: K.conv_forward(X, W, activation="gelu"), "activation: expected one of"),
        (lambda: K.conv_dx(X, W, input_shape=(2, 7, 7, 4)), "dy: expected shape \\(2, 5, 5, 6\\), received"),
        (lambda: K.conv_dw(X, X, kernel_shape=(3, 3, 4, 4)), "dy: expected shape \\(2, 3, 3, 4\\), received"),
        (lambda: K.depthwise_conv_forward(X, W[:, :, :3]), "as many input channels as the kernel's 3, received 4"),
    ],
)
def test_bad_calls(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_bad_types():
    with pytest.raises(TypeError, match="x: expected a floating dtype, received int32; cast"):
        K.conv_forward(X.astype("int32"), W)
    with pytest.raises(TypeError, match="strides: expected an int or a tuple of 2 ints, received 1.5"):
        K.conv_forward(X, W, strides=1.5)
    with pytest.raises(ValueError, match="transpose the inputs"):
        qn.ops.conv(X, W, data_format="channels_first")


def test_keras_ops_names():
    assert qn.ops.conv(X, W, strides=2, padding="same").shape == (2, 3, 3, 6)
    assert qn.ops.conv(X, np.ones((3, 3, 2, 6), "float32")).shape == (2, 3, 3, 6)
    assert qn.ops.depthwise_conv(X, W).shape == (2, 3, 3, 24)
    assert qn.ops.separable_conv(X, W, np.ones((1, 1, 24, 3), "float32")).shape == (2, 3, 3, 3)


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.backend == "native"], ids=str)
def test_groups_are_convolutions_of_their_own(engine, sharing):
    """3 x 3 taps by F(2 x 2, 3 x 3), group by group: the bits of each group alone; an infinity stays in its group."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((3, 13, 12, 3 * 36), dtype="float32")
    w = rng.standard_normal((3, 3, 36, 3 * 40), dtype="float32")
    b = rng.standard_normal(3 * 40, dtype="float32")
    dy = rng.standard_normal((*x.shape[:3], 3 * 40), dtype="float32")
    attrs = {"padding": "same"}
    with engine:
        y = K.conv_forward(x, w, b, groups=3, **attrs)
        dx = K.conv_dx(dy, w, input_shape=x.shape, groups=3, **attrs)
        dw = K.conv_dw(x, dy, kernel_shape=w.shape, groups=3, **attrs)
        for i in range(3):
            c, o = np.s_[..., 36 * i : 36 * i + 36], np.s_[..., 40 * i : 40 * i + 40]
            assert_same_bits(K.conv_forward(x[c], w[o], b[o], **attrs), y[o])
            assert_same_bits(K.conv_dx(dy[o], w[o], input_shape=x[c].shape, **attrs), dx[c])
            assert_same_bits(K.conv_dw(x[c], dy[o], kernel_shape=w[o].shape, **attrs), dw[o])
        x[1, 4, 5, 40] = np.inf
        assert_same_bits(K.conv_forward(x, w, b, groups=3, **attrs)[..., :40], y[..., :40])
        odd = K.conv_dw(x, dy, kernel_shape=w.shape, groups=3, **attrs)
        assert np.allclose(odd[..., :40], dw[..., :40], rtol=0, atol=1e-3) and not np.isfinite(odd[..., 40:80]).all()


def test_large_depthwise_results_past_the_caches():
    """From 16 MB on results are streamed, where whole lines are written; an image alone is below, as is an unaligned one."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((2, 190, 191, 64), dtype="float32")
    w = rng.standard_normal((3, 3, 64, 1), dtype="float32")
    y = K.depthwise_conv_forward(x, w, padding="same")
    dx = K.depthwise_conv_dx(x, w, input_shape=x.shape, padding="same")
    assert y.nbytes >= 16 << 20 and y.ctypes.data % 64 == 0
    apart = np.zeros(y.size + 1, "float32")[1:].reshape(y.shape)
    assert_same_bits(K.depthwise_conv_forward(x, w, padding="same", out=apart), y)
    for i in (0, 1):
        assert_same_bits(K.depthwise_conv_forward(x[i : i + 1], w, padding="same"), y[i : i + 1])
        alone = K.depthwise_conv_dx(x[i : i + 1], w, input_shape=(1, *x.shape[1:]), padding="same")
        assert_same_bits(alone, dx[i : i + 1])
