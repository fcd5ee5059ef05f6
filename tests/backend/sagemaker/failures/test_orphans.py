"""Jobs without a tuner: they end by themselves, and those that no trial waits for are stopped."""

from __future__ import annotations

import json
import signal
from typing import Any

from cloudtune.agent.protocol import ENV_JOB_ID
from tests.aws.conftest import training_request
from tests.backend.sagemaker.failures.commands import Commands
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until
from tests.backend.sagemaker.harness import BUCKET


def test_a_job_whose_tuner_is_gone_pauses_by_itself(experiment: Experiment, commands: Commands) -> None:
    """Dead-man switch: checkpoint, end mark, end; the next tuner goes on from there, as if it had paused the trial."""
    work: dict[str, Any] = {"configs": [{"epochs": 4, "hold": 2}], "cadence": {"life": 0.5, "life_timeout": 10.0}}
    first = commands.start(work)
    experiment.wait_for_epoch(2)
    first.process.send_signal(signal.SIGKILL)
    first.wait()
    assert experiment.cloud.wait_for_job(experiment.job())["status"] == "Completed"
    head = json.loads(experiment.s3.get_object(Bucket=BUCKET, Key=experiment.keys.end(0, 0))["Body"].read())
    assert head["end"]["outcome"] == "paused"
    assert head["end"]["reason"].startswith("the tuner gave no sign of life for")
    assert experiment.saved() == 2

    again = commands.start(work)
    assert again.wait() == 0, again.output
    assert experiment.ends() == ["Interrupted", "Completed"]
    assert experiment.epochs() == [1, 2, 3, 4]
    assert [entry["metrics"]["began_at"] for entry in experiment.reports()] == [0, 0, 2, 2]
    experiment.check_whole()


def test_a_job_that_no_trial_waits_for_is_stopped(experiment: Experiment) -> None:
    """Such as one that a tuner created the very moment it was killed; foreign jobs are left alone."""
    idle = "import signal; signal.pause()"
    with experiment.running([{"epochs": 2, "hold": 1}]):
        experiment.wait_for_epoch(1)
        output = {"OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"}}
        stray = experiment.job(7)
        ours = {"Environment": {ENV_JOB_ID: "-".join(stray.split("-")[-3:])}}
        experiment.sagemaker.create_training_job(**training_request(stray, idle, **output, **ours))
        experiment.sagemaker.create_training_job(**training_request("trials-of-a-colleague-7-0", idle, **output))
        assert experiment.cloud.wait_for_job(stray)["status"] == "Stopped"
        assert experiment.says(f"stopping {stray}, a job of this experiment that no trial waits for")
        experiment.release(0)
    states = {job["name"]: job["status"] for job in experiment.cloud.jobs()}
    assert states["trials-of-a-colleague-7-0"] == "InProgress"
    assert experiment.ends() == ["Completed"]


def test_a_tuner_that_breaks_down_leaves_nothing(experiment: Experiment) -> None:
    """An error in a user's callback: running jobs are paused before it is raised, and the same command continues."""
    import pytest

    from cloudtune.callbacks import TunerCallback
    from cloudtune.trial import Trial

    class Broken(TunerCallback):
        def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
            if result["epoch"] == 2:
                raise LookupError("a callback of the user's")

    configs = [{"epochs": 3, "hold": 2}]
    with pytest.raises(LookupError):
        experiment.run(configs, tuner={"callbacks": [Broken()]})
    wait_until(lambda: set(experiment.jobs().values()) == {"Completed"}, "the end of the job")
    assert experiment.count("sagemaker:StopTrainingJob") == 0
    experiment.run(configs)
    assert experiment.epochs() == [1, 2, 3]
    experiment.check_whole()
