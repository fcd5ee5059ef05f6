"""What a study can be made of: names that are known, and methods made for cells."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarking.definitions import BENCHMARKS
from cloudtune.optimizer.baselines import (
    ASHA,
    MOBSTER,
    PASHA,
    BayesianOptimization,
    GridSearch,
    MedianStopping,
    RandomSearch,
    SyncHyperband,
)
from cloudtune.studies.catalogue import Catalogue, UnknownName
from cloudtune.studies.cell import Cell
from cloudtune.studies.methods import METHODS
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings

CATALOGUE = Catalogue(BENCHMARKS)
CELL = Cell("t", "digits_mlp", "RS", 3, 0)


def _cell(method: str, seed: int = 0) -> Cell:
    return Cell("t", "digits_mlp", method, 3, seed)


def _suggested(method: str, count: int) -> list[dict[str, Any]]:
    """What a method suggests first, but for how long it is to train."""
    scheduler = CATALOGUE.scheduler(_cell(method), CellSettings())
    configs = [scheduler.suggest().config for _ in range(count)]
    return [{name: value for name, value in config.items() if name != "max_epochs"} for config in configs]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_starts_with_the_same_configurations(method: str) -> None:
    """As many as there are workers; what comes then is its own."""
    own, reference = (_suggested(name, 4) for name in (method, "RS"))
    assert own[:3] == reference[:3]
    assert own[3] != reference[3] or method == "RS"


def test_methods_are_what_they_are_called() -> None:
    """ASHA pauses and promotes, as its paper has it, and so does MOBSTER; ASHA-STOP stops."""
    made = {name: CATALOGUE.scheduler(_cell(name), CellSettings()) for name in METHODS}
    assert {name: type(one) for name, one in made.items()} == {
        "RS": RandomSearch,
        "GS": GridSearch,
        "MSR": MedianStopping,
        "ASHA": ASHA,
        "ASHA-STOP": ASHA,
        "BO": BayesianOptimization,
        "MOBSTER": MOBSTER,
        "PASHA": PASHA,
        "HYPERBAND": SyncHyperband,
    }
    assert {name: made[name].metadata()["type"] for name in ("ASHA", "ASHA-STOP", "MOBSTER")} == {
        "ASHA": "promotion",
        "ASHA-STOP": "stopping",
        "MOBSTER": "promotion",
    }


def test_arguments_of_ones_own_reach_the_constructor() -> None:
    """They win over what the benchmark says."""
    scheduler = CATALOGUE.scheduler(_cell("ASHA"), CellSettings(extra={"brackets": 2, "type": "stopping"}))
    assert (scheduler.metadata()["brackets"], scheduler.metadata()["type"]) == (2, "stopping")


def test_arguments_that_a_method_does_not_take() -> None:
    """It is said which method it is and what it was given."""
    with pytest.raises(ValueError, match=r"the method RS cannot be made with brackets: .*leave out what it does not"):
        CATALOGUE.scheduler(CELL, CellSettings(extra={"brackets": 2}))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan("t", ("digit_mlp",), ("RS",)), "no benchmark 'digit_mlp'; did you mean 'digits_mlp'? known are digits"),
        (Plan("t", ("digits_mlp",), ("asha",)), "no method 'asha'; did you mean 'ASHA'? known are ASHA, ASHA-STOP, "),
        (Plan("t", ("digits_mlp",), ("zzz",)), "there is no method 'zzz'; known are ASHA"),
    ],
)
def test_names_that_are_not_known(plan: Plan, message: str) -> None:
    """The nearest is suggested, and all are listed."""
    with pytest.raises(UnknownName) as raised:
        CATALOGUE.cells(plan)
    assert message in str(raised.value)


def test_the_seed_decides() -> None:
    """The same cell and master seed suggest the same; another repetition, or master seed, something else."""
    first = [
        CATALOGUE.scheduler(cell, settings).suggest().config
        for cell, settings in (
            (CELL, CellSettings(random_seed=1)),
            (CELL, CellSettings(random_seed=1)),
            (_cell("RS", seed=1), CellSettings(random_seed=1)),
            (CELL, CellSettings(random_seed=2)),
        )
    ]
    assert first[0] == first[1]
    assert first[0] not in first[2:]
