"""Search for training jobs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.services.operation import NotOurs
from cloudtune.localcloud.services.page_token import page_position, page_token
from cloudtune.localcloud.services.search_expression import expression_test
from cloudtune.localcloud.services.search_filter import decimal
from cloudtune.localcloud.services.search_property import Property, SearchedJob, property_of_job, unknown_property
from cloudtune.localcloud.services.validation import checked

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: Jobs on a page unless MaxResults says otherwise.
PAGE = 10
#: Member that the gate adds for the fault ``stale_search``: the cloud time whose state is to be told.
UNTIL = "__until__"
_Key = tuple[bool, int, Any, str]


def search(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """A page of the jobs that match, as they were when the first page was asked for.

    So jobs that change between pages neither double nor get lost. Jobs without the property that the order goes by
    come last. Raises NotOurs for everything but training jobs.
    """
    request = checked("Search", params)
    if request["Resource"] != "TrainingJob":
        raise NotOurs
    matches = expression_test(request.get("SearchExpression"))
    order = property_of_job(request.get("SortBy", "LastModifiedTime"))
    if not order.kind:
        raise unknown_property(order.name)
    descending = request.get("SortOrder", "Descending") == "Descending"
    until, last = page_position(request) or [params.get(UNTIL, platform.clock.time()), None]
    found = [
        (_key(searched, order), searched)
        for job in list(platform.jobs.of(caller.account, caller.region).values())
        if job.created <= until and matches(searched := SearchedJob(job, until))
    ]
    if request.get("CrossAccountFilterOption") == "CrossAccount":
        found = []  # nothing is shared between accounts here
    rows = sorted((row for row in found if not row[0][0]), key=_first, reverse=descending)
    rows += sorted((row for row in found if row[0][0]), key=_first, reverse=descending)
    total = len(rows)
    if last is not None:
        rows = [row for row in rows if _is_after(row[0], tuple(last), descending)]
    size = request.get("MaxResults", PAGE)
    answer: dict[str, Any] = {
        "Results": [{"TrainingJob": searched.record()} for _, searched in rows[:size]],
        "TotalHits": {"Value": total, "Relation": "EqualTo"},
    }
    if len(rows) > size:
        answer["NextToken"] = page_token(request, [until, rows[size - 1][0]])
    return answer


def _key(job: SearchedJob, order: Property) -> _Key:
    """Whether there is no value, numbers before text, the value, and the name, which makes keys differ."""
    value = next(iter(order.values(job)), None)
    if order.kind == "parameter" and value is not None:
        number = decimal(value)
        value = value if number is None else number
    elif isinstance(value, float) and not math.isfinite(value):
        value = None  # a metric: such values have no place in an order
    return value is None, int(isinstance(value, str)), "" if value is None else value, job.job.name


def _first(row: tuple[_Key, SearchedJob]) -> _Key:
    return row[0]


def _is_after(key: _Key, last: tuple[Any, ...], descending: bool) -> bool:
    if key[0] != last[0]:
        return key[0]
    return key < last if descending else key > last
