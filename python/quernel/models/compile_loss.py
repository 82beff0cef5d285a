"""CompileLoss: the losses of a compiled model, one or none for each output, as one weighted sum."""

from .. import losses
from ..losses.loss import LossFunctionWrapper
from ..metrics.mean import Mean
from .outputs import flatten_like, kind_of_labels, names_of, spread

_CROSSENTROPY = {
    "binary": losses.binary_crossentropy,
    "sparse": losses.sparse_categorical_crossentropy,
    "categorical": losses.categorical_crossentropy,
}


def get_loss(identifier, y_true, y_pred):
    """The Loss for a name, function or object; "crossentropy" and "ce" choose by the shapes."""
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        loss = _CROSSENTROPY[kind_of_labels(y_true, y_pred)]
    else:
        loss = losses.get(identifier)
    if isinstance(loss, losses.Loss):
        return loss
    name = identifier if isinstance(identifier, str) else getattr(loss, "__name__", type(loss).__name__)
    return LossFunctionWrapper(loss, name=name)


class CompileLoss:
    """Callable as loss(y_true, y_pred, sample_weight) -> scalar Tensor, or None where no output has a loss.

    Args:
        loss: a name, function or Loss for all outputs, or a list or dict with one (or None) for each.
        loss_weights: factors, in the form of `loss`; a number for a single output.
        output_names: names of the model's outputs where it has them.
    """

    def __init__(self, loss, loss_weights=None, output_names=None):
        self._loss = loss
        self._weights = loss_weights
        self._output_names = output_names
        self._entries = None  # [(position of the output, Loss, weight, tracker or None)]

    @property
    def built(self):
        return self._entries is not None

    @property
    def metrics(self):
        """With several losses: a Mean for each, named after its output."""
        return [tracker for *_, tracker in self._entries or () if tracker is not None]

    def _targets(self, y_true, names, wanted):
        targets = flatten_like(y_true, names, "y")
        if len(targets) != len(names):
            if len(targets) != len(wanted):
                raise ValueError(f"y: expected {len(names)} targets, one for each output, received {len(targets)}")
            given, targets = targets, [None] * len(names)  # targets only for the outputs that have a loss
            for i, target in zip(wanted, given):
                targets[i] = target
        for i in wanted:
            if targets[i] is None:
                what = "y" if names[i] is None or len(names) == 1 else f"y[{names[i]!r}]"
                raise ValueError(f"{what}: expected targets for the loss that compile was given, received None")
        return targets

    def _build(self, y_true, outputs, names):
        identifiers = self._loss
        if len(names) == 1 and isinstance(identifiers, (list, tuple)) and len(identifiers) == 1:
            identifiers = identifiers[0]
        identifiers = spread(identifiers, names, "loss", shared=True)
        weights = spread(self._weights, names, "loss_weights", shared=False)
        wanted = [i for i, identifier in enumerate(identifiers) if identifier is not None]
        targets = self._targets(y_true, names, wanted)
        entries = []
        for i in wanted:
            loss = get_loss(identifiers[i], targets[i], outputs[i])
            weight = None if weights[i] is None else float(weights[i])
            name = loss.name if names[i] is None else names[i]
            tracker = Mean(name=f"{name}_loss") if len(wanted) > 1 else None
            entries.append((i, loss, weight, tracker))
        self._entries = entries

    def __call__(self, y_true, y_pred, sample_weight=None):
        names = names_of(y_pred, self._output_names)
        outputs = flatten_like(y_pred, names, "y_pred")
        if self._entries is None:
            self._build(y_true, outputs, names)
        targets = self._targets(y_true, names, [i for i, *_ in self._entries])
        weights = [None] if sample_weight is None else flatten_like(sample_weight, names, "sample_weight")
        if len(weights) == 1:
            weights = weights * len(names)
        elif len(weights) != len(names):
            raise ValueError(f"sample_weight: expected one or {len(names)} arrays, received {len(weights)}")
        total = None
        for i, loss, factor, tracker in self._entries:
            value = loss(targets[i], outputs[i], weights[i])
            if tracker is not None:
                tracker.update_state(value, sample_weight=outputs[i].shape[0])
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        return total
