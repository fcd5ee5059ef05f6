"""An experiment whose tuner is a job on the local cloud: what a test does to it, and what is true in the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.backend import LocalBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.config_space import choice
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import GridSearch
from cloudtune.remote import RemoteLauncher
from cloudtune.remote.launching import Checks
from cloudtune.remote.parcel import bucket_of, make_parcels
from cloudtune.remote.remote_launcher import RemoteExperiment
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.s3_log import S3LogView
from tests.backend.sagemaker.failures import train
from tests.backend.sagemaker.harness import BUCKET, HURRY, make_backend, training_job

SCRIPT = Path(train.__file__)
NAME = "afar"
ROOT = f"cloudtune/{NAME}/{NAME}/"
JOB = {
    "instance_type": "ml.m5.large",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
    "role": "arn:aws:iam::123456789012:role/tuner",
    "volume_size": 1,
}
#: Seconds after which a test that waits has failed.
PATIENCE = 120.0


def wait_until(happened: Callable[[], object], what: str) -> None:
    """Looks again and again until it has happened."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


class RemoteTuning:
    """One experiment.

    Args:
        cloud: Where.
        gates: Folder in which scripts look for the file that lets them go on.
    """

    def __init__(self, cloud: LocalCloud, gates: Path) -> None:
        self.cloud = cloud
        self.gates = gates
        self.bucket = Bucket(aws_for(None, None), BUCKET)
        self.place = TunerPlace(self.bucket, ROOT)

    # ------------------------------------------------------------------ launching

    def tuner(self, as_jobs: bool, space: Mapping[str, Any], trials: int, workers: int = 2, **options: Any) -> Tuner:
        """A tuner of trials that run the script of these tests."""
        environment = {"GATES": str(self.gates)}
        backend: TrialBackend
        if as_jobs:
            backend = make_backend(training_job(SCRIPT, environment=environment), cadence=HURRY)
        else:
            backend = LocalBackend(entry_point=str(SCRIPT))
        given: dict[str, Any] = {
            "stop_criterion": StoppingCriterion(max_num_trials_started=trials, max_wallclock_time=3000),
            "n_workers": workers,
            "max_failures": 0,
            "tuner_name": NAME,
            "suffix_tuner_name": False,
            **options,
        }
        losses = choice([1.0 + number for number in range(trials)])
        return Tuner(trial_backend=backend, scheduler=GridSearch({**space, "loss": losses}, metric="loss"), **given)

    def launch(self, tuner: Tuner, **options: Any) -> RemoteExperiment:
        """Launches a tuner, without waiting for it."""
        job = {**JOB, "s3_path": f"s3://{BUCKET}", "environment": {"GATES": str(self.gates)}, **options}
        takeover = job.pop("takeover", False)
        return RemoteLauncher(tuner, **job).run(wait=False, takeover=takeover)

    def launch_amid(self, tuner: Tuner, meanwhile: Callable[[], object]) -> RemoteExperiment:
        """Launches a tuner.

        Args:
            tuner: Which.
            meanwhile: Called when all that its job reads is there, right before the job is.
        """
        job: dict[str, Any] = {**JOB, "s3_path": f"s3://{BUCKET}", "environment": {"GATES": str(self.gates)}}
        aws = aws_for(None, None)
        (parcel,) = make_parcels(aws, [tuner], bucket_of(aws, job["s3_path"]))
        return RemoteLauncher(tuner, **job).run_with(parcel, Checks(meanwhile, lambda: None))

    def release(self, *trials: int) -> None:
        """Lets scripts go on that wait."""
        for trial in trials:
            (self.gates / str(trial)).touch()

    # ------------------------------------------------------------------ what there is

    def log(self) -> list[dict[str, Any]]:
        """The experiment's log, as it stands in S3."""
        return list(S3LogView(self.bucket, ROOT).entries())

    def entries(self, event: str) -> list[dict[str, Any]]:
        """Entries of one kind."""
        return [entry for entry in self.log() if entry["event"] == event]

    def wait_for_reports(self, count: int) -> None:
        """Returns when so many reports are in the log."""
        wait_until(lambda: len(self.entries("report")) >= count, f"{count} reports")

    def job(self, name: str) -> dict[str, Any]:
        """A training job."""
        return next(job for job in self.cloud.jobs() if job["name"] == name)

    def tuner_jobs(self) -> list[dict[str, Any]]:
        """The jobs of the tuner, oldest first."""
        return [job for job in self.cloud.jobs() if job["name"].startswith(f"{NAME}-tuning-")]

    def trial_jobs(self) -> list[dict[str, Any]]:
        """The jobs of trials, oldest first."""
        return [job for job in self.cloud.jobs() if not job["name"].startswith(f"{NAME}-tuning-")]

    def output(self, job: str) -> str:
        """What a job has written."""
        from cloudtune.aws.logs import JobLogs

        return JobLogs(aws_for(None, None)).text(job)

    def wait_for_end(self, job: str) -> dict[str, Any]:
        """The job, once it has ended."""
        return self.cloud.wait_for_job(job, timeout=PATIENCE)

    # ------------------------------------------------------------------ what has to be true

    def check_whole(self, reports: Mapping[int, int]) -> None:
        """Every report of every trial is in the log once, in order; nothing runs any more.

        Args:
            reports: For each trial, how many epochs it has trained.
        """
        epochs: dict[int, list[int]] = {}
        for entry in self.entries("report"):
            if not entry.get("replay"):
                epochs.setdefault(entry["trial"], []).append(entry["metrics"]["epoch"])
        assert epochs == {trial: list(range(1, count + 1)) for trial, count in reports.items()}
        identities = Counter(
            (entry["trial"], entry["attempt"], entry["run"], entry["number"]) for entry in self.entries("report")
        )
        assert set(identities.values()) <= {1}
        self.check_nothing_runs()

    def check_nothing_runs(self) -> None:
        """No job is left."""
        assert [job["name"] for job in self.cloud.jobs() if job["status"] in ("InProgress", "Stopping")] == []
