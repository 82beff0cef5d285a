"""Steps for the tests of plans: the Function that recorded one, an input for it, and the bits of what it gives."""

import numpy as np

import quernel as qn

X = qn.constant([1.0, 2.0])


def bits(*values):
    return [np.asarray(v.numpy()).tobytes() for v in values]


def recorded(step, *batches_):
    """The Function after the batches ran."""
    run = qn.function(step)
    for batch in batches_:
        run(*batch)
    return run
