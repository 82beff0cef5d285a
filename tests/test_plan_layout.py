"""Layout: buffers that are alive together never share memory, the lower bound is right, and long programs take no time."""

import time

import hypothesis.strategies as st
from hypothesis import given

from quernel.plan.layout import ALIGN, Layout, padded

buffer = st.tuples(st.sampled_from([0, 1, 64, 100, 4096, 5000, 10000]), st.integers(0, 30), st.integers(0, 10))


@given(st.lists(buffer, max_size=25))
def test_buffers_alive_together_lie_apart(pieces):
    buffers = [(i, size, first, first + span) for i, (size, first, span) in enumerate(pieces)]
    layout = Layout(buffers)
    for i, size, first, last in buffers:
        begin = layout.offsets[i]
        assert begin % ALIGN == 0 and begin >= 0 and begin + padded(size) <= layout.size
        for j, other, start, stop in buffers[:i]:
            if start <= last and first <= stop:
                at = layout.offsets[j]
                assert begin + padded(size) <= at or at + padded(other) <= begin
    alive = [sum(padded(s) for _, s, first, last in buffers if first <= call <= last) for call in range(42)]
    assert layout.bound == max(alive)
    assert layout.bound <= layout.size <= layout.separate == sum(padded(size) for _, size, _, _ in buffers)


def test_a_hole_is_used_and_small_buffers_reuse_what_is_free():
    assert Layout([("a", 640, 0, 1), ("b", 640, 2, 3)]).size == 640
    assert Layout([("a", 640, 0, 3), ("b", 320, 0, 1), ("c", 320, 2, 3), ("d", 64, 0, 3)]).size == 640 + 320 + 64


def test_a_long_program_is_laid_out_at_once():
    """A chain of 3000 calls and its gradient, whose buffers are all alive in the middle."""
    count = 3000
    start = time.perf_counter()
    layout = Layout([(i, 8, i, 2 * count - i) for i in range(count)])
    assert time.perf_counter() - start < 3  # 0.2 s; quadratic in Python it was 15 s
    assert layout.size == layout.bound == count * 64
