"""A simulated experiment that is continued: checkpoints that were deleted are gone, as in one that was never ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune import StoppingCriterion
from cloudtune.backend.simulator_backend import SimulatorBackend
from cloudtune.blackbox import ConstantTime
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.config_space import randint
from cloudtune.optimizer.baselines import ASHA
from cloudtune.trial import Trial, TrialStatus
from tests.backend.simulator.test_experiments import crossing_table, log_of, make_tuner

SPACE = {"row": randint(0, 29), "epochs": 9}


class Killed(Exception):
    """The tuner's end, of which it knows nothing before."""


class Fuse(TunerCallback):
    """Ends the tuner in its n-th call, counted over starts, reports and ends; None: never."""

    def __init__(self, length: int | None) -> None:
        self.length = length
        self.calls = 0

    def _burn(self) -> None:
        self.calls += 1
        if self.calls == self.length:
            raise Killed

    def on_start_trial(self, trial: Trial) -> None:
        self._burn()

    def on_resume_trial(self, trial: Trial) -> None:
        self._burn()

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        self._burn()

    def on_trial_end(self, trial: Trial, status: TrialStatus, result: dict[str, Any], reason: str) -> None:
        self._burn()


def run(folder: Path, length: int | None = None, evaluations: int = 45) -> Fuse:
    """Begins an experiment, or continues it, until it has ended or the fuse has burnt."""
    fuse = Fuse(length)
    scheduler = ASHA(
        SPACE,
        metric="loss",
        resource_attr="epoch",
        max_resource_attr="epochs",
        type="promotion",
        max_num_checkpoints=1,
        random_seed=4,
    )
    make_tuner(
        folder,
        SimulatorBackend(crossing_table(elapsed=None, time_model=ConstantTime(10)), delete_checkpoints=True),
        scheduler,
        n_workers=1,
        callbacks=[fuse],
        save_tuner=False,
        stop_criterion=StoppingCriterion(max_num_evaluations=evaluations),
    ).run()
    return fuse


def reported(folder: Path) -> list[tuple[Any, ...]]:
    """(trial, epoch, whether it was known already, time) of each report."""
    return [
        (entry["trial"], entry["metrics"]["epoch"], "replay" in entry, entry["time"])
        for entry in log_of(folder)
        if entry["event"] == "report"
    ]


def test_killed_anywhere_trials_train_anew_that_would_have_done_so(tmp_path: Path) -> None:
    """One worker and no delays: with a kill anywhere each report comes at the same time as without one.

    Those of trials that were promoted without a checkpoint, and of what had been deleted when the tuner was killed.
    """
    calm = run(tmp_path / "calm").calls
    expected = reported(tmp_path / "calm")
    assert sum(known for _, _, known, _ in expected) >= 5
    for length in range(1, calm + 1):
        folder = tmp_path / str(length)
        with pytest.raises(Killed):
            run(folder, length)
        run(folder)
        assert reported(folder) == expected, f"killed in call {length}"
