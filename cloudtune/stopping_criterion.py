"""When an experiment ends: limits that can be combined with ``|`` and ``&``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudtune.tuning_status import TuningStatus


class Verdict(IntEnum):
    """What a criterion says about the experiment now. The greater, the closer to the end."""

    GO = 0
    #: Start no further trial; those that run may finish.
    DRAIN = 1
    #: End now.
    STOP = 2


_GO, _DRAIN, _STOP = Verdict.GO, Verdict.DRAIN, Verdict.STOP


class Criterion:
    """Base of stopping criteria. One's own implements :meth:`verdict`, and :meth:`wake_times` if it depends on time.

    A plain function ``status -> bool`` may be given to the tuner as well.
    """

    def verdict(self, status: TuningStatus) -> Verdict:
        """Whether the experiment goes on."""
        raise NotImplementedError

    def wake_times(self) -> list[float]:
        """Active tuning times (seconds) at which the verdict may change although nothing happens."""
        return []

    def cost_limits(self) -> list[float]:
        """Dollars over all trials at which the verdict may change although nothing else happens."""
        return []

    def longest(self) -> float | None:
        """Active tuning time (seconds) after which the verdict is certainly to stop; None if there is no such limit."""
        return None

    def counts_committed(self) -> bool:
        """Whether the verdict depends on what running trials may still cost."""
        return False

    def affords(self, status: TuningStatus) -> bool:
        """Whether one more attempt, of a new trial or of one that was interrupted, is within committed money."""
        return True

    def waits(self) -> bool:
        """Whether by the last verdict nothing starts until others give what it takes.

        While nothing runs either, the active tuning time stands still.
        """
        return False

    def cut_short(self) -> str:
        """Why the last verdict ends the experiment before it is done, so that it can be continued; "" if it is done."""
        return ""

    def describe(self) -> list[tuple[str, float, Callable[[TuningStatus], float]]]:
        """Limits a progress display can show: (name, limit, how far the experiment is)."""
        return []

    def with_limits(self, limits: Criterion) -> Criterion:
        """What takes this one's place when a user sets other limits for the experiment: they do, as a rule."""
        return limits

    def __call__(self, status: TuningStatus) -> bool:
        """True once no further trial is to be started."""
        return self.verdict(status) is not Verdict.GO

    def __or__(self, other: Criterion | Callable[[TuningStatus], bool]) -> Criterion:
        return _Combined(max, [self, as_criterion(other)])

    def __and__(self, other: Criterion | Callable[[TuningStatus], bool]) -> Criterion:
        return _Combined(min, [self, as_criterion(other)])


class _Combined(Criterion):
    """The latest (``&``) or earliest (``|``) end of several criteria."""

    def __init__(self, choose: Callable[[list[Verdict]], Verdict], parts: list[Criterion]) -> None:
        self._choose = choose
        self._parts = parts

    def verdict(self, status: TuningStatus) -> Verdict:
        return self._choose([part.verdict(status) for part in self._parts])

    def wake_times(self) -> list[float]:
        return [time for part in self._parts for time in part.wake_times()]

    def cost_limits(self) -> list[float]:
        return [limit for part in self._parts for limit in part.cost_limits()]

    def longest(self) -> float | None:
        limits = [part.longest() for part in self._parts]
        known = [limit for limit in limits if limit is not None]
        if self._choose is max:
            return min(known, default=None)
        return max(known) if known and len(known) == len(limits) else None

    def counts_committed(self) -> bool:
        return any(part.counts_committed() for part in self._parts)

    def affords(self, status: TuningStatus) -> bool:
        combine = all if self._choose is max else any
        return combine(part.affords(status) for part in self._parts)

    def waits(self) -> bool:
        return any(part.waits() for part in self._parts)

    def describe(self) -> list[tuple[str, float, Callable[[TuningStatus], float]]]:
        return [line for part in self._parts for line in part.describe()]


class _FromFunction(Criterion):
    def __init__(self, function: Callable[[TuningStatus], bool]) -> None:
        self._function = function

    def verdict(self, status: TuningStatus) -> Verdict:
        return Verdict.STOP if self._function(status) else Verdict.GO


def as_criterion(given: Criterion | Callable[[TuningStatus], bool]) -> Criterion:
    """A criterion as it is; a function ``status -> bool`` as a criterion that ends the experiment when it is true.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(given, Criterion):
        return given
    if callable(given):
        return _FromFunction(given)
    raise TypeError(
        f"stop_criterion must be a StoppingCriterion or a function of the tuning status, got {type(given).__name__}; "
        "for instance StoppingCriterion(max_wallclock_time=600)"
    )


@dataclass(frozen=True)
class StoppingCriterion(Criterion):
    """Ends the experiment as soon as one of the given limits is reached (``>=``; metrics ``<=`` or ``>=``).

    Args:
        max_wallclock_time: Active tuning time in seconds; while no tuner drives the experiment it does not run.
        max_num_trials_started: No further trial is started; the running ones finish unless another limit is reached.
            Paused trials are not resumed afterwards: with a method that promotes, set another limit as well.
        max_num_trials_completed: Trials that ended by themselves.
        max_num_trials_finished: Trials that will not run again: completed, stopped or failed.
        max_num_evaluations: Reports over all trials.
        max_cost: US dollars over all trials, where instance prices are known.
        count_committed: Count committed money against ``max_cost``: no trial is started that, with those running and if
            each of them ran as long as it may (``max_run``), could bring the cost above it. By default only what was
            spent counts, and running trials may take the cost a little beyond the limit.
        min_metric_value: Ends when any report has a value of the named metric at or below the threshold.
        max_metric_value: Ends when any report has a value of the named metric at or above the threshold.

    Raises:
        ValueError: No limit is given, or one is not positive.
    """

    max_wallclock_time: float | None = None
    max_num_trials_started: int | None = None
    max_num_trials_completed: int | None = None
    max_num_trials_finished: int | None = None
    max_num_evaluations: int | None = None
    max_cost: float | None = None
    min_metric_value: Mapping[str, float] | None = None
    max_metric_value: Mapping[str, float] | None = None
    count_committed: bool = False

    def __post_init__(self) -> None:
        limits = [f for f in fields(self) if f.name != "count_committed"]
        if all(getattr(self, f.name) is None for f in limits):
            raise ValueError(
                "StoppingCriterion() has no limit, the experiment would never end; "
                "pass at least one, for instance max_wallclock_time=600"
            )
        if self.count_committed and self.max_cost is None:
            raise ValueError("StoppingCriterion: count_committed says how max_cost is counted; pass max_cost as well")
        for f in limits:
            limit = getattr(self, f.name)
            if limit is None or isinstance(limit, Mapping):
                continue
            if not isinstance(limit, (int, float)):
                raise TypeError(f"StoppingCriterion: {f.name} must be a number, got {limit!r}")
            if not limit > 0:
                raise ValueError(f"StoppingCriterion: {f.name} must be above 0, got {limit}")

    def verdict(self, status: TuningStatus) -> Verdict:
        # Asked several times for each report: only what has a limit is looked at.
        if (
            ((limit := self.max_wallclock_time) is not None and status.wallclock_time >= limit)
            or ((limit := self.max_num_trials_completed) is not None and status.num_trials_completed >= limit)
            or ((limit := self.max_num_trials_finished) is not None and status.num_trials_finished >= limit)
            or ((limit := self.max_num_evaluations) is not None and status.num_evaluations >= limit)
            or ((limit := self.max_cost) is not None and status.cost >= limit)
        ):
            return _STOP
        if self.min_metric_value is not None:
            for name, threshold in self.min_metric_value.items():
                if status.metric_min.get(name, threshold + 1) <= threshold:
                    return _STOP
        if self.max_metric_value is not None:
            for name, threshold in self.max_metric_value.items():
                if status.metric_max.get(name, threshold - 1) >= threshold:
                    return _STOP
        if (limit := self.max_num_trials_started) is not None and status.num_trials_started >= limit:
            return _DRAIN
        if self.count_committed and not self.affords(status):
            return _DRAIN
        return _GO

    def wake_times(self) -> list[float]:
        return [] if self.max_wallclock_time is None else [self.max_wallclock_time]

    def cost_limits(self) -> list[float]:
        return [] if self.max_cost is None else [self.max_cost]

    def longest(self) -> float | None:
        return self.max_wallclock_time

    def counts_committed(self) -> bool:
        return self.count_committed

    def affords(self, status: TuningStatus) -> bool:
        if not self.count_committed or self.max_cost is None:
            return True
        return status.committed_cost + status.next_attempt_cost <= self.max_cost

    def describe(self) -> list[tuple[str, float, Callable[[TuningStatus], float]]]:
        shown: list[tuple[str, float | None, Callable[[TuningStatus], float]]] = [
            ("seconds", self.max_wallclock_time, lambda s: s.wallclock_time),
            ("trials started", self.max_num_trials_started, lambda s: s.num_trials_started),
            ("trials completed", self.max_num_trials_completed, lambda s: s.num_trials_completed),
            ("trials finished", self.max_num_trials_finished, lambda s: s.num_trials_finished),
            ("evaluations", self.max_num_evaluations, lambda s: s.num_evaluations),
            ("dollars", self.max_cost, lambda s: s.cost),
        ]
        return [(name, limit, how_far) for name, limit, how_far in shown if limit is not None]
