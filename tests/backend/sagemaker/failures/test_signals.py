"""Ctrl-C and SIGTERM: jobs end as paused, everything is stored, and the same command continues."""

from __future__ import annotations

import signal
from typing import Any

import pandas as pd
import pytest

from cloudtune.store.places import experiment_path
from tests.backend.sagemaker.failures.commands import Commands
from tests.backend.sagemaker.failures.experiment import NAME, Experiment, wait_until

WORK: dict[str, Any] = {"configs": [{"epochs": 4, "hold": 2}] * 2}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once(experiment: Experiment, commands: Commands, number: signal.Signals) -> None:
    """Jobs are paused with their checkpoints, results are written, the code is the signal's; then it continues."""
    first = commands.start(WORK)
    for trial in range(2):
        experiment.wait_for_epoch(2, trial)
    if number is signal.SIGINT:
        first.press_ctrl_c()
    else:
        first.process.send_signal(number)
    assert first.wait() == 128 + number
    assert first.says("stopping the running trials; once more ends at once")
    assert experiment.ends() == ["Interrupted"] * 2
    assert len(pd.read_csv(experiment_path(NAME) / "results.csv.zip")) == 4
    assert experiment.count("sagemaker:StopTrainingJob") == 0
    experiment.check_whole()

    again = commands.start(WORK)
    assert again.wait() == 0, again.output
    for trial in range(2):
        assert experiment.epochs(trial) == [1, 2, 3, 4]
        assert {entry["metrics"]["began_at"] for entry in experiment.reports(trial) if entry["attempt"] == 1} == {2}
    experiment.check_whole()


def test_ctrl_c_twice(experiment: Experiment, commands: Commands) -> None:
    """The second ends at once, although a job might have minutes to end; the next tuner takes the job over."""
    work = {"configs": [{"epochs": 4, "hold": 2, "deaf": 1}], "stop_grace": 100}
    first = commands.start(work)
    experiment.wait_for_epoch(2)
    first.press_ctrl_c()
    first.wait_until_it_says("once more ends at once")
    assert first.process.poll() is None
    first.press_ctrl_c()
    assert first.wait() == 130
    assert first.says(
        "SIGINT again: ending at once; continue with `cloudtune resume trials`, or end what it leaves with "
        "`cloudtune reap trials`"
    )
    assert experiment.ends() == []
    assert experiment.jobs() == {"0-0": "InProgress"}

    again = commands.start(work)
    again.wait_until_it_says("continuing experiment")
    experiment.release(0)
    assert again.wait() == 0, again.output
    assert sorted(set(experiment.epochs())) == [1, 2, 3, 4]
    experiment.check_whole()


def test_jobs_may_be_left_running(experiment: Experiment, commands: Commands) -> None:
    """``leave_running_when_interrupted=True``: no job notices anything, and the next tuner takes them over."""
    work = {**WORK, "leave_running_when_interrupted": True}
    first = commands.start(work)
    for trial in range(2):
        experiment.wait_for_epoch(2, trial)
    first.process.send_signal(signal.SIGTERM)
    assert first.wait() == 143
    assert experiment.ends() == []
    assert experiment.jobs() == {"0-0": "InProgress", "1-0": "InProgress"}
    experiment.release(0)
    experiment.cloud.wait_for_job(experiment.job())

    again = commands.start(work)
    wait_until(lambda: experiment.ends(0), "the end of the trial that ended without a tuner")
    experiment.release(1)
    assert again.wait() == 0, again.output
    assert experiment.epochs(0) == experiment.epochs(1) == [1, 2, 3, 4]
    assert experiment.jobs() == {"0-0": "Completed", "1-0": "Completed"}
    experiment.check_whole()


def test_interrupted_while_jobs_wait_for_machines(experiment: Experiment, commands: Commands) -> None:
    """Trials that never began hold nobody up: the command ends as soon as the running one has ended."""
    experiment.cloud.set_quota("ml.m5.large for training job usage", 1)
    first = commands.start({**WORK, "cadence": {"first_wait": 600.0, "longest_wait": 600.0}})
    experiment.wait_for_epoch(2)
    first.wait_until_it_says("trying again in")
    first.process.send_signal(signal.SIGTERM)
    assert first.wait() == 143
    assert experiment.ends() == ["Interrupted"] * 2
    assert experiment.reasons(1) == ["it had not begun"]
    assert list(experiment.jobs()) == ["0-0"]
    experiment.check_whole()
