"""Predictions: the outputs of many batches put together."""

from .. import kernels, tree
from ..kernels.kernel import empty
from ..tensor import as_tensor


class Predictions:
    """Joins structures of Tensors along the first axis: in arrays made for all rows, where their number is known.

    Args:
        rows: number of rows of all batches together, or None.
    """

    def __init__(self, rows=None):
        self._rows = rows
        self._structure = None
        self._whole = None  # for each leaf the array of all rows, once a batch has shown that outputs are rows
        self._size = None  # rows of a batch
        self._at = 0  # rows that are there
        self._columns = []  # else for each leaf the arrays of all batches

    def add(self, outputs):
        """Takes the outputs of a batch."""
        leaves = [as_tensor(leaf)._array for leaf in tree.flatten(outputs)]
        if self._structure is None:
            self._structure = outputs
            self._columns = [[] for _ in leaves]
            self._allocate(leaves)
        if self._whole is not None and self._fits(leaves):
            n = leaves[0].shape[0]
            for whole, leaf in zip(self._whole, leaves):
                whole[self._at : self._at + n] = leaf
            self._at += n
            return
        self._give_up()
        for column, leaf in zip(self._columns, leaves):
            column.append(leaf.copy())

    def _allocate(self, leaves):
        """Whole arrays, if each leaf has a row for each row of the batch: as many as all others, at most all."""
        sizes = {leaf.shape[:1] for leaf in leaves}
        if self._rows is None or len(sizes) != 1 or sizes == {()}:
            return
        ((self._size,),) = sizes
        if self._size <= self._rows:
            self._whole = [empty((self._rows, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]

    def _fits(self, leaves):
        n = leaves[0].shape[:1]
        return (
            len(leaves) == len(self._whole)
            and self._at + sum(n) <= self._rows
            and all(
                leaf.shape == (*n, *whole.shape[1:]) and leaf.dtype == whole.dtype
                for leaf, whole in zip(leaves, self._whole)
            )
        )

    def _give_up(self):
        """Rows differ from batch to batch: what is there becomes the first entry of the columns."""
        if self._whole is not None:
            if self._at:
                self._columns = [[whole[: self._at]] for whole in self._whole]
            self._whole = None

    def into(self, steps, size):
        """A structure of arrays for the next `steps` batches of `size` rows, or None where the way outputs look is not
        known.
        """
        if self._whole is None or size != self._size or self._at + steps * size > self._rows:
            return None
        stop = self._at + steps * size
        return tree.pack(self._structure, [whole[self._at : stop] for whole in self._whole])

    def filled(self, rows):
        """Says that so many rows were written to what `into` gave."""
        self._at += rows

    def result(self):
        """Arrays in the structure of the outputs, once there was a batch."""
        if self._whole is not None and self._at < self._rows:
            self._give_up()
        if self._whole is not None:
            return tree.pack(self._structure, self._whole)
        joined = [column[0] if len(column) == 1 else kernels.concat(column, axis=0) for column in self._columns]
        return tree.pack(self._structure, joined)


def joined(*outputs):
    """Arrays in the structure of the outputs of some batches."""
    predictions = Predictions()
    for structure in outputs:
        predictions.add(structure)
    return predictions.result()
