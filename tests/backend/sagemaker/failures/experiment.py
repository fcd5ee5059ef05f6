"""One experiment on the local cloud: a tuner in a thread, what it has logged, and what is true in the end."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.agent.protocol import Keys
from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.clients import aws_for
from cloudtune.aws.job_names import job_name
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.store.entries import BILL, END, REPORT
from cloudtune.store.local_store import LocalStore
from cloudtune.store.places import experiment_path
from tests.backend.sagemaker.failures.plan import Plan
from tests.backend.sagemaker.harness import BUCKET, HURRY, make_backend, training_job

NAME = "trials"
SCRIPT = Path(__file__).with_name("train.py")
#: Seconds after which a test that waits has failed.
PATIENCE = 180.0


def wait_until(happened: Callable[[], object], what: str) -> None:
    """Looks again and again until it has happened."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def make_tuner(
    gates: Path,
    configs: Sequence[Mapping[str, Any]],
    *,
    job: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    tuner: Mapping[str, Any] | None = None,
    cadence: Mapping[str, Any] | None = None,
    **options: Any,
) -> Tuner:
    """A tuner whose trials run the script of these tests.

    Args:
        gates: Folder in which scripts look for the file that lets them go on.
        configs: Of the trials.
        job: Members of the training job.
        plan: Arguments of the :class:`Plan`.
        tuner: Arguments of the tuner, in place of ours.
        cadence: In place of the test's.
        **options: Of the backend.
    """
    members = {"environment": {"GATES": str(gates)}, **(job or {})}
    given: dict[str, Any] = {
        "stop_criterion": StoppingCriterion(max_wallclock_time=3600),
        "n_workers": len(configs),
        "max_failures": 0,
        "tuner_name": NAME,
        "suffix_tuner_name": False,
        "save_tuner": False,
        **(tuner or {}),
    }
    return Tuner(
        trial_backend=make_backend(
            training_job(SCRIPT, **members), cadence=dataclasses.replace(HURRY, **(cadence or {})), **options
        ),
        scheduler=Plan(configs, **(plan or {})),
        **given,
    )


class Experiment:
    """Tuners of one experiment, one after the other.

    Args:
        cloud: Where.
        folder: Where scripts of this experiment look for their gates.
        caplog: What was logged.
    """

    def __init__(self, cloud: LocalCloud, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.use(cloud)
        self.gates = folder
        self._caplog = caplog
        caplog.set_level(logging.INFO, "cloudtune")

    def use(self, cloud: LocalCloud) -> None:
        """Has everything happen in this cloud from now on."""
        self.cloud = cloud
        self.s3 = cloud.client("s3")
        self.sagemaker = cloud.client("sagemaker")

    def tuner(self, configs: Sequence[Mapping[str, Any]], **options: Any) -> Tuner:
        """A tuner of trials with these configurations; for the options see :func:`make_tuner`."""
        return make_tuner(self.gates, configs, **options)

    def run(self, configs: Sequence[Mapping[str, Any]], **options: Any) -> Tuner:
        """Runs a tuner to its end."""
        tuner = self.tuner(configs, **options)
        tuner.run()
        return tuner

    @contextmanager
    def running(self, configs: Sequence[Mapping[str, Any]], **options: Any) -> Iterator[Running]:
        """A tuner that runs beside the test, and has ended by itself after the block."""
        with beside(self.tuner(configs, **options)) as running:
            yield running

    def release(self, *trials: int) -> None:
        """Lets scripts go on that wait."""
        for trial in trials:
            (self.gates / str(trial)).touch()

    # ------------------------------------------------------------------ what was logged

    def log(self) -> list[dict[str, Any]]:
        """The experiment's log."""
        path = experiment_path(NAME)
        return list(LocalStore(path).read()) if path.exists() else []

    def entries(self, event: str) -> list[dict[str, Any]]:
        """Entries of one kind."""
        return [entry for entry in self.log() if entry["event"] == event]

    def reports(self, trial: int = 0) -> list[dict[str, Any]]:
        """The reports of a trial."""
        return [entry for entry in self.entries(REPORT) if entry["trial"] == trial]

    def epochs(self, trial: int = 0) -> list[int]:
        """The epochs a trial has reported, as they came."""
        return [entry["metrics"]["epoch"] for entry in self.reports(trial)]

    def ends(self, trial: int | None = None) -> list[str]:
        """The status that each attempt has led to, in order."""
        return [entry["status"] for entry in self.entries(END) if trial in (None, entry["trial"])]

    def reasons(self, trial: int = 0) -> list[str]:
        """Why the attempts of a trial have ended."""
        return [entry["reason"] for entry in self.entries(END) if entry["trial"] == trial]

    def wait_for_epoch(self, epoch: int, trial: int = 0) -> None:
        """Returns when the tuner has the report of an epoch."""
        wait_until(lambda: epoch in self.epochs(trial), f"epoch {epoch} of trial {trial}")

    def says(self, text: str) -> bool:
        """Whether a line with this text was logged."""
        return any(text in message for message in self.messages())

    def messages(self, level: int = logging.INFO) -> list[str]:
        """What cloudtune has told so far."""
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.name.startswith("cloudtune") and record.levelno >= level
        ]

    # ------------------------------------------------------------------ what is in the cloud

    @property
    def id(self) -> str:
        """Of the experiment."""
        return str(next(entry["experiment_id"] for entry in self.log() if entry["event"] == "experiment"))

    @property
    def keys(self) -> Keys:
        """Names of its objects."""
        return Keys(f"cloudtune/{NAME}/{NAME}/{self.id}")

    def job(self, trial: int = 0, attempt: int = 0) -> str:
        """Name of a job."""
        return job_name(NAME, self.id, trial, attempt)

    def jobs(self) -> dict[str, str]:
        """Jobs, by trial and attempt, and their state."""
        return {"-".join(job["name"].split("-")[-2:]): job["status"] for job in self.cloud.jobs()}

    def objects(self, prefix: str) -> list[str]:
        """Keys below a prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def saved(self, trial: int = 0) -> int:
        """How far the newest checkpoint of a trial goes."""
        bucket = Bucket(aws_for(), BUCKET)
        manifest = TrialCheckpoints(bucket, self.keys).newest(trial)
        got = None if manifest is None else bucket.get(manifest["files"][0]["key"])
        return 0 if got is None else int(json.loads(got.body)["epoch"])

    def describe(self, trial: int = 0, attempt: int = 0) -> dict[str, Any]:
        """What SageMaker says of a job."""
        answer: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=self.job(trial, attempt))
        return answer

    def count(self, operation: str, who: str = "client") -> int:
        """How often an operation was called."""
        return len(self.cloud.calls(operation, who))

    # ------------------------------------------------------------------ what must be true

    def check_whole(self) -> None:
        """Reports are numbered without gaps, none is there twice, each attempt has one end, and nothing runs."""
        numbers: dict[tuple[int, int, int], list[int]] = {}
        for entry in self.entries(REPORT):
            numbers.setdefault((entry["trial"], entry["attempt"], entry["run"]), []).append(entry["number"])
        for run, found in numbers.items():
            assert found == list(range(len(found))), run
        ended = [(entry["trial"], entry["attempt"]) for entry in self.entries(END)]
        assert len(set(ended)) == len(ended)
        assert {job: state for job, state in self.jobs().items() if state in ("InProgress", "Stopping")} == {}
        bills = {(bill["trial"], bill["attempt"]) for bill in self.entries(BILL) if bill["final"]}
        assert {tuple(map(int, job.split("-"))) for job in self.jobs()} <= bills


class Running:
    """A tuner in a thread."""

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tuner", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.tuner.run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            self.error = error

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Returns when it has ended."""
        self._thread.join(PATIENCE)
        assert self.is_over, "the tuner does not end"


@contextmanager
def beside(tuner: Tuner) -> Iterator[Running]:
    """A tuner that runs beside the test. It has to end by itself; an error that the test did not expect is raised."""
    running = Running(tuner)
    try:
        yield running
    except BaseException:
        if running.error is not None:
            raise running.error from None
        raise
    running.wait()
    if running.error is not None:
        raise running.error
