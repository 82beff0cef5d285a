"""Packages whose names are imported on use (PEP 562), so that `import quernel` stays quick."""

import importlib
import sys


def lazy(package, table, present=()):
    """`__getattr__` and `__dir__` for a package: `table` has {module: "Name Name ..."}; `module` alone stands for
    itself.

    Args:
        package: the package's `__name__`.
        table: for each module of the package the public names that it defines.
        present: what the package has already, for `__dir__`.
    """
    where = {name: module for module, names in table.items() for name in names.split()}

    def __getattr__(name):
        if name in where:
            module = importlib.import_module(f"{package}.{where[name]}")
            value = module if name == where[name] and not hasattr(module, name) else getattr(module, name)
            setattr(sys.modules[package], name, value)  # next time it is found without this function
            return value
        raise AttributeError(f"{package} has no {name!r}; dir({package}) lists what there is")

    def __dir__():
        return sorted({*where, *(name for name in present if not name.startswith("_") or name == "__version__")})

    return __getattr__, __dir__
