"""Checkpoints of training jobs: copied within S3, in parts where they are large, and deleted with their trials."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.aws.s3_transfer import MiB, Parts
from cloudtune.backend.sagemaker_backend import work
from cloudtune.localcloud import Fault
from cloudtune.optimizer.scheduler import SchedulerDecision
from tests.backend.sagemaker.failures.experiment import Experiment


def _large(experiment: Experiment, megabytes: int, **options: Any) -> None:
    """Two trials, the second of which begins with the checkpoint of the first, which is large."""
    configs = [{"epochs": 1, "megabytes": megabytes}, {"epochs": 2, "megabytes": 0, "expects": megabytes}]
    experiment.run(configs, plan={"sources": {1: 0}}, tuner={"n_workers": 1}, job={"volume_size": 30}, **options)
    assert experiment.ends() == ["Completed"] * 2
    assert [entry["metrics"]["began_at"] for entry in experiment.reports(1)] == [1]
    assert experiment.epochs(1) == [2]


@pytest.mark.defect("E11")
def test_a_large_checkpoint_goes_in_parts(experiment: Experiment) -> None:
    """40 MB are uploaded in parts, and copied to another trial without passing through the tuner."""
    _large(experiment, 40)
    parts = [call for call in experiment.cloud.calls("s3:UploadPart*") if call.who.startswith("job:")]
    assert len(parts) >= 2
    prefix = experiment.keys.checkpoints(0)
    read = [call for call in experiment.cloud.calls("s3:GetObject", who="client") if prefix in call.resource]
    assert {call.resource.rpartition(".")[2] for call in read} <= {"json"}
    experiment.check_whole()


def test_a_large_object_is_copied_in_parts(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """As objects above 256 MB are copied; here already those above 8 MB."""
    monkeypatch.setattr(work, "Bucket", functools.partial(Bucket, copy_parts=Parts(8 * MiB, 8 * MiB)))
    _large(experiment, 20)
    assert experiment.count("s3:UploadPartCopy") == 3
    assert experiment.count("s3:UploadPart") == 0
    experiment.check_whole()


def test_a_large_checkpoint_with_faults(experiment: Experiment) -> None:
    """Parts that fail, answers that are lost: the checkpoint is whole, or it would not be restored."""
    for kind in ("slow_down", "answer_lost", "request_lost"):
        experiment.cloud.faults.add(Fault(kind, "s3:*Part*", probability=0.2))
        experiment.cloud.faults.add(Fault(kind, "s3:*MultipartUpload", probability=0.2))
    _large(experiment, 40)
    assert experiment.cloud.faults.fired()


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_checkpoint_of_five_gigabytes(experiment: Experiment) -> None:
    """Hundreds of parts, and a copy in parts of the size that is used on AWS."""
    _large(experiment, 5 * 1024)
    assert experiment.count("s3:UploadPartCopy") == 40


def test_checkpoints_of_finished_trials_are_deleted(experiment: Experiment) -> None:
    """With ``delete_checkpoints=True``: of a stopped, a completed and a failed trial, not of a paused one."""
    plan = {
        "decisions": {(0, 2): SchedulerDecision.STOP, (3, 2): SchedulerDecision.PAUSE},
        "resumes": False,
    }
    configs = [{"epochs": 2, "hold": 2}, {"epochs": 2}, {"epochs": 2, "crash": 2}, {"epochs": 2, "hold": 2}]
    experiment.run(configs, plan=plan, delete_checkpoints=True, tuner={"max_failures": 1})
    assert sorted(experiment.ends()) == ["Completed", "Failed", "Paused", "Stopped"]
    for trial in range(3):
        assert experiment.objects(experiment.keys.checkpoints(trial)) == []
    assert experiment.saved(3) == 2


def test_checkpoints_are_kept_by_default(experiment: Experiment) -> None:
    """Nothing is deleted that nobody asked to be."""
    experiment.run([{"epochs": 2}])
    assert experiment.saved() == 2


def test_a_deletion_that_fails_is_done_again(experiment: Experiment) -> None:
    """S3 confirms deletions it does not make, and answers some with errors: it is done again until it is done."""
    experiment.cloud.faults.add(Fault("write_lost", "s3:DeleteObjects", count=2))
    experiment.cloud.faults.add(Fault("internal_error", "s3:DeleteObjects", count=2))
    experiment.run([{"epochs": 2}], delete_checkpoints=True)
    assert len(experiment.cloud.faults.fired()) == 4
    assert experiment.objects(experiment.keys.checkpoints(0)) == []


def test_a_trial_without_its_checkpoint_has_no_job(experiment: Experiment) -> None:
    """A trial that cannot get the checkpoint it is to begin with fails, with the reason, and has no job."""
    experiment.cloud.faults.add(Fault("access_denied", "s3:CopyObject"))
    experiment.run([{"epochs": 1}, {"epochs": 2}], plan={"sources": {1: 0}}, tuner={"n_workers": 1, "max_failures": 1})
    assert experiment.ends() == ["Completed", "Failed"]
    assert experiment.reasons(1)[0].startswith("its checkpoint could not be prepared: s3:CopyObject")
    assert list(experiment.jobs()) == ["0-0"]
