"""ListTrainingJobs.

AWS's documentation says that StatusEquals is applied after a page was cut; here all filters come first, so that no
page is empty. It calls the default order ascending and, in its notes, newest first; here it is newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.services.page_token import page_position, page_token
from cloudtune.localcloud.services.validation import checked

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: Jobs on a page unless MaxResults says otherwise.
PAGE = 10
_SUMMARY = (
    "TrainingJobArn",
    "CreationTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "TrainingJobStatus",
    "SecondaryStatus",
    "WarmPoolStatus",
)


def list_training_jobs(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """A page of summaries.

    A token names the last job of its page by what the order goes by, never by a count, so jobs that come or go between
    pages neither double nor hide others. Where the order is by status, statuses are as of the first page.
    """
    request = checked("ListTrainingJobs", params)
    position = page_position(request)
    horizon, last = position or [platform.clock.time(), None]
    key = _order(request.get("SortBy", "CreationTime"), horizon)
    descending = request.get("SortOrder", "Descending") == "Descending"
    jobs = list(platform.jobs.of(caller.account, caller.region).values())
    keyed = ((*key(job), job) for job in filter(_matches(request), jobs))
    if last is not None:
        after = tuple(last)
        keyed = (row for row in keyed if (row[:-1] < after if descending else row[:-1] > after))
    size = request.get("MaxResults", PAGE)
    rows = sorted(keyed, reverse=descending)  # names are unique, so it never comes to comparing jobs
    page = rows[:size]
    answer: dict[str, Any] = {"TrainingJobSummaries": [_summary(row[-1]) for row in page]}
    if len(rows) > size:
        answer["NextToken"] = page_token(request, [horizon, page[-1][:-1]])
    return answer


def _order(sort_by: str, horizon: float) -> Callable[[TrainingJob], tuple[Any, ...]]:
    if sort_by == "Name":
        return lambda job: (job.name,)
    if sort_by == "Status":
        return lambda job: (job.state_at(horizon).status, job.created, job.name)
    return lambda job: (job.created, job.name)


def _matches(request: Mapping[str, Any]) -> Callable[[TrainingJob], bool]:
    part = request.get("NameContains", "")
    status = request.get("StatusEquals")
    created_after = request.get("CreationTimeAfter", -inf)
    created_before = request.get("CreationTimeBefore", inf)
    modified_after = request.get("LastModifiedTimeAfter", -inf)
    modified_before = request.get("LastModifiedTimeBefore", inf)
    pool = request.get("WarmPoolStatusEquals")
    plan = request.get("TrainingPlanArnEquals")

    def matches(job: TrainingJob) -> bool:
        state = job.state
        return (
            part in job.name
            and (status is None or state.status == status)
            and created_after < job.created < created_before
            and modified_after < state.since < modified_before
            and (pool is None or (state.warm_pool or {}).get("Status") == pool)
            and (plan is None or job.request["ResourceConfig"].get("TrainingPlanArn") == plan)
        )

    return matches


def _summary(job: TrainingJob) -> dict[str, Any]:
    fields = job.status_fields(job.state)
    return {"TrainingJobName": job.name, **{name: fields[name] for name in _SUMMARY if name in fields}}
