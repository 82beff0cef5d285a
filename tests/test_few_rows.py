"""Few rows times a transposed matrix, which is turned on its way to the multiplication: every path keeps one order."""

import numpy as np
import pytest
from test_gemm import FMA_ISAS, chains, floats

import quernel as qn
from quernel.testing import assert_same_bits

# Columns: groups of 64, 32, 16 (avx2: 32, 16, 8) and what is left of them. Terms: less than a vector, vectors and a
# rest, two chains.
COLUMNS, TERMS = (2, 15, 40, 107), (5, 16, 75, 539)


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
@pytest.mark.parametrize("k", TERMS)
def test_few_rows_of_any_number_and_a_transposed_matrix(engine, k):
    a, b = floats(9, k, seed=1), floats(max(COLUMNS), k, seed=2)
    expected = chains(a, np.ascontiguousarray(b.T))
    turned = np.ascontiguousarray(a.T)
    with engine:
        for m in range(1, 10):
            for n in COLUMNS:
                what, out = f"{m} x {n} x {k}", np.full((m, n), np.nan, "float32")
                qn.kernels.gemm(a[:m], b[:n], transpose_b=True, out=out)
                assert_same_bits(out, expected[:m, :n], what)
                out.fill(np.nan)
                qn.kernels.gemm(turned[:, :m], b[:n], transpose_a=True, transpose_b=True, out=out)
                assert_same_bits(out, expected[:m, :n], f"{what}, transposed rows")


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
def test_few_rows_and_a_transposed_matrix_that_starts_anywhere_in_a_cache_line(engine):
    """Where its rows are whole lines, the terms before the first one are computed apart."""
    n, k = 73, 560
    a, b, room = floats(5, k, seed=1), floats(n, k, seed=2), np.empty(n * k + 32, "float32")
    expected = chains(a, np.ascontiguousarray(b.T))
    with engine:
        for offset in range(17):
            moved = room[offset : offset + n * k].reshape(n, k)
            moved[:] = b
            for m in (1, 2, 5):
                out = np.full((m, n), np.nan, "float32")
                qn.kernels.gemm(a[:m], moved, transpose_b=True, out=out)
                assert_same_bits(out, expected[:m], f"{m} rows, {offset} floats off")


@pytest.mark.parametrize("engine", FMA_ISAS, ids=str)
def test_a_nan_stays_in_its_row_and_column(engine):
    """Rows share vectors, and a last row alone fills both lanes."""
    k, n = 40, 37
    for m in (1, 2, 3, 8):
        a, b = floats(m, k, seed=1), floats(n, k, seed=2)
        a[m - 1, 17] = np.nan
        b[5, 39] = np.inf
        with engine:
            out = qn.kernels.gemm(a, b, transpose_b=True)
        wrong = np.zeros((m, n), bool)
        wrong[m - 1] = wrong[:, 5] = True
        np.testing.assert_array_equal(~np.isfinite(out), wrong)
