"""Checks of arguments: layers, optimizers and models refuse the same values in the same words."""


def whole(value, name, least):
    """The value as an int of at least `least`, or ValueError."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise ValueError(f"{name}: expected an int of at least {least}, received {value!r}")
    return value.__index__()


def positive_int(value, name):
    """The value as an int of at least 1, or ValueError."""
    return whole(value, name, 1)


def share(value, name):
    """The value, a number from 0 to 1, or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, received {value!r}")
    return value
