"""copy: a differentiable copy."""

from .. import kernels
from ..autograd import gradient
from .apply import op

copy = op(kernels.copy)


@gradient(kernels.copy)
def _(node, dy):
    return (dy,)
