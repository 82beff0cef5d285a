"""What compile() was given, spread over the outputs of a model: a loss, weights and metrics for each."""

from .. import tree


def names_of(y_pred, output_names):
    """A name (or None) for each output, in the order of tree.flatten."""
    if isinstance(y_pred, dict):
        return sorted(y_pred)
    n = len(tree.flatten(y_pred))
    if output_names and len(output_names) == n:
        return list(output_names)
    return [None] * n


def flatten_like(value, names, what):
    """The leaves of targets or weights as a list in the order of the outputs; a dict is read by the outputs' names."""
    if isinstance(value, dict) and all(name in value for name in names):
        return [value[name] for name in names]
    if isinstance(value, dict) and any(key not in names for key in value):
        raise ValueError(f"{what}: expected keys among the outputs {names}, received {sorted(value)}")
    if isinstance(value, dict):
        return [value.get(name) for name in names]
    return tree.flatten(value)


def spread(value, names, what, shared):
    """One entry for each output: of a list by position, of a dict by name, else `value` itself if `shared`."""
    n = len(names)
    if isinstance(value, dict):
        unknown = [key for key in value if key not in names]
        if unknown:
            raise ValueError(f"{what}: expected keys among the outputs {names}, received {sorted(value)}")
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)):
        if len(value) != n:
            raise ValueError(f"{what}: expected one entry for each of the {n} outputs, received {len(value)}")
        return list(value)
    if value is not None and not shared and n > 1:
        raise ValueError(
            f"{what}: expected a list or dict with an entry for each of the {n} outputs, received {value!r}"
        )
    return [value] * n


def kind_of_labels(y_true, y_pred):
    """What "accuracy" and "crossentropy" mean here: "binary", "sparse" or "categorical", by the shapes."""
    if y_pred.shape[-1:] == (1,):
        return "binary"
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1:] == (1,):
        return "sparse"
    return "categorical"
