"""Matrix products and dense layers: values by hand, the documented order of operations, errors, NaN, NumPy's rules."""

import math

import numpy as np
import pytest

import quernel as qn
from quernel.testing import assert_close, assert_same_bits, each_isa

ISAS = each_isa()
FMA_ISAS = [e for e in ISAS if e.isa != "base"]
LAYOUTS = [(False, False), (True, False), (False, True), (True, True)]


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def fused(a, b, c):
    """fma(a, b, c) on float32 arrays: a * b is exact in float64, and the sum is rounded to float32 as if once.

    Rounding twice (to 53, then to 24 bits) errs only where the 53-bit sum lies halfway between two float32: those are
    moved to the side on which the exact sum lies.
    """
    product = a.astype(np.float64) * b.astype(np.float64)
    total = product + c.astype(np.float64)
    lost = (product - (total - c)) + (c - (total - (total - c)))  # Knuth's two-sum, exact
    result = total.astype(np.float32)
    halfway = (lost != 0) & ((total.view(np.int64) & 0x1FFFFFFF) == 0x10000000)
    nudged = np.nextafter(total, np.where(lost > 0, np.inf, -np.inf)).astype(np.float32)
    return np.where(halfway, nudged, result)


def chains(a, b):
    """docs/numerics.md word for word: chains of 512 fused multiply-adds from +0, block sums added in order."""
    (m, k), n = a.shape, b.shape[1]
    total = None
    for begin in range(0, max(k, 1), 512):
        chain = np.zeros((m, n), np.float32)
        for q in range(begin, min(begin + 512, k)):
            chain = fused(np.broadcast_to(a[:, q : q + 1], (m, n)), np.broadcast_to(b[q : q + 1], (m, n)), chain)
        total = chain if total is None else total + chain
    return total


def column(a, b):
    """The order of one output column: 64 lanes of fused multiply-adds, folded by halves, chunks of 4096 in pairs."""
    m, k = a.shape
    chunks = []
    for begin in range(0, max(k, 1), 4096):
        lanes = np.zeros((m, 64), np.float32)
        for q in range(begin, min(begin + 4096, k)):
            lane = (q - begin) % 64
            lanes[:, lane] = fused(a[:, q], np.broadcast_to(b[q], (m,)), lanes[:, lane])
        width = 32
        while width:
            lanes = lanes[:, :width] + lanes[:, width : 2 * width]
            width //= 2
        chunks.append(lanes)
    while len(chunks) > 1:
        pairs = [chunks[i] + chunks[i + 1] for i in range(0, len(chunks) - 1, 2)]
        chunks = pairs + chunks[len(chunks) - len(chunks) % 2 :]
    return chunks[0]


def test_by_hand():
    a = np.array([[1, 2], [3, 4]], "float32")
    b = np.array([[5, 6, 7], [8, 9, 10]], "float32")
    c = np.array([1, 0, -1], "float32")
    assert qn.kernels.gemm(a, b).tolist() == [[21, 24, 27], [47, 54, 61]]
    assert qn.kernels.gemm(a, b, c, alpha=2.0, beta=10.0).tolist() == [[52, 48, 44], [104, 108, 112]]
    assert qn.kernels.gemm(a, b, transpose_a=True).tolist() == [[29, 33, 37], [42, 48, 54]]
    assert qn.kernels.dense_forward(a, b, c, activation="relu").tolist() == [[22, 24, 26], [48, 54, 60]]
    assert qn.kernels.dense_dx(b, b).tolist() == [[110, 164], [164, 245]]
    assert qn.kernels.dense_dw(a, b).tolist() == [[29, 33, 37], [42, 48, 54]]
    assert qn.kernels.bias_db(b).tolist() == [13, 15, 17]


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
@pytest.mark.parametrize("k", [3, 511, 512, 513, 1024, 1300])
def test_order_of_operations(engine, k):
    a, b = floats(5, k), floats(k, 37, seed=1)
    with engine:
        assert_same_bits(qn.kernels.gemm(a, b), chains(a, b))
        assert_same_bits(qn.kernels.gemm(a, b[:, :1]), column(a, b[:, 0]))
        assert_same_bits(qn.kernels.bias_db(b), chains(np.ones((1, k), "float32"), b)[0])


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
def test_order_of_operations_over_chunks(engine):
    for k in (4096, 4097, 3 * 4096 + 5):
        a, b = floats(2, k), floats(k, 1, seed=1)
        with engine:
            assert_same_bits(qn.kernels.gemm(a, b), column(a, b[:, 0]))


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
def test_the_epilogue_rounds_each_step(engine):
    a, b, c, bias = floats(6, 9), floats(9, 20, seed=1), floats(6, 20, seed=2), floats(20, seed=3)
    alpha, beta = np.float32(0.7), np.float32(-1.3)
    scaled = fused(np.broadcast_to(beta, c.shape), c, alpha * chains(a, b))
    shifted = chains(a, b) + bias
    with engine:
        assert_same_bits(qn.kernels.gemm(a, b, c, alpha=float(alpha), beta=float(beta)), scaled)
        assert_same_bits(qn.kernels.dense_forward(a, b, bias), shifted)
        assert_same_bits(qn.kernels.dense_forward(a, b, bias, activation="relu"), np.where(shifted <= 0, 0, shifted))


@pytest.mark.parametrize("engine", ISAS, ids=str)
def test_rows_do_not_depend_on_the_number_of_rows(engine):
    """The tile, the packing and the loop change with m, the bits do not: predict(x[:1]) equals predict(x)[:1]."""
    for n in (1, 20, 130, 600):
        x, w, b = floats(260, 530), floats(530, n, seed=1), floats(n, seed=2)
        with engine:
            for w_ in (w, np.asfortranarray(w)):
                whole = qn.kernels.dense_forward(x, w_, b, activation="tanh")
                for rows in (1, 2, 3, 5, 7, 9, 14, 15, 50, 100, 200):
                    part = qn.kernels.dense_forward(x[:rows], w_, b, activation="tanh")
                    assert_same_bits(part, whole[:rows], f"{rows} rows, {n} columns")


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
@pytest.mark.parametrize("rows, o", [(5700, 20), (9000, 5), (2100, 70), (1025, 300), (513, 129)])
def test_bias_db_adds_the_sums_of_blocks_in_order(engine, rows, o, sharing):
    dy = floats(rows, 2 * o)
    blocks = [np.add.accumulate(dy[at : at + 512], axis=0)[-1] for at in range(0, rows, 512)]
    expected = np.add.accumulate(blocks, axis=0)[-1]
    with engine:
        for threads in (1, 2, 3):
            qn.backend.set_num_threads(threads)
            assert_same_bits(qn.kernels.bias_db(dy), expected)
            assert_same_bits(qn.kernels.bias_db(dy[:, :o]), expected[:o])
            assert_same_bits(qn.kernels.bias_db(dy[:, ::2]), expected[::2])
            out = np.zeros((2 * o, 2), np.float32)
            qn.kernels.bias_db(dy, out=out[:, 0])
            assert_same_bits(out[:, 0], expected)


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
def test_few_rows_and_a_matrix_that_starts_anywhere_in_a_cache_line(engine):
    """The columns before B's first aligned vector are computed apart: the same sums, bias and c for each of them."""
    k, n = 432, 304  # rows of 19 whole cache lines; large enough for the way of 1 to 3 rows
    b, bias, room = floats(k, n, seed=1), floats(n, seed=2), np.empty(k * n + 32, "float32")
    vector = floats(k, seed=4)
    qn.backend.set_num_threads(1)  # a rank's part would be too small for the way of 1 to 3 rows
    with engine:
        for m in (1, 2, 6, 20):
            a, c, out = floats(m, k), floats(m, n, seed=5), np.empty((m, n), "float32")
            sums = chains(a, b)
            expected = fused(np.float32(0.5), c, sums)
            biased = np.maximum(sums + bias, 0)
            for offset in range(17):
                moved = room[offset : offset + k * n].reshape(k, n)
                moved[:] = b
                out.fill(np.nan)  # a new array may hold the right answer of the offset before
                qn.kernels.gemm(a, moved, c, beta=0.5, out=out)
                assert_same_bits(out, expected, f"{m} rows, {offset} floats off")
                out.fill(np.nan)
                qn.kernels.dense_forward(a, moved, bias, activation="relu", out=out)
                assert_same_bits(out, biased, f"{m} rows, {offset} floats off, with bias")
        expected, out = column(b.T, vector), np.empty((n, 1), "float32")
        for offset in range(17):
            moved = room[offset : offset + k * n].reshape(k, n)
            moved[:] = b
            out.fill(np.nan)
            qn.kernels.gemm(moved, vector[:, None], transpose_a=True, out=out)
            assert_same_bits(out, expected, f"one column, {offset} floats off")


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
@pytest.mark.parametrize("rows, terms", [(128, 256), (131, 300), (375, 257), (140, 640), (600, 600)])
def test_order_of_one_column_of_a_transpose(engine, rows, terms):
    """Whole columns of A side by side, the tree of lanes walked on the way; rests of vectors; a larger A in tiles."""
    a, b = floats(terms, rows + 1), floats(terms, seed=1)
    for start in (0, 1):
        part = a[:, start : start + rows]
        with engine:
            got = qn.kernels.gemm(part, b[:, None], transpose_a=True)
        assert_same_bits(got, column(part.T, b), f"{start} floats off")


@pytest.mark.parametrize("engine", ISAS, ids=str)
def test_every_layout_of_packed_products(engine, sharing):
    """Sizes and strides that take the packed paths, against the plain call on the same numbers."""
    for m, n, k in ((300, 200, 600), (100, 1024, 70), (40, 1024, 520)):
        a, b = floats(m, k), floats(k, n, seed=1)
        with engine:
            reference = qn.kernels.gemm(a, b)
            wide = np.zeros((k, 2048), "float32")
            wide[:, :n] = b
            assert_same_bits(qn.kernels.gemm(a, wide[:, :n]), reference)
            wide[:, 1 : n + 1] = b
            assert_same_bits(qn.kernels.gemm(a, wide[:, 1 : n + 1]), reference, "vectors of B straddle cache lines")
            for ta, tb in LAYOUTS:
                got = qn.kernels.gemm(
                    np.ascontiguousarray(a.T) if ta else a, np.ascontiguousarray(b.T) if tb else b,
                    transpose_a=ta, transpose_b=tb,
                )  # fmt: skip
                assert_same_bits(got, reference)
            for threads in (2, 5):
                qn.backend.set_num_threads(threads)
                assert_same_bits(qn.kernels.gemm(a, b), reference)
            out = np.empty((n, m), "float32").T
            assert_same_bits(qn.kernels.gemm(a, b, out=out), reference)
        assert_close(reference, a.astype("f8") @ b.astype("f8"), 2 * 2**-23 * (k + 1) * 25)


@pytest.mark.parametrize("engine", ISAS, ids=str)
def test_long_sums_keep_their_accuracy(engine):
    x, w = np.random.default_rng(1).random((1, 43000), "float32"), np.ones((43000, 3), "float32")
    exact = float(x.astype("f8").sum())
    with engine:
        error = np.abs(qn.kernels.gemm(x, w).astype("f8") - exact).max() / exact
    assert error < 2e-6, "chains of 512 err by 5e-7 here, one chain of 43000 terms by 1e-5"


def test_beta_zero_never_reads_c():
    a = np.ones((2, 2), "float32")
    c = np.full((2, 2), np.nan, "float32")
    assert qn.kernels.gemm(a, a, c).tolist() == [[2, 2], [2, 2]]
    assert np.isnan(qn.kernels.gemm(a, a, c, beta=1.0)).all()


def test_relu_lets_nan_pass_and_gives_positive_zero():
    x = np.array([[np.nan], [-1.0], [0.0], [-np.inf], [np.inf]], "float32")
    y = qn.kernels.dense_forward(x, np.ones((1, 3), "float32"), activation="relu")
    assert np.isnan(y[0]).all() and (y[4] == np.inf).all()
    assert (y[1:4] == 0).all() and not np.signbit(y[1:4]).any()


def test_empty_sums():
    assert (qn.kernels.gemm(np.zeros((2, 0), "float32"), np.zeros((0, 3), "float32")) == 0).all()
    x = np.zeros((2, 0), "float32")
    assert qn.kernels.dense_forward(x, np.zeros((0, 2), "float32"), activation="sigmoid").tolist() == [[0.5, 0.5]] * 2
    assert (qn.kernels.dense_dw(np.zeros((0, 2), "float32"), np.zeros((0, 3), "float32")) == 0).all()
    assert (qn.kernels.bias_db(np.zeros((3, 0, 2), "float32")) == 0).all()


def test_integers():
    a = np.arange(6, dtype="int32").reshape(2, 3)
    assert qn.kernels.gemm(a, a, transpose_b=True).dtype == np.int32
    assert (qn.kernels.gemm(a, a, transpose_b=True) == a @ a.T).all()


BAD = [
    (ValueError, "inner sizes of a and b to agree, received 3 and 4", {"a": (2, 3), "b": (4, 2)}),
    (ValueError, "received 2 and 4", {"a": (2, 3), "b": (4, 2), "transpose_a": True}),
    (ValueError, "batch dimensions of a and b", {"a": (2, 2, 3), "b": (3, 3, 2)}),
    (ValueError, "2 dimensions or more", {"a": (3,), "b": (3, 2)}),
    (ValueError, "c: expected a shape that broadcasts", {"a": (2, 3), "b": (3, 2), "c": (3, 2), "beta": 1.0}),
    (ValueError, "an array c for beta=1", {"a": (2, 3), "b": (3, 2), "beta": 1.0}),
    (TypeError, "alpha: expected a real number", {"a": (2, 3), "b": (3, 2), "alpha": "2"}),
    (TypeError, "transpose_a: expected True or False", {"a": (2, 3), "b": (3, 2), "transpose_a": 2}),
]


@pytest.mark.parametrize("error, text, call", BAD, ids=lambda v: str(v)[:30].replace(" ", "-"))
def test_bad_gemm_calls(error, text, call):
    call = {name: np.zeros(v, "float32") if name in "abc" else v for name, v in call.items()}
    with pytest.raises(error, match=text):
        qn.kernels.gemm(**call)


def test_bad_dense_calls():
    x, w = np.zeros((2, 3), "float32"), np.zeros((3, 4), "float32")
    for error, text, call in (
        (ValueError, "x: expected a last dimension of 4", lambda k: k.dense_forward(x, w.T)),
        (ValueError, "b: expected a first dimension of 4", lambda k: k.dense_forward(x, w, np.zeros(3, "float32"))),
        (ValueError, r"w: expected shape \(i, o\)", lambda k: k.dense_forward(x, x[0])),
        (ValueError, "activation: expected one of", lambda k: k.dense_forward(x, w, activation="softmax")),
        (TypeError, "one floating dtype", lambda k: k.dense_forward(x, w.astype("float64"))),
        (TypeError, "x: expected floats", lambda k: k.dense_forward(x.astype("int32"), w)),
        (ValueError, "dy: expected a last dimension of 4", lambda k: k.dense_dx(x, w)),
        (ValueError, "equal leading dimensions", lambda k: k.dense_dw(x, w)),
        (ValueError, "at least 1 dimension", lambda k: k.bias_db(np.float32(1))),
    ):
        with pytest.raises(error, match=text):
            call(qn.kernels)


@pytest.mark.parametrize(
    "left, right",
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((3,), (2, 3, 4)), ((2, 4, 3), (3,)), ((5, 2, 3), (3, 4)),
     ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4))],
)  # fmt: skip
def test_matmul_and_dot_are_numpys(left, right):
    a, b = np.arange(math.prod(left)).reshape(left) - 3, np.arange(math.prod(right)).reshape(right) % 7
    for name in ("matmul", "dot"):
        got = getattr(qn.ops, name)(a.astype("float32"), b.astype("float32")).numpy()
        want = getattr(np, name)(a, b)
        assert got.shape == np.shape(want) and (got == want).all(), name
    with qn.GradientTape() as tape:
        x1, x2 = qn.ops.copy(a.astype("float32")), qn.ops.copy(b.astype("float32"))
        tape.watch([x1, x2])
        y = qn.ops.matmul(x1, x2)
    d1, d2 = tape.gradient(y, [x1, x2])
    assert d1.shape == left and d2.shape == right


def test_matmul_promotes():
    f, i = np.ones((2, 2), "float32"), np.ones((2, 2), "int32")
    assert qn.ops.matmul(f, i).dtype == "float32"
    assert qn.ops.matmul(i, i).dtype == "int32"
    assert qn.ops.dot(np.float32(2), f).numpy().tolist() == [[2, 2], [2, 2]]
    assert (qn.constant([[1.0, 2.0]]) @ [[1.0], [1.0]]).numpy().tolist() == [[3.0]]
    with pytest.raises(ValueError, match="at least 1 dimension"):
        qn.ops.matmul(f, np.float32(1))


def test_small_products_wake_no_thread():
    core = qn.backend._state.core
    if core is None:
        pytest.skip("there is no compiled core")
    a, b = floats(32, 32), floats(32, 32, seed=1)
    qn.backend.set_num_threads(2)
    before = core.regions_opened()
    qn.kernels.gemm(a, b)
    assert core.regions_opened() == before
