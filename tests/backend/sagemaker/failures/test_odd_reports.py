"""Reports and configurations that are out of the ordinary: all arrive, once and in order."""

from __future__ import annotations

import math

import pytest

from cloudtune.experiments import load_experiment
from cloudtune.localcloud import Fault
from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.store.entries import BILL
from tests.aws.conftest import training_request
from tests.backend.sagemaker.failures.experiment import Experiment
from tests.backend.sagemaker.harness import BUCKET


@pytest.mark.defect("C1")
def test_reports_of_a_resumed_trial(experiment: Experiment) -> None:
    """A resumed trial is a new job whose reports count from 0 again: all of them arrive."""
    plan = {"decisions": {(0, 2): SchedulerDecision.PAUSE, (0, 4): SchedulerDecision.PAUSE}}
    experiment.run([{"epochs": 6, "hold": 2}], plan=plan)
    found = [(entry["attempt"], entry["number"], entry["metrics"]["epoch"]) for entry in experiment.reports()]
    assert found[:3] == [(0, 0, 1), (0, 1, 2), (1, 0, 3)]
    assert [epoch for _, _, epoch in found] == [1, 2, 3, 4, 5, 6]
    assert experiment.ends()[:2] == ["Paused", "Paused"]
    assert experiment.ends()[-1] == "Completed"
    experiment.check_whole()


def test_reports_that_arrive_after_the_stop(experiment: Experiment) -> None:
    """A script that reports on SIGTERM: kept in the log, not shown to the scheduler, and the trial ends as stopped."""
    plan = {"decisions": {(0, 2): SchedulerDecision.STOP}}
    tuner = experiment.run([{"epochs": 2, "hold": 2, "last_word": 3}], plan=plan)
    assert experiment.epochs() == [1, 2, 3, 4, 5]
    assert [entry.get("extra", False) for entry in experiment.reports()] == [False, False, True, True, True]
    assert experiment.ends() == ["Stopped"]
    assert tuner.status.records[0].last_result["epoch"] == 2
    experiment.check_whole()


def test_reports_that_arrive_after_the_pause(experiment: Experiment) -> None:
    """They are late, and the epochs come again when the trial is resumed from its checkpoint: then they count."""
    plan = {"decisions": {(0, 2): SchedulerDecision.PAUSE}}
    experiment.run([{"epochs": 4, "hold": 2, "last_word": 1}], plan=plan)
    assert [(entry["metrics"]["epoch"], entry.get("late", False)) for entry in experiment.reports()] == [
        (1, False), (2, False), (3, True), (3, False), (4, False),
    ]  # fmt: skip
    experiment.check_whole()


def test_a_script_that_runs_on_after_the_pause(experiment: Experiment) -> None:
    """Its checkpoint holds the epochs that came late, and the resumed script does not repeat them: they count then."""
    plan = {"decisions": {(0, 2): SchedulerDecision.PAUSE}}
    tuner = experiment.run([{"epochs": 6}], plan=plan)
    results = load_experiment(tuner.name).results
    assert list(results["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert experiment.ends()[-1] == "Completed"
    assert tuner.status.records[0].last_result["epoch"] == 6
    experiment.check_whole()


def test_objects_that_are_written_twice(experiment: Experiment) -> None:
    """Answers to puts are lost, so jobs put again, and the tuner reads again: each report is delivered once."""
    experiment.cloud.faults.add(Fault("answer_lost", "s3:PutObject", resource="*/inbox/*", probability=0.5))
    experiment.cloud.faults.add(Fault("answer_lost", "s3:ListObjectsV2", who="client", probability=0.3))
    experiment.cloud.faults.add(
        Fault("answer_lost", "s3:GetObject", resource="*/inbox/*", who="client", probability=0.3)
    )
    with experiment.running([{"epochs": 8, "hold": 2}, {"epochs": 8, "hold": 4}]):
        experiment.wait_for_epoch(2)
        experiment.wait_for_epoch(4, trial=1)
        experiment.release(0, 1)
    for trial in range(2):
        assert experiment.epochs(trial) == list(range(1, 9))
    assert experiment.cloud.faults.fired()
    experiment.cloud.faults.clear()
    experiment.check_whole()


@pytest.mark.timeout(240)
def test_ten_thousand_reports(experiment: Experiment) -> None:
    """All of them, in order, by some hundred requests of S3."""
    experiment.run([{"epochs": 10_000, "save": 0}], tuner={"print_update_interval": 3600})
    assert experiment.epochs() == list(range(1, 10_001))
    requests = sum(operation.startswith("s3:") * n for operation, n in experiment.cloud.call_counts().items())
    assert requests < 1500
    experiment.check_whole()


def test_a_metric_of_nan(experiment: Experiment) -> None:
    """It is a report like any other, and ranked worst."""
    tuner = experiment.run([{"epochs": 2, "loss": math.nan}, {"epochs": 1, "loss": 5.0}])
    assert [math.isnan(entry["metrics"]["loss"]) for entry in experiment.reports()] == [True, True]
    assert experiment.ends() == ["Completed"] * 2
    assert tuner.best_config()[0] == 1


@pytest.mark.defect("R12")
@pytest.mark.parametrize("channel", ["s3", "logs"])
def test_two_hosts_that_report(experiment: Experiment, channel: str) -> None:
    """The first one counts."""
    experiment.run([{"epochs": 3}], job={"instance_count": 2}, report_channel=channel)
    assert experiment.epochs() == [1, 2, 3]
    assert {entry["metrics"]["host"] for entry in experiment.reports()} == {"algo-1"}
    bill = experiment.entries(BILL)[-1]
    assert bill["dollars"] == pytest.approx(2 * 0.115 * bill["seconds"] / 3600)
    experiment.check_whole()


def test_a_host_that_dies(experiment: Experiment) -> None:
    """One of two that ends with an error fails the trial, whatever the first says; the reason names the host."""
    configs = [{"epochs": 3, "hold": 2, "dies_on": "algo-2"}]
    experiment.run(configs, job={"instance_count": 2}, tuner={"max_failures": 1})
    assert experiment.ends() == ["Failed"]
    assert "algo-2" in experiment.reasons()[0]
    experiment.check_whole()


def test_a_long_value(experiment: Experiment) -> None:
    """More than the 2,500 characters that SageMaker's own hyperparameters may have, with anything in it."""
    text = "größer ✓ 'quoted' \"twice\" $HOME `pwd` \\ \n" * 200
    experiment.run([{"epochs": 1, "text": text}])
    assert experiment.reports()[0]["metrics"]["text"] == text
    experiment.check_whole()


def test_a_name_that_is_taken(experiment: Experiment) -> None:
    """A foreign job has the name: it is left alone, and the trial takes its next attempt."""
    with experiment.running([{"epochs": 1, "hold": 1}, {"epochs": 2}], tuner={"n_workers": 1}):
        experiment.wait_for_epoch(1)
        output = {"OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"}}
        experiment.sagemaker.create_training_job(**training_request(experiment.job(1), "pass", **output))
        experiment.cloud.wait_for_job(experiment.job(1))
        experiment.release(0)
    assert experiment.ends(1) == ["Interrupted", "Completed"]
    assert experiment.reasons(1)[0] == f"the name {experiment.job(1)} belongs to another training job"
    assert experiment.epochs(1) == [1, 2]
    assert experiment.jobs() == {"0-0": "Completed", "1-0": "Completed", "1-1": "Completed"}
    assert experiment.count("sagemaker:StopTrainingJob") == 0
    assert {bill["attempt"] for bill in experiment.entries(BILL) if bill["trial"] == 1} == {1}
