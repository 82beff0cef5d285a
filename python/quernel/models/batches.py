"""Arrays as batches: what fit gets as x, y and sample_weight, checked once and walked by rows, without a copy."""

import math

import numpy as np

from .. import dtypes, kernels, tree
from ..kernels.kernel import as_array
from ..plan import Function, Rows
from ..random.seed_generator import draw_seed
from ..tensor import Tensor


def unpack_x_y_sample_weight(data):
    """(x, y, sample_weight) of what train_step gets: x, (x,), (x, y) or (x, y, sample_weight)."""
    if not isinstance(data, (list, tuple)):
        return data, None, None
    data = tuple(data)
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data: expected x, (x, y) or (x, y, sample_weight), received {len(data)} parts")
    return data + (None,) * (3 - len(data))


def pack_x_y_sample_weight(x, y=None, sample_weight=None):
    """The tuple that train_step gets: without the parts that are None at the end."""
    if sample_weight is not None:
        return x, y, sample_weight
    return (x,) if y is None else (x, y)


def _is_numbers(value):
    """Whether a list holds plain numbers, so that it is one array and no list of arrays."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (int, float, np.generic))


def to_arrays(data, what):
    """The structure with arrays as leaves, as the user gave them: a step gathers its rows and casts those."""
    if type(data) is np.ndarray:
        return _array(data, what)
    if data is None:
        return None
    if isinstance(data, (list, tuple)) and _is_numbers(data):
        data = np.asarray(data)
    return tree.map_structure(lambda leaf: None if leaf is None else _array(leaf, what), data)


def _array(leaf, what):
    array = leaf._array if isinstance(leaf, Tensor) else as_array(leaf, what)
    if not array.ndim:
        raise ValueError(f"{what}: expected an array with a first axis of samples, received a single value")
    return array


def checked(x, y=None, sample_weight=None, class_weight=None):
    """The arrays as the tuple that train_step gets: x, (x, y) or (x, y, sample_weight); class weights become samples'.

    Raises:
        ValueError: class_weight beside sample_weight, or without targets.
    """
    x, y, sample_weight = to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(sample_weight, "sample_weight")
    if class_weight:
        if sample_weight is not None:
            raise ValueError("class_weight: expected it without sample_weight, received both")
        if y is None:
            raise ValueError("class_weight: expected targets y, received None")
        sample_weight = class_weights(y, class_weight)
    return pack_x_y_sample_weight(x, y, sample_weight)


def rows_of(data):
    """The number of samples, the same in each array.

    Raises:
        ValueError: they differ, or there is none.
    """
    sizes = {leaf.shape[0] for leaf in tree.flatten(data) if leaf is not None}
    if len(sizes) != 1:
        shapes = tree.map_structure(lambda leaf: None if leaf is None else leaf.shape, data)
        raise ValueError(f"x, y, sample_weight: expected as many samples in each, received the shapes {shapes}")
    (size,) = sizes
    if not size:
        raise ValueError("x: expected at least one sample, received none")
    return size


def class_weights(y, class_weight):
    """A weight for each sample, from the weights of the classes.

    Args:
        y: labels as one array: integers (n,) or (n, 1), or one-hot (n, classes).
        class_weight: dict {class: weight}; a class that is not in it weighs 1.
    """
    if not isinstance(class_weight, dict) or not all(
        hasattr(label, "__index__") and label.__index__() >= 0 and isinstance(weight, (int, float, np.number))
        for label, weight in class_weight.items()
    ):
        raise ValueError(f"class_weight: expected a dict {{class from 0: weight}}, received {class_weight!r}")
    if tree.is_nested(y):
        raise ValueError("class_weight: expected a model with one output, received several targets")
    if y.ndim > 2:
        raise ValueError(f"class_weight: expected targets (n,), (n, 1) or (n, classes), received shape {y.shape}")
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else kernels.argmax(y, axis=-1)
    y = kernels.cast(y, dtype="int64")
    if y.size and kernels.min(y) < 0:
        raise ValueError(f"class_weight: expected labels of at least 0, received {int(kernels.min(y))}")
    known = max((int(c) for c in class_weight), default=0)
    table = np.ones(max(known, int(kernels.max(y)) if y.size else 0) + 1, dtypes.floatx())
    for label, weight in class_weight.items():
        table[int(label)] = weight
    return kernels.gather(table, y, axis=0)


class ArrayBatches:
    """Batches of arrays that all have the same number of samples.

    Args:
        x, y, sample_weight: arrays or structures of arrays, or None.
        batch_size: samples in a batch; the last one may be smaller.
        shuffle: whether each pass over the data has an order of its own.
        class_weight: dict {class: weight} that becomes the sample weights, or None.

    Raises:
        ValueError: the numbers of samples differ.
    """

    repeats = True
    fetches = False  # no Python code of a user runs to make a batch

    def __init__(self, x, y=None, sample_weight=None, batch_size=None, shuffle=False, class_weight=None):
        if x is None:
            raise ValueError("x: expected arrays or an iterable of batches, received None")
        self.data = checked(x, y, sample_weight, class_weight)
        self.size = rows_of(self.data)
        batch_size = 32 if batch_size is None else batch_size
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"batch_size: expected an int of at least 1, received {batch_size!r}")
        if not isinstance(shuffle, bool):
            raise ValueError(f"shuffle: expected True or False, received {shuffle!r}")
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.num_batches = math.ceil(self.size / self.batch_size)

    def __iter__(self):
        return self.parts(permutation(self.size) if self.shuffle else None)

    def parts(self, order):
        """The parts of a pass in an order of the samples, or in that of the arrays (None)."""
        full, rest = divmod(self.size, self.batch_size)
        if full:
            yield ArrayPart(self.data, order, 0, full, self.batch_size, (0, self.num_batches))
        if rest:
            yield ArrayPart(self.data, order, self.size - rest, 1, rest, (full, self.num_batches))


class ArrayPart:
    """A run of batches of one size, cut from arrays.

    Args:
        data: structure of whole arrays.
        order: the samples' numbers in the order of the pass, or None for that of the arrays.
        first: where in that order it begins.
        steps: number of batches.
        size: samples in each.
        place: (number of its first batch, number of all batches) in the pass, for messages.
    """

    __slots__ = ("data", "order", "first", "steps", "size", "place", "done")

    def __init__(self, data, order, first, steps, size, place):
        self.data, self.order, self.first, self.steps, self.size = data, order, first, steps, size
        self.place = place
        self.done = 0  # batches that a step has used

    def run(self, functions, steps, seconds, into=None):
        """Up to `steps` further steps by one call of a Function: (steps done, result of the last)."""
        function, args = self.call(functions, steps)
        done, result = function.loop(args, steps, seconds, into, within=self.within())
        self.done += done
        return done, result

    def within(self):
        """(number of the next batch, number of all batches) in the pass."""
        first, total = self.place
        return first + self.done, total

    def call(self, functions, steps):
        """(Function, arguments) of the next `steps` steps."""
        start = self.first + self.done * self.size
        stop = start + steps * self.size
        walked = self.steps > 1  # else it is passed as a batch by itself, whose plan then serves both

        def cut(array):
            return None if array is None else Rows(array[start:stop], self.size) if walked else array[start:stop]

        if self.order is None:
            return functions.batch, (tree.map_structure(cut, self.data),)
        return functions.rows, (self.data, cut(self.order))


@Function
def permutation(n):
    """The numbers 0 .. n - 1 in random order, by the global generator."""
    return kernels.random_permutation(draw_seed(), n=n)


def split_validation(data, fraction):
    """(training data, validation data): the last samples, about `fraction` of them, are for validation."""
    if not isinstance(fraction, (int, float)) or not 0 < fraction < 1:
        raise ValueError(f"validation_split: expected a number between 0 and 1, received {fraction!r}")
    names = ("x", "y", "sample_weight")
    arrays = tuple(to_arrays(part, name) for part, name in zip(data, names))
    leaves = [leaf for leaf in tree.flatten(arrays) if leaf is not None]
    n = leaves[0].shape[0]
    at = int(math.floor(n * (1 - fraction)))
    if at == 0 or at == n:
        raise ValueError(f"validation_split: {n} samples cannot be split by {fraction}: one part would be empty")

    def part(rows):
        return tuple(
            tree.map_structure(lambda leaf: None if leaf is None else leaf[rows], structure) for structure in arrays
        )

    return part(slice(0, at)), part(slice(at, n))
