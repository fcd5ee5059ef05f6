"""Which instances the training jobs of an account and region have now, whoever started them: by these, quotas count."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloudtune.agent.protocol import ENV_PLACE
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound, ServiceFailure, Throttled
from cloudtune.aws.parallel import in_parallel

logger = logging.getLogger(__name__)

#: Statuses of jobs that have their instances, or are about to get them.
_RUNNING = ("InProgress", "Stopping")
#: More jobs than this are looked up with Search, which tells of a hundred with one call; the others one by one.
_FEW = 5


@dataclass(frozen=True)
class JobMachines:
    """The instances of a training job that has not ended.

    Args:
        name: Of the job.
        machines: Type and number; several where it has groups.
        is_spot: Whether they are spot instances.
        place: ``s3://...`` that a job of cloudtune belongs to: with ``remote/`` at its end, it runs a tuner. "" for
            others.
    """

    name: str
    machines: tuple[tuple[str, int], ...]
    is_spot: bool
    place: str


class MachinesInUse:
    """Looks again and again; what a job has never changes, and is asked for once.

    Args:
        aws: Account and region.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._known: dict[str, JobMachines] = {}

    def now(self) -> list[JobMachines]:
        """Of all jobs that have not ended. Raises AwsError."""
        names = dict.fromkeys(
            row["TrainingJobName"]
            for status in _RUNNING
            for page in self._pages("list_training_jobs", StatusEquals=status)
            for row in page["TrainingJobSummaries"]
        )
        self._known = {name: one for name, one in self._known.items() if name in names}
        unknown = names.keys() - self._known.keys()
        if len(unknown) > _FEW:
            self._known.update((one.name, one) for one in self._searched() if one.name in unknown)
            unknown = names.keys() - self._known.keys()
        for found in in_parallel(self._aws.threads, [partial(self._described, name) for name in sorted(unknown)]):
            if found is not None:
                self._known[found.name] = found
        return [self._known[name] for name in names if name in self._known]

    def _searched(self) -> Iterator[JobMachines]:
        """What Search knows; it shows a job only some time after it was created."""
        running = {"Name": "TrainingJobStatus", "Operator": "In", "Value": ",".join(_RUNNING)}
        try:
            for page in self._pages("search", Resource="TrainingJob", SearchExpression={"Filters": [running]}):
                for row in page["Results"]:
                    if "TrainingJob" in row:
                        yield _machines(row["TrainingJob"])
        except (AccessDenied, InvalidRequest, Throttled, ServiceFailure) as error:
            logger.info("%s; jobs are described one by one instead", error)

    def _described(self, name: str) -> JobMachines | None:
        try:
            return _machines(self._aws.call("sagemaker", "describe_training_job", TrainingJobName=name))
        except NotFound:  # deleted meanwhile
            return None

    def _pages(self, operation: str, **query: Any) -> Iterator[dict[str, Any]]:
        query["MaxResults"] = 100
        while True:
            page = self._aws.call("sagemaker", operation, **query)
            yield page
            if not page.get("NextToken"):
                return
            query["NextToken"] = page["NextToken"]


def _machines(record: Mapping[str, Any]) -> JobMachines:
    resources = record.get("ResourceConfig") or {}
    groups = resources.get("InstanceGroups") or [resources]
    return JobMachines(
        name=record["TrainingJobName"],
        machines=tuple((one.get("InstanceType", ""), one.get("InstanceCount", 1)) for one in groups),
        is_spot=bool(record.get("EnableManagedSpotTraining")),
        place=(record.get("Environment") or {}).get(ENV_PLACE, ""),
    )
