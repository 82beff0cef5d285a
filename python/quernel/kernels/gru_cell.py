"""gru_cell: one step of gated recurrent units from input, weights and state, for inference step by step."""

import numpy as np

from .dense import dense_forward
from .gru import gru_forward, gru_sizes
from .kernel import kernel, spec
from .recurrent import check_floats, check_shape, gate_codes


def _shape(x, w, u, h, b, recurrent_b, *, activation, recurrent_activation, reset_after):
    op = "gru_cell"
    gate_codes(op, activation, recurrent_activation)
    check_floats(op, x=x, w=w, u=u, h=h, b=b, recurrent_b=recurrent_b)
    sizes = gru_sizes(op, u, recurrent_b, reset_after)
    if len(x.shape) != 2:
        raise ValueError(f"{op}: x: expected shape (n, i), received {tuple(x.shape)}")
    sizes["n"], sizes["i"] = x.shape
    check_shape(op, "w", w, "i 3k", sizes)
    check_shape(op, "h", h, "n k", sizes)
    check_shape(op, "b", b, "3k", sizes)
    return spec((sizes["n"], sizes["k"]), x.dtype)


def _native(x, w, u, h, b, recurrent_b, *, activation, recurrent_activation, reset_after):
    return (*gate_codes("gru_cell", activation, recurrent_activation), bool(reset_after), 0), ()


def _numba(outs, x, w, u, h, b, recurrent_b, **attrs):
    (n, k), dtype = h.shape, x.dtype
    room = np.empty((n, 1, k), dtype), outs[0], np.empty((1, n, 4 * k), dtype)
    z = np.empty((n, 1, 3 * k), dtype)
    dense_forward.numba((z[:, 0],), x, w, b, activation=None)
    gru_forward.numba(room, z, u, recurrent_b, h, None, None, **attrs, go_backwards=False)


@kernel(shape=_shape, native=_native, numba=_numba)
def gru_cell(
    x, w, u, h, b=None, recurrent_b=None, *,
    activation="tanh", recurrent_activation="sigmoid", reset_after=True,
):  # fmt: skip
    """One step of gated recurrent units: h = update * h + (1 - update) * candidate, as `gru_forward` with z = x w + b.

    Args:
        x: (n, i), the input of one step.
        w: (i, 3k), weights of the input: update, reset, candidate.
        u: (k, 3k), recurrent weights.
        h: (n, k), the state.
        b: (3k,) bias, or None.
        recurrent_b: (3k,) recurrent bias, or None; only with reset_after.
        activation, recurrent_activation, reset_after: as in `gru_forward`.

    Returns:
        The next state, (n, k).

    Raises:
        ValueError: where shapes do not agree, or for another activation.

    Example:
        >>> import numpy as np, quernel as qn
        >>> x, w, u = np.zeros((1, 2), "float32"), np.zeros((2, 3), "float32"), np.array([[0, 0, 1]], "float32")
        >>> qn.kernels.gru_cell(x, w, u, np.ones((1, 1), "float32")).round(4)
        array([[0.7311]], dtype=float32)
    """
    attrs = {"activation": activation, "recurrent_activation": recurrent_activation, "reset_after": reset_after}
    z = dense_forward.definition(x, w, b)[:, None]
    return gru_forward.definition(z, u, recurrent_b, h, **attrs)[1]
