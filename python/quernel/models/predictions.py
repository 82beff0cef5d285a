"""Predictions: the outputs of many batches put together."""

from .. import kernels, tree
from ..tensor import as_tensor


class Predictions:
    """Collects structures of Tensors and joins them along the first axis."""

    def __init__(self):
        self._structure = None
        self._columns = []  # for each leaf the arrays of all batches

    def add(self, outputs):
        """Takes the outputs of a batch."""
        leaves = [as_tensor(leaf).numpy() for leaf in tree.flatten(outputs)]
        if self._structure is None:
            self._structure = outputs
            self._columns = [[] for _ in leaves]
        for column, leaf in zip(self._columns, leaves):
            column.append(leaf)

    def result(self):
        """Arrays in the structure of the outputs, once there was a batch."""
        joined = [column[0] if len(column) == 1 else kernels.concat(column, axis=0) for column in self._columns]
        return tree.pack(self._structure, joined)
