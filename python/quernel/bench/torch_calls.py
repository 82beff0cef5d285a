"""PyTorch's twins of the ops that are not about images: products, elementwise, sums, softmax, losses, optimizers, moves."""

from .contestants import copied
from .torch_sequences import SEQUENCES


def _rows(torch, arrays):
    def tensor(a):
        return [tensor(v) for v in a] if isinstance(a, list) else None if a is None else torch.from_numpy(a)

    return [tensor(a) for a in arrays]


def _gemm(torch, case, attrs, a, b, c):
    a = a.mT if attrs["transpose_a"] else a
    b = b.mT if attrs["transpose_b"] else b
    out = torch.empty(a.shape[0], b.shape[1])
    return [("new output", lambda: torch.mm(a, b)), ("out=", lambda: torch.mm(a, b, out=out))]


def _dense_forward(torch, case, attrs, x, w, b):
    y = w.T.contiguous()
    linear = torch.nn.functional.linear
    if attrs["activation"] == "relu":
        return [
            ("weights (o, i)", lambda: torch.relu_(linear(x, y, b))),
            ("weights (i, o)", lambda: torch.relu_(torch.addmm(b, x, w))),
        ]
    return [("weights (o, i)", lambda: linear(x, y, b)), ("weights (i, o)", lambda: torch.addmm(b, x, w))]


def _dense_dx(torch, case, attrs, dy, w):
    y = w.T.contiguous()
    return [("weights (o, i)", lambda: dy @ y), ("weights (i, o)", lambda: dy @ w.T)]


def _dense_dw(torch, case, attrs, x, dy):
    return [("weights (o, i)", lambda: dy.T @ x), ("weights (i, o)", lambda: x.T @ dy)]


def _slopes(torch, op, attrs, dy, v):
    aten = torch.ops.aten
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return {
        "relu": lambda: aten.threshold_backward(dy, v, 0),
        "leaky_relu": lambda: aten.leaky_relu_backward(dy, v, attrs["negative_slope"], False),
        "elu": lambda: aten.elu_backward(dy, attrs["alpha"], 1, 1, False, v),
        "selu": lambda: aten.elu_backward(dy, alpha, scale, 1, False, v),
        "gelu": lambda: aten.gelu_backward(dy, v, approximate="tanh" if attrs["approximate"] else "none"),
        "sigmoid": lambda: aten.sigmoid_backward(dy, v),
        "tanh": lambda: aten.tanh_backward(dy, v),
        "softplus": lambda: aten.softplus_backward(dy, v, 1, 20),
        "silu": lambda: aten.silu_backward(dy, v),
    }[op.removesuffix("_dx")]


def _activation(torch, case, attrs, *tensors):
    if case.op.endswith("_dx"):
        return [("", _slopes(torch, case.op, attrs, *tensors))]
    (x,) = tensors
    functional = torch.nn.functional
    if case.op == "gelu":
        return [("", lambda: functional.gelu(x, approximate="tanh" if attrs["approximate"] else "none"))]
    if case.op in ("relu", "sigmoid", "tanh"):
        function = getattr(torch, case.op)
        return [("", lambda: function(x))]
    function, more = getattr(functional, case.op), [attrs[n] for n in ("negative_slope", "alpha") if n in attrs]
    return [("", lambda: function(x, *more))]


_SAME = {"power": "pow", "mod": "remainder", "absolute": "abs", "concat": "cat", "copy": "clone", "equal": "eq",
         "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge"}  # fmt: skip


def _function(torch, case, attrs, *tensors):
    """Ops that PyTorch has under a name of its own or ours."""
    function = getattr(torch, _SAME.get(case.op, case.op))
    return [("", lambda: function(*tensors))]


def _fold(torch, case, attrs, x):
    name = {"max": "amax", "min": "amin"}.get(case.op, case.op)
    function, axis = getattr(torch, name), attrs["axis"]
    if axis is None:
        return [("", lambda: function(x))]
    return [("", lambda: function(x, axis, keepdim=attrs["keepdims"]))]


def _softmax(torch, case, attrs, *tensors):
    aten, axis = torch.ops.aten, attrs["axis"]
    if case.op.endswith("_dx"):
        gradient = aten._softmax_backward_data if case.op == "softmax_dx" else aten._log_softmax_backward_data
        return [("", lambda: gradient(*tensors, axis, torch.float32))]
    function = getattr(torch, case.op)
    return [("", lambda: function(*tensors, axis))]


def _loss(torch, case, attrs, *tensors):
    functional, op = torch.nn.functional, case.op.removesuffix("_dx")
    target, output = tensors[-2:]
    if op != "mean_squared_error" and not attrs["from_logits"]:
        return []
    if op == "sparse_categorical_crossentropy":
        target = target.long()
    functions = {
        "mean_squared_error": lambda x: functional.mse_loss(x, target, reduction="none").mean(-1),
        "binary_crossentropy": lambda x: functional.binary_cross_entropy_with_logits(x, target, reduction="none"),
        "categorical_crossentropy": lambda x: functional.cross_entropy(x, target, reduction="none"),
        "sparse_categorical_crossentropy": lambda x: functional.cross_entropy(x, target, reduction="none"),
    }
    if not case.op.endswith("_dx"):
        return [("", lambda: functions[op](output))]
    with torch.inference_mode(False), torch.enable_grad():
        leaf = torch.from_numpy(output.numpy()).requires_grad_()
        target = target.clone()  # made outside inference mode
        loss, dy = functions[op](leaf), tensors[0].clone()
    return [("after its forward pass", lambda: torch.autograd.grad(loss, leaf, dy, retain_graph=True)[0])]


def _sgd(torch, case, attrs, variables, gradients, rate, velocities, scale):
    momentum, rate = attrs["momentum"], float(rate)
    fixed = dict(lr=rate, dampening=0.0, nesterov=attrs["nesterov"], maximize=False, is_first_step=False)  # noqa: C408
    fused = lambda: torch._fused_sgd_(  # noqa: E731
        variables, gradients, velocities or [], weight_decay=0.0, momentum=momentum, **fixed
    )
    return [("fused", fused), *_optimizers(torch, torch.optim.SGD, variables, gradients, lr=rate, momentum=momentum)]


def _adam(torch, case, attrs, variables, gradients, m, v, rate, iterations, vhat, scale):
    rate, betas, epsilon = float(rate), (attrs["beta_1"], attrs["beta_2"]), attrs["epsilon"]
    steps = [torch.full((), 10.0) for _ in variables]
    fused = lambda: torch._fused_adam_(  # noqa: E731
        variables, gradients, m, v, [], steps, lr=rate, beta1=betas[0], beta2=betas[1], weight_decay=0.0, eps=epsilon,
        amsgrad=False, maximize=False,
    )  # fmt: skip
    return [("fused", fused), *_optimizers(torch, torch.optim.Adam, variables, gradients, lr=rate, betas=betas)]


def _optimizers(torch, kind, variables, gradients, **keywords):
    """torch.optim's step, fused and foreach."""
    found = []
    for how in ("fused", "foreach"):
        with torch.inference_mode(False):
            leaves = [torch.nn.Parameter(v.clone()) for v in variables]
            for leaf, gradient in zip(leaves, gradients):
                leaf.grad = gradient.clone()
            found.append((f"torch.optim {how}", kind(leaves, **keywords, **{how: True}).step))
    return found


def _sizes(torch, case, attrs, *state):
    """Random numbers: PyTorch's own generator."""
    shape = attrs.get("shape")
    calls = {
        "random_uniform": lambda: torch.rand(shape),
        "random_normal": lambda: torch.randn(shape),
        "random_integers": lambda: torch.randint(attrs["minval"], attrs["maxval"], shape, dtype=torch.int32),
        "random_permutation": lambda: torch.randperm(attrs["n"]),
    }
    return [("", calls[case.op])]


def _dropout(torch, case, attrs, x, state):
    return [("", lambda: torch.nn.functional.dropout(x, attrs["rate"]))]


def _move(torch, case, attrs, *tensors):
    x = tensors[0] if tensors else None
    if case.op == "gather":
        at = tensors[1].long()
        return [("", lambda: torch.index_select(x, attrs["axis"], at))]
    if case.op == "scatter_add":
        at, shape = tensors[0].long(), attrs["shape"]
        return [("", lambda: torch.zeros(shape).index_add_(attrs["axis"], at, tensors[1]))]
    if case.op == "one_hot":
        at = x.long()[:, None]
        return [("", lambda: torch.zeros(len(at), attrs["num_classes"]).scatter_(1, at, 1.0))]
    if case.op == "concat":
        return [("", lambda: torch.cat(x, attrs["axis"]))]
    if case.op == "pad":
        widths = [n for pair in reversed(attrs["pad_width"]) for n in pair]
        return [("", lambda: torch.nn.functional.pad(x, widths))]
    if case.op == "full":
        return [("", lambda: torch.full(attrs["shape"], attrs["fill_value"]))]
    if case.op == "cast":
        return [("", lambda: x.to(getattr(torch, attrs["dtype"])))]
    if case.op == "clip":
        return [("", lambda: torch.clamp(x, attrs["x_min"], attrs["x_max"]))]
    if case.op == "slice":
        part = tuple(map(slice, attrs["start"], attrs["stop"], attrs["step"]))
        return [("", lambda: x[part].contiguous())]
    if case.op == "lerp_update":
        return [("", lambda: x.lerp_(tensors[1], 1 - attrs["momentum"]))]
    if case.op.startswith("assign"):
        write = {"assign": x.copy_, "assign_add": x.add_, "assign_sub": x.sub_}[case.op]
        return [("", lambda: write(tensors[1]))]
    return [("", lambda: x.sum(tuple(range(x.ndim - 1))))]  # bias_db


_ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "sigmoid", "tanh", "softplus", "silu")
_LOSSES = ("mean_squared_error", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
_ASSIGNS = ("assign", "assign_add", "assign_sub", "lerp_update")
CALLS = {
    "gemm": _gemm,
    "dense_forward": _dense_forward,
    "dense_dx": _dense_dx,
    "dense_dw": _dense_dw,
    **dict.fromkeys([n + end for n in _ACTIVATIONS for end in ("", "_dx")], _activation),
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "mod", "power", "maximum", "minimum", "exp", "log", "log1p",
                     "expm1", "erf", "sin", "cos", "sqrt", "rsqrt", "square", "greater", "where", "copy",
                     "floor_divide", "negative", "absolute", "sign", "floor", "equal", "not_equal", "less", "less_equal",
                     "greater_equal", "logical_and", "logical_or", "logical_not", "isnan"), _function),
    **dict.fromkeys(("sum", "mean", "max", "min", "argmax", "argmin"), _fold),
    **dict.fromkeys(("softmax", "log_softmax", "softmax_dx", "log_softmax_dx"), _softmax),
    **dict.fromkeys([n + end for n in _LOSSES for end in ("", "_dx")], _loss),
    "sgd_update": _sgd,
    "adam_update": _adam,
    **dict.fromkeys(("random_uniform", "random_normal", "random_integers", "random_permutation"), _sizes),
    "dropout": _dropout,
    **SEQUENCES,
    **dict.fromkeys(("gather", "scatter_add", "one_hot", "concat", "pad", "full", "cast", *_ASSIGNS, "bias_db", "clip",
                     "slice"), _move),
}  # fmt: skip


def row_calls(torch, case, attrs, arrays):
    """[(setting, call)] of an op that is not about images, on copies of the arrays where it writes them; [] without a twin."""
    make = CALLS.get(case.op)
    if make is None:
        return []
    writes = case.op in ("sgd_update", "adam_update", *_ASSIGNS)
    return make(torch, case, attrs, *_rows(torch, [copied(a) for a in arrays] if writes else arrays))
