"""The least IAM policies against what is rarer: copies, uploads that break off, spot, orphans, a tuner taken over.

See ``test_permissions.py`` for what is usual.
"""

from __future__ import annotations

import functools
import json

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.s3_transfer import MiB, Parts
from cloudtune.backend import LocalBackend
from cloudtune.backend.sagemaker_backend import work
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.localcloud import Fault
from tests.backend.sagemaker.failures.plan import Plan
from tests.remote.remote_experiment import NAME, SCRIPT, wait_until
from tests.remote.watched import Watched

pytestmark = pytest.mark.timeout(900)


def _copying(backend: TrialBackend, megabytes: int) -> Tuner:
    """A tuner of two trials, the second of which begins with the checkpoint of the first."""
    configs = [{"epochs": 1, "megabytes": megabytes}, {"epochs": 2, "expects": megabytes}]
    return Tuner(
        backend,
        Plan(configs, sources={1: 0}),
        StoppingCriterion(max_wallclock_time=3000),
        n_workers=1,
        max_failures=0,
        tuner_name=NAME,
        suffix_tuner_name=False,
    )


def test_copies_by_a_remote_tuner(watched: Watched) -> None:
    """Server side, for which it reads as well as writes; a trial's upload in parts is broken off once, and undone."""
    watched.cloud.faults.add(Fault("internal_error", "s3:UploadPart", who="job:*", count=8))
    launched = watched.launch(_copying(watched.backend(False, volume_size=30), 10))
    assert watched.wait_for_end(launched.job_name)["status"] == "Completed"
    copied = watched.cloud.calls("s3:CopyObject", who=f"job:{launched.job_name}")
    assert copied
    watched.check("copies by a remote tuner")


def test_copies_by_a_local_tuner(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, as objects above 256 MB are copied; one that is broken off is undone."""
    monkeypatch.setattr(work, "Bucket", functools.partial(Bucket, copy_parts=Parts(8 * MiB, 8 * MiB)))
    _copying(watched.backend(False, volume_size=30), 20).run()
    assert watched.cloud.calls("s3:UploadPartCopy", who="client")
    (weights,) = [one for one in watched.bucket.list("cloudtune/") if one.size == 20 * MiB][:1]
    watched.cloud.faults.add(Fault("access_denied", "s3:UploadPartCopy"))
    copying = Bucket(watched.bucket.aws, watched.bucket.name, copy_parts=Parts(8 * MiB, 8 * MiB))
    with pytest.raises(AccessDenied):
        copying.copy_many([(weights.key, f"{weights.key}-copy", weights.size)])
    watched.check("copies by a local tuner")


def test_files_of_trials_beside_the_loop(watched: Watched) -> None:
    """Their checkpoints are uploaded by the tuner's job, in parts; an upload that is broken off is undone."""
    tuner = watched.tuner(False, {"epochs": 2, "megabytes": 40}, trials=1, workers=1)
    tuner.trial_backend = LocalBackend(entry_point=str(SCRIPT))
    watched.cloud.faults.add(Fault("internal_error", "s3:UploadPart", who="job:*", count=16))
    launched = watched.launch(tuner, store_logs_localbackend=True, volume_size=30)
    assert watched.wait_for_end(launched.job_name)["status"] == "Completed"
    watched.check("files of trials beside the loop")


def test_spot_machines_and_a_stop_in_the_console(watched: Watched) -> None:
    """Machines of tuner and trial are taken away, and somebody stops a trial: neither takes a right of its own."""
    tuner = watched.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    tuner.trial_backend = watched.backend(use_spot=True, max_wait=8000, max_run=7000)
    launched = watched.launch(tuner, use_spot=True, max_wait=8000, max_run=7000)
    watched.wait_for_reports(4)
    first, second = (job["name"] for job in watched.trial_jobs())
    watched.cloud.interrupt_job(launched.job_name, notice=True)
    watched.cloud.interrupt_job(first, notice=True)
    watched.cloud.stop_job(second)
    for name in (launched.job_name, first):
        wait_until(lambda name=name: watched.job(name)["run"] == 1, f"the second run of {name}")  # type: ignore[misc]
    watched.release(0, 1)
    assert watched.wait_for_end(launched.job_name)["status"] == "Completed"
    watched.check("spot and console")


def test_orphans_are_reaped(watched: Watched) -> None:
    """Jobs and warm pools of a tuner that was stopped without them."""
    tuner = watched.tuner(True, {"epochs": 3, "hold": 2}, trials=2)
    tuner.trial_backend = watched.backend(keep_alive_period=3000)
    watched.launch(tuner)
    watched.wait_for_reports(4)
    left = json.loads(watched.command("stop", NAME, "--leave-trials", "--json"))["running"]
    ended = watched.trial_jobs()[0]["name"]
    assert ended in left
    watched.release(0)
    assert watched.wait_for_end(ended)["status"] == "Completed"
    reaped = json.loads(watched.command("reap", NAME, "--yes", "--json", "--grace", "0"))
    assert (reaped["stopped"], reaped["pools"]) == ([name for name in left if name != ended], [ended])
    watched.check("reap")


def test_an_experiment_is_taken_over(watched: Watched) -> None:
    """A laptop goes on with what a job drives: the policies of both let the fence work."""
    tuner = watched.tuner(True, {"epochs": 3, "hold": 2}, trials=2)
    tuner.trial_backend = watched.backend()
    launched = watched.launch(tuner)
    watched.wait_for_reports(4)
    watched.command("logs", NAME, "0")
    here = Tuner.takeover(NAME)
    watched.release(0, 1)
    here.run(takeover=True)
    assert here.status.num_trials_completed == 2
    watched.wait_for_end(launched.job_name)
    watched.check("takeover")
