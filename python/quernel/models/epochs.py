"""Epochs: a source of batches cut into epochs, with a thread that fetches ahead where that pays."""

import math
import warnings

from .. import tree
from ..checks import positive_int, whole
from ..random.seed_generator import calls_of_global_generator
from .batches import ArrayBatches
from .prefetch import Prefetcher
from .sources import DatasetBatches, IterableBatches, is_dataset

WORTH = 1e-3  # seconds: a shorter step hides less than handing a batch from thread to thread costs
RECORDED, TIMED = 2, 3  # steps that run in Python while they are recorded; those after them whose time counts


class Epochs:
    """Whole passes over a source, or `steps` batches from where the last epoch stopped.

    Iterating gives (part, limit): the part runs at most `limit` further steps before the next one is asked for.

    Args:
        source: iterable of parts (ArrayPart, BatchPart).
        steps: batches in an epoch, or None.
        ahead: whether a thread may fetch the next batch while a step runs.
    """

    def __init__(self, source, steps=None, ahead=False):
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise ValueError(f"steps: expected an int of at least 1 or None, received {steps!r}")
        self.source = source
        self.steps = steps
        self.num_batches = source.num_batches if steps is None else steps
        self._running = None
        self._part = None  # what is left of a part when the steps of an epoch end
        self._given = False  # whether there was any batch so far
        self._trial = RECORDED + TIMED if ahead and source.fetches else 0
        self._fastest = math.inf
        self._prefetcher = None

    def restart(self):
        """The next epoch starts with the first batch again."""
        self._running = self._part = None

    def close(self):
        """Ends the threads, if there are any."""
        idle = True
        if self._prefetcher is not None:
            idle = self._prefetcher.close()
            self._prefetcher = None
        if idle and hasattr(self._running, "close"):
            self._running.close()  # a generator of ours: its workers end
        self.restart()

    def took(self, seconds):
        """Says how long a step ran. After some of them the thread is started, where steps are long enough."""
        if not self._trial:
            return
        self._trial -= 1
        if self._trial < TIMED:
            self._fastest = min(self._fastest, seconds)
        if not self._trial and self._fastest > WORTH:
            self._prefetcher = Prefetcher()

    def _next(self, more):
        """The next part or None; `more` says whether another one will be asked for."""
        prefetcher = self._prefetcher
        if prefetcher is not None and prefetcher.busy:
            part = prefetcher.take()
        elif self._trial:
            before = calls_of_global_generator()
            part = next(self._running, None)
            if calls_of_global_generator() != before:
                self._trial = 0  # it shares random numbers with the steps: their order has to stay
        else:
            part = next(self._running, None)
        if more and part is not None and prefetcher is not None:
            prefetcher.ask(self._running)
        return part

    def __iter__(self):
        yield from self._pass() if self.steps is None else self._some()
        ended = getattr(self.source, "on_epoch_end", None)
        if ended is not None:
            ended()

    def _pass(self):
        self._running = iter(self.source)
        given = False
        while (part := self._next(True)) is not None:
            given = self._given = True
            yield part, part.steps
        if not given:
            self._nothing()

    def _some(self):
        left = self.steps
        fresh = self._running is None
        if fresh:
            self._running = iter(self.source)
        while left:
            part = self._part
            if part is None or part.done == part.steps:
                self.source.wanted = left
                part = self._next(left > 1)
                if part is None and self.source.repeats and not fresh:
                    self._running = iter(self.source)
                    part = self._next(left > 1)
                if part is None:
                    self._ended_early()
                    return
                self._part = part
            fresh = False
            self._given = True
            before = part.done
            yield part, left
            left -= part.done - before

    def _ended_early(self):
        if not self._given:
            self._nothing()
        warnings.warn(
            f"The data ended before {self.steps} steps were made; pass fewer steps or more batches.", stacklevel=6
        )
        self.restart()

    def _nothing(self):
        if not self._given:
            raise ValueError("x: expected at least one batch of data, received none")
        warnings.warn(
            "An epoch without data: an iterator gives its batches once. Pass the number of steps in an epoch, "
            "or an iterable that starts again.",
            stacklevel=6,
        )


def make_epochs(
    x, y=None, sample_weight=None, batch_size=None, steps=None, shuffle=False, class_weight=None, ahead=False
):
    """Epochs over arrays, or over an iterable or data set of batches given as x."""
    if isinstance(x, Epochs):
        return x
    given_by_user = not tree.is_nested(x) and not hasattr(x, "shape")
    dataset = given_by_user and is_dataset(x)
    if not dataset and not (given_by_user and hasattr(x, "__iter__")):
        return Epochs(ArrayBatches(x, y, sample_weight, batch_size, shuffle, class_weight), steps)
    for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
        if value is not None:
            raise ValueError(f"{name}: expected None when x is an iterable of batches, which brings it along")
    source = DatasetBatches(x, shuffle, class_weight) if dataset else IterableBatches(x, class_weight)
    return Epochs(source, steps, ahead)


def epoch_numbers(initial_epoch, epochs):
    """The numbers of the epochs of a fit, from `initial_epoch` to `epochs` - 1."""
    return range(whole(initial_epoch, "initial_epoch", 0), whole(epochs, "epochs", 0))


def validated(epoch, frequency):
    """Whether epoch number `epoch`, from 1, ends with a validation: every `frequency` epochs, or those of a list."""
    if isinstance(frequency, (list, tuple)):
        return epoch in frequency
    return epoch % positive_int(frequency, "validation_freq") == 0
