"""An experiment that is continued by a tuner whose jobs report and save in another way than those before."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from cloudtune.localcloud import Fault
from tests.backend.sagemaker.failures.commands import Commands
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until

CHANNELS = [("s3", "logs"), ("logs", "s3"), ("logs", "auto")]


@pytest.mark.parametrize(("before", "after"), CHANNELS)
def test_jobs_report_as_they_were_told(experiment: Experiment, commands: Commands, before: str, after: str) -> None:
    """What jobs say that a killed tuner has left reaches one that has its own jobs report in another way."""
    work: dict[str, Any] = {"configs": [{"epochs": 4, "hold": 2}] * 2}
    first = commands.start({**work, "report_channel": before})
    for trial in range(2):
        experiment.wait_for_epoch(2, trial)
    first.process.kill()
    first.wait()
    with experiment.running(**work, report_channel=after):
        experiment.release(0, 1)
    assert [experiment.epochs(trial) for trial in range(2)] == [[1, 2, 3, 4]] * 2
    assert experiment.ends() == ["Completed"] * 2
    assert experiment.jobs() == {"0-0": "Completed", "1-0": "Completed"}
    assert not experiment.says("cannot write to S3")
    assert experiment.objects(experiment.keys.inbox) == []
    experiment.check_whole()


def test_s3_fails_while_jobs_are_taken_over(experiment: Experiment, commands: Commands) -> None:
    """How a job was told to report is asked again until S3 answers."""
    work: dict[str, Any] = {"configs": [{"epochs": 4, "hold": 2}]}
    first = commands.start(work)
    experiment.wait_for_epoch(2)
    first.process.kill()
    first.wait()
    experiment.cloud.faults.add(Fault("internal_error", "s3:GetObject", resource="*/task.json", who="client", count=8))
    with experiment.running(**work, report_channel="logs"):
        experiment.release(0)
    assert len(experiment.cloud.faults.fired()) == 8
    assert experiment.epochs() == [1, 2, 3, 4]
    experiment.check_whole()


@pytest.mark.parametrize(("before", "after"), CHANNELS)
def test_paused_trials_keep_their_checkpoints(
    experiment: Experiment, commands: Commands, before: str, after: str
) -> None:
    """A trial goes on from what it has saved in the way of before, and all of that is deleted when it has ended."""
    work: dict[str, Any] = {"configs": [{"epochs": 4, "hold": 2}], "delete_checkpoints": True}
    first = commands.start({**work, "report_channel": before})
    experiment.wait_for_epoch(2)
    first.process.send_signal(signal.SIGINT)
    first.wait()
    experiment.release(0)
    experiment.run(**work, report_channel=after)
    assert [(entry["attempt"], entry["metrics"]["epoch"]) for entry in experiment.reports()] == [
        (0, 1), (0, 2), (1, 3), (1, 4),
    ]  # fmt: skip
    assert experiment.ends()[-1] == "Completed"
    assert experiment.objects(experiment.keys.checkpoints(0)) == []
    assert experiment.objects(experiment.keys.synced(0)) == []
    experiment.check_whole()


def test_what_was_found_out_about_rights_is_kept(experiment: Experiment, commands: Commands) -> None:
    """Once two jobs could not write to S3, SageMaker keeps the checkpoints of all others, also for the next tuner."""
    experiment.cloud.faults.add(Fault("access_denied", "s3:*", who="job:*"))
    work: dict[str, Any] = {
        "configs": [{"epochs": 1}, {"epochs": 1}, {"epochs": 4, "hold": 2}, {"epochs": 1}],
        "tuner": {"n_workers": 1},
    }
    first = commands.start(work)
    experiment.wait_for_epoch(2, trial=2)
    first.process.send_signal(signal.SIGINT)
    first.wait()
    assert first.says("its reports come from its log and its checkpoints are neither restored nor kept: ")
    experiment.release(2)
    experiment.run(**work)
    assert [(entry["attempt"], entry["metrics"]["epoch"]) for entry in experiment.reports(2)] == [
        (0, 1), (0, 2), (1, 3), (1, 4),
    ]  # fmt: skip
    assert experiment.says("earlier jobs of this experiment did without S3, and so do further ones")
    keys = experiment.keys
    for trial, attempt in ((2, 0), (2, 1), (3, 0)):
        assert experiment.describe(trial, attempt)["CheckpointConfig"]["S3Uri"].endswith(keys.synced(trial))
    experiment.check_whole()


@pytest.mark.parametrize("at_its_end", [False, True])
def test_a_job_that_loses_its_rights_between_two_runs(experiment: Experiment, at_its_end: bool) -> None:
    """A spot job that is started again and cannot use S3 any more is read by its log: soon, or when it has ended."""
    work: dict[str, Any] = {
        "configs": [{"epochs": 4, "hold": 2}],
        "job": {"use_spot": True},
        "cadence": {"silence": 1000.0 if at_its_end else 4.0},
    }
    with experiment.running(**work):
        experiment.wait_for_epoch(2)
        wait_until(lambda: experiment.saved() == 2, "a checkpoint")
        looks, lists = (experiment.count(name) for name in ("logs:FilterLogEvents", "sagemaker:ListTrainingJobs"))
        wait_until(lambda: experiment.count("sagemaker:ListTrainingJobs") > lists + 2, "some more listings")
        assert experiment.count("logs:FilterLogEvents") == looks, "its log is read although S3 tells everything"
        experiment.cloud.faults.add(Fault("access_denied", "s3:*", who="job:*"))
        experiment.cloud.interrupt_job(experiment.job(), notice=False)
        if not at_its_end:
            wait_until(lambda: experiment.epochs() == [1, 2, 1, 2], "reports of the second run")
        experiment.release(0)
    assert [(report["run"], report["metrics"]["epoch"]) for report in experiment.reports()] == [
        (0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (1, 4),
    ]  # fmt: skip
    assert experiment.ends() == ["Completed"]
    assert experiment.says("was started again by SageMaker and cannot use S3 any more from its job")
    experiment.check_whole()


def test_a_trial_whose_job_was_never_created(experiment: Experiment, commands: Commands) -> None:
    """It has no task, as jobs without an agent have none; but its next job uses S3 all the same, and no log is read."""
    work: dict[str, Any] = {"configs": [{"epochs": 2}]}
    assert commands.run(work, "TrialRequests.prepare", "before", 1) == -signal.SIGKILL
    experiment.cloud.faults.add(Fault("access_denied", "logs:*", who="client"))
    experiment.run(**work)
    assert experiment.jobs() == {"0-1": "Completed"}
    assert experiment.saved() == 2
    assert experiment.epochs() == [1, 2]
    experiment.check_whole()
