"""Files of weights: one safetensors file whose keys follow the model's structure ("dense_1/kernel"), not automatic
names.

A layer's key is its class in snake case, numbered among its siblings, so a second model of the same architecture
reads the file.
"""

import os
import warnings

from .. import naming
from .atomic import atomic_write

_FORMAT = {"format": "quernel weights", "version": "1"}


def weight_keys(layer):
    """{key: Variable} of all weights of a layer, in the order of `layer.weights`; shared ones under their first key."""
    keys, seen = {}, set()

    def visit(owner, prefix):
        used = {}
        for variable in owner._own_weights():
            if id(variable) not in seen:
                seen.add(id(variable))
                keys[prefix + _numbered(used, variable.name)] = variable
        used = {}
        for sublayer in owner._tracker.layers:
            name = _numbered(used, naming.to_snake_case(type(sublayer).__name__))
            visit(sublayer, f"{prefix}{name}/")

    visit(layer, "")
    return keys


def _numbered(used, name):
    number = used.get(name, 0)
    used[name] = number + 1
    return f"{name}_{number}" if number else name


def _check_path(path):
    path = os.fspath(path)
    if not path.endswith(".safetensors"):
        raise ValueError(
            f"weights file: expected a name that ends in '.weights.safetensors' or '.safetensors', received {path!r}"
        )
    return path


def save_weights(model, filepath, overwrite=True):
    """Writes a built model's weights; see `Model.save_weights`."""
    path = _check_path(filepath)
    if not model.built:
        raise ValueError(
            f"save_weights: expected a built model, received {model!r}; call it on data, or build(input_shape)"
        )
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"save_weights: {path!r} exists and overwrite is False")
    from safetensors.numpy import save

    data = save({key: variable.numpy() for key, variable in weight_keys(model).items()}, metadata=_FORMAT)
    with atomic_write(path) as file:
        file.write(data)


def load_weights(model, filepath, skip_mismatch=False):
    """Reads weights into a built model; see `Model.load_weights`."""
    path = _check_path(filepath)
    if not model.built:
        raise ValueError(
            f"load_weights: expected a built model, received {model!r}; call it on data, or build(input_shape)"
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"load_weights: there is no file {path!r}")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"load_weights: {path!r} is not a safetensors file: {error}") from None
    wanted = weight_keys(model)
    problems = []
    for key, variable in wanted.items():
        if key not in stored:
            problems.append(f"{key}: expected shape {variable.shape}, received nothing")
        elif stored[key].shape != variable.shape:
            problems.append(f"{key}: expected shape {variable.shape}, received {stored[key].shape}")
    problems.extend(f"{key}: not expected, received shape {stored[key].shape}" for key in stored if key not in wanted)
    if problems:
        text = f"load_weights: {path!r} does not fit model {model.name!r}: " + "; ".join(problems[:8])
        text += f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        if not skip_mismatch:
            raise ValueError(text)
        warnings.warn(text + "; these are left as they are", stacklevel=3)
    for key, variable in wanted.items():
        if key in stored and stored[key].shape == variable.shape:
            variable.assign(stored[key])
