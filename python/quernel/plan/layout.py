"""Layout: where in the workspace each buffer of a plan lies, so that buffers that are not alive together share memory."""

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
        self.size = 0
        placed = []  # (first, last, begin, end)
        for key, size, first, last in sorted(buffers, key=lambda b: (-b[1], b[2])):
            room = padded(size)
            at = 0
            for begin, end in sorted(p[2:] for p in placed if p[0] <= last and first <= p[1]):
                if at + room <= begin:
                    break
                at = max(at, end)
            placed.append((first, last, at, at + room))
            self.offsets[key] = at
            self.size = max(self.size, at + room)
        self.separate = sum(padded(size) for _, size, _, _ in buffers)
        self.bound = 0
        for _, _, call, _ in buffers:
            self.bound = max(self.bound, sum(padded(s) for _, s, first, last in buffers if first <= call <= last))


def padded(size):
    """The room that a buffer takes."""
    size = (size + ALIGN - 1) // ALIGN * ALIGN
    return max(size, ALIGN) if size < 4096 else size + STAGGER
