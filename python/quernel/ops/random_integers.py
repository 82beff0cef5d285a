"""Random integers from a state: random_integers, random_permutation; no gradient."""

from .. import kernels
from ..autograd import no_gradient
from .apply import op

random_integers = op(kernels.random_integers)
random_permutation = op(kernels.random_permutation)
no_gradient(kernels.random_integers, kernels.random_permutation)
