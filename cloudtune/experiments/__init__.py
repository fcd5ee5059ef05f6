"""Results of experiments: loading, best configurations, pictures. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.experiments.loading import (
        list_experiments,
        load_experiment,
        load_experiments,
        load_experiments_df,
    )

__all__ = ["ExperimentResult", "list_experiments", "load_experiment", "load_experiments", "load_experiments_df"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = "experiment_result" if name == "ExperimentResult" else "loading"
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
