"""activations: functions such as relu and softmax, by themselves or by name as a layer's `activation`."""

from ..identifiers import Family as _Family
from .functions import elu as elu
from .functions import exponential as exponential
from .functions import gelu as gelu
from .functions import hard_sigmoid as hard_sigmoid
from .functions import hard_silu as hard_silu
from .functions import leaky_relu as leaky_relu
from .functions import linear as linear
from .functions import log_softmax as log_softmax
from .functions import mish as mish
from .functions import relu as relu
from .functions import relu6 as relu6
from .functions import selu as selu
from .functions import sigmoid as sigmoid
from .functions import silu as silu
from .functions import softmax as softmax
from .functions import softplus as softplus
from .functions import softsign as softsign
from .functions import tanh as tanh

swish = silu
hard_swish = hard_silu

_family = _Family(
    "activation",
    [elu, exponential, gelu, hard_sigmoid, hard_silu, leaky_relu, linear, log_softmax, mish, relu, relu6, selu, sigmoid,
     silu, softmax, softplus, softsign, tanh],
    {"swish": silu, "hard_swish": hard_silu},
)  # fmt: skip


def get(identifier):
    """The activation for a name, a function or layer as it is; `linear` for None.

    Example:
        >>> import quernel as qn
        >>> qn.activations.get("relu").__name__, qn.activations.get(None).__name__
        ('relu', 'linear')
    """
    return linear if identifier is None else _family.get(identifier)


def serialize(activation):
    """The name of an activation, or the configuration of an object."""
    return _family.serialize(activation)


def deserialize(config, custom_objects=None):
    """The activation for what `serialize` returned."""
    return _family.deserialize(config, custom_objects)
