"""Where batches come from: arrays cut into them, or an iterable that yields them."""

import math
import warnings

import numpy as np

from .. import dtypes, kernels, tree
from ..kernels.kernel import as_array, is_float
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
    """The structure with arrays as leaves; floats in the default float dtype."""
    if data is None:
        return None
    if isinstance(data, (list, tuple)) and _is_numbers(data):
        data = np.asarray(data)

    def convert(leaf):
        if leaf is None:
            return None
        array = leaf._array if isinstance(leaf, Tensor) else as_array(leaf, what)
        if not array.ndim:
            raise ValueError(f"{what}: expected an array with a first axis of samples, received a single value")
        if is_float(array.dtype) and array.dtype.name != dtypes.floatx():
            array = kernels.cast(array, dtype=dtypes.floatx())
        return array

    return tree.map_structure(convert, data)


def class_weights(y, class_weight):
    """A weight for each sample, from the weights of the classes.

    Args:
        y: labels as one array: integers (n,) or (n, 1), or one-hot (n, classes).
        class_weight: dict {class: weight}; a class that is not in it weighs 1.
    """
    if tree.is_nested(y):
        raise ValueError("class_weight: expected a model with one output, received several targets")
    if y.ndim > 2:
        raise ValueError(f"class_weight: expected targets (n,), (n, 1) or (n, classes), received shape {y.shape}")
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else kernels.argmax(y, axis=-1)
    y = kernels.cast(y, dtype="int64")
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

    def __init__(self, x, y=None, sample_weight=None, batch_size=None, shuffle=False, class_weight=None):
        if x is None:
            raise ValueError("x: expected arrays or an iterable of batches, received None")
        x, y = to_arrays(x, "x"), to_arrays(y, "y")
        sample_weight = to_arrays(sample_weight, "sample_weight")
        if class_weight:
            if sample_weight is not None:
                raise ValueError("class_weight: expected it without sample_weight, received both")
            if y is None:
                raise ValueError("class_weight: expected targets y, received None")
            sample_weight = class_weights(y, class_weight)
        self.data = pack_x_y_sample_weight(x, y, sample_weight)
        sizes = {leaf.shape[0] for leaf in tree.flatten(self.data) if leaf is not None}
        if len(sizes) != 1:
            shapes = tree.map_structure(lambda leaf: None if leaf is None else leaf.shape, self.data)
            raise ValueError(f"x, y, sample_weight: expected as many samples in each, received the shapes {shapes}")
        self.size = sizes.pop()
        if not self.size:
            raise ValueError("x: expected at least one sample, received none")
        batch_size = 32 if batch_size is None else batch_size
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"batch_size: expected an int of at least 1, received {batch_size!r}")
        if not isinstance(shuffle, bool):
            raise ValueError(f"shuffle: expected True or False, received {shuffle!r}")
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.num_batches = math.ceil(self.size / self.batch_size)

    def __iter__(self):
        order = permutation(self.size) if self.shuffle else None
        for start in range(0, self.size, self.batch_size):
            yield self._batch(slice(start, start + self.batch_size), order)

    def _batch(self, rows, order):
        def take(leaf):
            if leaf is None:
                return None
            return Tensor(leaf[rows] if order is None else kernels.gather(leaf, order[rows], axis=0))

        return tree.map_structure(take, self.data)


def permutation(n):
    """The numbers 0 .. n - 1 in random order, by the global generator."""
    return kernels.random_permutation(draw_seed(), n=n)


class IterableBatches:
    """Batches that an iterable yields, as x, (x, y) or (x, y, sample_weight).

    Args:
        source: the iterable. An iterator (a generator object) runs once, anything else starts again for each pass.
        class_weight: dict {class: weight} that becomes the sample weights, or None.
    """

    def __init__(self, source, class_weight=None):
        self.source = source
        self.class_weight = class_weight
        self.repeats = iter(source) is not source if hasattr(source, "__iter__") else True
        self.num_batches = len(source) if hasattr(source, "__len__") else None

    def __iter__(self):
        for data in self.source:
            x, y, sample_weight = unpack_x_y_sample_weight(data)
            x, y, sample_weight = to_arrays(x, "x"), to_arrays(y, "y"), to_arrays(sample_weight, "sample_weight")
            if self.class_weight:
                if sample_weight is not None:
                    raise ValueError("class_weight: expected it without sample_weight, received both")
                sample_weight = class_weights(y, self.class_weight)
            data = pack_x_y_sample_weight(x, y, sample_weight)
            yield tree.map_structure(lambda leaf: None if leaf is None else Tensor(leaf), data)


class Epochs:
    """Cuts a source of batches into epochs: whole passes, or `steps` batches from where the last epoch stopped."""

    def __init__(self, source, steps=None):
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise ValueError(f"steps: expected an int of at least 1 or None, received {steps!r}")
        self.source = source
        self.steps = steps
        self.num_batches = source.num_batches if steps is None else steps
        self._running = None
        self._given = False  # whether there was any batch so far

    def restart(self):
        """The next epoch starts with the first batch again."""
        self._running = None

    def __iter__(self):
        if self.steps is None:
            given = False
            for batch in self.source:
                given = self._given = True
                yield batch
            if not given:
                self._nothing()
            return
        fresh = self._running is None
        if fresh:
            self._running = iter(self.source)
        for _ in range(self.steps):
            batch = next(self._running, None)
            if batch is None and self.source.repeats and not fresh:
                self._running = iter(self.source)
                batch = next(self._running, None)
            if batch is None:
                if not self._given:
                    self._nothing()
                warnings.warn(
                    f"The data ended before {self.steps} steps were made; pass fewer steps or more batches.",
                    stacklevel=3,
                )
                self._running = None
                return
            fresh = False
            self._given = True
            yield batch

    def _nothing(self):
        if not self._given:
            raise ValueError("x: expected at least one batch of data, received none")
        warnings.warn(
            "An epoch without data: an iterator gives its batches once. Pass the number of steps in an epoch, "
            "or an iterable that starts again.",
            stacklevel=4,
        )


def make_epochs(x, y=None, sample_weight=None, batch_size=None, steps=None, shuffle=False, class_weight=None):
    """Epochs over arrays, or over an iterable of batches given as x."""
    if isinstance(x, Epochs):
        return x
    is_iterable = not tree.is_nested(x) and not hasattr(x, "shape") and hasattr(x, "__iter__")
    if not is_iterable:
        return Epochs(ArrayBatches(x, y, sample_weight, batch_size, shuffle, class_weight), steps)
    for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
        if value is not None:
            raise ValueError(f"{name}: expected None when x is an iterable of batches, which brings it along")
    return Epochs(IterableBatches(x, class_weight), steps)


def split_validation(data, fraction):
    """(training data, validation data): the last samples, about `fraction` of them, are for validation."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split: expected a number between 0 and 1, received {fraction}")
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
