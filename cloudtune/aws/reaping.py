"""Ends jobs whose tuner is gone: by their agents where these can hear, else by StopTrainingJob; ends warm pools."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError
from cloudtune.aws.our_jobs import OurJob, names_of_running, names_of_warm_pools, readable
from cloudtune.aws.signs_of_life import SignOfLife, call_off
from cloudtune.aws.training_jobs import TrainingJobs

#: Seconds between two looks at jobs that were asked to end.
_INTERVAL = 3.0


@dataclass
class Reaped:
    """What became of jobs that were to end; lists of their names.

    Args:
        paused: Ended by themselves, asked through S3, with their checkpoints saved.
        stopped: StopTrainingJob was called.
        ended: Had ended before.
        pools: Their warm pools were ended.
        failed: Could not be ended, and why.
    """

    paused: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    pools: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def orphans(
    jobs: Iterable[OurJob], signs: Mapping[str, SignOfLife], now: dt.datetime, older_than: float
) -> tuple[list[OurJob], list[OurJob]]:
    """Jobs whose tuner has given no sign of life for so many seconds, and jobs of which nobody can tell.

    Where there is no sign of life at all, the time counts from the job's creation. A tuner's own job is no orphan.
    """
    gone, unknown = [], []
    for job in jobs:
        if job.is_tuner and not job.is_warm_pool:
            continue
        sign = signs[job.place]
        if sign.unreadable:
            unknown.append(job)
            continue
        age = (now - job.created).total_seconds() if sign.age is None else sign.age
        if sign.was_called_off or age > older_than:
            gone.append(job)
    return gone, unknown


def reap(
    aws: Aws,
    jobs: Collection[OurJob],
    signs: Mapping[str, SignOfLife],
    *,
    grace: float,
    whole_experiments: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Reaped:
    """Ends jobs and their warm pools. What cannot be ended is told in the result; nothing is raised for it.

    Args:
        aws: The account and region.
        jobs: To end.
        signs: For each place, what is known of its tuner.
        grace: Seconds that agents are given to save checkpoints, before StopTrainingJob.
        whole_experiments: False where single jobs are meant: then no experiment is called off.
        tell: Told in a line what is done.

    Raises:
        AwsError: The jobs cannot be listed any more.
    """
    result = Reaped()
    training = TrainingJobs(aws)
    running = [job for job in jobs if not job.is_warm_pool and job.status != "Stopping"]
    hearing = _called_off(aws, running, signs, tell) if whole_experiments and grace > 0 else set()
    for job in running:
        if job.name not in hearing:
            _stop(training, job.name, result, tell)
    if hearing:
        tell(f"waiting up to {grace:g} s for {len(hearing)} job{'s' * (len(hearing) > 1)} to save checkpoints and end")
    until, never = time.monotonic() + grace, threading.Event()
    waiting = hearing & names_of_running(aws) if hearing else set()
    while waiting and time.monotonic() < until:
        never.wait(min(_INTERVAL, max(0.0, until - time.monotonic())))
        waiting &= names_of_running(aws)
    result.paused += sorted(hearing - waiting)
    for name in sorted(waiting):
        _stop(training, name, result, tell)
    # The jobs that have just ended may have left warm pools, too.
    for name in sorted(names_of_warm_pools(aws) & {job.name for job in jobs}):
        _end_pool(training, name, result, tell)
    return result


def _called_off(
    aws: Aws, jobs: Iterable[OurJob], signs: Mapping[str, SignOfLife], tell: Callable[[str], None]
) -> set[str]:
    """Names of the jobs whose agents will end by themselves."""
    hearing: dict[str, set[str]] = {}
    for job in jobs:
        sign = signs[job.place]
        # A tuner that is stopped ends its trials in order, and what was called off is so for all that come after.
        if not job.is_tuner and job.hears and sign.age is not None and not sign.is_alive:
            hearing.setdefault(job.place, set()).add(job.name)
    called: set[str] = set()
    for place, names in hearing.items():
        try:
            if signs[place].was_called_off or call_off(aws, place):
                called |= names
        except AwsError as error:
            tell(f"the agents of {place} cannot be asked to end: {readable(error)}")
    return called


def _stop(training: TrainingJobs, name: str, result: Reaped, tell: Callable[[str], None]) -> None:
    try:
        was_running = training.stop(name)
    except AwsError as error:
        result.failed[name] = readable(error)
        return
    (result.stopped if was_running else result.ended).append(name)
    tell(f"{name}: stopped" if was_running else f"{name}: had ended")


def _end_pool(training: TrainingJobs, name: str, result: Reaped, tell: Callable[[str], None]) -> None:
    try:
        if training.end_warm_pool(name):
            result.pools.append(name)
            tell(f"{name}: warm pool ended")
    except AwsError as error:
        result.failed[name] = readable(error)
