"""A test that imports modules of its own, under names that others have too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def own_modules(*names: str) -> Iterator[None]:
    """Has no modules of some names, nor below them, at first; what is imported, and where it is looked for, is undone.

    Args:
        names: Of packages or modules at the top.
    """
    path, hidden = list(sys.path), _taken(names)
    try:
        yield
    finally:
        sys.path[:] = path
        _taken(names)
        sys.modules.update(hidden)


def _taken(names: tuple[str, ...]) -> dict[str, ModuleType]:
    """Takes modules out of those that are imported."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}
