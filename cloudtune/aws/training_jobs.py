"""Training jobs: create, describe, stop, list."""

from __future__ import annotations

import builtins
import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import PASSING, InvalidRequest

logger = logging.getLogger(__name__)

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})

#: Seconds that SageMaker gives a job to end beyond its ``max_run``: they are billed as well.
STOP_GRACE = 120
#: The secondary status in which the container runs, and what FailureReason says of one that could not be started.
_RUNS, _CANNOT_START = "Training", "CannotStartContainerError"


@dataclass(frozen=True)
class WarmPool:
    """Instances kept after a job (status Available, InUse, Reused, Terminated)."""

    status: str
    retained_seconds: int | None
    reused_by: str | None


@dataclass(frozen=True)
class JobState:
    """What DescribeTrainingJob tells.

    ``instance_type`` is that of the first group where a job has groups of instances; ``instance_count`` is that of all.
    ``machines`` are type and number of each group. ``billable_seconds`` is None until AWS has counted; ``max_run`` and
    all seconds are seconds. ``has_run`` is False where it is certain that the container was never started, so that
    there is no log.
    """

    name: str
    arn: str
    status: str
    secondary: str
    failure_reason: str
    instance_type: str
    instance_count: int
    billable_seconds: int | None
    training_seconds: int | None
    environment: Mapping[str, str]
    warm_pool: WarmPool | None
    created: dt.datetime
    ended: dt.datetime | None
    is_spot: bool
    max_run: int | None
    machines: tuple[tuple[str, int], ...] = ()
    has_run: bool = True

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL


@dataclass(frozen=True)
class JobSummary:
    """What ListTrainingJobs tells of a job."""

    name: str
    arn: str
    status: str
    secondary: str
    created: dt.datetime
    ended: dt.datetime | None
    warm_pool: WarmPool | None

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL


class TrainingJobs:
    """The training jobs of an account and region. Thread-safe; may be pickled where there is no ``cancel``.

    Args:
        aws: Account and region.
        cancel: Ends all waiting, with :class:`~cloudtune.aws.errors.Cancelled`.
        confirm: Called right before each call that changes a job; what it raises keeps the call from being made. Where
            it has no answer (:data:`~cloudtune.aws.errors.PASSING`), jobs are stopped all the same.

    All methods raise subclasses of :class:`~cloudtune.aws.errors.AwsError`; ``patience`` is that of :meth:`Aws.call`.
    """

    def __init__(
        self, aws: Aws, cancel: threading.Event | None = None, confirm: Callable[[], object] | None = None
    ) -> None:
        self.aws = aws
        self._cancel = cancel
        self._confirm = confirm

    def create(
        self, request: Mapping[str, Any], patience: float | None = 0, cancel: threading.Event | None = None
    ) -> None:
        """Creates a job.

        By default a refusal is told at once: whoever has a queue of jobs goes on with other work meanwhile.

        Args:
            request: Of CreateTrainingJob.
            patience: See :meth:`Aws.call`.
            cancel: Ends the wait for the rate budget.

        Raises:
            Conflict: There is, or was, a job of this name. After an :class:`Unreachable`, or with patience, it may be
                this very one: compare what its environment says.
            QuotaReached: No more instances are allowed at the moment.
            Unreachable: Whether the job was created is not known.
        """
        self.aws.call(
            "sagemaker", "create_training_job", patience=patience, cancel=cancel, confirm=self._confirm, **request
        )

    def describe(self, name: str, patience: float | None = None) -> JobState:
        """A job. Raises NotFound where there is none of that name."""
        return _state(self._call("describe_training_job", patience, TrainingJobName=name))

    def stop(self, name: str, patience: float | None = None) -> bool:
        """Begins to stop a job; one that is being stopped already is no error.

        Returns:
            False if the job had ended. It may have ended by this very call, where its first answer was lost.

        Raises:
            AwsError: Anything else: throttling, or rights that are missing, say nothing about the job.
        """
        try:
            self._call("stop_training_job", patience, confirm=self._confirm_if_possible, TrainingJobName=name)
        except InvalidRequest:
            # SageMaker refuses with the code that it has for any wrong request; only the job itself tells why.
            state = self.describe(name, patience)
            if not state.is_terminal and state.status != "Stopping":
                raise
            return not state.is_terminal
        return True

    def list(
        self, name_contains: str, status: str | None = None, *, patience: float | None = None
    ) -> builtins.list[JobSummary]:
        """All jobs whose names contain a text, oldest first; a hundred per call.

        Args:
            name_contains: At most 63 letters, digits and dashes; empty for all jobs of the account and region.
            status: Only jobs in this status, such as ``InProgress``.
            patience: See :meth:`Aws.call`.
        """
        found: dict[str, JobSummary] = {}
        query: dict[str, Any] = {"MaxResults": 100, "SortBy": "CreationTime", "SortOrder": "Ascending"}
        if name_contains:
            query["NameContains"] = name_contains
        if status is not None:
            query["StatusEquals"] = status
        while True:
            page = self._call("list_training_jobs", patience, **query)
            for row in page["TrainingJobSummaries"]:
                found[row["TrainingJobName"]] = _summary(row)  # jobs may move between pages while they are read
            if not page.get("NextToken"):
                return list(found.values())
            query["NextToken"] = page["NextToken"]

    def newest_pages(
        self, name_contains: str, created_after: dt.datetime | None = None, *, patience: float | None = None
    ) -> Iterator[builtins.list[JobSummary]]:
        """Jobs whose names contain a text, newest first, a hundred at a time; each page is one call, once asked for.

        No status can be named: SageMaker would only leave out rows of its pages, and not fill them up.

        Args:
            name_contains: At most 63 letters, digits and dashes.
            created_after: Only jobs that were created later.
            patience: See :meth:`Aws.call`.
        """
        query: dict[str, Any] = {"MaxResults": 100, "SortBy": "CreationTime", "SortOrder": "Descending"}
        query["NameContains"] = name_contains
        if created_after is not None:
            query["CreationTimeAfter"] = created_after
        while True:
            page = self._call("list_training_jobs", patience, **query)
            yield [_summary(row) for row in page["TrainingJobSummaries"]]
            if not page.get("NextToken"):
                return
            query["NextToken"] = page["NextToken"]

    def end_warm_pool(self, name: str, patience: float | None = None) -> bool:
        """Gives back the instances that are kept after a job.

        Returns:
            False if none are kept, or another job has taken them over.
        """
        try:
            kept = {"KeepAlivePeriodInSeconds": 0}
            self._call(
                "update_training_job", patience, confirm=self._confirm, TrainingJobName=name, ResourceConfig=kept
            )
        except InvalidRequest:
            pool = self.describe(name, patience).warm_pool
            if pool is None or pool.status != "Available":
                return False
            raise
        return True

    def _confirm_if_possible(self) -> None:
        """Asks ``confirm``, and stops the job all the same where nobody answers: it costs money until it is stopped."""
        try:
            if self._confirm is not None:
                self._confirm()
        except PASSING as error:
            logger.debug("whether the job may be stopped is not known, and it is: %s", error)

    def _call(self, operation: str, patience: float | None, **more: Any) -> dict[str, Any]:
        return self.aws.call("sagemaker", operation, patience=patience, cancel=self._cancel, **more)


def _state(answer: Mapping[str, Any]) -> JobState:
    resources = answer.get("ResourceConfig", {})
    groups = resources.get("InstanceGroups", ())
    return JobState(
        name=answer["TrainingJobName"],
        arn=answer["TrainingJobArn"],
        status=answer["TrainingJobStatus"],
        secondary=answer.get("SecondaryStatus", ""),
        failure_reason=answer.get("FailureReason", ""),
        instance_type=resources.get("InstanceType") or (groups[0]["InstanceType"] if groups else ""),
        instance_count=resources.get("InstanceCount") or sum(group["InstanceCount"] for group in groups),
        billable_seconds=answer.get("BillableTimeInSeconds"),
        training_seconds=answer.get("TrainingTimeInSeconds"),
        environment=answer.get("Environment", {}),
        warm_pool=_warm_pool(answer),
        created=answer["CreationTime"],
        ended=answer.get("TrainingEndTime"),
        is_spot=bool(answer.get("EnableManagedSpotTraining")),
        max_run=answer.get("StoppingCondition", {}).get("MaxRuntimeInSeconds"),
        machines=tuple((group["InstanceType"], group["InstanceCount"]) for group in groups),
        has_run=_has_run(answer),
    )


def _has_run(answer: Mapping[str, Any]) -> bool:
    """Whether a job's container may have been started."""
    passed = [row.get("Status") for row in answer.get("SecondaryStatusTransitions", ())]
    if passed and _RUNS not in passed:
        return False
    return _CANNOT_START not in answer.get("FailureReason", "")


def _summary(row: Mapping[str, Any]) -> JobSummary:
    return JobSummary(
        name=row["TrainingJobName"],
        arn=row["TrainingJobArn"],
        status=row["TrainingJobStatus"],
        secondary=row.get("SecondaryStatus", ""),
        created=row["CreationTime"],
        ended=row.get("TrainingEndTime"),
        warm_pool=_warm_pool(row),
    )


def _warm_pool(row: Mapping[str, Any]) -> WarmPool | None:
    pool = row.get("WarmPoolStatus")
    if not pool:
        return None
    return WarmPool(pool["Status"], pool.get("ResourceRetainedBillableTimeInSeconds"), pool.get("ReusedByJob"))
