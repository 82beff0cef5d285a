"""Layout: where in the workspace each buffer of a plan lies, so that buffers that are not alive together share memory."""

import numpy as np

ALIGN = 64
STAGGER = 704  # 11 lines of cache: large buffers that start at one offset modulo 4096 slow each other down


class Layout:
    """Offsets for buffers with lifetimes.

    Args:
        buffers: list of (key, bytes, first, last): the calls that first write and last use the buffer.

    Attributes:
        offsets: {key: bytes from the start of the workspace}. size: bytes of the workspace.
        separate: bytes without sharing. bound: the most bytes alive at one call, which no layout can beat.
    """

    def __init__(self, buffers):
        self.offsets = {}
        self.size = self.separate = self.bound = 0
        count = len(buffers)
        first, last, begin, end = np.empty((4, count), np.int64)  # of those placed so far: calls, bytes
        changes = {}  # call -> bytes that come alive with it, less those that died before it
        for placed, (key, size, start, stop) in enumerate(sorted(buffers, key=lambda b: (-b[1], b[2]))):
            room = padded(size)
            beside = np.flatnonzero((first[:placed] <= stop) & (start <= last[:placed]))
            at = _gap(begin[beside], end[beside], room)
            first[placed], last[placed], begin[placed], end[placed] = start, stop, at, at + room
            self.offsets[key] = at
            self.size = max(self.size, at + room)
            self.separate += room
            changes[start] = changes.get(start, 0) + room
            changes[stop + 1] = changes.get(stop + 1, 0) - room
        alive = 0
        for call in sorted(changes):
            alive += changes[call]
            self.bound = max(self.bound, alive)


def _gap(begin, end, room):
    """The lowest offset with `room` bytes between the pieces of memory begin ... end."""
    if not len(begin):
        return 0
    order = np.argsort(begin, kind="stable")
    reach = np.maximum.accumulate(end[order])  # what lies before ends here
    free = np.concatenate(([0], reach[:-1]))
    fits = np.flatnonzero(free + room <= begin[order])
    return int(free[fits[0]] if len(fits) else reach[-1])


def padded(size):
    """The room that a buffer takes."""
    size = (size + ALIGN - 1) // ALIGN * ALIGN
    return max(size, ALIGN) if size < 4096 else size + STAGGER
