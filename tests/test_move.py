"""concat, pad, full, gather, scatter_add, one_hot: hand-computed values, rules at the edges, errors in words."""

import numpy as np
import pytest

import quernel as qn
from quernel.testing import engines

ENGINES = engines()
F = np.float32


@pytest.fixture(params=ENGINES, ids=str)
def engine(request):
    with request.param as e:
        yield e


def test_copies_keep_every_bit(engine):
    """Subnormals, NaN payloads and negative zeros go through copies untouched."""
    raw = np.array([1, 0x80000000, 0x7FC12345, 0xFF800000, 0x7FA00001], np.uint32)
    x = raw.view(F)
    i = np.arange(5)
    for y in (
        qn.kernels.concat([x[:2], x[2:]]),
        qn.kernels.gather(x, i),
        qn.kernels.pad(x, pad_width=((0, 0),)),
        qn.kernels.slice_dx(x, shape=(5,), start=(0,), stop=(5,), step=(1,)),
    ):
        if engine.backend == "native":
            assert np.array_equal(y.view(np.uint32), raw)
        else:
            assert np.array_equal(y.view(np.uint32)[[0, 1, 3]], raw[[0, 1, 3]])


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
@pytest.mark.parametrize("widths", [(1, 1), (8, 8), (0, 5), (3, 16, 1, 17), (33, 2), (700, 300, 30)], ids=str)
def test_concat_of_short_rows(engine, widths, dtype):
    """Rows that go block by block, and the same where an input's rows lie apart."""
    rng = np.random.default_rng(sum(widths))
    xs = [rng.integers(0, 200, (3, 211, w)).astype(dtype) for w in widths]
    want = np.concatenate(xs, axis=2)
    got = qn.kernels.concat(xs, axis=-1)
    assert got.dtype == want.dtype and np.array_equal(got, want)
    apart = np.zeros((3, 211, 2 * widths[-1]), dtype)[:, :, ::2]
    apart[:] = xs[-1]
    assert np.array_equal(qn.kernels.concat([*xs[:-1], apart], axis=-1), want)


@pytest.mark.parametrize("index", [3, -4, 2**40, -(2**40)])
def test_bad_indices_raise(engine, index):
    x, indices = np.zeros((2, 3), F), np.array([0, index], "int64")
    with pytest.raises(
        IndexError, match=rf"gather: an index is out of range: expected values in \[-3, 3\), received {index}"
    ):
        qn.kernels.gather(x, indices, axis=1)
    with pytest.raises(IndexError, match="scatter_add: an index is out of range"):
        qn.kernels.scatter_add(indices, np.zeros((2, 2), F), shape=(2, 3), axis=1)


def test_bad_index_is_raised_by_any_rank(sharing):
    x = np.zeros((10, 300), F)
    for threads in (1, 2, 3, 7):
        qn.backend.set_num_threads(threads)
        for at in (0, 50, 99):
            indices = np.zeros(100, "int32")
            indices[at] = 10
            with pytest.raises(IndexError):
                qn.kernels.gather(x, indices)
            with pytest.raises(IndexError):
                qn.kernels.scatter_add(indices, np.zeros((100, 2), F), shape=(10, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_indices_that_are_no_integers_are_named(dtype):
    """Also where x is of another float dtype, which is not what is wrong."""
    message = f"indices: expected integers, received dtype {dtype}; cast to int32"
    x, indices = np.zeros((2, 3), F), np.zeros(2, dtype)
    for call in (lambda: qn.ops.gather(x, indices), lambda: qn.ops.take(x, indices, axis=1),
                 lambda: qn.ops.scatter_add(indices, x, shape=(2, 3))):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            call()


def test_scatter_add_keeps_the_order_of_indices(engine):
    """1e8 + 1 + ... loses the ones in float32: the sum tells the order of the additions."""
    updates = np.array([1, 1e8, 1, -1e8, 1, 1], F)
    y = qn.kernels.scatter_add(np.zeros(6, "int32"), updates, shape=(1,))
    total = F(0)
    for u in updates:
        total = F(total + u)
    assert y[0] == total == 2


@pytest.mark.parametrize("shape, axis", [((3, 500), 0), ((40, 3, 2), 1), ((500,), 0), ((7, 2), 0)])
def test_scatter_add_same_bits_for_any_number_of_threads(sharing, shape, axis):
    rng = np.random.default_rng(0)
    indices = rng.integers(-shape[axis], shape[axis], 200)
    updates = rng.standard_normal((*shape[:axis], 200, *shape[axis + 1 :])).astype(F)
    with qn.backend.use_backend("numpy"):
        expected = qn.kernels.scatter_add(indices, updates, shape=shape, axis=axis)
    for threads in (1, 2, 3, 7):
        qn.backend.set_num_threads(threads)
        assert np.array_equal(qn.kernels.scatter_add(indices, updates, shape=shape, axis=axis), expected)


def test_one_hot_outside_is_zeros(engine):
    y = qn.kernels.one_hot(np.array([-1, 0, 2, 3, 2**40]), num_classes=3)
    assert np.array_equal(y, [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    assert qn.ops.one_hot([[0], [1]], 2, axis=1).shape == (2, 2, 1)


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
@pytest.mark.parametrize("width", [(0, 0), (1, 2), (7, 11)])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_mirrored_padding_is_numpys(mode, width, n):
    x = np.arange(2 * n, dtype=F).reshape(2, n)
    expected = np.pad(x, ((1, 0), width), mode=mode)
    assert np.array_equal(qn.ops.pad(x, [[1, 0], width], mode=mode).numpy(), expected)


def test_forms_of_pad_width():
    x = np.ones((2, 3), F)
    for form, pairs in [(1, ((1, 1), (1, 1))), ((1, 2), ((1, 2), (1, 2))), ([[0, 3]], ((0, 3), (0, 3))), ((2,), 2)]:
        assert np.array_equal(qn.ops.pad(x, form).numpy(), np.pad(x, pairs))


def test_stack_take_and_constants():
    x = np.arange(6, dtype=F).reshape(2, 3)
    assert np.array_equal(qn.ops.stack([x, x + 1], axis=1).numpy(), np.stack([x, x + 1], axis=1))
    assert np.array_equal(qn.ops.take(x, [5, 0, -1]).numpy(), [5, 0, 5])
    assert np.array_equal(qn.ops.take(x, [[2], [0]], axis=1).numpy(), np.take(x, [[2], [0]], axis=1))
    assert qn.ops.zeros_like(x, "int32").dtype == "int32"
    assert np.array_equal(qn.ops.ones((2, 2)).numpy(), np.ones((2, 2), F))
    assert np.isnan(qn.kernels.full(shape=(3,), fill_value=float("nan"))).all()


X = np.zeros((2, 3), F)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: qn.kernels.concat([]), "at least one array"),
        (lambda: qn.kernels.concat([X, X[:1]], axis=1), r"xs\[1\]: expected the shape of xs\[0\], \(2, 3\)"),
        (lambda: qn.kernels.concat([X, X.astype("int32")]), "expected dtype float32, that of xs.0., received int32"),
        (lambda: qn.kernels.concat([X, X], axis=2), r"expected a value in \[-2, 2\), received 2"),
        (lambda: qn.kernels.pad(X, pad_width=((1, 1),)), "expected 2 pairs"),
        (lambda: qn.kernels.pad(X, pad_width=((1, -1), (0, 0))), "widths >= 0"),
        (lambda: qn.kernels.pad(X, pad_width=1), "tuple of .before, after. pairs"),
        (
            lambda: qn.kernels.pad(X.astype("uint8"), pad_width=((0, 0),) * 2, constant_values=256),
            "value of dtype uint8",
        ),
        (lambda: qn.ops.pad(X, 1, mode="wrap"), "'constant', 'reflect' or 'symmetric', received 'wrap'"),
        (lambda: qn.ops.pad(X[:, :0], 1, mode="reflect"), "padded axis with elements"),
        (lambda: qn.kernels.gather(X, X), "expected integers, received dtype float32"),
        (lambda: qn.kernels.gather(X, np.array([0]), axis=-3), r"\[-2, 2\), received -3"),
        (lambda: qn.kernels.scatter_add(np.array([0]), X, shape=(2, 3)), r"updates: expected shape \(1, 3\)"),
        (lambda: qn.kernels.one_hot(X, num_classes=3), "expected integers, received dtype float32"),
        (lambda: qn.kernels.one_hot(np.array([1]), num_classes=-1), ">= 0, received -1"),
        (lambda: qn.kernels.full(shape=(-1,), fill_value=0), "sizes >= 0"),
        (lambda: qn.kernels.full(shape=(1,), fill_value=0.5, dtype="int32"), "value of dtype int32, received 0.5"),
        (lambda: qn.ops.stack([X, X[:1]]), "arrays of one shape"),
    ],
)
def test_errors(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_symbolic_shapes():
    from quernel.kernels.kernel import spec

    def shape(name, *inputs, **attrs):
        kernel = getattr(qn.kernels, name)
        return kernel.specs(list(inputs), kernel.freeze(attrs))[0].shape

    a, b = spec((None, 3), "float32"), spec((None, 4), "float32")
    assert shape("concat", [a, b]) == (None, 7)
    assert shape("concat", [a, spec((5, 3), "float32")], axis=0) == (None, 3)
    assert shape("pad", a, pad_width=((0, 1), (2, 2))) == (None, 7)
    assert shape("gather", a, spec((None,), "int32"), axis=1) == (None, None)
    assert shape("one_hot", spec((None,), "int32"), num_classes=9) == (None, 9)
