"""rows_merge: the gradient of a table as rows, each once."""

from .. import kernels
from ..autograd import no_gradient
from .apply import op

rows_merge = op(kernels.rows_merge)
no_gradient(kernels.rows_merge)  # optimizers merge after the tape's work; what an outer tape follows comes dense
