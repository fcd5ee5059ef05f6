"""Properties of training jobs that Search can filter and sort by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.model import Shape

from cloudtune.localcloud.aws_error import AwsError, validation_error
from cloudtune.localcloud.jobs.training_job import FLAGS, TrainingJob
from cloudtune.localcloud.services.job_tags import tag_list
from cloudtune.localcloud.services.validation import sagemaker_model

#: Type of the API model -> how Search compares. What is missing here can only exist or not.
_KINDS = {
    "string": "text",
    "integer": "number",
    "long": "number",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
    "timestamp": "time",
}


class SearchedJob:
    """A job as it was at a cloud time, read member by member: most are asked for very little."""

    def __init__(self, job: TrainingJob, until: float) -> None:
        self.job = job
        self._until = until

    @cached_property
    def _status(self) -> dict[str, Any]:
        return self.job.status_fields(self.job.state_at(self._until))

    def member(self, name: str) -> Any:
        """A member of the search record, None where the job has none. Not to be changed."""
        if name in self._status:
            return self._status[name]
        if name == "SecondaryStatusTransitions":
            return self.job.describe(self._until)[name]
        if name == "Tags":
            return tag_list(self.job.tags)
        return self.job.request.get(name, False if name in FLAGS else None)

    def record(self) -> dict[str, Any]:
        """The job as Search tells it."""
        known = _record_shape().members
        record = {name: value for name, value in self.job.describe(self._until).items() if name in known}
        record["Tags"] = tag_list(self.job.tags)
        return record


@dataclass(frozen=True)
class Property:
    """Something a job may have one or, within lists, several values of.

    Args:
        name: As the request spells it.
        kind: ``text``, ``number``, ``boolean``, ``time``, ``parameter`` (text that may be a decimal number), or empty
            for what has parts.
        values: The values of a job, or of an element of a list.
    """

    name: str
    kind: str
    values: Callable[[Any], list[Any]]


def unknown_property(name: str) -> AwsError:
    """The error for a name that training jobs do not have."""
    return validation_error(f"Unknown property name: {name}")


def property_of_job(name: str) -> Property:
    """The property of that name; raises AwsError where training jobs have none."""
    first, _, rest = name.partition(".")
    if rest and first == "Tags":
        return Property(name, "text", lambda job: [job.job.tags[rest]] if rest in job.job.tags else [])
    if rest and first == "HyperParameters":
        return Property(name, "parameter", lambda job: _entry(job.member(first), rest))
    if rest and first == "Metrics":
        return Property(name, "number", lambda job: _metric(job, rest))
    path, shape = _walk(_record_shape(), name)
    return Property(name, _KINDS.get(shape.type_name, ""), lambda job: list(_values(job.member(path[0]), path[1:])))


def property_of_element(list_name: str, name: str) -> Property:
    """A property of the elements of a list that jobs have; both names are as for a job."""
    if not name.startswith(f"{list_name}."):
        raise validation_error(f"The nested filter on '{name}' must name a property of '{list_name}'.")
    above = len(list_name.split("."))
    path, shape = _walk(_record_shape(), name)
    return Property(name, _KINDS.get(shape.type_name, ""), lambda element: list(_values(element, path[above:])))


def elements(list_name: str) -> Callable[[SearchedJob], list[Any]]:
    """What gives the elements of a list that jobs have; raises AwsError where the name is no list."""
    path, shape = _walk(_record_shape(), list_name)
    if shape.type_name != "list":
        raise validation_error(f"Nested filters need a list; '{list_name}' is none.")
    return lambda job: list(_values(job.member(path[0]), path[1:]))


def _record_shape() -> Any:
    return sagemaker_model().shape_for("TrainingJob")


def _walk(shape: Any, name: str) -> tuple[list[str], Shape]:
    """The names on the way to a property, and its shape."""
    path: list[str] = []
    rest = name
    while rest:
        while shape.type_name == "list":
            shape = shape.member
        if shape.type_name == "map":
            return [*path, rest], shape.value
        part, _, rest = rest.partition(".")
        if shape.type_name != "structure" or part not in shape.members:
            raise unknown_property(name)
        path.append(part)
        shape = shape.members[part]
    return path, shape


def _values(node: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(node, list):
        for entry in node:
            yield from _values(entry, path)
    elif not path:
        if node is not None:
            yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _values(node[path[0]], path[1:])


def _entry(entries: Any, name: str) -> list[Any]:
    return [entries[name]] if entries and name in entries else []


def _metric(job: SearchedJob, name: str) -> list[float]:
    metrics = job.member("FinalMetricDataList") or ()
    return [metric["Value"] for metric in metrics if metric["MetricName"] == name]
