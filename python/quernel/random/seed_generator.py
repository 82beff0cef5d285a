"""SeedGenerator: the state of a stream of random numbers, in a Variable, so that it is saved, replayed and resumed."""

import random as _python_random

import numpy as np

from .. import ops, recording
from ..naming import auto_name
from ..tensor import as_tensor
from ..variable import Variable

_seeds = _python_random.Random()  # seeds for generators and initializers that get none


class _Global(recording.Versioned):
    """The generator behind random functions that get no seed, and the seed that it starts with."""

    generator = None
    seed = None


_global = _Global()


def make_default_seed():
    """A fresh seed: from the operating system, or from `utils.set_random_seed`."""
    return _seeds.randint(1, 10**9)


def check_seed(seed):
    """The seed as an int in 0 .. 2^63 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed: expected an int, a SeedGenerator or None, received {seed!r}")
    return int(seed) % 2**63


class SeedGenerator:
    """A stream of random numbers: each call of a random function with it takes the next ones.

    The state is a Variable of three int64: the seed, the training step, the number of calls. Philox4x32-10 makes
    every number
    from these and the element's index, so equal states give equal numbers on every backend and any number of threads.

    Args:
        seed: an int, or None for a fresh one.
        name: name of the generator.

    Raises:
        ValueError: the seed is no int.

    Example:
        >>> import quernel as qn
        >>> a, b = qn.random.SeedGenerator(7), qn.random.SeedGenerator(7)
        >>> bool((qn.random.normal((4,), seed=a).numpy() == qn.random.normal((4,), seed=b).numpy()).all())
        True
    """

    _tracked_as = "seed_generators"

    def __init__(self, seed=None, name=None):
        self.name = name or auto_name(type(self).__name__)
        self._initial_seed = seed
        seed = make_default_seed() if seed is None else check_seed(seed)
        self.state = Variable(
            np.array([seed, 0, 0], "int64"), dtype="int64", trainable=False, name="seed_generator_state"
        )

    def next(self):
        """The present state as a Tensor; the generator moves on by one call."""
        state = ops.copy(self.state)
        self.state.assign_add(_ONE_CALL)
        return state

    def get_config(self):
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


_ONE_CALL = as_tensor(np.array([0, 0, 1], "int64"))


def global_seed_generator():
    """The generator behind random functions that get no seed."""
    if _global.generator is None:
        _global.generator = SeedGenerator(_global.seed, name="global_seed_generator")
    recording.touch(_global)
    return _global.generator


def seed_everything(seed):
    """Starts the global generator and the fresh seeds again, from `seed`."""
    _global.seed = check_seed(seed)
    _seeds.seed(_global.seed)
    _global.generator = None


def forget_generator():
    """Drops the global generator; the next use starts it again (utils.clear_session)."""
    _global.generator = None


def calls_of_global_generator():
    """How far the global generator is: a value that differs after each random number it gave; None before the first."""
    generator = _global.generator
    return None if generator is None else (id(generator), int(generator.state._array[2]))


def draw_seed(seed=None):
    """The state that a random kernel takes: of an int always the same, of a generator the next one.

    Args:
        seed: an int, a SeedGenerator, or None for the global generator.

    Returns:
        A Tensor of three int64.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next()
    return as_tensor(np.array([check_seed(seed), 0, 0], "int64"))
