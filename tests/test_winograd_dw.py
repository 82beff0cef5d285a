"""conv_dw by F(3 x 3, 2 x 2): values by hand, exact sums, errors, magnitudes that go to the direct sum, the choice, bits."""

import numpy as np
import pytest
from fast_sums import check_error, normal
from hypothesis import given
from hypothesis import strategies as st

import quernel as qn
from quernel.testing import assert_same_bits, each_isa

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")
ISAS = each_isa()
K = qn.kernels


def gradient(x, dy, padding="valid", **attrs):
    return K.conv_dw(x, dy, kernel_shape=(3, 3, x.shape[-1], dy.shape[-1]), padding=padding, **attrs)


def direct(x, dy, padding="valid"):
    """conv_dw with one more channel: no multiple of 4, so the direct sum, in which channels do not meet."""
    more = np.concatenate([x, np.zeros_like(x[..., :1])], axis=-1)
    return gradient(more, dy, padding)[:, :, :-1]


def pair(n, high, wide, c, o, padding):
    """Normal x and dy."""
    out = (high, wide) if padding == "same" else (high - 2, wide - 2)
    return normal(n, high, wide, c), normal(n, *out, o, seed=1)


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_values_by_hand(isa):
    """x[h, w] = 16 h + w in every channel; one filter's dy is 1 everywhere, one's at a single position, one's 0."""
    h, w = np.mgrid[:14, :14]
    x = np.repeat((16 * h + w)[None, :, :, None], 32, axis=3).astype("float32")
    dy = np.zeros((1, 12, 12, 36), "float32")
    dy[..., 0] = 1
    dy[0, 11, 4, 1] = 2
    r, s = np.mgrid[:3, :3]
    with isa:
        dw = gradient(x, dy)
        same = gradient(x, np.pad(dy, ((0, 0), (0, 2), (0, 2), (0, 0))), "same")
    assert np.array_equal(dw[:, :, 7, 0], 144 * (16 * (r + 5.5) + s + 5.5))
    assert np.array_equal(dw[:, :, 31, 1], 2 * (16 * (11 + r) + 4 + s))
    assert not dw[:, :, :, 2:].any()
    assert np.array_equal(same[1:, 1:, 9, 0], dw[:2, :2, 9, 0])
    assert np.array_equal(same[:, :, 3, 1], 2 * (16 * (10 + r) + 3 + s))
    assert np.array_equal(same[0, :, 5, 0], [(16 * h + w)[:11, :11].sum(), (16 * h + w)[:11, :12].sum(),
                                             (16 * h + w)[:11, 1:13].sum()])  # fmt: skip


@given(data=st.data())
def test_small_integers_are_exact(data):
    """Every sum on the way is an integer below 2^24: any sizes, strides and paddings equal the definition."""
    n, high, wide = (data.draw(st.integers(*limits)) for limits in ((1, 4), (11, 18), (11, 18)))
    c, o = (4 * data.draw(st.integers(8, 12)) for _ in range(2))
    padding = data.draw(st.sampled_from(["valid", "same"]))
    out = (high, wide) if padding == "same" else (high - 2, wide - 2)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))

    def strided(*shape):
        step, flip = data.draw(st.integers(1, 2)), data.draw(st.booleans())
        order = data.draw(st.permutations(range(4)))
        room = np.empty([shape[d] * step for d in order], "float32")
        view = room.transpose(np.argsort(order))[tuple(slice(None, None, step) for _ in order)]
        view = view[:, :, :: -1 if flip else 1]
        view[...] = rng.integers(-3, 4, shape)
        return view

    x, dy, dw = strided(n, high, wide, c), strided(n, *out, o), strided(3, 3, c, o)
    attrs = {"kernel_shape": (3, 3, c, o), "padding": padding}
    want = K.conv_dw.definition(x, dy, **K.conv_dw.freeze(attrs))
    for isa in ISAS:
        with isa:
            K.conv_dw(x, dy, **attrs, out=dw)
        assert np.array_equal(dw, want)


SHAPES = [(4, 13, 13, 32, 64, "valid"), (3, 14, 14, 64, 32, "same"), (1, 20, 18, 128, 48, "same"),
          (40, 12, 14, 36, 32, "same")]  # fmt: skip


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("data", ["normal", "relu"])
@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_the_error_is_at_most_twice_that_of_the_direct_sum(case, data, isa):
    x, dy = pair(*case)
    if data == "relu":
        x = np.maximum(x, 0)
    padding = case[-1]
    attrs = {"kernel_shape": (3, 3, x.shape[-1], dy.shape[-1]), "padding": padding}
    true = K.conv_dw.definition(x.astype("float64"), dy.astype("float64"), **K.conv_dw.freeze(attrs))
    with isa:
        check_error(gradient(x, dy, padding), direct(x, dy, padding), true)


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("at", [(0, 0, 0, 0), (2, 6, 5, 35), (2, -1, -1, -1), (1, 0, -1, 9)], ids=str)
@pytest.mark.parametrize("which", ["x", "dy"])
@pytest.mark.parametrize("value", [2.0**120, -(2.0**127), np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_huge_value_makes_all_of_it_the_direct_sum(padding, value, which, at, isa, sharing):
    x, dy = (a / 1024 for a in pair(3, 13, 14, 40, 36, padding))  # no product is huge
    with isa:
        assert not np.array_equal(gradient(x, dy, padding), direct(x, dy, padding))
        (x if which == "x" else dy)[tuple(i if i < n else n - 1 for i, n in zip(at, dy.shape))] = value
        usual = direct(x, dy, padding)
        for threads in (1, 2, 3, 5):  # the rank that sees it tells the others
            qn.set_num_threads(threads)
            assert_same_bits(gradient(x, dy, padding), usual, f"{threads} threads")


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_the_largest_value_that_is_not_huge(isa):
    x, dy = pair(1, 14, 14, 32, 32, "valid")
    dy *= 1e-3
    x[0, 6, 7, 3] = np.nextafter(np.float32(2.0**120), np.float32(0))
    with isa:
        dw, usual = gradient(x, dy), direct(x, dy)
    assert not np.array_equal(dw, usual)
    assert np.allclose(dw[:, :, 3], usual[:, :, 3], rtol=1e-4, atol=0)


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize("sizes", [(60, 60), (66, 60)], ids=str)
def test_sums_that_are_huge_on_the_way(sizes, isa, sharing):
    """A product of 2^120 or more in one of the 16 sums: none of dw may lose digits to it that the direct sum keeps."""
    x, dy = pair(2, 14, 14, 32, 32, "valid")
    x[1, 5, 5, 30], dy[1, 4, 4, 20] = 2.0 ** sizes[0], 2.0 ** sizes[1]
    with isa:
        usual = direct(x, dy)
        assert usual[1, 1, 30, 20] == 2.0 ** sum(sizes)
        for threads in (1, 2):
            qn.set_num_threads(threads)
            assert_same_bits(gradient(x, dy), usual, f"{threads} threads")


@pytest.mark.parametrize("case", [*SHAPES, (2, 12, 16, 100, 132, "same"), (3, 12, 12, 260, 32, "same"),
                                  (8, 12, 12, 260, 256, "same")], ids=str)  # fmt: skip
def test_the_bits_of_any_team_isa_and_layout(case, sharing):
    *_, padding = case
    x, dy = pair(*case)
    odd = [np.zeros((*a.shape[:2], 2 * a.shape[2], 2 * a.shape[3] + 1), "float32")[:, :, ::-2, 1::2] for a in (x, dy)]
    for wide, a in zip(odd, (x, dy)):
        wide[...] = a
    found = []
    for isa in ISAS:
        with isa:
            dw = gradient(x, dy, padding)
            for threads in (1, 2, 3, 5, 8, 16):
                qn.set_num_threads(threads)
                assert_same_bits(gradient(x, dy, padding), dw, f"{threads} threads")
                assert_same_bits(gradient(*odd, padding), dw, f"{threads} threads, strides")
            out = np.zeros((3, dw.shape[2], 3, 2 * dw.shape[3]), "float32").transpose(0, 2, 1, 3)[..., ::-2]
            gradient(x, dy, padding, out=out)
            assert_same_bits(out, dw, "strides of the result")
        if isa.isa != "base":
            found.append(dw)
    for dw in found:
        assert_same_bits(dw, found[0], "instruction sets")


@pytest.mark.parametrize("isa", ISAS, ids=str)
@pytest.mark.parametrize(
    "case, attrs, taken",
    [
        ((1, 12, 12, 32, 32, "same"), {}, True),
        ((1, 12, 12, 30, 32, "same"), {}, False),
        ((1, 12, 12, 34, 32, "same"), {}, False),
        ((1, 12, 12, 32, 34, "same"), {}, False),
        ((1, 12, 12, 32, 28, "same"), {}, False),
        ((1, 12, 10, 32, 32, "same"), {}, False),
        ((1, 3, 80, 64, 64, "same"), {}, False),
        ((1, 12, 12, 32, 32, "same"), {"dilation_rate": 2}, False),
    ],
    ids=str,
)
def test_the_choice(case, attrs, taken, isa):
    """With 1, 5, 9, ... more channels it is the direct sum for sure."""
    x, dy = pair(*case)
    with isa:
        dw = gradient(x, dy, case[-1], **attrs)
        more = np.concatenate([x, x[..., : 5 - case[3] % 4]], axis=-1)
        usual = gradient(more, dy, case[-1], **attrs)[:, :, : case[3]]
    assert np.array_equal(dw, usual) != taken


@pytest.mark.parametrize("isa", ISAS, ids=str)
def test_no_image(isa):
    with isa:
        dw = gradient(np.zeros((0, 14, 14, 32), "float32"), np.zeros((0, 12, 12, 32), "float32"))
    assert dw.shape == (3, 3, 32, 32) and not dw.any()
