"""Whether another process would find a function or class by its name."""

from __future__ import annotations

import sys
from typing import Any


def is_importable(obj: Any) -> bool:
    """Whether importing the module of a function or class gives this very object."""
    if obj.__module__ == "builtins":
        return True  # that of None has no name there, but pickle knows it
    found: Any = sys.modules.get(obj.__module__)
    for part in getattr(obj, "__qualname__", obj.__name__).split("."):
        found = getattr(found, part, None)
    return found is obj and module_is_importable(obj.__module__)


def module_is_importable(name: str) -> bool:
    """Whether another process with the same search path finds the module. Some live only in this one."""
    if name == "__main__":
        return False
    parent, _, _ = name.rpartition(".")
    if parent and not module_is_importable(parent):
        return False
    path = getattr(sys.modules.get(parent), "__path__", None) if parent else None
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    if any(finder.find_spec(name, path) is not None for finder in finders):
        return True
    # os.path and the like are known by a name that no finder finds.
    return name in sys.modules and getattr(sys.modules.get(parent), name.rpartition(".")[2], None) is sys.modules[name]
