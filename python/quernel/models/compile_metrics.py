"""CompileMetrics: the metrics of a compiled model, lists of them for each output."""

from .. import metrics
from ..metrics.metric import Metric
from .outputs import flatten_like, kind_of_labels, names_of, spread

_ACCURACY = {
    "binary": metrics.BinaryAccuracy,
    "sparse": metrics.SparseCategoricalAccuracy,
    "categorical": metrics.CategoricalAccuracy,
}


def get_metric(identifier, y_true, y_pred):
    """The Metric for a name, function or object; "accuracy" and "acc" choose by the shapes."""
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        return _ACCURACY[kind_of_labels(y_true, y_pred)](name=identifier)
    metric = metrics.get(identifier)
    if not isinstance(metric, Metric):
        name = getattr(metric, "__name__", None) or getattr(metric, "name", None) or type(metric).__name__
        metric = metrics.MeanMetricWrapper(metric, name=name)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


class CompileMetrics(Metric):
    """Behaves as one Metric whose result is a dict.

    Args:
        metrics: list of metrics for a single output; for several a list of lists or a dict of them. They ignore
            weights.
        weighted_metrics: the same, for metrics that get the sample weights.
        output_names: names of the model's outputs where it has them.

    Raises:
        ValueError: something else than a list, tuple or dict.
    """

    def __init__(self, metrics, weighted_metrics=None, output_names=None):
        super().__init__(name="compile_metrics")
        for name, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value and not isinstance(value, (list, tuple, dict)):
                raise ValueError(f"{name}: expected a list, tuple or dict, received {value!r}")
        self._given = metrics, weighted_metrics
        self._output_names = output_names
        self._entries = None  # [(position of the output, its name where there are several, Metric, weighted)]

    @property
    def built(self):
        return self._entries is not None

    @property
    def metrics(self):
        """The metrics, flat."""
        return [metric for _, _, metric, _ in self._entries or ()]

    @property
    def variables(self):
        return [v for metric in self.metrics for v in metric.variables]

    def _build(self, targets, outputs, names):
        entries = []
        for value, what, weighted in zip(self._given, ("metrics", "weighted_metrics"), (False, True)):
            if not value:
                continue
            if len(names) == 1 and not isinstance(value, dict):
                groups = [value]
            else:
                groups = spread(value, names, what, shared=False)
            for i, group in enumerate(groups):
                group = group if isinstance(group, (list, tuple)) else [group]
                for identifier in group:
                    if identifier is not None:
                        metric = get_metric(identifier, targets[i], outputs[i])
                        entries.append((i, names[i] if len(names) > 1 else None, metric, weighted))
        self._entries = entries

    def update_state(self, y_true, y_pred, sample_weight=None):
        names = names_of(y_pred, self._output_names)
        outputs = flatten_like(y_pred, names, "y_pred")
        targets = flatten_like(y_true, names, "y")
        if self._entries is None:
            self._build(targets, outputs, names)
        weights = [None] if sample_weight is None else flatten_like(sample_weight, names, "sample_weight")
        if len(weights) == 1:
            weights = weights * len(names)
        for i, _, metric, weighted in self._entries:
            if weighted and weights[i] is not None:
                metric.update_state(targets[i], outputs[i], weights[i])
            else:
                metric.update_state(targets[i], outputs[i])

    def reset_state(self):
        for metric in self.metrics:
            metric.reset_state()

    def result(self):
        """{name: value}; a name that is taken gets "weighted_" (a weighted metric) or a number."""
        results = {}
        for _, output, metric, weighted in self._entries or ():
            name = metric.name if output is None else f"{output}_{metric.name}"
            if name in results and weighted:
                name = f"weighted_{metric.name}" if output is None else f"{output}_weighted_{metric.name}"
            unique, number = name, 0
            while unique in results:
                number += 1
                unique = f"{name}_{number}"
            results[unique] = metric.result()
        return results
