"""PyTorch's twins of the ops on sequences: tables of rows, the fused last layer, one step of recurrent units."""


def _embedding(torch, case, attrs, table, ids):
    ids = ids.long()
    return [("", lambda: torch.nn.functional.embedding(ids, table))]


def _linear_loss(torch, target, b):
    """The rows' losses of logits that PyTorch holds whole: the weights as (o, i), as its Linear layers have them."""
    functional, target = torch.nn.functional, target.long()
    return lambda x, w: functional.cross_entropy(functional.linear(x, w, b), target, reduction="none")


def _linear_cross_entropy(torch, case, attrs, x, w, target, b=None):
    loss, rows = _linear_loss(torch, target, b), w.T.contiguous()
    return [("weights (o, i)", lambda: loss(x, rows))]


def _linear_cross_entropy_dx(torch, case, attrs, dy, x, w, target, b=None):
    """Losses and gradients, as our one call gives them; the labels that it guesses are left out."""
    with torch.inference_mode(False), torch.enable_grad():
        dy, target = dy.clone(), target.clone()  # made outside inference mode
        b = None if b is None else b.clone().requires_grad_()
        x, rows = x.clone().requires_grad_(), w.T.contiguous().clone().requires_grad_()
        leaves = [v for v in (x, rows, b) if v is not None]
        loss = _linear_loss(torch, target, b)

        def call():
            with torch.inference_mode(False), torch.enable_grad():
                values = loss(x, rows)
                dx, dw, *db = torch.autograd.grad(values, leaves, dy)
            return values, None, dx, dw.T, *db

    return [("weights (o, i)", call)]


def _rows(torch, w, u, order):
    """A function that makes our weights PyTorch's: gates by rows, in its order."""

    def rows(a):
        if a is None:
            return torch.zeros(w.shape[1])
        parts = a.movedim(-1, 0).chunk(w.shape[1] // u.shape[0])
        return torch.cat([parts[i] for i in order])

    return rows


def _cell(torch, case, attrs, x, w, u, h, b, recurrent_b=None):
    """One step of simple or gated units; PyTorch's gates are reset, update, candidate."""
    function, order = (torch.gru_cell, (1, 0, 2)) if case.op == "gru_cell" else (torch.rnn_tanh_cell, (0,))
    weights = [_rows(torch, w, u, order)(a) for a in (w, u, b, recurrent_b)]
    return [("", lambda: function(x, h, *weights))]


def _lstm_cell(torch, case, attrs, x, w, u, b, h, c):
    weights = [_rows(torch, w, u, (0, 1, 2, 3))(a) for a in (w, u, b, None)]
    return [("", lambda: torch.lstm_cell(x, (h, c), *weights))]


SEQUENCES = {
    "embedding": _embedding,
    "linear_cross_entropy": _linear_cross_entropy,
    "linear_cross_entropy_dx": _linear_cross_entropy_dx,
    "gru_cell": _cell,
    "rnn_cell": _cell,
    "lstm_cell": _lstm_cell,
}
