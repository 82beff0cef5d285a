"""Cases of every op, by room: `all_cases()` and `speed_cases()` gather them."""

import importlib
import pkgutil


def _gather(attribute):
    found = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        found.extend(getattr(importlib.import_module(f"{__name__}.{module}"), attribute))
    return found


def all_cases():
    """The cases that tests run, of every room."""
    return _gather("CASES")


def speed_cases():
    """The cases that only benches time, of every room."""
    return _gather("SPEED")
