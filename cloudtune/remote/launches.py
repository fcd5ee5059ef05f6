"""The training jobs that run, or ran, the tuner of an experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cloudtune.agent import protocol
from cloudtune.aws.errors import NotFound
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.tuner_job import TunerPlace

#: What SageMaker puts around the words of a program that has failed.
_PREFIX = "AlgorithmError: "
#: Secondary statuses of a job whose time was over -> what that means.
_OUT_OF_TIME = {
    "MaxRuntimeExceeded": "has run for as long as its max_run allows",
    "MaxWaitTimeExceeded": "has run, and waited for spot capacity, for as long as its max_wait allows",
}
#: Why a tuner ends, in its log, whose job creates its successor.
HANDING_OVER = "handing over to another job"
_SUFFIX = re.compile(r",? exit code: -?\d+$", re.IGNORECASE)


def experiment_of(place: TunerPlace) -> str:
    """Name of the experiment that lies there."""
    return place.experiment


def writable(experiment: S3Experiment) -> S3Experiment:
    """The experiment with the key that its launcher has had everything encrypted with, as far as can be read.

    Raises AwsError.
    """
    place = TunerPlace(experiment.bucket, experiment.root)
    for attempt in reversed(place.attempts()):
        task = place.task_of(attempt)
        if task is not None:
            bucket, key = experiment.bucket, task.get("kms_key")
            return replace(experiment, bucket=Bucket(bucket.aws, bucket.name, bucket.owner, key and str(key)))
    return experiment


def newest_launch(
    place: TunerPlace, patience: float | None = None, attempts: Sequence[int] | None = None
) -> tuple[int, JobState] | None:
    """Number and job of the newest launch whose job was created; None if there is none.

    Args:
        place: Of the experiment.
        patience: For how many seconds throttled and failed calls are repeated.
        attempts: Numbers of all launches, where they are known.

    Raises:
        AwsError: AWS does not answer.
    """
    return next(launches(place, patience, attempts), None)


def launches(
    place: TunerPlace, patience: float | None = None, attempts: Sequence[int] | None = None
) -> Iterator[tuple[int, JobState]]:
    """Numbers and jobs of all launches whose jobs were created, the newest first. Raises AwsError."""
    training = TrainingJobs(place.bucket.aws)
    for attempt in reversed(place.attempts() if attempts is None else attempts):
        try:
            state = training.describe(place.job_name(experiment_of(place), attempt), patience)
        except NotFound:
            continue  # its launch did not get so far, or the job was deleted
        if state.environment.get(protocol.ENV_PLACE) == place.uri:
            yield attempt, state


def out_of_time(state: JobState) -> str:
    """Why SageMaker has ended a job in the middle, as the rest of a sentence; "" if it was not for want of time."""
    return _OUT_OF_TIME.get(state.secondary, "") if state.is_terminal else ""


def why_failed(state: JobState) -> str:
    """Why a tuner's job has failed, in one line: what its program said last, as far as SageMaker tells."""
    said = state.failure_reason.strip().removeprefix(_PREFIX)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return "SageMaker gives no reason"
    # The agent's sentence comes first, then the last lines of the program's output: the very last is its error.
    return _SUFFIX.sub("", lines[-1]).rstrip(".")
