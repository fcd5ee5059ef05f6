"""The tuner dies with SIGKILL at chosen steps, and the same command is given again: nothing lost, doubled or left."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from cloudtune import StoppingCriterion
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.localcloud import Fault
from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.store.entries import BILL, END, SUGGEST
from cloudtune.store.log import segment_path
from cloudtune.store.places import experiment_path
from tests.backend.sagemaker.failures.commands import Commands
from tests.backend.sagemaker.failures.experiment import NAME, Experiment, wait_until
from tests.backend.sagemaker.harness import make_backend

#: Trial 0 is stopped, trial 1 paused and resumed, trial 2 left alone. No gate is ever opened: what is told to end waits
#: for just that, so that the outcome does not depend on when the tuner dies.
WORK: dict[str, Any] = {
    "configs": [{"epochs": 4, "hold": 2}, {"epochs": 4, "hold": 2}, {"epochs": 4}],
    "plan": {"decisions": {(0, 2): SchedulerDecision.STOP, (1, 2): SchedulerDecision.PAUSE}},
}


def _ends_of_jobs(experiment: Experiment, trial: int) -> list[dict[str, Any]]:
    """The ends of a trial's attempts, but for those whose job was never created because the tuner died."""
    ends = [end for end in experiment.entries(END) if end["trial"] == trial]
    return [end for end in ends if end["reason"] != "the tuner ended before its job was created"]


@pytest.mark.parametrize(
    ("where", "when", "number"),
    [
        ("LifeWriter.begin", "after", 1),
        ("LocalStore.flush", "after", 2),  # three suggestions are in the log, and no job was asked for
        ("TrainingJobs.create", "before", 2),  # one job is there, its successor's task is written
        ("TrainingJobs.create", "after", 2),  # two jobs are there, and nobody has noted the second
        ("Desk.deliver", "after", 4),  # reports were read and not logged
        ("LocalStore.append", "after", 5),
        ("SageMakerBackend.stop_trial", "before", 1),  # the decision is in the log, and nobody was told
        ("SageMakerBackend.pause_trial", "after", 1),
        ("SageMakerBackend.resume_trial", "before", 1),
        ("TrainingJobs.create", "after", 4),  # the resumed one
    ],
)
def test_killed_at_a_step(experiment: Experiment, commands: Commands, where: str, when: str, number: int) -> None:
    """Each trial has one job per attempt and each of its epochs once, as if nothing had been."""
    assert commands.run(WORK, where, when, number) == -signal.SIGKILL
    again = commands.start(WORK)
    assert again.wait() == 0, again.output
    assert [experiment.epochs(trial) for trial in range(3)] == [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4]]
    ends = [[end["status"] for end in _ends_of_jobs(experiment, trial)] for trial in range(3)]
    assert ends == [["Stopped"], ["Paused", "Completed"], ["Completed"]]
    assert len(experiment.jobs()) == 4
    assert not any(entry.get("replay") for trial in range(3) for entry in experiment.reports(trial))
    experiment.check_whole()


@pytest.mark.parametrize("channel", ["s3", "logs"])
def test_jobs_run_on_while_there_is_no_tuner(experiment: Experiment, commands: Commands, channel: str) -> None:
    """What a trial reports and how it ends without a tuner is with the next one, once and in order."""
    work = {
        "configs": [{"epochs": 5, "hold": 2}, {"epochs": 5, "hold": 2, "crash": 4}],
        "tuner": {"max_failures": 1},
        "report_channel": channel,
    }
    first = commands.start(work)
    for trial in range(2):
        experiment.wait_for_epoch(2, trial)
    first.process.kill()
    first.wait()
    experiment.release(0, 1)
    for trial in range(2):
        experiment.cloud.wait_for_job(experiment.job(trial))
    again = commands.start(work)
    assert again.wait() == 0, again.output
    assert experiment.epochs(0) == [1, 2, 3, 4, 5]
    assert experiment.epochs(1) == [1, 2, 3, 4]
    assert [experiment.ends(trial) for trial in range(2)] == [["Completed"], ["Failed"]]
    assert "ZeroDivisionError: no loss is left" in experiment.reasons(1)[0]
    assert experiment.jobs() == {"0-0": "Completed", "1-0": "Failed"}
    experiment.check_whole()


def test_killed_while_trials_wait_for_machines(experiment: Experiment, commands: Commands) -> None:
    """A trial whose job was never created is created by the next tuner, as its next attempt."""
    experiment.cloud.set_quota("ml.m5.large for training job usage", 1)
    work = {"configs": [{"epochs": 3, "hold": 1}, {"epochs": 3}]}
    first = commands.start(work)
    experiment.wait_for_epoch(1)
    first.wait_until_it_says("trying again in")
    first.process.kill()
    first.wait()
    again = commands.start(work)
    wait_until(lambda: experiment.ends(1) == ["Interrupted"], "the end of the attempt that had not begun")
    experiment.release(0)
    assert again.wait() == 0, again.output
    assert experiment.reasons(1) == ["the tuner ended before its job was created", ""]
    assert experiment.epochs(0) == experiment.epochs(1) == [1, 2, 3]
    assert experiment.jobs() == {"0-0": "Completed", "1-1": "Completed"}
    experiment.check_whole()


@pytest.mark.parametrize(
    ("where", "when"),
    [("TrialCheckpoints.copy", "before"), ("Bucket.copy_many", "after"), ("TrialCheckpoints.copy", "after")],
)
def test_killed_while_it_copies_a_checkpoint(experiment: Experiment, commands: Commands, where: str, when: str) -> None:
    """The trial that is to begin with another's checkpoint begins with it all the same."""
    work = {
        "configs": [{"epochs": 2}, {"epochs": 4}],
        "plan": {"sources": {1: 0}},
        "tuner": {"n_workers": 1},
    }
    assert commands.run(work, where, when, 1) == -signal.SIGKILL
    again = commands.start(work)
    assert again.wait() == 0, again.output
    assert experiment.epochs(0) == [1, 2]
    assert [(report["metrics"]["epoch"], report["metrics"]["began_at"]) for report in experiment.reports(1)] == [
        (3, 2), (4, 2),
    ]  # fmt: skip
    experiment.check_whole()


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_deletes_a_checkpoint(experiment: Experiment, commands: Commands, when: str) -> None:
    """The next tuner deletes it."""
    work = {"configs": [{"epochs": 2}, {"epochs": 2}], "tuner": {"n_workers": 1}, "delete_checkpoints": True}
    assert commands.run(work, "TrialCheckpoints.delete", when, 1) == -signal.SIGKILL
    again = commands.start(work)
    assert again.wait() == 0, again.output
    for trial in range(2):
        assert experiment.epochs(trial) == [1, 2]
        assert experiment.objects(experiment.keys.checkpoints(trial)) == []
    experiment.check_whole()


def test_killed_between_the_end_of_a_trial_and_its_bill(experiment: Experiment, commands: Commands) -> None:
    """What it has cost is asked for by the next tuner."""
    number = experiment.cloud.faults.add(Fault("throttle", "sagemaker:DescribeTrainingJob"))
    work = {"configs": [{"epochs": 2}]}
    first = commands.start(work)
    wait_until(lambda: experiment.ends() == ["Completed"], "the end of the trial")
    first.process.kill()
    first.wait()
    assert experiment.entries(BILL) == []
    experiment.cloud.faults.remove(number)
    again = commands.start(work)
    assert again.wait() == 0, again.output
    (bill,) = experiment.entries(BILL)
    assert bill["seconds"] == experiment.describe()["BillableTimeInSeconds"]
    experiment.check_whole()


def test_a_dear_machine_counts_after_a_restart(experiment: Experiment, commands: Commands) -> None:
    """A trial that an earlier tuner began on a dear type to fall back on counts as such: the cap on costs holds."""
    experiment.cloud.set_quota("ml.m5.large for training job usage", 0)
    work: dict[str, Any] = {
        "configs": [{"epochs": 4, "hold": 2}, {"epochs": 2}],
        "fallback_instance_types": ["ml.p3.16xlarge"],
    }
    first = commands.start({**work, "tuner": {"n_workers": 1}})
    experiment.wait_for_epoch(2)
    first.process.kill()
    first.wait()
    listed = experiment.count("sagemaker:ListTrainingJobs")
    cap = StoppingCriterion(max_cost=40, count_committed=True)  # an hour of ml.p3.16xlarge, and not two
    with experiment.running(**work, tuner={"n_workers": 2, "stop_criterion": cap}) as running:
        wait_until(lambda: experiment.count("sagemaker:ListTrainingJobs") > listed + 2, "a look at what runs")
        assert 29 < running.tuner.trial_backend.committed_cost() < 30
        assert experiment.jobs() == {"0-0": "InProgress"}
        experiment.release(0)
    assert experiment.ends() == ["Completed"] * 2  # the first has cost far less than was put aside for it
    assert experiment.describe(1)["CreationTime"] >= experiment.describe(0)["TrainingEndTime"]
    experiment.check_whole()


def test_jobs_that_a_damaged_log_has_forgotten(experiment: Experiment, commands: Commands) -> None:
    """A job is found to be ours when it is to be created, and is over: its end, and all it told, is there at once.

    The listing of jobs, which would find that it has ended, does not come in this test.
    """
    work: dict[str, Any] = {"configs": [{"epochs": 4, "hold": 2}, {"epochs": 4}], "cadence": {"status": 1000.0}}
    first = commands.start(work)
    experiment.wait_for_epoch(2)
    wait_until(lambda: len(experiment.entries(BILL)) == 1, "the bill of trial 1")
    wait_until(lambda: len(experiment.objects(experiment.keys.inbox)) == 1, "its head to be deleted")
    first.process.kill()
    first.wait()
    log = segment_path(experiment_path(NAME) / "log", 1)
    lines = log.read_bytes().splitlines(keepends=True)
    kept = next(number for number, line in enumerate(lines) if json.loads(line)["event"] == SUGGEST) + 1
    log.write_bytes(b"".join(lines[:kept]))
    with experiment.running(**work):
        wait_until(lambda: experiment.ends(1) == ["Completed"], "the end of trial 1")
        experiment.release(0)
    assert experiment.epochs(0) == experiment.epochs(1) == [1, 2, 3, 4]
    assert experiment.jobs() == {"0-0": "Completed", "1-0": "Completed"}
    experiment.check_whole()


def test_the_output_of_trials_of_earlier_tuners(experiment: Experiment) -> None:
    """What a trial wrote is there, attempt by attempt, also for a tuner that has not started it."""
    plan = {"decisions": {(0, 1): SchedulerDecision.PAUSE}}
    experiment.run([{"epochs": 2, "hold": 1}, {"epochs": 1}], plan=plan)
    backend = make_backend()
    backend.open(ExperimentPlace(NAME, experiment.id, experiment_path(NAME), 1))
    try:
        assert [backend.stdout(trial).count("about to begin") for trial in range(3)] == [2, 1, 0]
    finally:
        backend.close(stop_running=False)
