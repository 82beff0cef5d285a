"""Tracker: finds variables, layers, metrics and seed generators among the attributes of a layer, also inside lists
and dicts.

An object that is to be tracked has `_tracked_as`, the name of the store it belongs to: "variables", "layers", "metrics"
or "seed_generators".
"""

import copy
import threading

from . import recording

STORES = ("variables", "layers", "metrics", "seed_generators")
local = threading.local()  # its `context` is what an outermost layer call shares with the calls inside it
_PLAIN = frozenset({bool, int, float, str, type(None), bytes})


class Tracker:
    """The tracked objects of one layer, by kind, in the order in which they came.

    Attributes: variables split in trainable_variables and non_trainable_variables by what they were when they came,
        as Keras does.
    """

    _version = 0  # of the lists below, for plans (recording.py)
    _trainable = None

    def __init__(self):
        self.trainable_variables = []
        self.non_trainable_variables = []
        self.layers = []
        self.metrics = []
        self.seed_generators = []
        self.locked = False
        self._ids = set()

    def __getstate__(self):
        return {key: value for key, value in self.__dict__.items() if key != "_ids"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._ids = {id(v) for store in self._stores() for v in store}  # of a pickle's own objects

    def _stores(self):
        return (self.trainable_variables, self.non_trainable_variables, self.layers, self.metrics, self.seed_generators)

    def _store(self, value):
        kind = value._tracked_as
        if kind == "variables":
            return self.trainable_variables if value.trainable else self.non_trainable_variables
        return getattr(self, kind)

    def add(self, value):
        """Takes an object that has `_tracked_as`, once."""
        if id(value) in self._ids:
            return
        if self.locked:
            raise ValueError(
                "layer: expected all variables and sublayers to be made in `__init__` or `build`: this layer is built, "
                f"and received {value!r}"
            )
        self._ids.add(id(value))
        self._store(value).append(value)
        recording.bump(self)

    def changed(self):
        """Counts a change of what a list or dict holds; what `call` itself, or a recorded step, puts there is no setting."""
        if getattr(local, "context", None) is None and recording.current() is None:
            recording.bump(self)

    def remove(self, value):
        """Forgets an object, or all those in a list, tuple or dict."""
        if isinstance(value, (list, tuple, dict)):
            for part in value.values() if isinstance(value, dict) else value:
                self.remove(part)
        elif id(value) in self._ids:
            self._ids.discard(id(value))
            recording.bump(self)
            for store in self._stores():
                store[:] = [v for v in store if v is not value]

    def track(self, value):
        """The value for an attribute: the same, or a list or dict that goes on tracking what is put into it."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list:
            return TrackedList(value, self)
        if kind is dict:
            return TrackedDict(value, self)
        if kind is tuple:
            return tuple(self.track(v) for v in value)
        if getattr(value, "_tracked_as", None) in STORES and not isinstance(value, type):
            self.add(value)
        return value


class TrackedList(list):
    """A list attribute of a layer: what is put into it is tracked, and a change of it is one of the layer."""

    def __init__(self, values=(), tracker=None):
        self._tracker = tracker
        super().__init__(values if tracker is None else map(tracker.track, values))

    def _take(self, value):
        return value if self._tracker is None else self._tracker.track(value)

    def _drop(self, value):
        if self._tracker is not None:
            self._tracker.remove(value)

    def _changed(self):
        if self._tracker is not None:
            self._tracker.changed()

    def append(self, value):
        super().append(self._take(value))
        self._changed()

    def insert(self, index, value):
        super().insert(index, self._take(value))
        self._changed()

    def extend(self, values):
        super().extend([self._take(v) for v in values])
        self._changed()

    def __iadd__(self, values):
        self.extend(values)
        return self

    def __imul__(self, times):
        self[:] = list(self) * times
        return self

    def __setitem__(self, index, value):
        self._drop(self[index])
        super().__setitem__(index, [self._take(v) for v in value] if isinstance(index, slice) else self._take(value))
        self._changed()

    def __delitem__(self, index):
        self._drop(self[index])
        super().__delitem__(index)
        self._changed()

    def pop(self, index=-1):
        value = super().pop(index)
        self._drop(value)
        self._changed()
        return value

    def remove(self, value):
        for i, v in enumerate(self):
            if v is value:
                del self[i]
                return
        raise ValueError("list.remove(x): x not in list")

    def clear(self):
        del self[:]

    def sort(self, *, key=None, reverse=False):
        super().sort(key=key, reverse=reverse)
        self._changed()

    def reverse(self):
        super().reverse()
        self._changed()

    def __reduce__(self):
        return TrackedList, (), {"_tracker": self._tracker}, iter(self)

    def __copy__(self):
        return list(self)

    def __deepcopy__(self, memo):
        return copy.deepcopy(list(self), memo)


class TrackedDict(dict):
    """A dict attribute of a layer: what is put into it is tracked, and a change of it is one of the layer."""

    def __init__(self, values=(), tracker=None):
        self._tracker = tracker
        super().__init__()
        self.update(values)

    def __setitem__(self, key, value):
        if key in self:
            self._drop(self[key])
        super().__setitem__(key, value if self._tracker is None else self._tracker.track(value))
        self._changed()

    def _drop(self, value):
        if self._tracker is not None:
            self._tracker.remove(value)

    def _changed(self):
        if self._tracker is not None:
            self._tracker.changed()

    def update(self, *args, **keywords):
        for key, value in dict(*args, **keywords).items():
            self[key] = value

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other):
        self.update(other)
        return self

    def __delitem__(self, key):
        self._drop(self[key])
        super().__delitem__(key)
        self._changed()

    def pop(self, key, *default):
        value = super().pop(key, *default)
        self._drop(value)
        self._changed()
        return value

    def popitem(self):
        key, value = super().popitem()
        self._drop(value)
        self._changed()
        return key, value

    def clear(self):
        self._drop(dict(self))
        super().clear()
        self._changed()

    def __reduce__(self):
        return TrackedDict, (), {"_tracker": self._tracker}, None, iter(self.items())

    def __copy__(self):
        return dict(self)

    def __deepcopy__(self, memo):
        return copy.deepcopy(dict(self), memo)
