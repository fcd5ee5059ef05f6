"""Results of experiments: loading, best configurations, comparison, pictures. Names are imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.experiments.comparison.comparative_results import ComparativeResults
    from cloudtune.experiments.comparison.plot_parameters import PlotParameters, SubplotParameters
    from cloudtune.experiments.comparison.trials_of_experiments import TrialsOfExperimentResults
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.experiments.gathering import sync
    from cloudtune.experiments.loading import (
        list_experiments,
        load_experiment,
        load_experiments,
        load_experiments_df,
    )

_MODULES = {
    "ComparativeResults": "comparison.comparative_results",
    "ExperimentResult": "experiment_result",
    "PlotParameters": "comparison.plot_parameters",
    "SubplotParameters": "comparison.plot_parameters",
    "TrialsOfExperimentResults": "comparison.trials_of_experiments",
    "list_experiments": "loading",
    "load_experiment": "loading",
    "load_experiments": "loading",
    "load_experiments_df": "loading",
    "sync": "gathering",
}

__all__ = [
    "ComparativeResults",
    "ExperimentResult",
    "PlotParameters",
    "SubplotParameters",
    "TrialsOfExperimentResults",
    "list_experiments",
    "load_experiment",
    "load_experiments",
    "load_experiments_df",
    "sync",
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
