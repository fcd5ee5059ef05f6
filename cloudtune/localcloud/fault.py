"""What can be made to go wrong, and when."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.localcloud.glob_overlap import globs_overlap

#: Faults of API calls -> what happens.
CALL_FAULTS: Mapping[str, str] = {
    "throttle": "The call is refused: ThrottlingException, from S3 SlowDown (503).",
    "internal_error": "The service answers 500 InternalServerError (S3: InternalError) and has done nothing.",
    "slow_down": "S3 answers 503 SlowDown.",
    "access_denied": "AccessDeniedException, from S3 AccessDenied (403).",
    "expired_token": "The call is refused: ExpiredTokenException, from S3 ExpiredToken (400).",
    "resource_limit": "ResourceLimitExceeded.",
    "answer_lost": "The service does what was asked; the connection breaks before the answer.",
    "request_lost": "The connection breaks before the service sees the request.",
    "write_lost": "S3 answers a write (PutObject, CopyObject, CompleteMultipartUpload, DeleteObject, DeleteObjects) "
    "with success and changes nothing; the parts of a completed upload are gone.",
    "slow_answer": "The answer takes `seconds` longer.",
    "stale_search": "Search answers with the state of `seconds` ago.",
}
#: Faults of logs: matched by job, or by `resource` as "log group/log stream".
LOG_FAULTS: Mapping[str, str] = {
    "late_logs": "Lines can be read only `seconds` after they were written.",
    "shuffled_logs": "Lines become readable in random order, each within `seconds`.",
}
#: Faults of training jobs: matched by job, drawn at most once per run (start of the containers) of a job, when they
#: are about to strike. "into the run" counts from the start of the containers, or from the moment from which the fault
#: is in force, whichever is later.
JOB_FAULTS: Mapping[str, str] = {
    "capacity": "The job fails before its containers start: CapacityError.",
    "job_internal_error": "The platform fails `seconds` into the run: InternalServerError, retried as the job's "
    "RetryStrategy says.",
    "slow_start": "The containers start `seconds` later.",
    "slow_stop": "A stop (from anyone) that begins while containers run reaches them only after `seconds`.",
    "hang_stopping": "A job that is being stopped stays in Stopping for `seconds` after its containers have ended.",
    "spot_interruption": "`seconds` into the run its spot instance is taken away; with `notice` the container gets "
    "SIGTERM and `spot_notice` first. The job goes on as a new run. Jobs that are not spot are spared.",
    "console_stop": "`seconds` into the run somebody stops the job.",
    "sync_ceases": "`seconds` into the run checkpoints are no longer uploaded, without a word.",
    "no_warm_pool": "A completed job's instances are not kept although the request asks for it.",
}
#: Faults of the whole cloud.
CLOUD_FAULTS: Mapping[str, str] = {
    "kill_server": "The server process kills itself (SIGKILL) at `after`, or at the next call that matches.",
}
#: Kinds that make sense for some operations only -> patterns of these. Other calls do not count as matches.
ONLY_FOR: Mapping[str, tuple[str, ...]] = {
    "slow_down": ("s3:*",),
    "write_lost": (
        "s3:PutObject",
        "s3:CopyObject",
        "s3:CompleteMultipartUpload",
        "s3:DeleteObject",
        "s3:DeleteObjects",
    ),
    "resource_limit": ("sagemaker:Create*",),
    "stale_search": ("sagemaker:Search",),
}
KINDS: Mapping[str, str] = {**CALL_FAULTS, **LOG_FAULTS, **JOB_FAULTS, **CLOUD_FAULTS}

#: Calls of other services have no resource.
_WITH_RESOURCE = ("s3:*", "logs:*")
_CALLERS = ("client", "job:*")

#: Times, and seconds: three thousand years. JSON may have integers that are no floats any more.
_MOST = 10**11

_TYPES: tuple[tuple[tuple[str, ...], tuple[type, ...], str], ...] = (
    (("kind", "operation", "job", "resource", "who"), (str,), "a string"),
    (("count",), (int, type(None)), "a whole number or None"),
    (("skip",), (int,), "a whole number"),
    (("probability", "after", "until", "seconds"), (int, float), "a number"),
    (("notice",), (bool,), "true or false"),
)


@dataclass(frozen=True)
class Fault:
    """A rule: what goes wrong, for whom, how often.

    All conditions must hold. Patterns are shell globs; an empty name matches only ``*``. A rule that could never strike
    is refused with ValueError.

    Args:
        kind: One of ``KINDS``.
        operation: Of the call, as ``service:Operation`` (``sagemaker:CreateTrainingJob``, ``s3:PutObject``, ``s3:*``).
        job: Name of the training job: the one that fails, that a SageMaker call names, or that makes the call.
        resource: Of the call: ``bucket/key`` for S3, ``log group/log stream`` for Logs.
        who: Who calls: ``job:<name>`` for calls from inside a job, ``client`` for all others.
        count: Strikes at most so many times; None: without end.
        skip: Lets so many matches pass before it fires.
        probability: Of firing at a match.
        after: Not before so many cloud seconds since the cloud began. Jobs that are running then are struck too.
        until: Not later than that, also where the moment comes ``seconds`` into the run of a job.
        seconds: Cloud seconds, with the meaning that ``kind`` gives them.
        notice: For ``spot_interruption``: whether the container is told before.
    """

    kind: str
    operation: str = "*"
    job: str = "*"
    resource: str = "*"
    who: str = "*"
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    after: float = 0.0
    until: float = float("inf")
    seconds: float = 0.0
    notice: bool = True

    def __post_init__(self) -> None:
        self._check_types()
        if self.kind not in KINDS:
            close = difflib.get_close_matches(self.kind, KINDS, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(KINDS)}."
            raise ValueError(f"There is no fault {self.kind!r}{meant}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"The probability of fault {self.kind!r} is {self.probability!r}; it must be 0 to 1.")
        for name in ("count", "skip", "after", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} of fault {self.kind!r} is {value!r}; it must be finite and not negative.")
            if value is not None and value > _MOST:  # no clock could count it
                raise ValueError(f"{name} of fault {self.kind!r} is too large; it must be {_MOST:,} at most.")
        if not self.until >= self.after:
            raise ValueError(
                f"Fault {self.kind!r} is to last until {self.until!r}, but to begin after {self.after!r}: it would "
                "never strike."
            )
        self._check_patterns()

    def _check_patterns(self) -> None:
        """Raises ValueError for patterns that nothing which this kind strikes can match."""
        if self.kind in JOB_FAULTS or self.kind in LOG_FAULTS:
            is_of_logs = self.kind in LOG_FAULTS
            for name in ("operation", "who") if is_of_logs else ("operation", "who", "resource"):
                if getattr(self, name) != "*":
                    raise ValueError(
                        f"Fault {self.kind!r} does not strike calls: {name} {getattr(self, name)!r} has no meaning for "
                        f"it; choose by {'job or resource' if is_of_logs else 'job'}."
                    )
            return
        operations = ONLY_FOR.get(self.kind, ("*:*",))
        if not any(globs_overlap(self.operation, operation) for operation in operations):
            strikes = "operations written as service:Operation" if operations == ("*:*",) else ", ".join(operations)
            raise ValueError(f"Fault {self.kind!r} never strikes operation {self.operation!r}; it strikes {strikes}.")
        if self.resource != "*" and not self._may_have_resource(operations):
            raise ValueError(
                f"Fault {self.kind!r} never strikes resource {self.resource!r}: of the calls that it is for, none has "
                "a resource; calls of S3 and Logs have."
            )
        if not any(globs_overlap(self.who, caller) for caller in _CALLERS):
            raise ValueError(f"Nobody who calls is {self.who!r}; who is client or job:<name of the training job>.")

    def _may_have_resource(self, operations: tuple[str, ...]) -> bool:
        return any(
            globs_overlap(self.operation, pattern) and any(globs_overlap(pattern, one) for one in operations)
            for pattern in _WITH_RESOURCE
        )

    def _check_types(self) -> None:
        """Faults also come as JSON, from the command line and over HTTP."""
        for names, types, wanted in _TYPES:
            for name in names:
                value = getattr(self, name)
                if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                    raise ValueError(f"{name} of a fault is {value!r}; it must be {wanted}.")

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON can hold it."""
        return {
            entry.name: getattr(self, entry.name)
            for entry in dataclasses.fields(self)
            if entry.name == "kind" or getattr(self, entry.name) != entry.default
        }

    @classmethod
    def of(cls, fault: Fault | str, **fields: Any) -> Fault:
        """A fault given itself or by its kind, with these fields."""
        return cls(fault, **fields) if isinstance(fault, str) else dataclasses.replace(fault, **fields)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fault:
        """Raises ValueError for a field that faults do not have, and for a value that makes no sense."""
        known = {entry.name for entry in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"A fault has no field {unknown[0]!r}; it has: {', '.join(sorted(known))}.")
        if "kind" not in values:
            raise ValueError(f"A fault needs a kind; there are: {', '.join(KINDS)}.")
        return cls(**values)
