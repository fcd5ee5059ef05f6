"""Studies: many experiments - methods, benchmarks, seeds - planned as data, launched with one command, compared.

Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.studies.benchmark import BenchmarkDefinition
    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.cell import Cell
    from cloudtune.studies.cell_tuner import Account
    from cloudtune.studies.extra_arguments import ExtraArgument
    from cloudtune.studies.launching import launch_study
    from cloudtune.studies.methods import METHODS, MethodArguments
    from cloudtune.studies.plan import Plan
    from cloudtune.studies.settings import CellSettings

_MODULES = {
    "METHODS": "methods",
    "Account": "cell_tuner",
    "BenchmarkDefinition": "benchmark",
    "Catalogue": "catalogue",
    "Cell": "cell",
    "CellSettings": "settings",
    "ExtraArgument": "extra_arguments",
    "MethodArguments": "methods",
    "Plan": "plan",
    "launch_study": "launching",
}

__all__ = [
    "METHODS",
    "Account",
    "BenchmarkDefinition",
    "Catalogue",
    "Cell",
    "CellSettings",
    "ExtraArgument",
    "MethodArguments",
    "Plan",
    "launch_study",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
