"""Families of objects that may be named: "relu", "mse", {"class_name": "L2", "config": {"l2": 0.1}}."""

import copy
import inspect

from .naming import to_snake_case
from .saving.registry import copying, get_registered_name, get_registered_object, kept_name, serialize_object


class Family:
    """The objects of one kind (losses, initializers, ...), by name, alias, configuration, or as they are.

    Args:
        kind: what one of them is called in messages.
        objects: the classes and functions; a class is found by its name and by that in snake case.
        aliases: {another name: class or function}.
    """

    def __init__(self, kind, objects, aliases=None):
        self.kind = kind
        self.objects = {o.__name__: o for o in objects}
        self.names = dict(self.objects)
        self.names.update({to_snake_case(name): o for name, o in self.objects.items()})
        self.names.update(aliases or {})

    def _find(self, name, custom_objects):
        found = get_registered_object(name, custom_objects) or self.names.get(name)
        if found is None:
            known = ", ".join(sorted(self.names))
            raise ValueError(f"{self.kind}: expected one of {known}, an object or a function, received {name!r}")
        return found

    def get(self, identifier):
        """The object for a name, a configuration, a class, or a callable as it is; None for None."""
        if identifier is None:
            return None
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, str):
            identifier = self._find(identifier, None)
        if inspect.isclass(identifier):
            return identifier()
        if callable(identifier) or hasattr(identifier, "get_config"):
            return identifier
        raise ValueError(
            f"{self.kind}: expected a name, a configuration, an object or a function, received {identifier!r}"
        )

    def _is_known(self, cls):
        return cls in self.objects.values() or get_registered_object(get_registered_name(cls)) is cls

    def serialize(self, value):
        """What `deserialize` makes an equal object from: a dict, the name of a function, or None for None."""
        if value is None:
            return None
        if hasattr(value, "get_config"):
            if copying() and not self._is_known(type(value)):
                return kept_name(copy.deepcopy(value))  # its get_config may be the base's, which knows no arguments
            return serialize_object(value)
        name = getattr(value, "__name__", "<lambda>")
        if self.names.get(name) is not value and (kept := kept_name(value)):
            return kept
        if name == "<lambda>":
            raise ValueError(
                f"{self.kind}: expected a named function or an object with get_config, received {value!r}; define it by "
                f"`def` and register it with quernel.saving.register_keras_serializable"
            )
        return get_registered_name(value)

    def deserialize(self, config, custom_objects=None):
        """The object for what `serialize` returned.

        Args:
            config: a dict {"class_name": ..., "config": {...}}, a name, or None.
            custom_objects: {name: class or function} that are not of the library.
        """
        if config is None:
            return None
        if isinstance(config, str):
            found = self._find(config, custom_objects)
            return found() if inspect.isclass(found) else found
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError(f"{self.kind}: expected {{'class_name': ..., 'config': ...}}, received {config!r}")
        found = self._find(config.get("registered_name") or config["class_name"], custom_objects)
        return found.from_config(config.get("config") or {})
