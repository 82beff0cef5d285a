"""Names: unique automatic ones ("dense", "dense_1"), and the scopes that make the paths of variables
("sequential/dense/kernel").
"""

import re
import threading

_counts = {}  # name without its number -> how often it was given
_local = threading.local()


def to_snake_case(name):
    """ "Conv2D" -> "conv2d", "MaxPooling2D" -> "max_pooling2d"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(name):
    """`name` the first time, then `name`_1, `name`_2, ... until `clear_session`."""
    number = _counts.get(name, -1) + 1
    _counts[name] = number
    return f"{name}_{number}" if number else name


def auto_name(class_name):
    """The unique name of an object of this class."""
    return unique_name(to_snake_case(class_name))


def clear_names():
    """Automatic names start again without a number."""
    _counts.clear()


def check_name(name):
    """Refuses names that cannot be part of a path."""
    if not isinstance(name, str) or not name or "/" in name:
        raise ValueError(f"name: expected a text without '/', received {name!r}")
    return name


def _scopes():
    try:
        return _local.scopes
    except AttributeError:
        _local.scopes = []
        return _local.scopes


class name_scope:
    """Within the `with` block, paths of new variables start with `name`; a scope of the same `caller` is not opened
    twice.

    Args:
        name: what the path gains.
        caller: the object that opens it, if any.
        parent_path: the path to start from instead of the open scopes, if any.
    """

    __slots__ = ("name", "caller", "parent_path", "_entered")

    def __init__(self, name, caller=None, parent_path=None):
        self.name = name
        self.caller = caller
        self.parent_path = parent_path

    def __enter__(self):
        scopes = _scopes()
        self._entered = self.caller is None or not scopes or scopes[-1].caller is not self.caller
        if self._entered:
            scopes.append(self)
        return self

    def __exit__(self, *error):
        if self._entered:
            _local.scopes.pop()


def current_path():
    """The names of the open scopes, joined by "/"."""
    parts = []
    for scope in _scopes():
        if scope.parent_path is not None:
            parts = scope.parent_path.split("/") if scope.parent_path else []
        parts.append(scope.name)
    return "/".join(parts)
