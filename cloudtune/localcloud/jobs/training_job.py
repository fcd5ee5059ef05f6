"""The record of a training job: what was asked for, every state it has been in, and what is told about it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from cloudtune.localcloud.clock import CloudClock
from cloudtune.localcloud.json_copy import json_copy

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
#: FailureReason is cut to this many characters, as on AWS.
MAX_FAILURE_REASON = 1024
#: Members of the request that are told as false where it does not have them.
FLAGS = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")


@dataclass(frozen=True)
class JobState:
    """What a job is from ``since`` (cloud time, seconds since 1970) until its next state."""

    since: float
    status: str = "InProgress"
    secondary: str = "Starting"
    message: str = ""
    failure_reason: str | None = None
    training_start: float | None = None
    training_end: float | None = None
    training_seconds: int | None = None
    billable_seconds: int | None = None
    model_artifacts: str | None = None
    warm_pool: Mapping[str, Any] | None = None


_MOVABLE = frozenset(JobState.__dataclass_fields__) - {"since", "status", "secondary", "message"}


class TrainingJob:
    """A training job of the local cloud. Thread-safe.

    Args:
        request: Of CreateTrainingJob, already validated; a copy is kept, without the tags.
        clock: The cloud's.
        account: Twelve digits.
        region: Such as ``us-east-1``.
    """

    def __init__(self, request: Mapping[str, Any], clock: CloudClock, account: str, region: str) -> None:
        #: Never changed in place, only replaced (``update_request``, ``replace_tags``), so readers need no lock.
        self.request: dict[str, Any] = json_copy(dict(request))
        self.tags: dict[str, str] = {tag["Key"]: tag["Value"] for tag in self.request.pop("Tags", None) or ()}
        self.name: str = self.request["TrainingJobName"]
        self.account = account
        self.region = region
        self.arn = f"arn:aws:sagemaker:{region}:{account}:training-job/{self.name}"
        self.created = clock.time()
        self.final_metrics: dict[str, dict[str, Any]] = {}
        #: How many times the container was started before: the number of the current run.
        self.run = 0
        self._clock = clock
        self._states = [JobState(since=self.created, message="Starting the training job")]
        self._stop_wanted_at: float | None = None
        self._changed = threading.Condition(threading.RLock())

    @property
    def state(self) -> JobState:
        """The newest state."""
        return self._states[-1]

    @property
    def status(self) -> str:
        return self._states[-1].status

    @property
    def is_terminal(self) -> bool:
        return self._states[-1].status in TERMINAL

    @property
    def is_spot(self) -> bool:
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def instance_type(self) -> str:
        return str(self._resources().get("InstanceType", "ml.m5.large"))

    @property
    def instance_count(self) -> int:
        return int(self._resources().get("InstanceCount", 1))

    @property
    def instances(self) -> dict[str, int]:
        """Instance type -> how many of it; several types where the request has instance groups."""
        return instances_of(self.request)

    @property
    def keep_alive_seconds(self) -> int:
        return int(self._resources().get("KeepAlivePeriodInSeconds") or 0)

    @property
    def stop_wanted_at(self) -> float | None:
        """Cloud time of the first stop, if there was one."""
        return self._stop_wanted_at

    def _resources(self) -> Mapping[str, Any]:
        resources: Mapping[str, Any] = self.request.get("ResourceConfig") or {}
        groups = resources.get("InstanceGroups")
        if groups:
            return {
                **resources,
                "InstanceType": groups[0].get("InstanceType"),
                "InstanceCount": sum(group.get("InstanceCount", 1) for group in groups),
            }
        return resources

    def move(self, secondary: str, message: str = "", **changes: Any) -> JobState:
        """Enters a new secondary status, or stays in the current one with other ``changes``; returns the new state.

        A job that is stopping stays in the secondary status Stopping whatever the executor does meanwhile. Of a job
        that has ended only ``warm_pool`` can change: its statuses stay, and anything else raises RuntimeError.
        The primary status is changed by :meth:`want_stop` and :meth:`finish` alone: ValueError.
        """
        if not _MOVABLE.issuperset(changes):
            raise ValueError(f"move cannot change {sorted(set(changes) - _MOVABLE)[0]!r} of a training job.")
        with self._changed:
            current = self.state
            if current.status in TERMINAL:
                if set(changes) != {"warm_pool"}:
                    raise RuntimeError(f"Training job {self.name} is {current.status} already.")
                secondary, message = current.secondary, current.message
            elif current.status == "Stopping":
                secondary = "Stopping"
            return self._enter(replace(current, secondary=secondary, message=message or current.message, **changes))

    def want_stop(self) -> bool:
        """Notes that somebody stops the job; False if it was stopping or had ended. The executor does the rest."""
        with self._changed:
            if self.status != "InProgress":
                return False
            self._stop_wanted_at = self._clock.time()
            message = "Stopping the training job"
            self._enter(replace(self.state, status="Stopping", secondary="Stopping", message=message))
            return True

    def finish(
        self, status: str, secondary: str, message: str, failure_reason: str | None = None, **changes: Any
    ) -> JobState:
        """Ends the job: ``status`` is Completed, Failed or Stopped. Only once: raises RuntimeError otherwise.

        What else changes with it (artifacts, billed time, warm pool) is seen together with the end, never after it. A
        job that somebody is stopping ends as Stopped where it would have been Completed.
        """
        if status not in TERMINAL:
            raise ValueError(f"A training job cannot end as {status!r}; it ends as one of {sorted(TERMINAL)}.")
        with self._changed:
            current = self.state
            if current.status in TERMINAL:
                raise RuntimeError(f"Training job {self.name} is {current.status} already.")
            if failure_reason is not None:
                failure_reason = failure_reason[:MAX_FAILURE_REASON]
            if current.status == "Stopping" and status == "Completed":
                status, secondary, message = "Stopped", "Stopped", "Training job stopped"
            ended = self._clock.time()
            return self._enter(
                replace(
                    current,
                    status=status,
                    secondary=secondary,
                    message=message,
                    failure_reason=failure_reason,
                    training_end=ended if current.training_start is not None else None,
                    **changes,
                )
            )

    def update_request(self, **changes: Any) -> None:
        """Replaces members of the request, such as ``ProfilerConfig``; shows as a modification."""
        with self._changed:
            self.request = {**self.request, **json_copy(changes)}
            self._enter(self.state)

    def replace_tags(self, tags: Mapping[str, str]) -> None:
        """These are the job's tags from now on."""
        self.tags = dict(tags)

    def record_metric(self, name: str, value: float, timestamp: float) -> None:
        """Notes the newest value of a metric, for FinalMetricDataList; ``timestamp`` is cloud time."""
        with self._changed:
            metric = {"MetricName": name, "Value": value, "Timestamp": timestamp}
            self.final_metrics = {**self.final_metrics, name: metric}

    def _enter(self, state: JobState) -> JobState:
        state = replace(state, since=max(self._clock.time(), self.state.since))
        self._states.append(state)
        self._changed.notify_all()
        return state

    def wait(self, real_seconds: float | None = None) -> bool:
        """Blocks until the job has ended; False if the time (real seconds) is over before."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_terminal, real_seconds)

    def states(self, until: float = float("inf")) -> list[JobState]:
        """All states entered up to a cloud time, oldest first; never empty."""
        with self._changed:
            if self._states[-1].since <= until:
                return list(self._states)
            return [state for state in self._states if state.since <= until] or self._states[:1]

    def state_at(self, until: float) -> JobState:
        """The newest of the states entered up to a cloud time, or else the first."""
        newest = self._states[-1]
        return newest if newest.since <= until else self.states(until)[-1]

    def status_fields(self, state: JobState) -> dict[str, Any]:
        """What DescribeTrainingJob adds to the request in this state, but for the transitions; absent where None."""
        values = {
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": state.status,
            "SecondaryStatus": state.secondary,
            "CreationTime": self.created,
            "LastModifiedTime": state.since,
            "ModelArtifacts": {"S3ModelArtifacts": state.model_artifacts or ""},
            "FailureReason": state.failure_reason,
            "TrainingStartTime": state.training_start,
            "TrainingEndTime": state.training_end,
            "TrainingTimeInSeconds": state.training_seconds,
            "BillableTimeInSeconds": state.billable_seconds,
            "FinalMetricDataList": [dict(metric) for metric in list(self.final_metrics.values())] or None,
            "WarmPoolStatus": dict(state.warm_pool) if state.warm_pool else None,
        }
        return {name: value for name, value in values.items() if value is not None}

    def describe(self, until: float = float("inf")) -> dict[str, Any]:
        """The answer of DescribeTrainingJob, as it was at a cloud time; times are seconds since 1970 (floats)."""
        with self._changed:
            states = self.states(until)
            request = self.request
        answer: dict[str, Any] = json_copy(request)
        # The only member, apart from the tags, that CreateTrainingJob takes and DescribeTrainingJob does not tell.
        answer.pop("SessionChainingConfig", None)
        answer.update(self.status_fields(states[-1]), SecondaryStatusTransitions=_transitions(states))
        for flag in FLAGS:
            answer.setdefault(flag, False)
        profiler = request.get("ProfilerConfig")
        profiled = profiler is not None and not profiler.get("DisableProfiler")
        answer["ProfilingStatus"] = "Enabled" if profiled else "Disabled"
        return answer

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        with self._changed:
            return {
                "request": json_copy(self.request),
                "tags": dict(self.tags),
                "account": self.account,
                "region": self.region,
                "created": self.created,
                "final_metrics": json_copy(self.final_metrics),
                "run": self.run,
                "stop_wanted_at": self._stop_wanted_at,
                "states": [asdict(state) for state in self._states],
            }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], clock: CloudClock) -> TrainingJob:
        """The job that :meth:`to_dict` described."""
        job = cls(values["request"], clock, values["account"], values["region"])
        job.tags = dict(values["tags"])
        job.created = values["created"]
        job.final_metrics = {name: dict(metric) for name, metric in values["final_metrics"].items()}
        job.run = values["run"]
        job._stop_wanted_at = values["stop_wanted_at"]
        job._states = [JobState(**state) for state in values["states"]]
        return job


def instances_of(request: Mapping[str, Any]) -> dict[str, int]:
    """Instance type -> how many of it a request for a training job wants."""
    resources: Mapping[str, Any] = request.get("ResourceConfig") or {}
    wanted: dict[str, int] = {}
    for group in resources.get("InstanceGroups") or [resources]:
        kind = str(group.get("InstanceType", "ml.m5.large"))
        wanted[kind] = wanted.get(kind, 0) + int(group.get("InstanceCount", 1))
    return wanted


def _transitions(states: list[JobState]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for state in states:
        if rows and rows[-1]["Status"] == state.secondary:
            continue
        if rows:
            rows[-1]["EndTime"] = state.since
        rows.append({"Status": state.secondary, "StartTime": state.since, "StatusMessage": state.message})
    if states[-1].status in TERMINAL and rows:
        rows[-1]["EndTime"] = rows[-1]["StartTime"]
    return rows
