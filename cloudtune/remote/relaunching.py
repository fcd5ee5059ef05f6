"""Continuing an experiment remotely, from any machine and without its script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from cloudtune.agent import protocol
from cloudtune.errors import CloudtuneError, ExperimentLocked, ExperimentNotFound
from cloudtune.experiments.course import Course
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.changes import longest_time
from cloudtune.remote.launches import newest_launch, writable
from cloudtune.remote.successor import create_successor
from cloudtune.remote.time_limit import LONGEST_JOB, MARGIN
from cloudtune.remote.tuner_job import TRIAL, Settings, TunerPlace
from cloudtune.store.entries import FINISHED
from cloudtune.store.s3_lease import read_lease
from cloudtune.store.s3_log import S3LogView


class NothingToContinue(CloudtuneError):
    """The experiment has reached its end; the message says which limit to widen."""


def launch_again(experiment: S3Experiment, changes: Mapping[str, Any]) -> str:
    """Continues an experiment remotely, without its script: by a job like its last one. The name of the new job.

    Args:
        experiment: Which.
        changes: See :func:`cloudtune.remote.changes.changes_of`.

    Raises:
        ExperimentNotFound: It has no job to go by.
        ExperimentLocked: Somebody drives it.
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
    attempt, state = newest
    _check_free(experiment, state.name, state.is_terminal)
    _check_unfinished(experiment, changes)
    aws = experiment.bucket.aws
    described = aws.call("sagemaker", "describe_training_job", TrainingJobName=state.name)
    folder = place.keys.task_folder(TRIAL, attempt)
    names = [one.key for one in experiment.bucket.list(folder)]
    files = {key[len(folder) :]: got.body for key, got in experiment.bucket.get_many(names).items()}
    if protocol.TASK not in files:
        raise ExperimentNotFound(f"{experiment.bucket.uri(folder)} is gone; launch the experiment again by its script")
    told = json.loads(files.pop(protocol.TASK))["config"]
    settings = Settings(**{one.name: told[one.name] for one in fields(Settings) if one.name in told})
    settings = replace(settings, changes={**settings.changes, **changes})
    settings, described = _with_time(settings, described, changes)
    tags = aws.call("sagemaker", "list_tags", ResourceArn=described["TrainingJobArn"], MaxResults=100)["Tags"]
    return create_successor(place, described, tags, settings, files, max(place.attempts()) + 1)


def _check_free(experiment: S3Experiment, job: str, job_is_over: bool) -> None:
    if not job_is_over:
        raise ExperimentLocked(
            f"the tuner of '{experiment.name}' runs already, as training job {job}; `cloudtune status` follows it"
        )
    lease = read_lease(experiment.bucket, experiment.root)
    if lease is not None and lease.is_alive and lease.owner.get("job") != job:
        raise ExperimentLocked(
            f"experiment '{experiment.name}' is driven by {lease.describe()}; wait for it to end, or stop it there"
        )


def _check_unfinished(experiment: S3Experiment, changes: Mapping[str, Any]) -> None:
    course = Course()
    course.apply_all(S3LogView(experiment.bucket, experiment.root).blocks())
    if course.status.finished_state == FINISHED and not changes:
        raise NothingToContinue(
            f"experiment '{experiment.name}' has ended ({course.status.finished_why}): widen a limit, as "
            "--max-wallclock-time 1200"
        )


def _with_time(
    settings: Settings, described: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[Settings, dict[str, Any]]:
    """Gives the job the time that a changed criterion needs, if that is more than its predecessor had."""
    needed = longest_time(changes, settings.max_run - MARGIN)
    max_run = max(settings.max_run, LONGEST_JOB if needed is None else min(LONGEST_JOB, int(needed) + MARGIN))
    condition = dict(described["StoppingCondition"])
    if "MaxWaitTimeInSeconds" in condition:
        condition["MaxWaitTimeInSeconds"] += max_run - settings.max_run
    condition["MaxRuntimeInSeconds"] = max_run
    return replace(settings, max_run=max_run), {**described, "StoppingCondition": condition}
