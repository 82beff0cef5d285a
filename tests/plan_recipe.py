"""Hand-made plans for the tests: roots, views and ops as _core.Plan takes them, and one network with tight buffers."""

import numpy as np

import quernel as qn
from quernel.kernels.resolve import ask_native

WORKSPACE, FIXED, ARGUMENT, OUTPUT = range(4)
core = qn.backend._state.core


class View:
    """Memory of a recipe: a root, a byte offset in it, and how an array lies there."""

    def __init__(self, root, shape, dtype="float32", offset=0, strides=None):
        self.root, self.shape, self.dtype, self.offset = root, tuple(shape), np.dtype(dtype), offset
        if strides is None:
            strides = [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
        self.strides = tuple(strides)
        self.ndim = len(self.shape)

    def item(self):
        code = core.dtypes.index(self.dtype.name)
        return (self.root, self.offset, code, self.shape, self.strides)

    @property
    def T(self):
        return View(self.root, self.shape[::-1], self.dtype, self.offset, self.strides[::-1])


class Recipe:
    """Collects roots and ops for _core.Plan."""

    def __init__(self):
        self.roots, self.ops, self.undo, self.alive, self.workspace = [], [], [], [], 0

    def root(self, kind, value, size, before=0):
        self.roots.append((kind, value, size, before) if before else (kind, value, size))
        return len(self.roots) - 1

    def work(self, shape, dtype="float32", at=None):
        """A buffer of the workspace, behind what is there or at a byte offset."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        at = self.workspace if at is None else at
        self.workspace = max(self.workspace, at + (size + 63) // 64 * 64)
        return View(self.root(WORKSPACE, at, size), shape, dtype)

    def fixed(self, array):
        self.alive.append(array)
        return View(self.root(FIXED, array.ctypes.data, array.nbytes), array.shape, array.dtype)

    def argument(self, slot, shape, dtype="float32"):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return View(self.root(ARGUMENT, slot, size), shape, dtype)

    def output(self, slot, shape, dtype="float32"):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return View(self.root(OUTPUT, slot, size), shape, dtype)

    def op(self, name, ins, outs, epilogue=False, **attrs):
        """An op as the kernel of its name packs it; inputs in native order."""
        kernel = getattr(qn.kernels, name)
        if kernel.updates:
            arrays = {n: v for n, v in attrs.items() if n in kernel.inputs}
            attrs = {n: v for n, v in attrs.items() if n not in kernel.inputs}
            given = [arrays.get(n) for n in kernel.inputs]
        else:
            given = list(ins) + [None] * (len(kernel.inputs) - len(ins))
        _, isa, index, ints, floats = ask_native(kernel, given, kernel.freeze(attrs))
        items = [[v if v is None else v.item() for v in views] for views in (ins, outs)]
        self.ops.append((index, *items, ints, floats, int(epilogue)))
        return len(self.ops) - 1

    def plan(self, abort_after=-1):
        isa = qn.backend._state.tables[qn.backend.isa()][0]
        plan = core.Plan(isa, self.workspace, self.roots, self.ops, abort_after, self.undo)
        self.alive.append(plan)
        return plan


def run(plan, args=(), outs=(), steps=1, every=True, seconds=0.0, arg_advance=None, out_advance=None):
    zeros = (0,) * len(args)
    return plan.run(
        tuple(args), arg_advance or zeros, tuple(outs), out_advance or (0,) * len(outs), steps, every, seconds
    )


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def mixed(rows=96):
    """(recipe, argument, expected), rows >= 96: transposed reads, sums over ranks, small ops on rank 0, overlapping buffers."""
    x, w, v = floats(rows, 80), floats(80, 96, seed=1), floats(96, 64, seed=2)
    k = qn.kernels
    a = k.dense_forward(x, w, activation="relu")
    b = k.dense_forward(a, v)
    s = k.softmax(b)
    total = k.sum(s, axis=0)
    c = k.dense_dw(a, s)
    d = k.multiply(c, total)
    e = k.gemm(d, c, transpose_a=True)
    f = k.add(e, total)
    recipe = Recipe()
    X, Y = recipe.argument(0, x.shape), recipe.output(0, f.shape)
    W, V = recipe.fixed(w), recipe.fixed(v)
    A = recipe.work(a.shape)
    B = recipe.work(b.shape)
    S = recipe.work(s.shape)
    TOTAL = recipe.work(total.shape)
    C = recipe.work(c.shape, at=recipe.roots[B.root][1])  # b is dead when c is written
    D = recipe.work(d.shape, at=recipe.roots[A.root][1])  # a is dead when d is written
    E = recipe.work(e.shape, at=recipe.roots[S.root][1])  # s is dead when e is written
    recipe.op("dense_forward", [X, W, None], [A], activation="relu")
    recipe.op("dense_forward", [A, V, None], [B])
    recipe.op("softmax", [B], [S])
    recipe.op("sum", [S], [TOTAL], axis=0)
    recipe.op("dense_dw", [A, S], [C])
    recipe.op("multiply", [C, TOTAL], [D])
    recipe.op("gemm", [D, C, None], [E], transpose_a=True)
    recipe.op("add", [E, TOTAL], [Y])
    return recipe, x, f
