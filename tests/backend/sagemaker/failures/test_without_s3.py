"""Jobs that cannot reach the bucket: their reports come from the log, and somebody says why."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune.callbacks import TunerCallback
from cloudtune.localcloud import CloudSettings, Fault, LocalCloud
from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.tuning_status import TuningStatus
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until
from tests.backend.sagemaker.harness import BUCKET


@pytest.mark.parametrize("operation", ["s3:*", "s3:PutObject"])
def test_a_role_without_rights_has_reports_come_by_the_log(experiment: Experiment, operation: str) -> None:
    """The tuner says so, per trial; every report arrives, once and in order, and a stop works all the same."""
    experiment.cloud.faults.add(Fault("access_denied", operation, who="job:*"))
    plan = {"decisions": {(1, 2): SchedulerDecision.STOP}}
    experiment.run([{"epochs": 5}, {"epochs": 2, "hold": 2}], plan=plan)
    assert experiment.epochs(0) == [1, 2, 3, 4, 5]
    assert experiment.epochs(1) == [1, 2]
    assert sorted(experiment.ends()) == ["Completed", "Stopped"]
    for trial in range(2):
        assert experiment.says(
            f"trial {trial} cannot write to S3 from its job {experiment.job(trial)}, so its reports come from its log "
            "and its checkpoints are neither restored nor kept: the job's role has no rights on "
            f"s3://{BUCKET}/{experiment.keys.prefix}: "
        )
    experiment.check_whole()


def test_rights_that_are_missing_for_a_moment(experiment: Experiment) -> None:
    """A job whose first calls are refused, as right after a change of its role, meets its tuner in S3 all the same."""
    experiment.cloud.faults.add(Fault("access_denied", "s3:PutObject", resource="*/inbox/*", who="job:*", count=2))
    experiment.run([{"epochs": 3}])
    assert len(experiment.cloud.faults.fired()) == 2
    assert experiment.epochs() == [1, 2, 3]
    assert experiment.ends() == ["Completed"]
    assert not experiment.says("cannot write to S3")
    experiment.check_whole()


def test_rights_that_only_the_first_run_has(experiment: Experiment) -> None:
    """The tuner has heard the first run in S3: the next one tries there for ever, and nothing it reports is lost."""
    with experiment.running([{"epochs": 5, "hold": 3}], job={"use_spot": True}):
        experiment.wait_for_epoch(3)
        wait_until(lambda: experiment.saved() >= 3, "a checkpoint of epoch 3")
        denied = Fault("access_denied", "s3:PutObject", resource="*/inbox/*", who="job:*")
        number = experiment.cloud.faults.add(denied)
        experiment.cloud.interrupt_job(experiment.job(), notice=False)
        experiment.release(0)
        wait_until(lambda: len(experiment.cloud.faults.fired()) >= 6, "refusals")
        experiment.cloud.faults.remove(number)
    assert [(entry["run"], entry["metrics"]["epoch"]) for entry in experiment.reports()] == [
        (0, 1), (0, 2), (0, 3), (1, 4), (1, 5),
    ]  # fmt: skip
    assert experiment.ends() == ["Completed"]
    experiment.check_whole()


def test_a_role_without_rights_whose_script_fails(experiment: Experiment) -> None:
    """The reason is the script's, not that of the missing rights."""
    experiment.cloud.faults.add(Fault("access_denied", "s3:*", who="job:*"))
    experiment.run([{"epochs": 3, "crash": 2}], tuner={"max_failures": 1})
    assert experiment.epochs() == [1, 2]
    assert "ZeroDivisionError: no loss is left" in experiment.reasons()[0].splitlines()[0]
    experiment.check_whole()


@pytest.fixture(scope="module")
def bare_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of Python and nothing else."""
    folder = tmp_path_factory.mktemp("image") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


@pytest.fixture
def bare(bare_image: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Experiment]:
    """An experiment whose image is that environment."""
    with LocalCloud(CloudSettings(images={"*": str(bare_image)}, stop_grace=8.0, sync_interval=0.2)) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        experiment.use(cloud)
        yield experiment


def test_an_image_without_boto3_has_reports_come_by_the_log(bare: Experiment) -> None:
    """The tuner says so; reports, the reason of a failure, stop and pause work; checkpoints are what is lost."""
    plan = {"decisions": {(1, 2): SchedulerDecision.STOP}}
    configs = [{"epochs": 3}, {"epochs": 2, "hold": 2}, {"epochs": 3, "crash": 2}]
    bare.run(configs, plan=plan, tuner={"max_failures": 1})
    assert [bare.epochs(trial) for trial in range(3)] == [[1, 2, 3], [1, 2], [1, 2]]
    assert sorted(bare.ends()) == ["Completed", "Failed", "Stopped"]
    assert bare.says(
        f"trial 0 cannot write to S3 from its job {bare.job(0)}, so its reports come from its log and its checkpoints "
        "are neither restored nor kept: image without boto3, which has to be installed in it: "
    )
    bare.check_whole()


def test_s3_fails_for_everybody_for_a_while(experiment: Experiment) -> None:
    """Tuner and jobs go on when it is back: told once, nothing lost or doubled, no trial failed."""
    with experiment.running([{"epochs": 6, "hold": 2}, {"epochs": 4, "hold": 2}]):
        for trial in range(2):
            experiment.wait_for_epoch(2, trial)
        number = experiment.cloud.faults.add(Fault("internal_error", "s3:*"))
        experiment.release(0, 1)
        jobs = [f"job:{experiment.job(trial)}" for trial in range(2)]
        for who in ("client", *jobs):
            wait_until(
                lambda who=who: sum(one.case.who == who for one in experiment.cloud.faults.fired()) >= 4,  # type: ignore[misc]
                f"failures of {who}",
            )
        experiment.cloud.faults.remove(number)
    assert experiment.epochs(0) == [1, 2, 3, 4, 5, 6]
    assert experiment.epochs(1) == [1, 2, 3, 4]
    assert experiment.ends() == ["Completed"] * 2
    experiment.check_whole()


class Breaks(TunerCallback):
    """Cannot go on, once a test says so."""

    is_broken = False

    def next_time(self) -> float:
        return 0.0

    def on_time(self, unix: float, status: TuningStatus) -> None:
        if self.is_broken:
            raise KeyError("a column that is not there")


def test_s3_fails_while_a_tuner_ends_by_an_error(experiment: Experiment) -> None:
    """SageMaker says that the jobs have ended: their last words are the next tuner's, nobody waits for them."""
    breaks = Breaks()
    configs = [{"epochs": 2, "hold": 1}] * 3
    running = experiment.running(configs, stop_grace=1, tuner={"callbacks": [breaks]})
    with pytest.raises(KeyError, match="a column"), running:
        for trial in range(3):
            experiment.wait_for_epoch(1, trial)
        experiment.cloud.faults.add(Fault("internal_error", "s3:*", who="client"))
        experiment.release(*range(3))
        wait_until(lambda: set(experiment.jobs().values()) == {"Completed"}, "the ends of the jobs")
        breaks.is_broken = True
    assert not experiment.says("may still run")
    experiment.cloud.faults.clear()
    experiment.run(configs)
    assert [experiment.epochs(trial) for trial in range(3)] == [[1, 2]] * 3
    assert experiment.ends() == ["Completed"] * 3
    experiment.check_whole()


def test_credentials_of_a_job_that_expire(experiment: Experiment) -> None:
    """The agent goes on trying: what was reported meanwhile arrives when they are renewed."""
    with experiment.running([{"epochs": 5, "hold": 2}]):
        experiment.wait_for_epoch(2)
        who = f"job:{experiment.job()}"
        number = experiment.cloud.faults.add(Fault("expired_token", "s3:PutObject", who=who))
        experiment.release(0)
        wait_until(lambda: len(experiment.cloud.faults.fired()) >= 3, "refusals")
        experiment.cloud.faults.remove(number)
    assert experiment.epochs() == [1, 2, 3, 4, 5]
    assert experiment.ends() == ["Completed"]
    experiment.check_whole()


def test_a_tuner_that_may_not_delete(experiment: Experiment) -> None:
    """Heads that were read stay where they are, which is told once; nothing else depends on it."""
    experiment.cloud.faults.add(Fault("access_denied", "s3:DeleteObject*", who="client"))
    experiment.run([{"epochs": 2}] * 2, tuner={"n_workers": 1})
    assert experiment.ends() == ["Completed"] * 2
    told = [message for message in experiment.messages(logging.WARNING) if "stay in the inbox" in message]
    assert len(told) == 1
    assert told[0].startswith("reports that were read stay in the inbox, whose listings grow longer: s3:DeleteObjects ")
    experiment.check_whole()
