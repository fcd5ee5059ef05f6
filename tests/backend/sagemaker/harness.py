"""SageMakerBackend on the local cloud, in a hurry, and what its contract adds to that of all backends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cloudtune.aws.job_names import job_name, job_name_prefix
from cloudtune.aws.job_template import TrainingJob
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.localcloud import LocalCloud
from cloudtune.trial import Outcome
from tests.contracts import training_program
from tests.contracts.backend_contract import BackendContract, Driver

BUCKET = "experiments"
ROLE = "arn:aws:iam::123456789012:role/trainer"
PROGRAM = Path(training_program.__file__)

#: Everything as often as a test can wait for.
HURRY = Cadence(
    poll=0.05,
    status=0.5,
    logs=0.1,
    life=1.0,
    silence=30.0,
    settle=(0.05, 0.2, 0.5, 1.0, 2.0),
    stop_margin=3.0,
    first_wait=0.2,
    longest_wait=1.0,
    agent_put=0.1,
    agent_watch=0.1,
    agent_heartbeat=2.0,
    checkpoint=0.2,
)


def training_job(entry_point: Path = PROGRAM, **members: Any) -> TrainingJob:
    """A job that runs a script of ours on the local cloud."""
    given: dict[str, Any] = {
        "instance_type": "ml.m5.large",
        "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
        "role": ROLE,
        "volume_size": 1,
        "max_run": 3600,
        **members,
    }
    return TrainingJob(entry_point, **given)


def make_backend(job: TrainingJob | None = None, **options: Any) -> SageMakerBackend:
    """A backend in a hurry whose experiments lie in the test's bucket."""
    given: dict[str, Any] = {"s3_path": f"s3://{BUCKET}", "cadence": HURRY, "stop_grace": 5.0, **options}
    return SageMakerBackend(training_job() if job is None else job, **given)


class SageMakerContract(BackendContract):
    """The contract over training jobs; a subclass says how reports travel."""

    patience = 90.0
    frees_with_the_end = False
    one_log = True
    outlives_the_tuner = True
    ends_of_closing = frozenset({Outcome.interrupted, Outcome.paused, Outcome.stopped})
    megabytes = 3

    #: Members of the job, and options of the backend, that choose how reports travel.
    job_members: ClassVar[dict[str, Any]] = {}
    backend_options: ClassVar[dict[str, Any]] = {}

    cloud: LocalCloud

    @pytest.fixture(autouse=True)
    def _on_the_cloud(self, cloud: LocalCloud) -> None:
        self.cloud = cloud

    def make_backend(self, **options: Any) -> TrialBackend:
        return make_backend(training_job(**self.job_members), **self.backend_options, **options)

    def wait_until_over(self, driver: Driver, trial_id: int) -> None:
        place = driver.place
        self.cloud.wait_for_job(job_name(place.name, place.experiment_id, trial_id, 0), timeout=self.patience)

    def jobs(self, driver: Driver) -> dict[str, str]:
        """The state of each job of the experiment."""
        prefix = job_name_prefix(driver.place.name, driver.place.experiment_id)
        return {job["name"]: job["status"] for job in self.cloud.jobs() if job["name"].startswith(prefix)}

    def before(self) -> Any:
        return set(threading.enumerate())

    def check_nothing_left(self, driver: Driver, before: Any) -> None:
        self.check_nothing_runs(driver)
        assert [thread.name for thread in threading.enumerate() if thread not in before] == []

    def check_nothing_runs(self, driver: Driver) -> None:
        assert {
            name: status for name, status in self.jobs(driver).items() if status in ("InProgress", "Stopping")
        } == {}
