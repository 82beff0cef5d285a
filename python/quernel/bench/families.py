"""Families of cases: what the summary of a run puts together."""

from .. import kernels

FEW = 8  # rows or columns at most: these products read a matrix once and are bound by that
_POOLING = ("max_pool", "average_pool", "global_average_pool", "global_max_pool")
_MODULES = {
    "activations": "activations",
    "linear_units": "activations",
    "norm": "norms",
    "softmax": "softmax and losses",
    "loss": "softmax and losses",
    "reduce": "sums",
    "argmax": "sums",
    "optim": "optimizers",
    "assign": "optimizers",
    "arithmetic": "elementwise",
    "elementary": "elementwise",
    "select": "elementwise",
    "compare": "elementwise",
    "division": "elementwise",
    "quotient": "elementwise",
    "copy": "elementwise",
    "dropout": "random",
    "random": "random",
    "random_integers": "random",
}
ARITHMETIC = ("gemm", "dense", "conv", "depthwise", "recurrent")  # families starting so: against the FMA peak too
MEMORY = ("pooling", "activations", "norms", "softmax and losses", "sums", "optimizers")


def family(case):
    """The family of a case: by its op, for gemm also by its size, for convolutions by groups and direction."""
    op = case.op
    if op == "gemm":
        a, b = case.inputs[0].shape, case.inputs[1].shape
        k, m = a[-2:] if case.attrs.get("transpose_a") else a[:-3:-1]
        n = b[-2] if case.attrs.get("transpose_b") else b[-1]
        if min(m, n) <= FEW:
            return "gemm, few rows or columns"
        return "gemm up to 64" if m * n * k <= 64**3 else "gemm from 128"
    if op == "bias_db":
        return "sums"
    if op.startswith(("lstm", "gru", "rnn")):
        return "recurrent"
    if op.startswith("linear_cross_entropy"):
        return "dense with its loss"
    if op.startswith("dense"):
        return "dense"
    if op.startswith("depthwise"):
        return "depthwise forward" if op.endswith("forward") else "depthwise dx, dw"
    if op.startswith("conv"):
        return "conv, grouped" if case.attrs.get("groups", 1) > 1 else "conv"
    if op.startswith(_POOLING):
        return "pooling"
    module = getattr(kernels, op).module
    if "crossentropy" in module:
        return "softmax and losses"
    return _MODULES.get(module, "moves")


def in_rows(case):
    """Whether a kernel that passes over its arrays several times does so row by row, and finds a row in a near cache again."""
    return family(case) == "softmax and losses" or case.op in ("embedding", "gather")


def arithmetic(name):
    """Whether the family is measured in GFLOP/s against the FMA peak as well as in bytes."""
    return name.startswith(ARITHMETIC)
