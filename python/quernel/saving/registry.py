"""Classes by name: objects to and from dicts of plain values. Names are looked up in fixed lists; nothing is
imported by name.
"""

import contextlib
import contextvars

_registered = {}  # "package>name" -> class
_names = {}  # class -> "package>name"
_everywhere = {}  # name -> class
_scopes = contextvars.ContextVar("quernel_custom_objects", default=())  # such dicts of this thread, innermost last
_kept = contextvars.ContextVar("quernel_kept", default=None)  # {name: function} of the copy being made, or None
# Where the classes of this package are found, and nowhere else.
_NAMESPACES = (
    "layers",
    "models",
    "losses",
    "metrics",
    "optimizers",
    "initializers",
    "regularizers",
    "constraints",
    "random",
)


def register_keras_serializable(package="Custom", name=None):
    """Registers the decorated class (or function), so that configs may name it: as "package>name".

    Args:
        package: a name for your project.
        name: default: the class's name.

    Example:
        >>> import quernel as qn
        >>> @qn.saving.register_keras_serializable("mine")
        ... class Twice(qn.layers.Layer):
        ...     def call(self, x):
        ...         return x * 2
        >>> qn.saving.get_registered_name(Twice)
        'mine>Twice'
    """

    def decorate(cls):
        if isinstance(cls, type) and not hasattr(cls, "get_config"):
            raise ValueError(f"register_keras_serializable: {cls.__name__}: expected a class with get_config")
        key = f"{package}>{name or cls.__name__}"
        _registered[key] = cls
        _names[cls] = key
        return cls

    return decorate


def get_registered_name(cls):
    """ "package>name" of a registered class, else the class's own name."""
    return _names.get(cls, cls.__name__)


def get_registered_object(name, custom_objects=None):
    """The class of this name: from `custom_objects`, the scopes, what was registered; None if there is none."""
    for table in (custom_objects or {}, *reversed(_scopes.get()), _everywhere, _registered):
        if name in table:
            return table[name]
    return None


@contextlib.contextmanager
def custom_object_scope(custom_objects):
    """Within the `with` block, configs may name the classes of this dict."""
    token = _scopes.set((*_scopes.get(), dict(custom_objects)))
    try:
        yield
    finally:
        _scopes.reset(token)


CustomObjectScope = custom_object_scope


@contextlib.contextmanager
def functions_as_they_are():
    """Within the `with` block, for copies in memory, configs name functions and classes that are not registered, too."""
    kept = {}
    scopes, mine = _scopes.set((*_scopes.get(), kept)), _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(mine)
        _scopes.reset(scopes)


def kept_name(function):
    """A name that configs find this very function, class or object by in `functions_as_they_are`; None outside of it."""
    kept = _kept.get()
    if kept is None:
        return None
    name = f"kept>{id(function)}"  # no id is another's: the dict holds on to the function
    kept[name] = function
    return name


def copying():
    """Whether this is in `functions_as_they_are`."""
    return _kept.get() is not None


def get_custom_objects():
    """The dict of classes that configs may name everywhere; it can be changed."""
    return _everywhere


def _own_class(name):
    """A class of this package, by its public name."""
    import quernel

    if name == "KernelOperation":
        from ..operation import KernelOperation

        return KernelOperation
    if name in ("InputLayer", "Functional"):
        from ..layers.input_layer import InputLayer
        from ..models.functional import Functional

        return {"InputLayer": InputLayer, "Functional": Functional}[name]
    for namespace in _NAMESPACES:
        module = getattr(quernel, namespace)
        if name in dir(module):
            found = getattr(module, name)
            if isinstance(found, type):
                return found
    return None


def serialize_object(value):
    """{"class_name", "config"} of an object with `get_config`."""
    if not hasattr(value, "get_config"):
        raise TypeError(f"serialize_object: expected an object with get_config, received {type(value).__name__}")
    cls = type(value)
    return {
        "class_name": cls.__name__,
        "registered_name": _names.get(cls) or kept_name(cls),
        "config": value.get_config(),
    }


def deserialize_object(config, custom_objects=None):
    """The object of what `serialize_object` returned.

    Args:
        config: {"class_name", "config"}.
        custom_objects: {class name: class} beside those of quernel and the registered ones.

    Raises:
        ValueError: when the class is not known.
    """
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise ValueError(f"deserialize_object: expected a dict with 'class_name' and 'config', received {config!r}")
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize_object(config)
    name = config["class_name"]
    registered = config.get("registered_name")
    cls = (get_registered_object(registered) if registered else None) or get_registered_object(name)
    if cls is None and not registered:
        cls = _own_class(name)
    if cls is None:
        raise ValueError(
            f"deserialize_object: expected the name of a class of quernel or a registered one, received "
            f"{registered or name!r}; use quernel.saving.register_keras_serializable or custom_objects"
        )
    return cls.from_config(_plain_lists_to_shapes(config["config"]))


def _plain_lists_to_shapes(config):
    """JSON has no tuples: what was a shape comes back as a list, and is made a tuple again."""
    from ..tree import is_shape

    return {key: tuple(v) if isinstance(v, list) and v and is_shape(v) else v for key, v in config.items()}
