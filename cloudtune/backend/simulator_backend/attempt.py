"""One attempt of a simulated trial: which reports it makes, and when."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from cloudtune.blackbox.blackbox import Curve
from cloudtune.constants import ST_WORKER_COST, ST_WORKER_ITER, ST_WORKER_TIME, ST_WORKER_TIMESTAMP
from cloudtune.trial import Outcome, Report


class SimulatedAttempt:
    """Goes along a curve from a resource level on. Times are virtual seconds.

    Args:
        trial_id: Of the trial.
        number: Of the attempt.
        curve: Of the trial's configuration.
        resource_attr: Key under which a report counts the resource.
        level: Resource of the checkpoint it begins with; 0: there is none.
        limit: The trial trains no further than this resource; None: to the end of the curve.
        started: When its worker became busy.
        begins: When training begins.
    """

    __slots__ = (
        "_columns",
        "_elapsed",
        "_first",
        "_gaps",
        "_resource_attr",
        "_resources",
        "_shift",
        "begins",
        "end_at",
        "failure",
        "generation",
        "next",
        "number",
        "outcome",
        "started",
        "stop",
        "trial_id",
    )

    def __init__(
        self,
        trial_id: int,
        number: int,
        curve: Curve,
        resource_attr: str,
        level: int,
        limit: float | None,
        started: float,
        begins: float,
    ) -> None:
        self.trial_id = trial_id
        self.number = number
        self.started = started
        self.begins = begins
        self._resource_attr = resource_attr
        self._resources = curve.resources
        self._elapsed = curve.elapsed
        self._columns = list(curve.metrics.items())
        self._gaps = any(None in column for _, column in self._columns)
        self._first = bisect_right(curve.resources, level) if level else 0
        #: Position in the curve of the next report, and the one past the last.
        self.next = self._first
        length = len(curve.resources)
        self.stop = length if limit is None else max(self._first, bisect_right(curve.resources, limit))
        #: Time of a report less the curve's own.
        self._shift = begins - (curve.elapsed[self._first - 1] if self._first else 0.0)
        #: Why it fails after its last report; "": it does not.
        self.failure = curve.failure if self.stop == length else ""
        #: What it was told to end as, and when its worker is free then; None: it goes on.
        self.outcome: Outcome | None = None
        self.end_at = 0.0
        #: What is foreseen of it belongs to this generation; anything older does not happen.
        self.generation = 0

    def made_at(self, position: int) -> float:
        """When a report is made."""
        return self._shift + self._elapsed[position]

    def last_made(self) -> float:
        """When its last report was made, or when it began if it makes none."""
        return self.made_at(self.stop - 1) if self.stop > self._first else self.begins

    def free_at(self, end: float) -> float:
        """When its worker is free, by what is known now.

        Args:
            end: Seconds that this takes after its last report, if it ends by itself.
        """
        return self.last_made() + end if self.outcome is None else self.end_at

    def made_by(self, now: float) -> int:
        """Position past the last report that is made by then."""
        return bisect_right(self._elapsed, now - self._shift, self.next, self.stop)

    def level_before(self, position: int) -> int:
        """The resource used before the report at a position; 0: none."""
        return self._resources[position - 1] if position else 0

    def leave_checkpoint(self, levels: dict[int, int]) -> None:
        """Notes the resource of the last report it has made, if it has made one, as that of its trial."""
        if self.next > self._first:
            levels[self.trial_id] = self._resources[self.next - 1]

    def report(self, origin: float, price: float | None) -> Report:
        """The next report, as a Reporter would make it.

        Args:
            origin: Unix seconds of the virtual time 0.
            price: Dollars per second.
        """
        position = self.next
        self.next = position + 1
        made = self._shift + self._elapsed[position]
        number, seconds = position - self._first, made - self.begins
        metrics: dict[str, Any] = {self._resource_attr: self._resources[position]}
        for name, column in self._columns:
            metrics[name] = column[position]
        if self._gaps:
            metrics = {name: value for name, value in metrics.items() if value is not None}
        metrics[ST_WORKER_ITER] = number
        metrics[ST_WORKER_TIMESTAMP] = origin + made
        metrics[ST_WORKER_TIME] = seconds
        if price is not None:
            metrics[ST_WORKER_COST] = price * (made - self.started)
        return Report(self.trial_id, self.number, 0, number, metrics)
