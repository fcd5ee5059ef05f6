"""What AWS does not grant at the moment: calls, instances of the account's quota, instances at all."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from cloudtune import StoppingCriterion
from cloudtune.localcloud import Fault
from cloudtune.optimizer.scheduler import SchedulerDecision
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until

QUOTA = "ml.m5.large for training job usage"


def test_throttled_calls_make_it_slower_and_nothing_else(experiment: Experiment) -> None:
    """Every other call of SageMaker and many of S3 are refused: all trials complete, all reports are there once."""
    experiment.cloud.faults.add(Fault("throttle", "sagemaker:*", probability=0.5))
    experiment.cloud.faults.add(Fault("slow_down", "s3:*", probability=0.2))
    experiment.run([{"epochs": 3} for _ in range(4)])
    assert experiment.ends() == ["Completed"] * 4
    for trial in range(4):
        assert experiment.epochs(trial) == [1, 2, 3]
    assert {fired.kind for fired in experiment.cloud.faults.fired()} == {"throttle", "slow_down"}
    experiment.cloud.faults.clear()
    experiment.check_whole()


def test_a_trial_whose_job_cannot_be_created_holds_nobody_up(experiment: Experiment) -> None:
    """SageMaker fails whenever it is asked for one job: the others begin, and that one does once it can be created."""
    number = experiment.cloud.faults.add(Fault("internal_error", "sagemaker:CreateTrainingJob", job="*-0-0"))
    with experiment.running([{"epochs": 2}] * 3):
        wait_until(lambda: experiment.ends(1) and experiment.ends(2), "the ends of the others")
        assert experiment.ends(0) == []
        experiment.cloud.faults.remove(number)
    assert experiment.ends() == ["Completed"] * 3
    experiment.check_whole()


@pytest.mark.defect("R4")
def test_trials_beyond_the_quota_wait(experiment: Experiment) -> None:
    """One instance for three workers: told once, nothing fails, and never is there more than one job."""
    experiment.cloud.set_quota(QUOTA, 1)
    experiment.run([{"epochs": 2} for _ in range(3)])
    assert experiment.ends() == ["Completed"] * 3
    assert experiment.jobs() == {"0-0": "Completed", "1-0": "Completed", "2-0": "Completed"}
    refused = [call for call in experiment.cloud.calls("sagemaker:CreateTrainingJob") if call.error]
    assert {call.error for call in refused} == {"ResourceLimitExceeded"}
    assert experiment.says(
        "the account may use 1 ml.m5.large at once, and 3 workers may want 3: some trials will wait; ask for more of "
        f"'{QUOTA}' with AWS Service Quotas, or use fewer workers"
    )
    assert experiment.says(
        "no further ml.m5.large at the moment (the account's quota is used up: ask for more with AWS Service Quotas, "
        "or pass further types as fallback_instance_types): 2 trials wait, 1 run; trying again in "
    )
    spans = sorted((job["CreationTime"], job["TrainingEndTime"]) for job in map(experiment.describe, range(3)))
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert begin >= end
    experiment.check_whole()


@pytest.mark.defect("R4")
def test_a_quota_that_others_use_up(experiment: Experiment) -> None:
    """Refused for a while, by jobs of somebody else: the trial waits in the queue, its attempt is not spent."""
    experiment.cloud.faults.add(Fault("resource_limit", "sagemaker:CreateTrainingJob", count=3))
    experiment.run([{"epochs": 2}])
    assert experiment.jobs() == {"0-0": "Completed"}
    assert experiment.count("sagemaker:CreateTrainingJob") == 4
    experiment.check_whole()


def test_a_trial_that_waits_can_be_stopped(experiment: Experiment) -> None:
    """A tuner that ends does not wait for machines; the trial that never began is told of, and costs nothing."""
    experiment.cloud.set_quota(QUOTA, 1)
    plan = {"decisions": {(0, 2): SchedulerDecision.STOP}}
    options: dict[str, Any] = {"stop_criterion": StoppingCriterion(max_num_evaluations=2)}
    experiment.run([{"epochs": 2, "hold": 2}, {"epochs": 2}], plan=plan, tuner=options)
    assert experiment.ends(0) == ["Stopped"]
    assert experiment.ends(1) == ["Interrupted"]
    assert experiment.jobs() == {"0-0": "Completed"}
    experiment.check_whole()


def test_a_trial_waits_for_capacity(experiment: Experiment) -> None:
    """A job that got no instance: the trial waits and goes on as its next attempt, which counts as no failure."""
    experiment.cloud.faults.add(Fault("capacity", count=5))
    experiment.run([{"epochs": 2}])
    assert experiment.ends() == ["Interrupted"] * 5 + ["Completed"]
    assert experiment.reasons()[0].startswith("there was no ml.m5.large free (CapacityError")
    assert experiment.says(
        "no further ml.m5.large at the moment (AWS has no capacity: try another region, or pass further types as "
        "fallback_instance_types): 1 trials wait, 0 run; trying again in "
    )
    assert experiment.epochs() == [1, 2]
    experiment.check_whole()


def test_no_capacity_with_something_to_fall_back_on(experiment: Experiment) -> None:
    """The next type of the list is taken at once."""
    experiment.cloud.faults.add(Fault("capacity", count=1))
    experiment.run(
        [{"epochs": 2}], fallback_instance_types=["ml.m5.xlarge"], cadence={"first_wait": 60.0, "longest_wait": 60.0}
    )
    assert experiment.ends() == ["Interrupted", "Completed"]
    assert experiment.describe(0, 1)["ResourceConfig"]["InstanceType"] == "ml.m5.xlarge"
    experiment.check_whole()


def test_a_quota_with_something_to_fall_back_on(experiment: Experiment) -> None:
    """Two trials at once, of two types; each is billed by its own."""
    experiment.cloud.set_quota(QUOTA, 1)
    with experiment.running([{"epochs": 2, "hold": 1}] * 2, fallback_instance_types=["ml.m5.xlarge"]):
        for trial in range(2):
            experiment.wait_for_epoch(1, trial)
        experiment.release(0, 1)
    assert experiment.jobs() == {"0-0": "Completed", "1-0": "Completed"}
    types = [experiment.describe(trial)["ResourceConfig"]["InstanceType"] for trial in range(2)]
    assert types == ["ml.m5.large", "ml.m5.xlarge"]
    billed = {bill["trial"]: bill["instance_type"] for bill in experiment.entries("bill")}
    assert billed == {0: "ml.m5.large", 1: "ml.m5.xlarge"}
    experiment.check_whole()


def test_a_machine_that_is_freed_is_tried_at_once(experiment: Experiment) -> None:
    """Who waits for the quota need not wait for its turn to ask when a job of ours has ended."""
    experiment.cloud.set_quota(QUOTA, 1)
    with experiment.running(
        [{"epochs": 1, "hold": 1}, {"epochs": 1}], cadence={"first_wait": 600.0, "longest_wait": 600.0}
    ):
        experiment.wait_for_epoch(1)
        wait_until(lambda: experiment.says("trying again in"), "the refusal")
        experiment.release(0)
    assert experiment.ends() == ["Completed"] * 2
