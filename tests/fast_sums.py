"""What the tests of convolutions by transforms share: their data, and how much larger than a direct sum's the error may be."""

import numpy as np


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype("float32")


def check_error(found, direct, true):
    """`found` is not the direct sum, and its errors are at most twice that one's, the largest and the mean square."""
    error, usual = np.abs(found - true), np.abs(direct - true)
    assert usual.any() and not np.array_equal(found, direct)
    assert error.max() <= 2 * usual.max()
    assert np.sqrt(np.mean(error**2)) <= 2 * np.sqrt(np.mean(usual**2))
