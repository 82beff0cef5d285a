"""Function: a Python step that is recorded twice and then replayed as a plan."""

from .. import tree
from ..tensor import as_tensor, is_tensor
from .rows import Rows


class Function:
    """A step that runs as a plan from its third call with equal shapes on.

    Args:
        python: the function; it gets Tensors in place of arrays.
        name: for messages; default: the function's.
    """

    def __init__(self, python, name=None):
        self.python = python
        self.name = name or getattr(python, "__name__", type(python).__name__)

    def __call__(self, *args):
        return self.loop(args)[1]

    def loop(self, args, steps=1, seconds=0.0, into=None):
        """Runs up to `steps` steps, at least one.

        Args:
            args: tuple of structures with arrays, Tensors or Rows as leaves; the arguments of the first step.
            steps: how many steps the Rows hold.
            seconds: stop after the first step that ends later than this; 0: no limit.
            into: structure of arrays that take the outputs of all `steps` steps, rows by rows, or None.

        Returns:
            (steps done, result of the last one, or None with `into`).
        """
        result = self.python(*tree.map_structure(lambda leaf: _tensor(leaf, 0), args))
        if into is not None:
            for target, value in zip(tree.flatten(into), tree.flatten(result)):
                target[: value.shape[0]] = value._array
            result = None
        return 1, result


def _tensor(leaf, step):
    if isinstance(leaf, Rows):
        leaf = leaf.at(step)
    return leaf if is_tensor(leaf) or not hasattr(leaf, "shape") else as_tensor(leaf)
