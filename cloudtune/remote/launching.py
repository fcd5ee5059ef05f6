"""Who launches an experiment's tuner right now: two launches at once are not to mix what each of them ships.

A launch belongs to whoever has put its ``task.json``, which is put only where there is none. It names who that is, so
that others wait for the job that is about to be created, and do not wait for one that has died before.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import PASSING, AwsError, Conflict
from cloudtune.aws.s3 import Seen
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.errors import CloudtuneError, ExperimentLocked
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.launches import newest_launch
from cloudtune.remote.tuner_job import TRIAL, Settings, TunerPlace
from cloudtune.store.lease import describe_holder, ourselves
from cloudtune.store.processes import is_same_space, lives, process_identity

logger = logging.getLogger(__name__)

#: A launch whose job was not created after so many seconds has died: each of its calls is given up sooner.
LONGEST_LAUNCH = 180.0
_NONCE = "nonce"

#: Nonces of the launches that this process is about to make.
_under_way: set[str] = set()
_lock = threading.Lock()


class LaunchedElsewhere(ExperimentLocked):
    """Another launch of the experiment has just been made; the message says by whom.

    Args:
        message: One sentence.
        job: The training job that made it, if it was one that hands over.
    """

    def __init__(self, message: str, job: str | None = None) -> None:
        super().__init__(message)
        self.job = job


@dataclass(frozen=True)
class Checks:
    """What is looked at while a job is created. Each raises CloudtuneError where the job should not run.

    Args:
        before: Called right before it is created, when others can see that it will be.
        after: Called when it is there: others who could not see that yet have perhaps done something meanwhile.
    """

    before: Callable[[], object]
    after: Callable[[], object]


@contextmanager
def launch(place: TunerPlace, attempt: int, settings: Settings, shipped: Mapping[str, bytes]) -> Iterator[str]:
    """Writes what the job of a launch reads; the job is to be created within.

    If the job is refused, by AWS or by who creates it, what was written is deleted again: the number is free for the
    next launch.

    Args:
        place: Of the experiment.
        attempt: Number of the launch.
        settings: For the program.
        shipped: Further files of the channel, by name.

    Yields:
        What tells this launch from others, see :meth:`TunerPlace.write_task`.

    Raises:
        LaunchedElsewhere: Another launch has this number.
        AwsError: S3 does not answer, or refuses.
    """
    claim = _claim()
    with _lock:
        _under_way.add(claim[_NONCE])
    try:
        try:
            digest = place.write_task(attempt, settings, shipped, claim)
        except Conflict as error:
            raise _elsewhere(place, place.bucket.look(place.keys.task(TRIAL, attempt))) from error
        try:
            yield digest
        except CloudtuneError as error:
            # Of a call without an answer nobody knows whether the job exists, and needs it.
            if not isinstance(error, PASSING):
                _take_back(place, attempt)
            raise
    finally:
        with _lock:
            _under_way.discard(claim[_NONCE])


def _take_back(place: TunerPlace, attempt: int) -> None:
    """Deletes what a launch has written. That it cannot does not hide why the job was refused."""
    try:
        place.bucket.delete_prefix(place.keys.attempt(TRIAL, attempt))
    except AwsError as error:
        logger.info("what a refused launch has written stays in S3: %s", error)


def confirm(aws: Aws, job: str, checks: Checks) -> None:
    """Stops a job that was just created, if it turns out that it should not have been.

    Args:
        aws: Account and region.
        job: Its name.
        checks: What that raises is raised again. That AWS does not answer says nothing of the job, which then stays.
    """
    try:
        checks.after()
    except AwsError as error:
        logger.warning("whether somebody has called off training job %s meanwhile is not known: %s", job, error)
    except CloudtuneError:
        try:
            TrainingJobs(aws).stop(job)
        except AwsError as error:
            logger.warning("training job %s, which should not run, could not be stopped: %s", job, error)
        raise


def is_under_way(place: TunerPlace) -> bool:
    """Whether somebody is about to create the job of a launch, which is not there yet.

    Args:
        place: Of the experiment.

    Raises:
        AwsError: AWS does not answer.
    """
    attempts = place.attempts()
    try:
        check_none_under_way(place, attempts, None)
    except LaunchedElsewhere:
        return newest_launch(place, attempts=attempts[-1:]) is None
    return False


def check_none_under_way(place: TunerPlace, attempts: Sequence[int], newest: int | None) -> None:
    """Returns if nobody is about to create the job of a launch.

    Args:
        place: Of the experiment.
        attempts: Numbers of all launches, sorted.
        newest: Number of the newest one whose job was created.

    Raises:
        LaunchedElsewhere: Somebody is.
        AwsError: S3 does not answer.
    """
    if not attempts or attempts[-1] == newest:
        return
    seen = place.bucket.look(place.keys.task(TRIAL, attempts[-1]))
    if seen is None or (seen.age_seconds is not None and seen.age_seconds > LONGEST_LAUNCH):
        return
    claim = _claim_of(seen)
    is_left = is_same_space(claim) and (not lives(claim) or _is_left_by_us(claim))
    # Asked for last: the job may have been created at the last moment.
    if (is_left or _is_left_by_its_job(place, claim)) and newest_launch(place, attempts=attempts[-1:]) is None:
        return
    raise _elsewhere(place, seen)


def _claim() -> dict[str, Any]:
    return {
        **ourselves(),
        **process_identity(),
        "job": os.environ.get("TRAINING_JOB_NAME"),
        _NONCE: os.urandom(8).hex(),
    }


def _claim_of(seen: Seen) -> dict[str, Any]:
    try:
        claim = json.loads(seen.body)["launched_by"]
    except (ValueError, KeyError, TypeError):  # damaged, or of an earlier version
        return {}
    return claim if isinstance(claim, dict) else {}


def _is_left_by_us(claim: Mapping[str, Any]) -> bool:
    """Whether this process has made it, and has given it up."""
    own = {"pid": os.getpid(), "pid_start": process_identity()["pid_start"]}
    with _lock:
        return all(claim.get(key) == own[key] for key in own) and claim.get(_NONCE) not in _under_way


def _is_left_by_its_job(place: TunerPlace, claim: Mapping[str, Any]) -> bool:
    """Whether a training job has made it to hand over, and has ended."""
    job = claim.get("job")
    return bool(job) and JobEnded(place.bucket.aws)(str(job))


def _elsewhere(place: TunerPlace, seen: Seen | None) -> LaunchedElsewhere:
    claim = {} if seen is None else _claim_of(seen)
    known = {"pid", "host", "user", "since"} <= claim.keys()
    job = claim.get("job")
    who = (f"training job {job}, " if job else "") + describe_holder(claim if known else None)
    name = place.experiment
    left = LONGEST_LAUNCH if seen is None or seen.age_seconds is None else max(1.0, LONGEST_LAUNCH - seen.age_seconds)
    return LaunchedElsewhere(
        f"another launch of experiment '{name}' has just been made, by {who}: `cloudtune status {name}` shows what "
        f"becomes of it; should it have died before it had created its job, launch again in {left:.0f} seconds",
        None if job is None else str(job),
    )
