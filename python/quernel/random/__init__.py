"""random: Tensors of random numbers, and the generators that hold their state."""

from .functions import dropout as dropout
from .functions import normal as normal
from .functions import randint as randint
from .functions import truncated_normal as truncated_normal
from .functions import uniform as uniform
from .seed_generator import SeedGenerator as SeedGenerator
