"""Nested structures of lists, tuples and dicts: flatten them, map over them, put flat values back into their form."""


def is_nested(value):
    """Whether `value` is a list, tuple or dict."""
    return isinstance(value, (list, tuple, dict))


def _keys(structure):
    return sorted(structure)  # as in Keras: the order of a dict's leaves does not depend on how it was filled


def flatten(structure):
    """The leaves of a structure as a list; a dict's in the order of its sorted keys.

    Example:
        >>> from quernel import tree
        >>> tree.flatten({"b": [1, 2], "a": (3,)})
        [3, 1, 2]
    """
    if isinstance(structure, (list, tuple)):
        return [leaf for part in structure for leaf in flatten(part)]
    if isinstance(structure, dict):
        return [leaf for key in _keys(structure) for leaf in flatten(structure[key])]
    return [structure]


def _remake(structure, parts):
    if isinstance(structure, tuple):
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)
    return list(parts)


def map_structure(function, structure):
    """The structure with `function` applied to every leaf."""
    if isinstance(structure, dict):
        return {key: map_structure(function, part) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        return _remake(structure, [map_structure(function, part) for part in structure])
    return function(structure)


def _fill(structure, leaves):
    if isinstance(structure, dict):
        filled = {key: _fill(structure[key], leaves) for key in _keys(structure)}
        return {key: filled[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        return _remake(structure, [_fill(part, leaves) for part in structure])
    return next(leaves)


def pack(structure, leaves):
    """The structure with its leaves replaced, in the order of `flatten`."""
    return _fill(structure, iter(leaves))


def is_shape(value):
    """Whether `value` is one shape: a list or tuple of sizes and None."""
    return isinstance(value, (list, tuple)) and all(n is None or isinstance(n, int) for n in value)


def map_shapes(function, structure):
    """The structure with `function` applied to every shape in it."""
    if is_shape(structure):
        return function(tuple(structure))
    if isinstance(structure, dict):
        return {key: map_shapes(function, part) for key, part in structure.items()}
    return _remake(structure, [map_shapes(function, part) for part in structure])
