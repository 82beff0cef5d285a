"""initializers: the first values of variables."""

from ..identifiers import Family as _Family
from .constant import Constant as Constant
from .constant import Identity as Identity
from .constant import Ones as Ones
from .constant import Zeros as Zeros
from .initializer import Initializer as Initializer
from .orthogonal import Orthogonal as Orthogonal
from .random import GlorotNormal as GlorotNormal
from .random import GlorotUniform as GlorotUniform
from .random import HeNormal as HeNormal
from .random import HeUniform as HeUniform
from .random import LecunNormal as LecunNormal
from .random import LecunUniform as LecunUniform
from .random import RandomNormal as RandomNormal
from .random import RandomUniform as RandomUniform
from .random import TruncatedNormal as TruncatedNormal
from .random import VarianceScaling as VarianceScaling

_family = _Family(
    "initializer",
    [Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal, LecunUniform, Ones, Orthogonal,
     RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Zeros],
    {"normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros},
)  # fmt: skip


def get(identifier):
    """The initializer for a name, a configuration, or a callable (shape, dtype) as it is.

    Example:
        >>> import quernel as qn
        >>> type(qn.initializers.get("he_normal")).__name__
        'HeNormal'
    """
    return _family.get(identifier)


def serialize(initializer):
    """The configuration of an initializer."""
    return _family.serialize(initializer)


def deserialize(config, custom_objects=None):
    """The initializer for what `serialize` returned."""
    return _family.deserialize(config, custom_objects)
