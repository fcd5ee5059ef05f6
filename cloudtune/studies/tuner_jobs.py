"""The training jobs of the tuners of many experiments, from a few lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from functools import partial

from cloudtune.agent import protocol
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import NotFound
from cloudtune.aws.job_names import job_name_prefix
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.training_jobs import JobSummary, TrainingJobs
from cloudtune.remote.launches import out_of_time, why_failed
from cloudtune.remote.tuner_job import NAME_PART, TRIAL, TunerPlace

#: In the names of all tuners' jobs, and of no trial's.
_PART = f"-{NAME_PART}-{TRIAL}-"
#: Beyond one page for each hundred experiments, for earlier jobs of theirs and those of other studies.
_MORE_PAGES = 2
#: Jobs of one name that are looked at.
_MOST_OF_ONE = 5
#: Of so many jobs it is asked why they have failed; SageMaker answers about nine such questions a second.
_MOST_ASKED = 8


def newest_jobs(aws: Aws, experiments: Collection[str], since: dt.datetime | None) -> dict[str, list[JobSummary]]:
    """The newest jobs of the tuner of each experiment that has any among the newest tuners' jobs of the account.

    Newest first. A few of each: an experiment of the same name elsewhere may have newer ones that are called alike.

    Args:
        aws: Account and region.
        experiments: By their names.
        since: Jobs that were created before do not count; None: all do.

    Raises:
        AwsError: The jobs cannot be listed.
    """
    wanted = {job_name_prefix(name, NAME_PART) + f"{TRIAL}-": name for name in experiments}
    found: dict[str, list[JobSummary]] = {}
    pages = TrainingJobs(aws).newest_pages(_PART, since)
    for _, page in zip(range(_MORE_PAGES + len(wanted) // 100), pages, strict=False):
        for job in page:
            start = job.name[: job.name.rfind("-") + 1]
            if start in wanted and len(of_one := found.setdefault(wanted[start], [])) < _MOST_OF_ONE:
                of_one.append(job)
        if len(found) == len(wanted):
            break
    return found


def statuses_of(aws: Aws, jobs: Collection[str]) -> dict[str, str]:
    """How tuners' jobs stand, by their names; "" for one that was deleted.

    Args:
        aws: Account and region.
        jobs: Full names, each of one job of the account and region.

    Raises:
        AwsError: SageMaker does not answer.
    """
    training, left, told = TrainingJobs(aws), set(jobs), dict[str, str]()
    pages = training.newest_pages(_PART)
    for _, page in zip(range(_MORE_PAGES + len(left) // 100), pages, strict=False):
        told.update((job.name, job.status) for job in page if job.name in left)
        left -= told.keys()
        if not left:
            break
    # Those that many others have followed.
    told.update(zip(left, in_parallel(aws.threads, [partial(_status, training, job) for job in left]), strict=True))
    return told


def _status(training: TrainingJobs, job: str) -> str:
    try:
        return training.describe(job).status
    except NotFound:
        return ""


def running_among(aws: Aws, jobs: Iterable[str]) -> dict[str, JobSummary]:
    """Those jobs that have not ended, by their names.

    Args:
        aws: Account and region.
        jobs: Full names.

    Raises:
        AwsError: SageMaker does not answer.
    """
    training, names = TrainingJobs(aws), list(jobs)
    found = in_parallel(aws.threads, [partial(_summary, training, name) for name in names])
    return {one.name: one for one in found if one is not None and not one.is_terminal}


def _summary(training: TrainingJobs, job: str) -> JobSummary | None:
    try:
        told = training.describe(job)
    except NotFound:
        return None
    return JobSummary(told.name, told.arn, told.status, told.secondary, told.created, told.ended, told.warm_pool)


def launched_from(place: TunerPlace, job: JobSummary) -> bool:
    """Whether a launch at this place was for such a job.

    An experiment of the same name may lie elsewhere in the account, and its tuner's jobs are called alike.

    Args:
        place: Of the experiment.
        job: Of its tuner, by its name.

    Raises:
        AwsError: S3 does not answer.
    """
    launch = job.name.rpartition("-")[2]
    return launch.isdigit() and place.bucket.exists(place.keys.task(TRIAL, int(launch)))


def why_ended(places: dict[str, TunerPlace], jobs: dict[str, JobSummary]) -> dict[str, str]:
    """Why jobs have ended, in words, by experiment.

    Args:
        places: Of the experiments: a job of another experiment of the same name tells nothing of ours.
        jobs: Experiment -> job, which has ended.

    Raises:
        AwsError: SageMaker does not answer.
    """
    newest = sorted(jobs, key=lambda name: jobs[name].created, reverse=True)[:_MOST_ASKED]
    if not newest:
        return {}
    aws = places[newest[0]].bucket.aws
    told = in_parallel(aws.threads, [partial(_why, aws, places[name], jobs[name].name) for name in newest])
    return dict(zip(newest, told, strict=True))


def _why(aws: Aws, place: TunerPlace, name: str) -> str:
    try:
        job = TrainingJobs(aws).describe(name)
    except NotFound:
        return ""
    if job.environment.get(protocol.ENV_PLACE) != place.uri:
        return ""
    if job.status == "Failed":
        return why_failed(job)
    return f"its job {out_of_time(job)}" if out_of_time(job) else ""
