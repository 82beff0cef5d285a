"""spec_scope and state_scope: whether a thread wants only shapes, or values."""

import threading

_local = threading.local()


class spec_scope:
    """Within the `with` block only shapes are wanted: symbolic calls make no nodes, and Variables count by
    their shape.
    """

    def __enter__(self):
        _local.specs = getattr(_local, "specs", 0) + 1

    def __exit__(self, *error):
        _local.specs -= 1


class state_scope:
    """Within the `with` block values are wanted, also inside of a `spec_scope`: state is being made."""

    def __enter__(self):
        self._specs, _local.specs = getattr(_local, "specs", 0), 0

    def __exit__(self, *error):
        _local.specs = self._specs


def in_spec_scope():
    """Whether this thread is within a `spec_scope`."""
    return getattr(_local, "specs", 0) > 0
