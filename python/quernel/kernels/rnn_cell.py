"""rnn_cell: one step of plain recurrent units from input, weights and state, for inference step by step."""

import numpy as np

from .dense import dense_forward
from .kernel import kernel, spec
from .recurrent import check_floats, check_shape, gate_code, squash
from .rnn import rnn_forward, rnn_units


def _shape(x, w, u, h, b, *, activation):
    op = "rnn_cell"
    gate_code(activation, "activation", op)
    check_floats(op, x=x, w=w, u=u, h=h, b=b)
    if len(x.shape) != 2:
        raise ValueError(f"{op}: x: expected shape (n, i), received {tuple(x.shape)}")
    sizes = {"n": x.shape[0], "i": x.shape[1], "k": rnn_units(op, u)}
    check_shape(op, "w", w, "i k", sizes)
    check_shape(op, "h", h, "n k", sizes)
    check_shape(op, "b", b, "k", sizes)
    return spec((sizes["n"], sizes["k"]), x.dtype)


def _native(x, w, u, h, b, *, activation):
    return (gate_code(activation, "activation", "rnn_cell"),), ()


def _numba(outs, x, w, u, h, b, *, activation):
    room, z = np.empty((2, h.shape[0], 1, h.shape[1]), x.dtype)
    dense_forward.numba((z[:, 0],), x, w, b, activation=None)
    rnn_forward.numba((room, outs[0]), z, u, h, None, None, activation=activation, go_backwards=False)


@kernel(shape=_shape, native=_native, numba=_numba)
def rnn_cell(x, w, u, h, b=None, *, activation="tanh"):
    """One step of plain recurrent units: h = f(x w + b + h u).

    Args:
        x: (n, i), the input of one step.
        w: (i, k), weights of the input.
        u: (k, k), recurrent weights.
        h: (n, k), the state.
        b: (k,) bias, or None.
        activation: f, "tanh", "sigmoid", "relu" or "linear" (or None).

    Returns:
        The next state, (n, k).

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x, w, u = np.ones((1, 2), "float32"), np.ones((2, 1), "float32"), 3 * np.ones((1, 1), "float32")
        >>> qn.kernels.rnn_cell(x, w, u, np.ones((1, 1), "float32"), activation="linear")
        array([[5.]], dtype=float32)
    """
    return squash(dense_forward.definition(x, w, b) + np.matmul(h, u), gate_code(activation, "activation", "rnn_cell"))
