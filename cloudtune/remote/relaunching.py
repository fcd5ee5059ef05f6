"""Continuing an experiment remotely, from any machine and without its script."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from cloudtune.aws.training_jobs import JobState
from cloudtune.errors import CloudtuneError, ExperimentLocked, ExperimentNotFound
from cloudtune.experiments.course import Course
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.changes import STOP_CRITERION, longest_time
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.kept_changes import kept_changes
from cloudtune.remote.launches import launches, newest_launch, writable
from cloudtune.remote.launching import check_none_under_way
from cloudtune.remote.shipped import newest_shipped
from cloudtune.remote.successor import create_successor
from cloudtune.remote.time_limit import LONGEST_JOB, MARGIN
from cloudtune.remote.tuner_job import TRIAL, Settings, TunerPlace
from cloudtune.store.entries import FINISHED
from cloudtune.store.s3_lease import check_free, read_lease
from cloudtune.store.s3_log import S3LogView
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)


class NothingToContinue(CloudtuneError):
    """The experiment has reached its end; the message says which limit to widen."""


@dataclass(frozen=True)
class NextJob:
    """The job that is about to be created.

    Args:
        instance_type: Of its machines.
        instance_count: How many.
        max_run: Seconds that it may run.
        needed: Seconds that the experiment may still take; None: nothing limits its time, or nobody has told.
    """

    instance_type: str
    instance_count: int
    max_run: int
    needed: float | None


def launch_again(
    experiment: S3Experiment,
    changes: Mapping[str, Any],
    admit: Callable[[NextJob], AbstractContextManager[object]] = lambda _job: nullcontext(),
) -> str:
    """Continues an experiment remotely, without its script: by a job like its last one. The name of the new job.

    Args:
        experiment: Which.
        changes: See :func:`cloudtune.remote.changes.changes_of`.
        admit: The job is created within what this gives: it may refuse, and hears of a failure.

    Raises:
        ExperimentNotFound: It has no job to go by.
        ExperimentLocked: Somebody drives it, or is about to.
        CannotLoad: All that was launched is damaged.
        NothingToContinue: It has reached its end, and nothing is to change.
        AwsError: The job could not be created.
    """
    experiment = writable(experiment)
    place = TunerPlace(experiment.bucket, experiment.root)
    newest = newest_launch(place)
    if newest is None:
        raise ExperimentNotFound(
            f"no training job of a tuner is known for experiment {experiment.name!r} in {experiment.bucket.aws.region};"
            " launch it again by its script, or continue it on this machine with --here"
        )
    attempts = place.attempts()
    _check_free(experiment, attempts, *newest)
    status = _unfinished(experiment, changes)
    # Of an earlier launch, and by a job like its own, if the newest was damaged: the log brings it up to date.
    shipped = newest_shipped(place, [number for number, _ in launches(place, attempts=attempts)])
    aws = experiment.bucket.aws
    job = place.job_name(experiment.name, shipped.attempt)
    described = aws.call("sagemaker", "describe_training_job", TrainingJobName=job)
    settings = _settings(place, [number for number in attempts if number <= newest[0]])
    changes = {**kept_changes(place, newest[0]), **changes}
    settings = replace(settings, changes={**settings.changes, **changes}, takeover_from="")
    settings, described = _with_time(settings, described)
    needed = None if settings.longest is None else max(0.0, settings.longest - status.wallclock_time)
    tags = aws.call("sagemaker", "list_tags", ResourceArn=described["TrainingJobArn"], MaxResults=100)["Tags"]
    machines = described["ResourceConfig"]
    with admit(NextJob(machines["InstanceType"], machines["InstanceCount"], settings.max_run, needed)):
        return create_successor(place, described, tags, settings, shipped.files, attempts[-1] + 1)


def _settings(place: TunerPlace, attempts: Sequence[int]) -> Settings:
    """What the newest launch was told, or else one before it; raises ExperimentNotFound."""
    for attempt in reversed(attempts):
        settings = place.settings_of(attempt)
        if settings is not None:
            return settings
        logger.warning(
            "%s is gone, or damaged: limits that it has changed are what they were before",
            place.bucket.uri(place.keys.task(TRIAL, attempt)),
        )
    raise ExperimentNotFound(
        f"what the tuner of '{place.experiment}' was told is gone from {place.uri}, or damaged; launch it again by its "
        "script, or continue it on this machine with --here"
    )


def _check_free(experiment: S3Experiment, attempts: Sequence[int], newest: int, job: JobState) -> None:
    if not job.is_terminal:
        raise ExperimentLocked(
            f"the tuner of '{experiment.name}' runs already, as training job {job.name}; `cloudtune status "
            f"{experiment.known_as} --follow` shows it"
        )
    check_none_under_way(TunerPlace(experiment.bucket, experiment.root), attempts, newest)
    lease = read_lease(experiment.bucket, experiment.root)
    if lease is not None and lease.owner.get("job") != job.name:
        check_free(
            lease,
            experiment.root,
            JobEnded(experiment.bucket.aws),
            f"`cloudtune resume {experiment.known_as} --here --takeover`",
        )


def _unfinished(experiment: S3Experiment, changes: Mapping[str, Any]) -> TuningStatus:
    """How it stands; raises NothingToContinue."""
    course = Course()
    course.apply_all(S3LogView(experiment.bucket, experiment.root).blocks())
    # More workers, or failures that count for less, give nothing to do to one that is through.
    if course.status.finished_state == FINISHED and STOP_CRITERION not in changes:
        raise NothingToContinue(
            f"experiment '{experiment.name}' has ended ({course.status.finished_why}): widen a limit, as "
            "--max-wallclock-time 1200"
        )
    return course.status


def _with_time(settings: Settings, described: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Gives the job the time that a changed criterion needs, if that is more than its predecessor had; and tells it."""
    max_run = settings.max_run
    longest = longest_time(settings.changes, settings.longest, settings.last_trials)
    if STOP_CRITERION in settings.changes:
        max_run = max(max_run, LONGEST_JOB if longest is None else min(LONGEST_JOB, int(longest) + MARGIN))
    condition = dict(described["StoppingCondition"])
    if "MaxWaitTimeInSeconds" in condition:
        # The job to go by may be of an earlier launch than the settings.
        condition["MaxWaitTimeInSeconds"] += max_run - condition["MaxRuntimeInSeconds"]
    condition["MaxRuntimeInSeconds"] = max_run
    return replace(settings, max_run=max_run, longest=longest), {**described, "StoppingCondition": condition}
