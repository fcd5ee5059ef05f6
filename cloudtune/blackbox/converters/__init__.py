"""Converters: published benchmarks as tables, from the files that a user has downloaded.

Each source has a module with ``SOURCE``, which says what its files are and where they are published, and
``convert(path, datasets)``, which yields a name and a table for each data set::

    from cloudtune.blackbox.converters import converter

    for name, table in converter("lcbench").convert("six_datasets_lw.zip"):
        table.save(f"{name}.npz")

``cloudtune blackbox convert`` does this on the command line. Nothing in a published file is ever executed.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["CONVERTERS", "converter"]

#: What can be converted.
CONVERTERS = ("fcnet", "lcbench", "nasbench201", "taskset", "yahpo")


def converter(name: str) -> ModuleType:
    """The module of one source.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in CONVERTERS:
        raise ValueError(f"there is no converter {name!r}; choose one of {', '.join(CONVERTERS)}")
    return importlib.import_module(f"{__name__}.{name}")
