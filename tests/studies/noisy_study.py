"""A study of the script ``noisy_train.py``, as what is run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloudtune.config_space import uniform
from cloudtune.experiments import ExperimentResult, load_experiments
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import Account, CellTuners
from cloudtune.studies.extra_arguments import ExtraArgument
from cloudtune.studies.rerun import Rerun
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.winners import Winner
from tests.studies import noisy_train

TAG = "noisy"
MASTER = 7


def noisy(**changed: Any) -> BenchmarkDefinition:
    """The benchmark; a trial takes as long as Python does to begin."""
    given: dict[str, Any] = {
        "name": "noisy",
        "script": Path(noisy_train.__file__),
        "config_space": {"x": uniform(0.0, 1.0), "max_epochs": 3},
        "metric": "error",
        "mode": "min",
        "resource_attr": "epoch",
        "max_resource_attr": "max_epochs",
        "max_wallclock_time": 500.0,
        "n_workers": 2,
        "instance_type": "ml.m5.large",
        "seed_attr": "seed",
    }
    return BenchmarkDefinition(**{**given, **changed})


CATALOGUE = Catalogue(
    {"noisy": noisy, "seedless": lambda: noisy(name="seedless", seed_attr=None)},
    extra_arguments=[ExtraArgument("brackets", int, help="Of ASHA.")],
)


def settings(**changed: Any) -> CellSettings:
    return CellSettings(**{"backend": "local", "random_seed": MASTER, **changed})


def run_study(tag: str = TAG) -> None:
    """Two methods, three trials each, here."""
    for method in ("RS", "ASHA"):
        CellTuners(CATALOGUE, settings(max_num_trials_started=3)).tuner(Cell(tag, "noisy", method, 1, 0)).run()


def of_study(tag: str = TAG) -> list[ExperimentResult]:
    """Its experiments on this machine."""
    return load_experiments(experiment_filter=lambda one: one.metadata.get("tag") == tag)


def a_winner(x: float = 0.35, **changed: Any) -> Winner:
    """A trial that ASHA has paused after one epoch."""
    given: dict[str, Any] = {
        "tag": TAG,
        "benchmark": "noisy",
        "experiment": "noisy-noisy-ASHA-w1-0",
        "method": "ASHA",
        "trial_id": 2,
        "metric": "error",
        "mode": "min",
        "value": 0.06,
        "config": {"x": x, "max_epochs": 1},
    }
    return Winner(**{**given, **changed})


def a_rerun(num_seeds: int = 3, catalogue: Catalogue = CATALOGUE, winner: Winner | None = None, **more: Any) -> Rerun:
    return Rerun(catalogue, winner or a_winner(), num_seeds, settings(**more), Account(), n_workers=2)
