"""The random numbers of a study: which cells share them, and which do not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import choice, loguniform, randint
from cloudtune.studies.cell import Cell
from cloudtune.studies.seeds import first_configs, master_seed, method_seed

SPACE = {"lr": loguniform(1e-6, 1.0), "width": randint(1, 1000), "act": choice(["relu", "tanh"]), "epochs": 40}
CELL = Cell("tmlr-10", "transformer_wikitext2", "RS", 4, 0)
MASTER = 2938702734

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("change", [{"tag": "other"}, {"method": "ASHA"}, {"n_workers": 8}])
def test_methods_start_alike(change: dict[str, object]) -> None:
    """Neither tag, method nor workers change what a benchmark's cells of one seed try first."""
    other = dataclasses.replace(CELL, **change)  # type: ignore[arg-type]
    assert first_configs(MASTER, other, SPACE, 4) == first_configs(MASTER, CELL, SPACE, 4)


@pytest.mark.parametrize("change", [{"benchmark": "digits"}, {"seed": 1}])
def test_repetitions_and_benchmarks_start_apart(change: dict[str, object]) -> None:
    """Another benchmark or seed tries others first."""
    other = dataclasses.replace(CELL, **change)  # type: ignore[arg-type]
    assert first_configs(MASTER, other, SPACE, 4) != first_configs(MASTER, CELL, SPACE, 4)


@given(seeds, st.integers(0, 9), st.integers(0, 9))
def test_more_first_configurations_only_come_behind(master: int, few: int, more: int) -> None:
    """Cells with more workers begin as those with fewer do."""
    assert first_configs(master, CELL, SPACE, few + more)[:few] == first_configs(master, CELL, SPACE, few)


@given(seeds, st.integers(0, 100))
def test_methods_draw_their_own(master: int, seed: int) -> None:
    """Each of benchmark, seed, method and workers, and the master seed, changes a method's stream; the tag does not."""
    cell = dataclasses.replace(CELL, seed=seed)
    others = [
        dataclasses.replace(cell, **change)
        for change in ({"benchmark": "b"}, {"seed": seed + 1}, {"method": "ASHA"}, {"n_workers": 8})
    ]
    drawn = [method_seed(master, one) for one in (cell, *others)] + [method_seed((master + 1) % 2**32, cell)]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= one < 2**32 for one in drawn)
    assert method_seed(master, dataclasses.replace(cell, tag="other")) == drawn[0]


def test_the_same_on_every_machine() -> None:
    """What a study has drawn once it draws for ever: these numbers are part of what results mean."""
    assert master_seed("tmlr-10") == 2804979970
    assert method_seed(MASTER, CELL) == 3425911146
    assert first_configs(MASTER, CELL, SPACE, 1) == [
        {"lr": 1.2970867234373018e-06, "width": 425, "act": "tanh", "epochs": 40}
    ]
