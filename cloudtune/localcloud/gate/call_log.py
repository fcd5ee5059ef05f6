"""The record of every API call: what was asked, by whom, and how it was answered."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cloudtune.localcloud.clock import CloudClock


@dataclass(frozen=True)
class Call:
    """A call of an API operation.

    Args:
        at: Cloud time of its arrival, seconds since 1970.
        service: As IAM's action names have it: ``sagemaker``, ``s3``, ``logs``, ``servicequotas``.
        operation: Such as ``CreateTrainingJob``; empty where the request names none.
        who: ``job:<name>`` for calls from inside a training job, otherwise ``client``.
        job: Name of the training job that the call names, or else that makes it; may be empty.
        resource: ``bucket/key`` for S3, ``log group/log stream`` for Logs; may be empty.
        status: HTTP status of the answer; 0 if the connection was broken instead.
        error: AWS's error code; empty for success.
        fault: The faults that struck, joined by ``+``; empty for none.
        seconds: Real seconds until the answer was ready.
        about: What else its permission depends on: the prefix of a list of S3; ``bucket/key`` that is copied; what the
            keys that are deleted have in common, as ``bucket/beginning``; the role of a training job; the role,
            user or repository of images that IAM or ECR is asked about. May be empty.
    """

    at: float
    service: str
    operation: str
    who: str
    job: str = ""
    resource: str = ""
    status: int = 200
    error: str = ""
    fault: str = ""
    seconds: float = 0.0
    about: str = ""


class CallLog:
    """The newest calls, and the number of all of them. Thread-safe.

    Args:
        clock: The cloud's.
        kept: How many calls are remembered; older ones are only counted.
    """

    def __init__(self, clock: CloudClock, kept: int) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=kept)
        self._counts: Counter[str] = Counter()

    def record(self, call: Call) -> None:
        """Adds a call. Calls are kept in the order in which they were answered."""
        with self._lock:
            self._calls.append(call)
            self._counts[f"{call.service}:{call.operation}"] += 1

    def calls(self, operation: str = "*", who: str = "*", job: str = "*", since: float = 0.0) -> list[Call]:
        """The remembered calls that match, oldest first.

        Args:
            operation: Shell glob for ``service:Operation``.
            who: Shell glob.
            job: Shell glob; an empty name matches only ``*``.
            since: Cloud time, seconds since 1970.
        """
        with self._lock:
            calls = list(self._calls)
        return [
            call
            for call in calls
            if call.at >= since
            and (operation == "*" or fnmatchcase(f"{call.service}:{call.operation}", operation))
            and (who == "*" or fnmatchcase(call.who, who))
            and (job == "*" or fnmatchcase(call.job, job))
        ]

    def last(self, seconds: float, operation: str = "*") -> list[Call]:
        """The remembered calls of the last so many cloud seconds."""
        return self.calls(operation, since=self._clock.time() - seconds)

    def counts(self) -> dict[str, int]:
        """``service:Operation`` -> number of calls since the cloud began, remembered or not."""
        with self._lock:
            return dict(self._counts)
