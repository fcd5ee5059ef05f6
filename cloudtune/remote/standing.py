"""How an experiment stands, wherever it runs: what drives it, its trials, its best value, what it has cost."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.training_jobs import JobState
from cloudtune.experiments.course import Course, KnownLimits
from cloudtune.experiments.known_metadata import metadata_in_folder, metadata_in_s3
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.launches import HANDING_OVER, newest_launch, out_of_time, why_failed
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.entries import INTERRUPTED
from cloudtune.store.lease import describe_holder, lease_holder_is_alive, read_holder
from cloudtune.store.log import LogView
from cloudtune.store.processes import is_same_space, lives
from cloudtune.store.s3_lease import LeaseState, read_lease
from cloudtune.store.s3_log import S3LogView
from cloudtune.trial import Config, TrialStatus
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TunerJob:
    """The training job of the newest launch.

    Args:
        name: Of the job.
        launch: Its number, from 0.
        status: ``InProgress``, ``Completed``, ...
        secondary: What it does (``Starting``, ``Training``, ...).
        instance_type: Of its machine.
        since: When it was created, Unix seconds.
        failure: Why it failed; "" if it did not.
    """

    name: str
    launch: int
    status: str
    secondary: str
    instance_type: str
    since: float
    failure: str


@dataclass(frozen=True)
class Best:
    """The best value of the first metric."""

    metric: str
    value: float
    trial: int
    config: Config


@dataclass(frozen=True)
class Limit:
    """A limit of the experiment, and how far it is."""

    name: str
    limit: float
    so_far: float


@dataclass(frozen=True)
class Standing:
    """How an experiment stands.

    Args:
        name: Its name.
        place: Folder, or ``s3://bucket/prefix``.
        state: ``starting`` (its tuner's job is), ``running``, ``finished`` (its criterion was met), ``interrupted``,
            ``failed``, or ``unfinished`` (its tuner is gone).
        why: Why its tuner ended, or "".
        tuner: The tuner's training job, if it has or had one.
        driven_by: Who drives it now, in words; "" if nobody does.
        epoch: How many tuners have driven it.
        last_sign: Seconds since the lease was renewed, by S3's clock; None where that is not known.
        trials: How many there are, by status.
        reports: Reports that count.
        best: The best value, if there is one.
        seconds: Active tuning time.
        cost: US dollars, as far as known.
        limits: What of the stopping criterion can be told.
        last_error: Why the tuner's job, or else the newest failed trial, has failed.
        damage: What of the log is lost; "" if nothing is.
    """

    name: str
    place: str
    state: str
    why: str
    tuner: TunerJob | None
    driven_by: str
    epoch: int
    last_sign: float | None
    trials: dict[str, int]
    reports: int
    best: Best | None
    seconds: float
    cost: float
    limits: list[Limit] = field(default_factory=list)
    last_error: str = ""
    damage: str = ""

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def standing_of_folder(path: Path) -> Standing:
    """How the experiment in a folder of this machine stands.

    Raises:
        NewerFormat: It was written by a newer cloudtune.
        DamagedLog: Its log is not what was written.
    """
    course = Course()
    course.apply_all(LogView(path / "log").blocks())
    alive = lease_holder_is_alive(path / "lock")
    metadata = metadata_in_folder(path)
    state = "running" if alive else course.status.finished_state or "unfinished"
    driven_by = describe_holder(read_holder(path / "lock")) if alive else ""
    return _standing(path.name, str(path), state, course, metadata, driven_by=driven_by)


def standing_in_s3(found: S3Experiment) -> Standing:
    """How an experiment in S3 stands. Raises AwsError."""
    try:
        newest = newest_launch(TunerPlace(found.bucket, found.root))
    except AccessDenied as error:
        # Who may read the bucket and no more is told what stands there.
        logger.warning("the tuner's training job is not shown: %s", " ".join(str(error).split()))
        newest = None
    job = None if newest is None else newest[1]
    lease = read_lease(found.bucket, found.root)
    view = S3LogView(found.bucket, found.root)
    course = Course()
    course.apply_all(view.blocks())
    driver = driver_of(lease, job)
    state = _state(job, driver, course)
    return _standing(
        found.name,
        found.uri,
        state,
        course,
        metadata_in_s3(found.bucket, found.root),
        driven_by="" if driver is None else driver.describe(),
        last_sign=None if lease is None else lease.age,
        tuner=None if newest is None else _tuner_job(*newest),
        damage=view.damage or "",
        why=_why_unfinished(found, state, job, course.status.finished_why),
    )


def driver_of(lease: LeaseState | None, job: JobState | None) -> LeaseState | None:
    """The lease, if whoever holds it lives.

    Args:
        lease: Of the experiment.
        job: That runs, or ran, its tuner: one that is over has died before it could give the lease back, as has a
            process of this machine that is there no more.
    """
    if lease is None or not lease.is_alive:
        return None
    died = job is not None and job.is_terminal and lease.owner.get("job") == job.name
    return None if died or is_gone_from_here(lease) else lease


def is_gone_from_here(lease: LeaseState) -> bool:
    """Whether a process of this machine has held the lease that is there no more: it was killed."""
    return is_same_space(lease.owner) and not lives(lease.owner)


def _state(job: JobState | None, driver: LeaseState | None, course: Course) -> str:
    status = course.status
    if job is not None and not job.is_terminal and driver is None:
        has_not_begun = status.finished_state is None or course.ended_before(job)
        return "starting" if has_not_begun else str(status.finished_state)
    if driver is not None:
        return "running"
    if status.finished_state is not None:
        return status.finished_state
    return "failed" if job is not None and job.status == "Failed" else "unfinished"


def _why_unfinished(found: S3Experiment, state: str, job: JobState | None, ended: str | None) -> str:
    """Why nobody goes on with an experiment whose tuner hands it over, or had no time to, and what to do; or ""."""
    if job is not None and not job.is_terminal and state == INTERRUPTED and ended == HANDING_OVER:
        return f"{HANDING_OVER}, which {job.name} tries to create for as long as it may run; trials go on meanwhile"
    if job is None or state not in (INTERRUPTED, "unfinished") or not out_of_time(job):
        return ""
    return f"its tuner's job {out_of_time(job)}; `cloudtune resume {found.known_as}` continues with another one"


def _tuner_job(launch: int, job: JobState) -> TunerJob:
    failure = why_failed(job) if job.status == "Failed" else ""
    return TunerJob(job.name, launch, job.status, job.secondary, job.instance_type, job.created.timestamp(), failure)


def _standing(
    name: str,
    place: str,
    state: str,
    course: Course,
    metadata: Mapping[str, Any] | None,
    *,
    driven_by: str,
    last_sign: float | None = None,
    tuner: TunerJob | None = None,
    damage: str = "",
    why: str = "",
) -> Standing:
    status = course.status
    return Standing(
        name=name,
        place=place,
        state=state,
        why=why or ("" if state in ("running", "starting") else status.finished_why or ""),
        tuner=tuner,
        driven_by=driven_by,
        epoch=course.epoch,
        last_sign=last_sign,
        trials={one.value: status.num_by_status[one] for one in TrialStatus if status.num_by_status[one]},
        reports=status.num_evaluations,
        best=_best(status),
        seconds=status.wallclock_time,
        cost=status.cost,
        limits=[Limit(label, limit, so_far(status)) for label, limit, so_far in KnownLimits(metadata).describe()],
        last_error=_last_error(tuner, status),
        damage=damage,
    )


def _best(status: TuningStatus) -> Best | None:
    if status.incumbent is None or status.metric is None:
        return None
    value, trial, _ = status.incumbent
    return Best(status.metric, value, trial, status.records[trial].trial.config)


def _last_error(tuner: TunerJob | None, status: TuningStatus) -> str:
    if tuner is not None and tuner.failure:
        return tuner.failure
    failures = status.failures()
    return f"trial {failures[-1].trial.trial_id}: {failures[-1].first_reason}" if failures else ""
