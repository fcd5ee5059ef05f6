"""Jobs that take long to stop: their machines are busy until they have ended, unless the user allows going over."""

from __future__ import annotations

import pytest

from cloudtune.localcloud import Fault
from cloudtune.optimizer.scheduler import SchedulerDecision
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until

STOP_AT_2 = {"decisions": {(0, 2): SchedulerDecision.STOP}}
STUBBORN = [{"epochs": 2, "hold": 2, "deaf": 1}, {"epochs": 2}]


def _is_ending(experiment: Experiment) -> bool:
    """Whether the agent of trial 0 has heard that it is to end."""
    import json

    body = experiment.s3.get_object(Bucket="experiments", Key=experiment.keys.head(0, 0))["Body"].read()
    return bool(json.loads(body)["state"] == "ending")


@pytest.mark.defect("C2")
def test_a_stopping_job_is_a_busy_worker(experiment: Experiment) -> None:
    """The default: the next trial begins when the job is over, and is heard of to its end."""
    with experiment.running(STUBBORN, plan=STOP_AT_2, stop_grace=100, tuner={"n_workers": 1}) as running:
        experiment.wait_for_epoch(2)
        wait_until(lambda: _is_ending(experiment), "the agent to hear the wish")
        assert running.tuner.trial_backend.busy_workers() == 1
        assert experiment.jobs() == {"0-0": "InProgress"}
        experiment.release(0)
    ended = experiment.describe(0)["TrainingEndTime"].timestamp()
    (created,) = [call.at for call in experiment.cloud.calls("sagemaker:CreateTrainingJob", job=experiment.job(1))]
    assert created >= ended
    assert experiment.epochs(1) == [1, 2]
    experiment.check_whole()


@pytest.mark.defect("C2")
def test_a_stopping_job_may_be_passed(experiment: Experiment) -> None:
    """``start_jobs_without_delay=True``: the next trial begins beside it, and is heard of to its end."""
    options = {"n_workers": 1, "start_jobs_without_delay": True}
    with experiment.running(STUBBORN, plan=STOP_AT_2, stop_grace=100, tuner=options):
        experiment.wait_for_epoch(2, trial=1)
        assert experiment.jobs()["0-0"] == "InProgress"
        experiment.release(0)
    assert experiment.epochs(0) == experiment.epochs(1) == [1, 2]
    assert sorted(experiment.ends()) == ["Completed", "Stopped"]
    experiment.check_whole()


def test_a_job_that_hangs_in_stopping(experiment: Experiment) -> None:
    """Reports come from the log, so SageMaker has to stop it; while it says Stopping the worker is busy."""
    experiment.cloud.faults.add(Fault("hang_stopping", job="*-0-0", seconds=3.0))
    experiment.run(
        [{"epochs": 2, "hold": 2}, {"epochs": 2}], plan=STOP_AT_2, report_channel="logs", tuner={"n_workers": 1}
    )
    ended = experiment.describe(0)["TrainingEndTime"].timestamp()
    (created,) = [call.at for call in experiment.cloud.calls("sagemaker:CreateTrainingJob", job=experiment.job(1))]
    assert created >= ended
    assert experiment.ends() == ["Stopped", "Completed"]
    experiment.check_whole()


def test_a_wish_that_nobody_hears(experiment: Experiment) -> None:
    """An agent that cannot read the life object: SageMaker stops its job after grace and margin; reports stay."""
    # The first look, before the script is started, has to succeed.
    experiment.cloud.faults.add(Fault("slow_down", "s3:GetObject", resource="*/life.json", who="job:*", skip=1))
    experiment.run([{"epochs": 3, "hold": 2}], stop_grace=0.5, plan=STOP_AT_2, cadence={"stop_margin": 1.0})
    assert experiment.count("sagemaker:StopTrainingJob") == 1
    assert experiment.ends() == ["Stopped"]
    assert experiment.epochs() == [1, 2]
    experiment.check_whole()
