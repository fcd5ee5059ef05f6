"""All training jobs of cloudtune that cost money now, of whatever experiment, whoever started them.

Search knows tags, and tells everything about a hundred jobs with one call; but it shows a job only some time after it
was created, and a caller may have no right to it. ListTrainingJobs knows every job at once, but no tags. So Search is
asked first, then the list: what the list has and Search had not, or had in another state, is described one by one if
its name is one that cloudtune gives. No job that runs is missed, as long as the list can be read.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloudtune.agent.protocol import BUNDLE, CHANNEL_CODE, ENV_JOB_ID, ENV_PLACE
from cloudtune.aws.answer_time import aws_time
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, AwsError, InvalidRequest, NotFound, ServiceFailure, Throttled
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.prices import price_per_hour

logger = logging.getLogger(__name__)

#: Tags of every job.
TAG_EXPERIMENT = "cloudtune:experiment"
TAG_TAG = "cloudtune:tag"
TAG_TRIAL = "cloudtune:trial"
TAG_PLACE = "cloudtune:place"
#: In place of a trial's number: the job runs a tuner.
TUNER = "tuner"

#: Statuses of jobs that have not ended.
_RUNNING = ("InProgress", "Stopping")
#: Secondary statuses in which the container, and with it the agent, runs or is about to.
_CONTAINER_RUNS = ("Training",)
#: What the names of our jobs end with: id, trial, attempt (see cloudtune.aws.job_names).
_NAME = re.compile(r".*-[a-z0-9]{6}-\d+-\d+")
#: Of a place: s3://bucket/cloudtune/<tag>/<experiment>/<id>/
_PLACE = re.compile(r"s3://[^/]+/(?:.*/)?(?P<tag>[^/]+)/(?P<experiment>[^/]+)/[^/]+/?")


@dataclass(frozen=True)
class OurJob:
    """A training job that runs, or whose instances a warm pool keeps.

    Args:
        name: Of the job.
        experiment: Its experiment.
        tag: What experiments of one study have in common.
        trial: Its trial.
        place: ``s3://bucket/prefix`` of the experiment; "" where the job does not say.
        place_may_differ: Only its tag names the place, and tags do not hold every character, nor long places whole.
        status: ``InProgress`` or ``Stopping``; of a warm pool, the job's last status.
        secondary: What it does (``Starting``, ``Training``, ...).
        is_warm_pool: The job has ended, its instances are kept.
        since: When it entered this state.
        created: When it was created.
        instance_type: Of its instances; of the first group where there are several.
        instance_count: How many.
        is_spot: Whether they are spot instances.
        seconds: For how long instances have been paid for, as far as is known; AWS may bill spot jobs for less.
        cost: US dollars for these; None where no price is known.
        hears: Whether our agent runs in it now and can read its tuner's wishes from S3.
    """

    name: str
    experiment: str
    tag: str
    trial: str
    place: str
    place_may_differ: bool
    status: str
    secondary: str
    is_warm_pool: bool
    since: dt.datetime
    created: dt.datetime
    instance_type: str
    instance_count: int
    is_spot: bool
    seconds: float
    cost: float | None
    hears: bool

    @property
    def is_tuner(self) -> bool:
        """Whether it runs a tuner: it needs none, and is bounded by its own ``max_run``."""
        return self.trial == TUNER

    @property
    def state(self) -> str:
        """In one word or two."""
        return "warm pool" if self.is_warm_pool else self.secondary or self.status


@dataclass(frozen=True)
class OurJobs:
    """What was found.

    Args:
        jobs: Oldest first.
        now: The time by AWS's clock.
    """

    jobs: list[OurJob]
    now: dt.datetime


def find_our_jobs(aws: Aws) -> OurJobs:
    """All jobs of cloudtune in the account and region that run, or whose warm pool is kept. Raises AwsError."""
    searched = _searched(aws)
    rows: dict[str, Mapping[str, Any]] = {}
    now = dt.datetime.now(dt.timezone.utc)
    # A job may end between two lists: the warm pools come last.
    for query in (*({"StatusEquals": status} for status in _RUNNING), {"WarmPoolStatusEquals": "Available"}):
        for page in _pages(aws, "list_training_jobs", **query):
            now = aws_time(page) or now
            rows.update((row["TrainingJobName"], row) for row in page["TrainingJobSummaries"])
    known = {}
    unknown = []
    for name, row in rows.items():
        record = searched.get(name)
        if record is not None and _states(record) == _states(row) and not _is_warm(row) and _says_place(record):
            known[name] = record
        elif record is not None or _NAME.fullmatch(name):
            unknown.append(name)
    for found in in_parallel(aws.threads, [partial(_described, aws, name) for name in unknown]):
        if found is not None:
            known[found["TrainingJobName"]] = found
    jobs = [_job(known[name], aws.region, now) for name in rows if name in known]
    return OurJobs(sorted((job for job in jobs if job is not None), key=lambda job: (job.created, job.name)), now)


def names_of_running(aws: Aws) -> set[str]:
    """Names of all jobs of the account and region that are in progress and not being stopped. Raises AwsError."""
    pages = _pages(aws, "list_training_jobs", StatusEquals="InProgress")
    return {row["TrainingJobName"] for page in pages for row in page["TrainingJobSummaries"]}


def names_of_warm_pools(aws: Aws) -> set[str]:
    """Names of all jobs of the account and region whose instances are kept. Raises AwsError."""
    pages = _pages(aws, "list_training_jobs", WarmPoolStatusEquals="Available")
    return {row["TrainingJobName"] for page in pages for row in page["TrainingJobSummaries"]}


def _searched(aws: Aws) -> dict[str, Mapping[str, Any]]:
    """What Search knows of our jobs that run, by name."""
    expression = {
        "Filters": [
            {"Name": f"Tags.{TAG_EXPERIMENT}", "Operator": "Exists"},
            {"Name": "TrainingJobStatus", "Operator": "In", "Value": ",".join(_RUNNING)},
        ]
    }
    found: dict[str, Mapping[str, Any]] = {}
    try:
        for page in _pages(aws, "search", Resource="TrainingJob", SearchExpression=expression):
            for row in page["Results"]:
                if "TrainingJob" in row:
                    found[row["TrainingJob"]["TrainingJobName"]] = row["TrainingJob"]
    except (AccessDenied, InvalidRequest, Throttled, ServiceFailure) as error:
        logger.info("%s; jobs are described one by one instead", error)
    return found


def _pages(aws: Aws, operation: str, **query: Any) -> Iterator[dict[str, Any]]:
    query["MaxResults"] = 100
    while True:
        page = aws.call("sagemaker", operation, **query)
        yield page
        if not page.get("NextToken"):
            return
        query["NextToken"] = page["NextToken"]


def _described(aws: Aws, name: str) -> dict[str, Any] | None:
    """A job in the form of Search, if it is ours."""
    try:
        record = aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
    except NotFound:  # deleted meanwhile
        return None
    environment = record.get("Environment", {})
    if ENV_PLACE in environment and ENV_JOB_ID in environment:
        return record
    try:
        page = aws.call("sagemaker", "list_tags", ResourceArn=record["TrainingJobArn"], MaxResults=100)
    except NotFound:
        return None
    if not any(tag["Key"] == TAG_EXPERIMENT for tag in page["Tags"]):
        return None
    return {**record, "Tags": page["Tags"]}


def _says_place(record: Mapping[str, Any]) -> bool:
    return ENV_PLACE in (record.get("Environment") or {})


def _states(record: Mapping[str, Any]) -> tuple[object, object]:
    return record["TrainingJobStatus"], record.get("SecondaryStatus")


def _is_warm(record: Mapping[str, Any]) -> bool:
    return bool((record.get("WarmPoolStatus") or {}).get("Status") == "Available")


def _job(record: Mapping[str, Any], region: str, now: dt.datetime) -> OurJob | None:
    """What is shown of a job; None if it has ended meanwhile."""
    is_running = record["TrainingJobStatus"] in _RUNNING
    if not is_running and not _is_warm(record):
        return None
    tags = {tag["Key"]: tag["Value"] for tag in record.get("Tags") or ()}
    environment = record.get("Environment") or {}
    # In the tag, what tags cannot hold was replaced or cut off.
    place = environment.get(ENV_PLACE) or tags.get(TAG_PLACE, "")
    parts = _PLACE.fullmatch(place)
    is_tuner = place.rstrip("/").endswith("/remote")
    trial = [TUNER] if is_tuner else environment.get(ENV_JOB_ID, "").split("-")[1:2]
    resources = record.get("ResourceConfig") or {}
    groups = resources.get("InstanceGroups") or [resources]
    seconds = _seconds(record, now)
    secondary = record.get("SecondaryStatus", "")
    entry = " ".join((record.get("AlgorithmSpecification") or {}).get("ContainerEntrypoint") or ())
    return OurJob(
        name=record["TrainingJobName"],
        experiment=tags.get(TAG_EXPERIMENT) or (parts["experiment"] if parts else ""),
        tag=tags.get(TAG_TAG) or (parts["tag"] if parts else ""),
        trial=tags.get(TAG_TRIAL) or "".join(trial),
        place=place,
        place_may_differ=not _says_place(record),
        status=record["TrainingJobStatus"],
        secondary=secondary,
        is_warm_pool=not is_running,
        since=_since(record),
        created=record["CreationTime"],
        instance_type=groups[0].get("InstanceType", ""),
        instance_count=sum(group.get("InstanceCount", 1) for group in groups),
        is_spot=bool(record.get("EnableManagedSpotTraining")),
        seconds=seconds,
        cost=_cost(groups, region, seconds),
        hears=record["TrainingJobStatus"] == "InProgress"
        and secondary in _CONTAINER_RUNS
        and f"{CHANNEL_CODE}/{BUNDLE}" in entry
        and not record.get("EnableNetworkIsolation"),
    )


def _since(record: Mapping[str, Any]) -> dt.datetime:
    if record["TrainingJobStatus"] not in _RUNNING and record.get("TrainingEndTime"):
        ended: dt.datetime = record["TrainingEndTime"]
        return ended
    transitions = record.get("SecondaryStatusTransitions") or ()
    since: dt.datetime = transitions[-1]["StartTime"] if transitions else record["CreationTime"]
    return since


def _seconds(record: Mapping[str, Any], now: dt.datetime) -> float:
    """Seconds of the training itself so far, and those for which a warm pool has kept the instances."""
    begun, ended = record.get("TrainingStartTime"), record.get("TrainingEndTime")
    if ended is None:
        return 0.0 if begun is None else max(0.0, (now - begun).total_seconds())
    pool = record.get("WarmPoolStatus") or {}
    kept = max(pool.get("ResourceRetainedBillableTimeInSeconds") or 0.0, (now - ended).total_seconds())
    return float((record.get("BillableTimeInSeconds") or 0) + kept)


def _cost(groups: list[dict[str, Any]], region: str, seconds: float) -> float | None:
    total = 0.0
    for group in groups:
        count: int = group.get("InstanceCount", 1)
        price = price_per_hour(group.get("InstanceType", ""), region)
        if price is None:
            return None
        total += price * count * seconds / 3600
    return total


def readable(error: AwsError) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())
