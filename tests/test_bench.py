"""The bench: how its cases lay out their arrays."""

import numpy as np

from quernel.testing.case import MANY, normal, rows_apart, shifted


def _make(array):
    return array.make(np.random.Generator(np.random.Philox(3)), "float32")


def test_rows_apart_keeps_the_values_and_moves_the_rows():
    plain, apart = _make(normal(2, 5, 7)), _make(rows_apart(normal(2, 5, 7), 4096))
    assert apart.strides == (5 * 4096 * 4, 4096 * 4, 4)
    assert np.array_equal(plain, apart)


def test_shifted_starts_past_a_boundary():
    for offset in (0, 1, 3):
        moved = _make(shifted(normal(5, 7), offset))
        assert moved.ctypes.data % 64 == 4 * offset
        assert np.array_equal(moved, _make(normal(5, 7)))


def test_long_arrays_repeat_their_values():
    long = _make(normal(MANY + 3))
    assert np.array_equal(long[MANY:], long[:3]) and len(np.unique(long[:1000])) > 990
