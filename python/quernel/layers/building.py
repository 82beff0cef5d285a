"""How a layer is built: once, in its name scope, from the shapes of its first call; and how that is saved."""

import functools
import inspect
import os
import threading

from .. import naming, tree
from ..spec_scope import state_scope
from .arguments import shapes_for

building_lock = threading.RLock()  # one for all layers: locks of their own could be taken in two orders
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=building_lock._at_fork_reinit)


def _wrap_build(original):
    """`build` in the layer's name scope; afterwards the layer is built and takes no more state."""

    @functools.wraps(original)
    def build(self, *args, **kwargs):
        if self._building:  # super().build(...)
            original(self, *args, **kwargs)
            return
        object.__setattr__(self, "_building", True)
        try:
            with state_scope(), self._scope():
                object.__setattr__(self, "_path", naming.current_path())
                original(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_building", False)
        bound = inspect.signature(original).bind(self, *args, **kwargs).arguments
        self._mark_built(dict(list(bound.items())[1:]))

    build._is_wrapped_build = True
    return build


class Building:
    """The part of Layer that builds it."""

    _locks_state = True  # whether no more state may be added once it is built

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        build = cls.__dict__.get("build")
        if build is not None and not getattr(build, "_is_wrapped_build", False):
            cls.build = _wrap_build(build)

    def _mark_built(self, shapes):
        object.__setattr__(self, "_build_shapes", shapes)
        self.built = True
        self._tracker.locked = self._locks_state

    def _scope(self):
        if self._parent_path is None:
            object.__setattr__(self, "_parent_path", naming.current_path())
        return naming.name_scope(self.name, self, self._parent_path)

    def build(self, input_shape=None):
        """Makes the weights; called once, before the first call, with the shape of its first input (or one argument
        `<name>_shape` for each tensor argument of `call`). Without one of its own, sublayers are built as `call`
        reaches them.
        """
        self._check_super_called()

    def _maybe_build(self, call):
        if self.built:
            return
        if type(self).build is Building.build:
            self.build(call.first_shape())
            return
        self.build(**shapes_for(self.build, call, type(self).__name__))
        self._assert_input_compatibility(call.first)

    def get_build_config(self):
        """What `build_from_config` needs to build an equal layer."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": dict(self._build_shapes)}

    def build_from_config(self, config):
        """Builds from what `get_build_config` returned."""
        if config and "input_shape" in config:
            self.build(tree.map_shapes(tuple, config["input_shape"]) if config["input_shape"] is not None else None)
        elif config and "shapes_dict" in config:
            self.build(**{k: tree.map_shapes(tuple, v) for k, v in config["shapes_dict"].items()})


Building.build = _wrap_build(Building.build)
