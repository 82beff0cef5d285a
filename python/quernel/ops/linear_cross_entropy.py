"""linear_cross_entropy on Tensors, and the gradient rules: backward computes the logits again, chunk by chunk."""

from .. import kernels, ops
from ..autograd import gradient
from .apply import op

linear_cross_entropy = op(kernels.linear_cross_entropy)
linear_cross_entropy_dx = op(kernels.linear_cross_entropy_dx)


@gradient(kernels.linear_cross_entropy)
def _(node, dy, _):
    x, w, target, b = node.inputs
    if dy is None:
        return (None,) * 4
    _, _, dx, dw, db = linear_cross_entropy_dx(dy, x, w, target, b, **node.attrs)
    return dx, dw, None, None if b is None else db


@gradient(kernels.linear_cross_entropy_dx)
def _(node, g_loss, _, g_dx, g_dw, g_db):
    dy, x, w, target, b = node.inputs
    z = ops.dense_forward(x, w, b)
    dz = ops.sparse_categorical_crossentropy_dx(dy, target, z, from_logits=True)
    parts = {}

    def put(name, value):
        parts[name] = ops.add(parts[name], value) if name in parts else value

    if g_dx is not None:  # dx = dz @ w^T
        put("dz", ops.dense_forward(g_dx, w))
        put("w", ops.dense_dw(g_dx, dz))
    if g_dw is not None:  # dw = x^T dz
        put("dz", ops.dense_forward(x, g_dw))
        put("x", ops.dense_dx(dz, g_dw))
    if g_db is not None:
        put("dz", ops.broadcast_to(g_db, z.shape))
    if "dz" in parts:  # dz = dy * (softmax(z) - one_hot(target))
        unit = ops.sparse_categorical_crossentropy_dx(ops.ones_like(dy), target, z, from_logits=True)
        put("dy", ops.sum(ops.multiply(parts["dz"], unit), -1))
        put("z", ops.multiply(ops.expand_dims(dy, -1), ops.softmax_dx(parts["dz"], ops.softmax(z))))
    if g_loss is not None:
        put("z", ops.sparse_categorical_crossentropy_dx(g_loss, target, z, from_logits=True))
    if "z" in parts:
        put("x", ops.dense_dx(parts["z"], w))
        put("w", ops.dense_dw(x, parts["z"]))
        if b is not None:
            put("b", ops.bias_db(parts["z"]))
    return parts.get("dy"), parts.get("x"), parts.get("w"), None, parts.get("b")
