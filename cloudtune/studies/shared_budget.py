"""The stopping criterion of a cell whose study has a limit of money."""

from __future__ import annotations

from collections.abc import Callable

from cloudtune.remote.time_limit import MARGIN
from cloudtune.stopping_criterion import Criterion, Verdict
from cloudtune.studies.purse import Purse
from cloudtune.tuning_status import TuningStatus

#: Seconds by which waiting may lengthen one run of the tuner: its job, and what is put aside for it, has room for more.
_LONGEST_DELAY = MARGIN / 2
#: Why an experiment has ended, in its log.
_OUT_OF_TIME = "its tuner's time is over, of which it has waited too long for the study's money"


class SharedBudget(Criterion):
    """Ends as another criterion does, and starts no trial that could bring the study's cost above its limit.

    It never asks anybody: it looks into the purse, which a :class:`~cloudtune.studies.purse_filler.PurseFiller` fills.
    While there is not enough money for one more trial it waits; once there is no more to come, running trials end the
    experiment, which is then interrupted: with more money it goes on. While it waits and nothing runs, its own time
    stands still. What it has waited for it makes up, within what its job has time for; then it is interrupted as well.

    Args:
        inner: The cell's own criterion.
        purse: What may be spent.
    """

    def __init__(self, inner: Criterion, purse: Purse) -> None:
        self.inner = inner
        self.purse = purse
        #: A trial can be started, by what the last verdict was.
        self._starts = False
        self._waits = False
        self._cut_short = ""

    def verdict(self, status: TuningStatus) -> Verdict:
        verdict = self.inner.verdict(status)
        if verdict is not Verdict.STOP and self._is_late(status):
            self.purse.note(status, starts_new=False)
            self._starts = self._waits = False
            self._cut_short = _OUT_OF_TIME
            return Verdict.STOP
        goes_on = verdict is Verdict.GO
        self._starts = goes_on or (verdict is Verdict.DRAIN and bool(status.interrupted))
        is_paid = self.purse.note(status, starts_new=goes_on)
        why_last = self.purse.why_last
        self._waits = self._starts and not is_paid and not why_last
        self._cut_short = why_last if self._starts and not is_paid else ""
        if self._waits:
            # An experiment goes on while nothing of it runs only where it might start something: see affords.
            return Verdict.GO
        return Verdict.DRAIN if goes_on and not is_paid else verdict

    def _is_late(self, status: TuningStatus) -> bool:
        limit = self.inner.longest()
        if limit is None or not status.waited_time:
            return False
        return status.wallclock_time + status.waited_time >= limit + _LONGEST_DELAY

    def affords(self, status: TuningStatus) -> bool:
        if self._waits or not self.inner.affords(status):
            return False
        # What no trial can be started with need not be kept for one.
        return self.purse.take(status) if self._starts else True

    def waits(self) -> bool:
        return self._waits

    def cut_short(self) -> str:
        return self._cut_short

    def wake_times(self) -> list[float]:
        return self.inner.wake_times()

    def cost_limits(self) -> list[float]:
        return self.inner.cost_limits()

    def longest(self) -> float | None:
        return self.inner.longest()

    def counts_committed(self) -> bool:
        return True

    def describe(self) -> list[tuple[str, float, Callable[[TuningStatus], float]]]:
        return self.inner.describe()

    def with_limits(self, limits: Criterion) -> Criterion:
        """The study's money stays what it is."""
        return SharedBudget(limits, self.purse)
