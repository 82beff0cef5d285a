"""Convolutions that go by F(2 x 2, 3 x 3): values by hand, errors, magnitudes that go back to the direct sum, the choice."""

import numpy as np
import pytest
from fast_sums import check_error, normal
from numpy.lib.stride_tricks import sliding_window_view

import quernel as qn
from quernel.testing import assert_same_bits, each_isa

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")
ISAS = each_isa()
K = qn.kernels


def direct(x, w, b=None, *, padding="valid", activation=None):
    """conv_forward four rows at a time: too few blocks for anything but the direct sum, which has the same bits."""
    rows, reach, found = x.shape[1] - (padding == "valid") * 2, int(padding == "same"), []
    for top in range(0, rows, 4):
        first = max(top - reach, 0)
        part = K.conv_forward(x[:, first : top + 6 - reach], w, b, padding=padding, activation=activation)
        found.append(part[:, top - first : top - first + 4])
    return np.concatenate(found, axis=1)


def float64(x, w, padding="valid"):
    """The convolution in float64."""
    x, w = x.astype("float64"), w.astype("float64")
    if padding == "same":
        x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.einsum("nhwcrs,rsco->nhwo", windows, w, optimize=True)


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_values_by_hand(isa):
    """x[h, w] = 16 h + w in every channel; a filter of ones, of one tap, and of a difference."""
    h, w = np.mgrid[:14, :14]
    x = np.repeat((16 * h + w)[None, :, :, None], 32, axis=3).astype("float32")
    kernel = np.zeros((3, 3, 32, 32), "float32")
    kernel[:, :, :, 0] = 1
    kernel[2, 0, :, 1] = 2
    kernel[0, 1, :, 2], kernel[2, 1, :, 2] = -1, 1
    with isa:
        y = K.conv_forward(x, kernel)[0]
        same = K.conv_forward(x, kernel, padding="same")[0]
        dx = K.conv_dx(x, kernel, input_shape=(1, 14, 14, 32), padding="same")[0]
    q, p = np.mgrid[:12, :12]
    assert np.array_equal(y[..., 0], 32 * 9 * (16 * (q + 1) + p + 1))
    assert np.array_equal(y[..., 1], 32 * 2 * (16 * (q + 2) + p))
    assert np.array_equal(y[..., 2], np.full((12, 12), 32 * 32.0))
    assert not y[..., 3:].any()
    assert np.array_equal(same[1:-1, 1:-1], y)
    assert same[0, 0, 0] == 32 * (0 + 1 + 16 + 17)
    assert same[13, 0, 1] == 0 and same[12, 1, 1] == 32 * 2 * 16 * 13
    assert np.array_equal(same[0, :, 2], 32 * (16.0 + np.arange(14)))
    # dx[i] takes dy[i + 1 - t] through tap t of filters 0, 1 and 2
    inside = 9 * (16 * h + w) + 2 * (16 * (h - 1) + w + 1) - 32
    assert np.array_equal(dx[1:-1, 1:-1, 5], inside[1:-1, 1:-1])


SHAPES = [(4, 13, 13, 32, 64, "valid"), (2, 14, 14, 64, 32, "same"), (1, 20, 18, 128, 48, "same"),
          (1, 14, 14, 512, 32, "valid")]  # fmt: skip


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("data", ["normal", "relu"])
@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_the_error_is_at_most_twice_that_of_the_direct_sum(case, data, isa):
    n, high, wide, c, o, padding = case
    x, w = normal(n, high, wide, c), normal(3, 3, c, o)
    if data == "relu":
        x = np.maximum(x, 0)
    true = float64(x, w, padding)
    with isa:
        check_error(K.conv_forward(x, w, padding=padding), direct(x, w, padding=padding), true)


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("value", [2.0**120, -(2.0**127), np.inf, -np.inf, np.nan])
def test_blocks_that_read_a_huge_value_have_the_bits_of_the_direct_sum(value, padding, isa):
    x, w, b = normal(3, 13, 14, 40), normal(3, 3, 40, 36), normal(36)
    spoilt = x.copy()
    spoilt[1, 6, 7, 39] = value
    with isa:
        y = K.conv_forward(spoilt, w, b, padding=padding)
        usual = direct(spoilt, w, b, padding=padding)
        clean, clean_usual = K.conv_forward(x, w, b, padding=padding), direct(x, w, b, padding=padding)
    reach = int(padding == "same")  # block q reads 2 q - reach to 2 q - reach + 3
    blocks = [[q for q in range(7) if 0 <= at + reach - 2 * q <= 3] for at in (6, 7)]
    inside = np.zeros(y.shape[:3], bool)
    for q in blocks[0]:
        for p in blocks[1]:
            inside[1, 2 * q : 2 * q + 2, 2 * p : 2 * p + 2] = True
    assert_same_bits(y[inside], usual[inside])
    assert_same_bits(y[~inside], clean[~inside])
    assert not np.array_equal(clean[inside], clean_usual[inside])
    assert np.isfinite(value) or np.isnan(value) or np.isinf(y[1, 5 + reach, 6 + reach]).all()


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_the_largest_value_that_is_not_huge(isa):
    x, w = normal(1, 14, 14, 32), np.full((3, 3, 32, 32), 1e-3, "float32")
    x[0, 6, 7, 3] = np.nextafter(np.float32(2.0**120), np.float32(0))
    with isa:
        y, usual = K.conv_forward(x, w), direct(x, w)
    assert not np.array_equal(y, usual)
    assert np.allclose(y[0, 4:7, 5:8], usual[0, 4:7, 5:8], rtol=1e-5, atol=0)


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("activation", [None, "relu", "sigmoid"])
def test_sums_that_overflow_on_the_way_only(activation, isa):
    """Products of a transform overflow where no term does: 2^100 meets a weight of 2^-20, its neighbours' are 2^60."""
    x, w = normal(2, 14, 13, 32), normal(3, 3, 32, 33)
    x[1, 5, 5] = 2.0**100
    x[1, :, 6:] = 0
    x[1, :5], x[1, 6:], x[1, 5, :5] = 0, 0, 0
    w[1, 1], w[0, 0] = 2.0**-20, 2.0**60
    w[1, 1, 0, 5] = np.nan
    with isa:
        y = K.conv_forward(x, w, padding="same", activation=activation)
        usual = direct(x, w, padding="same", activation=activation)
    assert np.isfinite(usual[1, 5, 5, :5]).all()
    assert_same_bits(y[1, 4:6, 4:6], usual[1, 4:6, 4:6])
    assert_same_bits(np.isnan(y), np.isnan(usual))


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_padding_is_absence(isa):
    """A tap outside the input is left out: an infinite weight there makes no NaN."""
    x, w = np.ones((1, 12, 12, 32), "float32"), np.ones((3, 3, 32, 32), "float32")
    w[0, 0] = np.inf
    with isa:
        y = K.conv_forward(x, w, padding="same")
        dx = K.conv_dx(x, w, input_shape=x.shape, padding="same")
    expected = np.full((12, 12), np.inf)
    expected[0], expected[:, 0] = 32 * 6, 32 * 6
    expected[0, 0] = expected[0, -1] = expected[-1, 0] = 32 * 4
    assert np.array_equal(y[0, :, :, 7], expected)
    assert np.array_equal(dx[0, :, :, 7], expected[::-1, ::-1])


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_bits_depend_on_one_image_alone(isa, sharing):
    x, w, b = normal(9, 15, 12, 33), normal(3, 3, 33, 41), normal(41)
    x[4, 3, 3, 3] = 2.0**121
    dy = normal(9, 15, 12, 41)
    with isa:
        y = K.conv_forward(x, w, b, padding="same")
        dx = K.conv_dx(dy, w, input_shape=x.shape, padding="same")
        turned = np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))
        assert_same_bits(dx, K.conv_forward(dy, turned, padding="same"), "the gradient is a convolution too")
        for threads in (1, 2, 3, 5, 8):
            qn.set_num_threads(threads)
            assert_same_bits(K.conv_forward(x, w, b, padding="same"), y, f"{threads} threads")
            assert_same_bits(K.conv_dx(dy, w, input_shape=x.shape, padding="same"), dx, f"{threads} threads")
            for i in (0, 4):
                assert_same_bits(K.conv_forward(x[i : i + 1], w, b, padding="same"), y[i : i + 1], f"image {i}")
        odd = np.zeros((9, 15, 24, 67), "float32")[:, :, ::-2, 1::2]
        odd[...] = x
        assert_same_bits(K.conv_forward(odd, np.asfortranarray(w), b[::-1].copy()[::-1], padding="same"), y, "strides")
        out = np.zeros((9, 12, 15, 82), "float32").transpose(0, 2, 1, 3)[..., ::-2]
        K.conv_forward(x, w, b, padding="same", out=out)
        assert_same_bits(out, y, "strides of the result")


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_many_blocks_of_32_channels_have_the_bits_of_a_few(isa, sharing):
    """Many blocks go four points at a time, one image alone goes 16: every row of a block holds a huge value once."""
    x, w, b = normal(9, 15, 12, 64), normal(3, 3, 32, 64), normal(64)
    for i, value in enumerate((2.0**120, -(2.0**127), np.inf, np.nan)):
        x[2 * i, 6 + i, 5 + i, 9 + 14 * i] = value
    attrs = {"padding": "same", "groups": 2}
    with isa:
        for activation in (None, "relu"):
            y = K.conv_forward(x, w, b, activation=activation, **attrs)
            dx = K.conv_dx(x, w, input_shape=x.shape, **attrs)
            for i in range(9):
                one = x[i : i + 1]
                assert_same_bits(K.conv_forward(one, w, b, activation=activation, **attrs), y[i : i + 1], f"image {i}")
                assert_same_bits(K.conv_dx(one, w, input_shape=one.shape, **attrs), dx[i : i + 1], f"dx {i}")
        for threads in (1, 2, 3, 5):
            qn.set_num_threads(threads)
            assert_same_bits(K.conv_forward(x, w, b, activation="relu", **attrs), y, f"{threads} threads")
            assert_same_bits(K.conv_dx(x, w, input_shape=x.shape, **attrs), dx, f"{threads} threads")


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize(
    "shape, filters, attrs, taken",
    [
        ((1, 12, 12, 32), 32, {"padding": "same"}, True),
        ((1, 12, 12, 31), 32, {"padding": "same"}, False),
        ((1, 12, 12, 32), 31, {"padding": "same"}, False),
        ((1, 12, 10, 32), 32, {"padding": "same"}, False),
        ((1, 3, 80, 64), 64, {"padding": "same"}, False),
        ((1, 14, 14, 64), 64, {"groups": 2}, True),
    ],
    ids=str,
)
def test_the_choice(shape, filters, attrs, taken, isa):
    x, w = normal(*shape), normal(3, 3, shape[-1] // attrs.get("groups", 1), filters)
    with isa:
        y = K.conv_forward(x, w, **attrs)
        if "groups" in attrs:
            usual = direct(x[..., :32], w[..., :32]), direct(x[..., 32:], w[..., 32:])
            usual = np.concatenate(usual, axis=-1)
        else:
            usual = direct(x, w, **attrs)
    assert np.array_equal(y, usual) != taken


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_no_image(isa):
    with isa:
        assert K.conv_forward(np.zeros((0, 14, 14, 32), "float32"), normal(3, 3, 32, 32)).shape == (0, 12, 12, 32)
