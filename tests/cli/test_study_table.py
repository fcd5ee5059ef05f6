"""A row of the table of ``cloudtune status TAG``."""

from __future__ import annotations

import pytest

from cloudtune.cli.study_table import row
from cloudtune.studies.cell_standing import CellStanding


@pytest.mark.parametrize(("state", "done"), [("finished", 5), ("failed", 5), ("running", 2), ("interrupted", 2)])
def test_paused_trials_are_done_once_the_experiment_is(state: str, done: int) -> None:
    """Before that, they may go on."""
    trials = {"Completed": 1, "Stopped": 1, "Paused": 3, "Failed": 1}
    assert row(CellStanding("study-one", None, state, trials=trials), "study")[2] == f"{done}/0/1"
