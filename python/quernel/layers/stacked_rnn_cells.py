"""StackedRNNCells: several cells as one; the outputs of each are the inputs of the next."""

from .. import ops, tree
from .layer import Layer


def check_cell(cell):
    """Refuses what is no cell."""
    name = type(cell).__name__
    if not hasattr(cell, "call"):
        raise ValueError(f"cell: expected an object with a method `call(inputs, states)`, received {cell!r} ({name})")
    size = getattr(cell, "state_size", None)
    sizes = tree.flatten(size)
    if not sizes or not all(isinstance(n, int) for n in sizes) or isinstance(size, dict):
        raise ValueError(
            f"cell: expected a `state_size` that is an int or a list of ints, one for each state, received {size!r} of "
            f"{name}"
        )


def output_size_of(cell):
    """The size of a cell's outputs: its `output_size`, or that of its first state."""
    size = getattr(cell, "output_size", None)
    return tree.flatten(cell.state_size)[0] if size is None else size


def pack_states(sizes, states, cell):
    """The states that a cell gave, in the structure of `sizes`."""
    leaves, wanted = tree.flatten(states), len(tree.flatten(sizes))
    if len(leaves) != wanted:
        raise ValueError(
            f"{type(cell).__name__}: expected {wanted} states, as its `state_size` {cell.state_size} says, received "
            f"{len(leaves)}"
        )
    return tree.pack(sizes, leaves)


def initial_state_of(cell, n, dtype):
    """The states of a cell before the first step: its own, or zeros."""
    size = cell.state_size
    sizes = size if isinstance(size, int) else list(size)
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        return pack_states(sizes, own(batch_size=n), cell)
    dtype = getattr(cell, "compute_dtype", dtype)
    return tree.map_structure(lambda size: ops.zeros((n, size), dtype=dtype), sizes)


class StackedRNNCells(Layer):
    """A stack of cells that behaves as one cell, for `RNN`.

    Its `state_size` is the list of those of the cells; a cell with one state has an int there, and a Tensor, not a list,
    among the states.

    Args:
        cells: list of cells, the first takes the inputs.

    Raises:
        ValueError: there is none, or one is no cell.

    Example:
        >>> import quernel as qn
        >>> cells = [qn.layers.LSTMCell(4), qn.layers.GRUCell(3)]
        >>> y, (h, c), g = qn.layers.RNN(cells, return_state=True)(qn.ones((2, 5, 6)))
        >>> y.shape, c.shape, g.shape
        ((2, 3), (2, 4), (2, 3))
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ValueError(f"StackedRNNCells: expected a list of cells, received {cells!r}")
        for cell in cells:
            check_cell(cell)
        self.cells = list(cells)

    @property
    def state_size(self):
        sizes = [cell.state_size for cell in self.cells]
        return [size if isinstance(size, int) else list(size) for size in sizes]

    @property
    def output_size(self):
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size=None):
        """The states of all cells before the first step, in the structure of `state_size`."""
        return [initial_state_of(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape):
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size_of(cell))
        self.built = True

    def call(self, inputs, states):
        if len(states) != len(self.cells):
            raise ValueError(
                f"StackedRNNCells {self.name!r}: states: expected those of {len(self.cells)} cells, received {len(states)}"
            )
        new_states = []
        for cell, state in zip(self.cells, states):
            call = cell if callable(cell) else cell.call
            inputs, new = call(inputs, state if tree.is_nested(state) else [state])
            new_states.append(pack_states(state, new, cell))
        return inputs, new_states

    def get_config(self):
        from ..saving.registry import serialize_object

        return {**super().get_config(), "cells": [serialize_object(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from ..saving.registry import deserialize_object

        config = dict(config)
        cells = [deserialize_object(cell, custom_objects) for cell in config.pop("cells")]
        return cls(cells, **config)
