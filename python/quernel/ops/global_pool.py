"""Global pooling on Tensors, and its gradient rules."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op

global_average_pool = op(kernels.global_average_pool)
global_average_pool_dx = op(kernels.global_average_pool_dx)
global_max_pool = op(kernels.global_max_pool)
global_max_pool_dx = op(kernels.global_max_pool_dx)


@gradient(kernels.global_average_pool)
def _(node, dy):
    return (ops.global_average_pool_dx(dy, input_shape=node.inputs[0].shape),)


@gradient(kernels.global_average_pool_dx)
def _(node, ddx):
    keepdims = len(node.inputs[0].shape) == len(ddx.shape)
    return (ops.global_average_pool(ddx, keepdims=keepdims),)


@gradient(kernels.global_max_pool)
def _(node, dy):
    return (ops.global_max_pool_dx(dy, node.inputs[0], node.outputs[0]),)


@gradient(kernels.global_max_pool_dx)
def _(node, ddx):
    dy, x, y = node.inputs
    kept = (x.shape[0], *(1,) * (len(x.shape) - 2), x.shape[-1])
    z = ops.max_pool_gather(ddx, x, ops.reshape(y, kept), pool_size=x.shape[1:-1])
    return ops.reshape(z, dy.shape), None, None
