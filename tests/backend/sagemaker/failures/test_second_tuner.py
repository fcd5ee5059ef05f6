"""Two tuners on one experiment: refused on the same machine; elsewhere the newer one wins, and the older one stops."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import ExperimentLocked
from cloudtune.store.places import experiment_path
from tests.backend.sagemaker.failures.commands import Commands
from tests.backend.sagemaker.failures.experiment import NAME, Experiment

WORK: dict[str, Any] = {"configs": [{"epochs": 4, "hold": 2}]}


def test_on_the_same_machine(experiment: Experiment) -> None:
    """It refuses before it has touched anything in the cloud, and names who drives the experiment and the way out."""
    with experiment.running(**WORK):
        experiment.wait_for_epoch(2)
        looked = experiment.count("s3:HeadBucket")
        with pytest.raises(ExperimentLocked, match=r"is driven by pid \d+ on host .*; wait for it to end, stop it, or"):
            experiment.run(**WORK)
        assert experiment.count("s3:HeadBucket") == looked
        assert experiment.jobs() == {"0-0": "InProgress"}
        experiment.release(0)
    assert experiment.epochs() == [1, 2, 3, 4]
    experiment.check_whole()


def test_on_another_machine(
    experiment: Experiment, commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a copy of the folder the lock is no hindrance; the life object is: the first stops and touches no job."""
    first = commands.start(WORK)
    experiment.wait_for_epoch(2)
    copy = tmp_path / "another machine"
    shutil.copytree(experiment_path(NAME).parent, copy)
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(copy))
    with experiment.running(**WORK):
        assert first.wait() == 1
        said = first.output.strip().splitlines()[-1]
        place = f"s3://experiments/{experiment.keys.prefix}"
        assert said == (
            f"cloudtune.errors.Fenced: another tuner drives the experiment at {place} now: this one stops and leaves "
            "all training jobs to that one"
        )
        assert experiment.jobs() == {"0-0": "InProgress"}
        assert experiment.count("sagemaker:StopTrainingJob") == 0
        experiment.release(0)
    assert experiment.epochs() == [1, 2, 3, 4]
    assert experiment.jobs() == {"0-0": "Completed"}
    experiment.check_whole()


def test_jobs_of_the_newer_one_are_no_strays(
    experiment: Experiment, commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its next sign of life is due, the older one finds a job that it did not begin: it stops, not the job."""
    work: dict[str, Any] = {"configs": [{"epochs": 3, "hold": 2}] * 2}
    older = commands.start({**work, "tuner": {"n_workers": 1}, "cadence": {"life": 1000.0}})
    experiment.wait_for_epoch(2)
    copy = tmp_path / "another machine"
    shutil.copytree(experiment_path(NAME).parent, copy)
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(copy))
    with experiment.running(**work):
        assert older.wait() == 1
        assert "cloudtune.errors.Fenced: another tuner drives the experiment" in older.output
        experiment.wait_for_epoch(2, trial=1)
        assert experiment.jobs() == {"0-0": "InProgress", "1-0": "InProgress"}
        assert experiment.count("sagemaker:StopTrainingJob") == 0
        experiment.release(0, 1)
    assert experiment.ends() == ["Completed"] * 2
    experiment.check_whole()
