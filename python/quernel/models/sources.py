"""Batches that Python code of a user makes: iterables that yield them, data sets that have them by number."""

import collections
import concurrent.futures
import contextvars
import math

from .batches import checked, permutation, unpack_x_y_sample_weight


class BatchPart:
    """One batch that came by itself.

    Args:
        data: structure of arrays.
    """

    __slots__ = ("data", "done")

    steps = 1

    def __init__(self, data):
        self.data = data
        self.done = 0

    def run(self, functions, steps, seconds, into=None):
        """The one step: (1, its result)."""
        _, result = functions.batch.loop((self.data,), 1, seconds, into)
        self.done = 1
        return 1, result


def _part(data, class_weight):
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    return BatchPart(checked(x, y, sample_weight, class_weight))


class IterableBatches:
    """Batches that an iterable yields, as x, (x, y) or (x, y, sample_weight).

    Args:
        source: the iterable. An iterator (a generator object) runs once, anything else starts again for each pass.
        class_weight: dict {class: weight} that becomes the sample weights, or None.
    """

    fetches = True

    def __init__(self, source, class_weight=None):
        self.source = source
        self.class_weight = class_weight
        self.repeats = iter(source) is not source
        self.num_batches = len(source) if hasattr(source, "__len__") else None

    def __iter__(self):
        for data in self.source:
            yield _part(data, self.class_weight)


class DatasetBatches:
    """Batches that a data set has by number, as `utils.PyDataset`: `len(source)` of them, `source[i]`.

    Args:
        source: the data set; its `on_epoch_end()`, where it has one, is called after each epoch.
        shuffle: whether the batches come in a new order for each pass.
        class_weight: dict {class: weight} that becomes the sample weights, or None.
    """

    repeats = True
    wanted = math.inf  # how many batches the epoch still asks for; on_epoch_end must find no worker at those after it

    def __init__(self, source, shuffle=False, class_weight=None):
        self.source = source
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.on_epoch_end = getattr(source, "on_epoch_end", None)
        self.workers = getattr(source, "workers", 1)
        self.fetches = self.workers == 1  # several workers are ahead of the steps anyway

    @property
    def num_batches(self):
        return len(self.source)

    def _get(self, i):
        return _part(self.source[i], self.class_weight)

    def __iter__(self):
        n = len(self.source)  # on_epoch_end may change it
        numbers = permutation(n).tolist() if self.shuffle and n else range(n)
        return self._one_by_one(numbers) if self.workers == 1 else self._by_workers(numbers)

    def _one_by_one(self, numbers):
        for i in numbers:
            yield self._get(i)

    def _by_workers(self, numbers):
        """The batches in order, made by threads: as many ahead as may wait, and as this epoch still asks for."""
        left = collections.deque(numbers)
        waiting = collections.deque()
        pool = concurrent.futures.ThreadPoolExecutor(self.workers, thread_name_prefix="quernel-worker")
        try:
            while left or waiting:
                while left and len(waiting) < max(1, min(self.source.max_queue_size, self.wanted)):
                    waiting.append(pool.submit(contextvars.copy_context().run, self._get, left.popleft()))
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def is_dataset(value):
    """Whether `value` has batches by number and is not to be iterated over."""
    from ..utils.py_dataset import PyDataset

    by_number = hasattr(value, "__getitem__") and hasattr(value, "__len__")
    return isinstance(value, PyDataset) or (by_number and not hasattr(value, "__iter__"))
