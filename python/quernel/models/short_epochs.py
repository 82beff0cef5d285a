"""ShortEpochs: the epochs of a fit that nobody watches, many of them in one native call.

Textbook fits run hundreds of epochs over a few hundred samples. What Python does between two epochs (resetting metrics,
drawing the order of the samples, calling callbacks) takes as long as 64 steps of a linear regression.
"""

import time

import numpy as np

from ..callbacks.callback_list import CallbackList, floats
from ..callbacks.history import History
from ..kernels.kernel import empty
from ..plan import run_turns
from .batches import ArrayBatches, permutation
from .steps import steps_of

CALL = 5e-3  # seconds of a call: as long as Python lets a thread run before another one gets its turn


class ShortEpochs:
    """Runs epochs of a fit, where they are short and only a History wants to know of them.

    Args:
        model: the model.
        batches, validation: the Epochs of the fit; the latter may be None.
        callbacks: its CallbackList.
        shield: its Shield.
    """

    def __init__(self, model, batches, validation, callbacks, shield):
        self.model, self.source, self.callbacks, self.shield = model, batches.source, callbacks, shield
        self._possible = (
            validation is None
            and not model.run_eagerly
            and batches.steps is None
            and type(batches.source) is ArrayBatches
            and type(callbacks) is CallbackList
            and all(type(callback) is History for callback in callbacks.callbacks)
            and model._logs_are_metrics()
        )
        self._seconds = CALL  # of an epoch, as far as known

    def took(self, seconds):
        """Says how long an epoch ran that was not run here."""
        self._seconds = seconds

    def run(self, first, stop):
        """Epochs from number `first` on, to `stop` at most.

        Returns:
            The logs of each, which the callbacks have got; none where the next epoch is better run by itself.
        """
        turns = min(stop - first, int(CALL / self._seconds))
        if not self._possible or turns < 2 or self.model.stop_training:
            return []
        jobs = self._jobs()
        if None in jobs:
            return []
        before = time.perf_counter()
        self.shield.hold()  # Ctrl-C finds all epochs that ran in the History
        logs, results = [], []
        try:
            run_turns(jobs, turns, CALL, results)
        finally:  # a step of a later epoch may have raised: those before it are whole
            for epoch, result in enumerate(results, first):
                logs.append(floats(result))
                self.callbacks.on_epoch_begin(epoch)
                self.callbacks.on_epoch_end(epoch, logs[-1])
            self.shield.release()
        self._seconds = (time.perf_counter() - before) / len(logs)
        return logs

    def _jobs(self):
        """Reset, order, the batches of full size, the smaller one; None in it for what has no plan yet."""
        variables = self.model._zeroed_by_reset()
        if variables is None:
            return [None]
        steps, order = steps_of(self.model), None
        jobs = [steps.reset.job((steps.zeroed(variables),))]
        if self.source.shuffle:
            order = empty((self.source.size,), np.dtype("int64"))
            jobs.append(permutation.job((self.source.size,), outs=[order]))
        for part in self.source.parts(order):
            function, args = part.call(steps.train, part.steps)
            jobs.append(function.job(args, part.steps, within=part.within()))
        return jobs
