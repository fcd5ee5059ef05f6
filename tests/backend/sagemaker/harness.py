"""SageMakerBackend on the local cloud, in a hurry, and what its contract adds to that of all backends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloudtune.agent.protocol import Keys
from cloudtune.aws.job_names import job_name, job_name_prefix
from cloudtune.aws.job_template import JobTemplate, TrainingJob
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.trial_backend import LeftRunning, TrialBackend
from cloudtune.localcloud import LocalCloud
from cloudtune.trial import Bill, Outcome, Trial
from tests.contracts import training_program
from tests.contracts.backend_contract import BackendContract
from tests.contracts.backend_driver import Driver

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
    stop_margin=15.0,
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


def make_backend(job: TrainingJob | JobTemplate | None = None, **options: Any) -> SageMakerBackend:
    """A backend in a hurry whose experiments lie in the test's bucket."""
    given: dict[str, Any] = {"s3_path": f"s3://{BUCKET}", "cadence": HURRY, "stop_grace": 5.0, **options}
    return SageMakerBackend(training_job() if job is None else job, **given)


class SageMakerContract(BackendContract):
    """The contract over training jobs; a subclass says how reports travel."""

    patience = 180.0
    frees_with_the_end = False
    one_log = True
    outlives_the_tuner = True
    ends_of_closing = frozenset({Outcome.interrupted, Outcome.paused, Outcome.stopped})
    megabytes = 3
    killed_by = "({})"
    no_output = ""

    #: Whether agents save checkpoints, as generations; or SageMaker itself does, file by file.
    saves_generations = True

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
        name = job_name(driver.place.name, driver.place.experiment_id, trial_id, 0)
        self.wait_until(lambda: name in self.jobs(driver))
        self.cloud.wait_for_job(name, timeout=self.patience)

    def wait_until_saved(self, driver: Driver, trial_id: int) -> None:
        keys = Keys(f"cloudtune/{driver.place.name}/{driver.place.name}/{driver.place.experiment_id}")
        prefix = keys.manifests(trial_id) if self.saves_generations else keys.synced(trial_id)
        s3 = self.cloud.client("s3")
        self.wait_until(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] > 0)

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Returns when it is true, without having the tuner poll."""
        deadline = time.monotonic() + self.patience
        while not happened():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def jobs(self, driver: Driver) -> dict[str, str]:
        """The state of each job of the experiment."""
        prefix = job_name_prefix(driver.place.name, driver.place.experiment_id)
        return {job["name"]: job["status"] for job in self.cloud.jobs() if job["name"].startswith(prefix)}

    def before(self) -> Any:
        return set(threading.enumerate())

    def check_nothing_left(self, driver: Driver, before: Any) -> None:
        self.check_nothing_runs(driver)
        names = [thread.name for thread in threading.enumerate() if thread not in before]
        # The threads that call AWS are shared by all that this process does there.
        assert [name for name in names if not name.startswith("cloudtune-aws")] == []

    def check_nothing_runs(self, driver: Driver) -> None:
        assert {
            name: status for name, status in self.jobs(driver).items() if status in ("InProgress", "Stopping")
        } == {}

    # What failed once may not fail again, for jobs end when they do: smaller examples would take minutes to be found.
    @settings(
        max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    @given(data=st.data())
    def test_any_order_of_calls(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        """As everywhere; fewer examples, for each starts several jobs."""
        self.check_any_order(tmp_path_factory.mktemp("calls"), data)

    def test_closing_may_leave_trials_running(self, driver: Driver) -> None:
        """After close(stop_running=False) jobs go on; the next tuner gets the rest of their reports, and ends them."""
        driver.start(0, reports=3, hold=True)
        driver.start(1, reports=1, hold=True, save="kept,")
        driver.wait_for_reports(0, 3)
        driver.wait_for_reports(1, 1)
        driver.backend.close(stop_running=False)
        assert sorted(self.jobs(driver).values()) == ["InProgress", "InProgress"]
        driver.open([LeftRunning(Trial(0), {0: 2}), LeftRunning(Trial(1), {0: 1})])
        driver.wait_for_reports(0, 4)
        assert [report.number for report in driver.reports(0)] == [0, 1, 2, 2]
        driver.backend.stop_trial(0)
        driver.backend.pause_trial(1)
        assert driver.end_of(0).outcome is Outcome.stopped
        assert driver.end_of(1).outcome is Outcome.paused
        driver.backend.resume_trial(Trial(1, {"reports": 1, "save": "more,"}, attempt=1))
        assert driver.end_of(1, attempt=1).outcome is Outcome.completed
        assert [report.metrics["found"] for report in driver.reports(1)] == ["", "kept,"]

    def test_bills(self, driver: Driver) -> None:
        """Each attempt whose end says so gets a final bill, after its end; then nothing is left to wind down."""
        driver.start(0, reports=1)
        driver.start(1, reports=1, hold=True)
        driver.wait_for_reports(1, 1)
        driver.backend.pause_trial(1)
        driver.end_of(1)
        driver.backend.resume_trial(Trial(1, {"exit_code": 1}, attempt=1))
        driver.end_of(0)
        driver.end_of(1, attempt=1)
        driver.wait(driver.backend.wind_down)
        assert driver.backend.busy_workers() == 0
        for key in ((0, 0), (1, 0), (1, 1)):
            [end] = [e for e in driver.ends() if e[:2] == key]
            bills = [e for e in driver.events if isinstance(e, Bill) and e[:2] == key]
            assert end.bill_follows
            assert [bill.final for bill in bills] == [False] * (len(bills) - 1) + [True]
            assert driver.events.index(end) < driver.events.index(bills[0])
            assert bills[-1].instance_type == "ml.m5.large"
            assert bills[-1].seconds > 0
            assert bills[-1].dollars is not None
        assert driver.backend.committed_cost() == 0
