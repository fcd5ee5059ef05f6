"""In which state an experiment is, by what is recorded of it, what its tuner has said, and the tuner's training job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cloudtune.aws.signs_of_life import ALIVE
from cloudtune.aws.training_jobs import JobSummary
from cloudtune.remote.launches import HANDING_OVER
from cloudtune.remote.overview_form import Overview
from cloudtune.remote.standing import Limit
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_standing import (
    DRIVEN,
    FINISHED,
    RUNNING,
    STARTING,
    UNFINISHED,
    WAITING,
    CellStanding,
)

#: Secondary statuses of a job whose container does not run: not yet, or its machine was taken away.
_NOT_YET = frozenset(
    {
        "Starting",
        "LaunchingMLInstances",
        "PreparingTrainingStack",
        "Downloading",
        "DownloadingTrainingImage",
        "Pending",
        "Interrupted",
        "Restarting",
    }
)
#: Name of the limit of active tuning time.
_TIME_LIMIT = "seconds"


@dataclass(frozen=True)
class Known:
    """What S3 tells of an experiment.

    Args:
        name: Of the experiment.
        place: ``s3://...`` of the experiment.
        cell: Which it is, where somebody has said so.
        overview: What its tuner has said last; None: nothing, or nothing that can be read.
        has_said: Whether its tuner has said anything, even if that cannot be read.
        age: Seconds since it said so, by S3's clock; None where it has said nothing, or S3 does not tell.
        damage: What cannot be read, and why.
        results_tell_end: Its tuner's last word has not arrived, but its results: it has come to its end.
    """

    name: str
    place: str
    cell: Cell | None = None
    overview: Overview | None = None
    has_said: bool = False
    age: float | None = None
    damage: str = ""
    results_tell_end: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether its tuner has said that it has come to its end."""
        return self.results_tell_end or (self.overview is not None and self.overview.state == FINISHED)


def standing_of(known: Known, job: JobSummary | None, why: str = "") -> CellStanding:
    """How an experiment stands.

    Args:
        known: What S3 tells.
        job: The newest job of its tuner; None where there is none, or SageMaker was not, or could not be, asked.
        why: Why that job has ended, where that is known.
    """
    state, reason = _state(known, job, why)
    said = known.overview
    standing = CellStanding(
        name=known.name,
        cell=known.cell,
        state=state,
        why=reason,
        tuner_job=job.name if job is not None else (said.job or None) if said is not None else None,
        last_sign=known.age,
        place=known.place,
        damage=known.damage,
    )
    return standing if said is None else _with_numbers(standing, said)


def speaks_of_another_job(known: Known, job: JobSummary | None) -> str:
    """The job that drives an experiment by what its tuner has just said, where the newest one has ended; or "".

    Args:
        known: What S3 tells.
        job: The newest job of its tuner: it was perhaps refused, because another one drives the experiment.
    """
    said = known.overview
    if job is None or not job.is_terminal or said is None or said.state != RUNNING or said.job == job.name:
        return ""
    return said.job if known.age is None or known.age <= ALIVE else ""


def _state(known: Known, job: JobSummary | None, why: str) -> tuple[str, str]:
    """The state, and why it is in it."""
    if known.is_finished:
        return FINISHED, "" if known.overview is None else known.overview.why
    if job is None:
        return _without_job(known)
    if not job.is_terminal:
        return _with_living_job(known, job)
    return _with_ended_job(known, job, why)


def _without_job(known: Known) -> tuple[str, str]:
    said = known.overview
    if said is None:
        return (UNFINISHED, "") if known.has_said else (WAITING, "")
    if said.state != RUNNING:
        return said.state, said.why
    if known.age is None or known.age <= ALIVE:
        return RUNNING, ""
    return UNFINISHED, f"its tuner has not been heard of for {known.age / 60:.0f} minutes"


def _with_living_job(known: Known, job: JobSummary) -> tuple[str, str]:
    said = known.overview
    if said is None and known.has_said:
        return RUNNING, ""
    if said is None or said.job != job.name or job.secondary in _NOT_YET:
        return STARTING, f"training job {job.name}: {job.secondary or job.status}"
    if said.state == RUNNING:
        return RUNNING, ""
    # Its tuner has ended, and the job is about to; or it tries to create the one that goes on.
    return RUNNING, said.why if said.why == HANDING_OVER else f"its tuner ends: {said.why or said.state}"


def _with_ended_job(known: Known, job: JobSummary, why: str) -> tuple[str, str]:
    said = known.overview
    if said is not None and said.job == job.name and said.state != RUNNING:
        return said.state, said.why
    if job.status == "Failed":
        return UNFINISHED, why or f"training job {job.name} has failed"
    if said is not None and said.state != RUNNING:
        return said.state, said.why  # the job of a later launch was stopped before its tuner had begun
    if why:
        return UNFINISHED, why
    how = "was stopped" if job.status == "Stopped" else "has ended, and its tuner has not said how"
    return UNFINISHED, f"training job {job.name} {how}"


def _with_numbers(standing: CellStanding, said: Overview) -> CellStanding:
    return replace(
        standing,
        trials=dict(said.trials),
        reports=said.reports,
        best=None if said.best is None else said.best.value,
        best_trial=None if said.best is None else said.best.trial,
        best_config=None if said.best is None else said.best.config,
        metric=said.metric,
        mode=said.mode,
        seconds=said.seconds,
        cost=said.cost,
        limits=list(said.limits),
        left=time_left(said.limits, standing.last_sign or 0.0) if standing.state in DRIVEN else None,
        metadata=said.metadata,
    )


def time_left(limits: Iterable[Limit], since: float) -> float | None:
    """Seconds until the limit of active tuning time; None where there is none.

    Args:
        limits: Of the experiment.
        since: Seconds since it was looked how far it is.
    """
    return next((max(0.0, one.limit - one.so_far - since) for one in limits if one.name == _TIME_LIMIT), None)
