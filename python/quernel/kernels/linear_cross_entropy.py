"""linear_cross_entropy: a dense layer and the cross-entropy of its logits, chunk by chunk, and all gradients at once."""

import numpy as np

from .dense import epilogue_loop
from .kernel import jit, kernel, spec
from .loss import check_floats, check_rows, check_shape, column, rows
from .product import product_loop
from .sparse_categorical_crossentropy import _check_labels, _dx_loop, _loop

CHUNK = 512  # rows whose logits the Numba fallback holds


def _check(name, x, w, target, b, probabilities):
    if not isinstance(probabilities, (bool, np.bool_)):
        raise TypeError(f"{name}: probabilities: expected True or False, received {probabilities!r}")
    check_floats(name, x=x, w=w, **({} if b is None else {"b": b}))
    kept = check_rows(name, "x", x)
    check_shape(name, "w", w, (x.shape[-1], None), "(the last axis of x, classes)")
    if np.dtype(target.dtype).kind not in "iu":
        raise TypeError(f"{name}: target: expected an integer dtype, received {np.dtype(target.dtype)}; cast it first")
    check_shape(name, "target", target, kept, "x's shape less its last axis")
    if b is not None:
        check_shape(name, "b", b, (w.shape[1],), "one value for each column of w")
    return kept


def _shape(x, w, target, b=None, *, probabilities):
    kept = _check("linear_cross_entropy", x, w, target, b, probabilities)
    return spec(kept, x.dtype), spec(kept, np.int32)


def _dx_shape(dy, x, w, target, b=None, *, probabilities):
    name = "linear_cross_entropy_dx"
    kept = _check(name, x, w, target, b, probabilities)
    check_floats(name, dy=dy)
    check_shape(name, "dy", dy, kept, "the loss's shape")
    return (spec(kept, x.dtype), spec(kept, np.int32), spec(x.shape, x.dtype), spec(w.shape, x.dtype),
            spec((w.shape[1],), x.dtype))  # fmt: skip


def _native(*arrays, probabilities):
    return (probabilities,), ()


def _logits(x, w, b):
    z = np.matmul(x, w)
    return z if b is None else z + b


def _softmax(z):
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def _largest(z, probabilities):
    return np.argmax(_softmax(z) if probabilities else z, axis=-1).astype(np.int32)


def _check_targets(name, target, w):
    _check_labels(name, target, np.empty((0, w.shape[1]), np.uint8))


@jit
def _guess_loop(guess, z, probabilities):
    n = z.shape[1]
    e = np.empty(n, z.dtype)
    for r in range(z.shape[0]):
        e[:] = z[r]
        if probabilities:
            top, total = e[0], 0.0
            for v in e:
                if v > top or v != v:
                    top = v
            for i in range(n):
                e[i] = np.exp(e[i] - top)
                total += e[i]
            total = z.dtype.type(total)
            for i in range(n):
                e[i] /= total
        best, at = e[0], 0
        for i in range(n):
            if e[i] != e[i]:
                at = i
                break
            if e[i] > best:
                best, at = e[i], i
        guess[r] = at


def _chunks(x, w, target, b):
    """(rows, x, target, logits) of each chunk."""
    x, target, w = rows(x), column(target), np.ascontiguousarray(w)
    b = None if b is None else np.ascontiguousarray(b)
    for at in range(0, target.size, CHUNK):
        some = x[at : at + CHUNK]
        z = np.empty((1, len(some), w.shape[1]), x.dtype)
        product_loop(z, some[None], w[None])
        if b is not None:
            epilogue_loop(z[0], b, 0)
        yield slice(at, at + CHUNK), some, target[at : at + CHUNK], z[0]


def _numba(outs, x, w, target, b=None, *, probabilities):
    _check_targets("linear_cross_entropy", target, w)
    loss, guess = (out.reshape(-1) for out in outs)
    if not x.shape[-1]:
        x, w = np.zeros((*x.shape[:-1], 1), x.dtype), np.zeros((1, w.shape[1]), x.dtype)
    for at, _, labels, z in _chunks(x, w, target, b):
        _loop(loss[at], labels, z, True)
        _guess_loop(guess[at], z, probabilities)


def _dx_numba(outs, dy, x, w, target, b=None, *, probabilities):
    _check_targets("linear_cross_entropy_dx", target, w)
    loss, guess, dx, dw, db = outs
    if not x.shape[-1]:
        x, w = np.zeros((*x.shape[:-1], 1), x.dtype), np.zeros((1, w.shape[1]), x.dtype)
        dx, dw = np.empty_like(x), np.empty_like(w)
    loss, guess, dy = loss.reshape(-1), guess.reshape(-1), column(dy)
    dw[...] = 0
    db[...] = 0
    dx, back = rows(dx), np.ascontiguousarray(w.T)[None]
    part = np.empty((1, *dw.shape), dw.dtype)
    for at, some, labels, z in _chunks(x, w, target, b):
        _loop(loss[at], labels, z, True)
        _guess_loop(guess[at], z, probabilities)
        dz = np.empty_like(z)
        _dx_loop(dz, dy[at], labels, z, True)
        product_loop(dx[at][None], dz[None], back)
        product_loop(part, np.ascontiguousarray(some.T)[None], dz[None])
        with np.errstate(all="ignore"):
            dw += part[0]
            db += dz.sum(axis=0)


@kernel(shape=_shape, native=_native, numba=_numba)
def linear_cross_entropy(x, w, target, b=None, *, probabilities=False):
    """Cross-entropy of the logits z = x @ w + b, of which only a few rows exist at a time.

    loss = log(sum(exp(z - m))) - (z[target] - m) with m = max(z): the bits of `dense_forward` followed by
    `sparse_categorical_crossentropy` from logits.

    Args:
        x: float array (..., d).
        w: array of x's dtype (d, classes).
        target: integers (...), each in [0, classes).
        b: array of x's dtype (classes,), or None.
        probabilities: whether `guess` goes by softmax(z), where rounding may make equal what was not.

    Returns:
        (loss, guess), both (...): the guess is the first class with the largest logit, int32.

    Raises:
        ValueError: the shapes do not fit together.
        TypeError: x is not floating, or target not integral.
        IndexError: a target is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x, w = np.array([[1, 0], [0, 2]], "float32"), np.eye(2, 3, dtype="float32")
        >>> loss, guess = qn.kernels.linear_cross_entropy(x, w, np.array([0, 2]))
        >>> loss.round(3), guess
        (array([0.551, 2.24 ], dtype=float32), array([0, 1], dtype=int32))
    """
    _check_targets("linear_cross_entropy", target, w)
    if not target.size:
        return np.zeros(target.shape, x.dtype), np.zeros(target.shape, np.int32)
    z = _logits(x, w, b)
    picked = np.take_along_axis(z, target[..., None], axis=-1)[..., 0]
    m = np.max(z, axis=-1)
    return np.log(np.sum(np.exp(z - m[..., None]), axis=-1)) - (picked - m), _largest(z, probabilities)


@kernel(shape=_dx_shape, native=_native, numba=_dx_numba)
def linear_cross_entropy_dx(dy, x, w, target, b=None, *, probabilities=False):
    """The values and all gradients of `linear_cross_entropy` in one pass over chunks of 512 rows.

    With z = x @ w + b: dz_i = softmax(z)_i dy, less dy at i = target; dx = dz @ w^T, dw = x^T dz, db = sum of dz over
    the rows: the bits of `sparse_categorical_crossentropy_dx`, `dense_dx`, `dense_dw` and `bias_db`.

    Args:
        dy: gradient of the loss (...).
        x: float array (..., d).
        w: array of x's dtype (d, classes).
        target: integers (...), each in [0, classes).
        b: array of x's dtype (classes,), or None.
        probabilities: as for `linear_cross_entropy`.

    Returns:
        (loss, guess, dx, dw, db): shapes (...), (...), x's, w's, (classes,).

    Raises:
        ValueError: the shapes do not fit together.
        TypeError: x is not floating, or target not integral.
        IndexError: a target is out of range.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x, w = np.array([[1, 3]], "float32"), np.zeros((2, 2), "float32")
        >>> loss, _, dx, dw, db = qn.kernels.linear_cross_entropy_dx(np.ones(1, "float32"), x, w, np.array([1]))
        >>> dw, db
        (array([[ 0.5, -0.5],
               [ 1.5, -1.5]], dtype=float32), array([ 0.5, -0.5], dtype=float32))
    """
    _check_targets("linear_cross_entropy_dx", target, w)
    if not target.size:
        none = np.zeros(target.shape, x.dtype)
        return none, none.astype(np.int32), np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1], x.dtype)
    z = _logits(x, w, b)
    loss, guess = linear_cross_entropy.definition(x, w, target, b, probabilities=probabilities)
    q = _softmax(z)
    dz = np.where(np.arange(w.shape[1]) == target[..., None], q - 1, q) * dy[..., None]
    flat = dz.reshape(-1, w.shape[1])
    return loss, guess, np.matmul(dz, w.T), np.matmul(x.reshape(len(flat), w.shape[0]).T, flat), np.sum(flat, axis=0)
