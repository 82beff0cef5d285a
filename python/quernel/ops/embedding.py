"""embedding: rows of a table of weights by token ids; its gradient comes as rows (row_gradient.py)."""

from .. import kernels
from ..autograd import gradient
from ..row_gradient import table_gradient
from .apply import op

embedding = op(kernels.embedding)


@gradient(kernels.embedding)
def _(node, dy):
    w, ids = node.inputs
    return table_gradient(w, ids, dy), None
