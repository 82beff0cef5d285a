"""Rows: an array that a loop walks, a batch of rows a step."""


class Rows:
    """A leaf of the arguments of `Function.loop`: step i sees array[i * size : (i + 1) * size].

    Args:
        array: array whose first axis is walked.
        size: rows of one step.
    """

    __slots__ = ("array", "size")

    def __init__(self, array, size):
        self.array = array
        self.size = size

    def at(self, step):
        """The rows of a step, a view."""
        return self.array[step * self.size : (step + 1) * self.size]
