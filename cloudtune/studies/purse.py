"""What a cell's tuner may spend of its study's money by what it knows itself, without asking anybody."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudtune.studies.ledger import micros
from cloudtune.trial import TrialStatus

if TYPE_CHECKING:
    from cloudtune.tuning_status import TuningStatus


@dataclass(frozen=True)
class Need:
    """What a tuner needs, in micro-dollars.

    Args:
        granted: What it may use.
        keep: What its trials have cost and may still cost, and one that it may be about to start.
        committed: The same without the latter.
        spent: What its trials were billed.
        one: What one more trial may cost at most.
        starts: How many it would start now.
        goes_on: It will start more than those.
        is_idle: Nothing of it runs, and no bill is to come.
    """

    granted: int
    keep: int
    committed: int
    spent: int
    one: int
    starts: int
    goes_on: bool
    is_idle: bool

    @property
    def lacks(self) -> bool:
        """It would start a trial, and has not enough for one."""
        return self.starts > 0 and self.committed + self.one > self.granted

    def wants(self, ahead: int) -> list[int]:
        """What it would have, the most first: for all that it would start, and so many more if it goes on."""
        most = self.starts + (ahead if self.goes_on else 0)
        # What is committed already is asked for too, should it ever be more than what was put aside.
        least = 0 if self.committed > self.granted else 1
        return [self.committed + number * self.one for number in range(most, least - 1, -1)]


class Purse:
    """The money at hand. The tuner's thread looks and spends, another one fills it and takes from it.

    Pickles as an empty one.

    Args:
        ahead: Trials for which money is fetched before they can be started.
    """

    def __init__(self, ahead: int = 1) -> None:
        self.ahead = ahead
        self._lock = threading.Lock()
        #: Set when somebody should look at :meth:`need`.
        self.news = threading.Event()
        self.begin(1)

    def begin(self, n_workers: int) -> None:
        """A tuner begins: nothing is known yet.

        Args:
            n_workers: Trials at the same time.
        """
        with self._lock:
            self.n_workers = n_workers
            self._granted: int | None = None
            self._need: Need | None = None
            self._keep = 0
            self._wanted = 0
            #: Why there is no more to come; "": there may be.
            self.why_last = ""
        self.news.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {"ahead": self.ahead}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    # ------------------------------------------------------------------ the tuner's thread

    def note(self, status: TuningStatus, starts_new: bool) -> bool:
        """Takes note of how the experiment stands; whether one more trial can be paid.

        Args:
            status: Of the experiment.
            starts_new: It starts trials that never ran, beside those that were interrupted.
        """
        with self._lock:
            need = self._need_of(status, starts_new)
            self._need, self._keep = need, need.committed
            if self._granted is not None and self._is_news(need):
                self.news.set()
            return self._granted is not None and need.committed + need.one <= self._granted

    def take(self, status: TuningStatus) -> bool:
        """Whether one more trial can be started and paid; if so, the tuner may start it."""
        with self._lock:
            committed, one = micros(status.committed_cost), micros(status.next_attempt_cost)
            # No trial is started while all workers are busy, so that nothing is kept for one.
            may_start = self._granted is not None and committed + one <= self._granted and self._free(status) > 0
            self._keep = committed + one if may_start else committed
            return may_start

    def _free(self, status: TuningStatus) -> int:
        """Workers that may be free: trials that were told to stop may count as over already."""
        return self.n_workers - status.num_by_status[TrialStatus.in_progress]

    def _need_of(self, status: TuningStatus, starts_new: bool) -> Need:
        free = max(0, self._free(status))
        return Need(
            granted=self._granted or 0,
            keep=0,
            committed=micros(status.committed_cost),
            spent=micros(status.billed_cost),
            one=micros(status.next_attempt_cost),
            starts=free if starts_new else min(free, len(status.interrupted)),
            goes_on=starts_new,
            is_idle=not status.running and not status.unsettled,
        )

    def _is_news(self, need: Need) -> bool:
        wants = need.wants(self.ahead)
        if wants and need.committed + max(1, need.starts) * need.one > need.granted:
            is_news = wants[0] != self._wanted
            self._wanted = wants[0]
            return is_news
        self._wanted = 0
        # Given back is what is worth a call: more than one trial's money beyond what is wanted.
        return need.granted > max(wants, default=need.committed) + need.one

    # ------------------------------------------------------------------ the other thread

    def need(self) -> Need | None:
        """What the tuner needs; None: nothing is known yet."""
        with self._lock:
            if self._need is None:
                return None
            said = self._need
            return replace(said, granted=self._granted or 0, keep=self._keep)

    def fill(self, granted: int) -> bool:
        """So much is put aside for the tuner's trials; whether it may start one now that it could not before."""
        with self._lock:
            before, self._granted = self._granted, max(granted, self._granted or 0)
            need = self._need
            if need is None:
                return True
            needed = need.committed + need.one
            return needed <= self._granted and (before is None or needed > before)

    def lower(self, to: int) -> int:
        """Takes what is more than ``to`` and is not in use; what is left."""
        with self._lock:
            self._granted = min(self._granted or 0, max(to, self._keep))
            return self._granted
