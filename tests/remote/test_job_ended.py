"""What is known of the job of another tuner before an experiment is taken from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.errors import ExperimentLocked
from cloudtune.localcloud import LocalCloud
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.s3_store import S3Store
from tests.remote.test_tuner_job import make_request


def test_a_job_that_runs_and_one_that_has_ended(
    aws: Aws, place: TunerPlace, tmp_path: Path, local_cloud: LocalCloud
) -> None:
    """SageMaker tells."""
    local_cloud.faults.add("slow_start", seconds=1000.0)  # it is stopped before it runs, which takes no time
    script = tmp_path / "script.py"
    script.write_text("pass")
    request = make_request(aws, place, script)
    name = request["TrainingJobName"]
    TrainingJobs(aws).create(request)
    assert not JobEnded(aws)(name)
    TrainingJobs(aws).stop(name)
    local_cloud.wait_for_job(name)
    assert JobEnded(aws)(name)


def test_a_job_of_another_region(aws: Aws, place: TunerPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks in the wrong region does not find the job, and does not get the experiment that it drives."""
    elsewhere = Aws("eu-west-1", budget=RateBudget({}))
    assert not JobEnded(elsewhere)("digits-tuning-0-0")
    monkeypatch.setenv("TRAINING_JOB_NAME", "digits-tuning-0-0")
    driven = S3Store(place.bucket, place.root)
    driven.open()
    monkeypatch.delenv("TRAINING_JOB_NAME")
    # As on another machine: there the process is not to be seen.
    monkeypatch.setattr("cloudtune.store.s3_lease.is_same_space", lambda owner: False)
    with pytest.raises(ExperimentLocked, match="is driven by training job digits-tuning-0-0"):
        S3Store(place.bucket, place.root, job_is_over=JobEnded(elsewhere)).open()
    driven.close()
