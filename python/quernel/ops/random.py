"""Random floats from a state: random_uniform, random_normal, random_truncated_normal; no gradient."""

from .. import kernels
from ..autograd import no_gradient
from .apply import op

random_uniform = op(kernels.random_uniform)
random_normal = op(kernels.random_normal)
random_truncated_normal = op(kernels.random_truncated_normal)
no_gradient(kernels.random_uniform, kernels.random_normal, kernels.random_truncated_normal)
