"""set_random_seed: one seed for everything."""

import random

import numpy as np

from ..random.seed_generator import seed_everything


def set_random_seed(seed):
    """Makes what follows reproducible: initial weights, shuffling, dropout, and Python's and NumPy's random numbers.

    Args:
        seed: an int.

    Raises:
        ValueError: the seed is no int.

    Example:
        >>> import quernel as qn
        >>> qn.utils.set_random_seed(1)
        >>> a = qn.random.normal((3,)).numpy()
        >>> qn.utils.set_random_seed(1)
        >>> bool((a == qn.random.normal((3,)).numpy()).all())
        True
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed: expected an int, received {seed!r}")
    seed_everything(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
