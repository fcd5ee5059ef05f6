"""Keeps the account of a cell's tuner in a thread of its own, so that the tuner never waits for S3."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudtune.aws.clients import aws_for
from cloudtune.aws.errors import PASSING, Conflict
from cloudtune.aws.prices import tell_prices
from cloudtune.aws.s3 import Bucket
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.errors import CloudtuneError
from cloudtune.remote.launches import HANDING_OVER
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.entries import INTERRUPTED
from cloudtune.studies.cell_account import CellAccount
from cloudtune.studies.ledger import Ledger, micros
from cloudtune.studies.ledger_entries import LastWord, NotOurs
from cloudtune.studies.purse import Purse
from cloudtune.studies.tuner_costs import earlier_jobs

if TYPE_CHECKING:
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

#: Seconds that the tuner waits at its end for the ledger to take what the cell has cost.
_END_PATIENCE = 20.0
#: Why an experiment has ended, in its log.
_UNKNOWN = "the study's budget could not be asked"
#: What may be otherwise at the next look.
_PASSING = (*PASSING, Conflict)
#: Seconds for which SageMaker is asked what the tuner's jobs have cost, at the beginning.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Pace:
    """Seconds.

    Args:
        look: Between two looks at the ledger while all is well: whether others wait for money.
        retry: The same while this cell waits for money, or S3 does not answer.
        spacing: Between two changes at the least.
        longest_wait: For so long a cell of which nothing runs waits for money that others may give back.
    """

    look: float = 60.0
    retry: float = 15.0
    spacing: float = 1.0
    longest_wait: float = 3600.0


class PurseFiller(TunerCallback):
    """Fills the purse of a tuner from its study's ledger, and says at the end what the cell has cost.

    Args:
        purse: Of the tuner.
        place: Of the study. The credentials profile of this machine does not travel.
        name: Of the cell.
        pace: How often it looks.
        prices: Of the machine that launches: instance type -> US dollars per hour. By them money is put aside, so that
            the tuner counts by them as well.
    """

    def __init__(
        self,
        purse: Purse,
        place: StudyPlace,
        name: str,
        pace: Pace | None = None,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        self.purse = purse
        self.place = place
        self.name = name
        self.pace = pace or Pace()
        self.prices = dict(prices or {})
        self._run: _Run | None = None
        self._tuner: Tuner | None = None

    def __getstate__(self) -> dict[str, Any]:
        bucket = self.place.bucket
        travelling = Bucket(aws_for(bucket.aws.region, None), bucket.name, bucket.owner, bucket.kms_key)
        return {
            "purse": self.purse,
            "place": replace(self.place, bucket=travelling),
            "name": self.name,
            "pace": self.pace,
            "prices": self.prices,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def on_log_read(self) -> None:
        tell_prices(self.place.bucket.aws.region, self.prices)

    def on_tuning_start(self, tuner: Tuner) -> None:
        self.purse.begin(tuner.n_workers)
        self._tuner = tuner
        self._run = _Run(self, tuner)
        self._run.start()

    def on_tuning_end(self) -> None:
        tuner, run = self._tuner, self._run
        self._tuner = self._run = None
        if tuner is None or run is None:
            return
        left = math.inf if tuner.signals is None else tuner.signals.time_left(tuner.time_to_end)
        run.end(self._last_word(tuner), tuner.status.finished_why == HANDING_OVER, min(_END_PATIENCE, left / 2))

    def _last_word(self, tuner: Tuner) -> LastWord | None:
        """None: this tuner has not come to an end of its own, and another will."""
        status, need = tuner.status, self.purse.need()
        if status.finished_state is None:
            return None
        spent = micros(status.billed_cost)
        is_settled = not status.running and not status.unsettled
        # What has no bill yet was counted with what it may cost at most, when the tuner looked last.
        trials = spent if is_settled or need is None else max(spent, need.committed)
        return LastWord(trials, spent, status.finished_state != INTERRUPTED)


class _Run(threading.Thread):
    """The account during one run of a tuner."""

    def __init__(self, filler: PurseFiller, tuner: Tuner) -> None:
        super().__init__(name=f"cloudtune budget of {filler.name}", daemon=True)
        self._pace = filler.pace
        self._place = filler.place
        self._purse = filler.purse
        self._wake = tuner.trial_backend.wake
        self._begins = tuner.status.num_trials_started == 0
        self._ending = threading.Event()
        self._last: LastWord | None = None
        self._hands_over = False
        self._patience = _PATIENCE
        self._account = CellAccount(
            filler.purse, filler.name, self._wake, filler.pace.longest_wait, cancel=self._ending
        )

    def end(self, last: LastWord | None, hands_over: bool, patience: float) -> None:
        """Has the thread say its last word and end.

        Args:
            last: What the ledger is told; None: nothing.
            hands_over: Another job carries on: what is put aside for it stays.
            patience: Seconds that there are for it.
        """
        self._last, self._hands_over, self._patience = last, hands_over, max(0.0, patience)
        self._ending.set()
        self._purse.news.set()
        self.join(self._patience)

    def run(self) -> None:
        try:
            self._fill()
        except NotOurs:
            logger.info("another tuner goes on with '%s': it has the cell's money", self._account.name)
            return
        finally:
            # Whatever has ended this, nobody fills the purse any more.
            self._purse.why_last = self._purse.why_last or _UNKNOWN
            if not self._ending.is_set():
                self._wake()
        if self._last is not None and self._account.is_open:
            self._say_last(self._last)

    def _fill(self) -> None:
        ledger = Ledger(self._place.bucket.with_patience(0), self._place.budget)
        while not self._ending.is_set():
            try:
                if not self._account.is_open:
                    self._account.open(ledger, self._cost_of_jobs(_PATIENCE, None), self._begins)
                self._account.look(ledger)
            except _PASSING as error:
                logger.log(
                    logging.WARNING if self._is_short() else logging.DEBUG,
                    "the study's budget cannot be asked at the moment, trying again: %s",
                    error,
                )
            except CloudtuneError as error:
                logger.warning("'%s' starts no trials beyond the money that it has: %s", self._account.name, error)
                self._purse.why_last = _UNKNOWN
                self._wake()
            self._purse.news.wait(self._pace.retry if self._is_short() else self._pace.look)
            self._purse.news.clear()
            self._ending.wait(self._pace.spacing)

    def _is_short(self) -> bool:
        need = self._purse.need()
        return not self._account.is_open or (need is not None and need.lacks)

    def _say_last(self, last: LastWord) -> None:
        patience = self._patience / 2
        ledger = Ledger(self._place.bucket.with_patience(patience), self._place.budget)
        own = os.environ.get("TRAINING_JOB_NAME")
        try:
            tuner = None if self._hands_over else self._cost_of_jobs(patience, own)
            self._account.close(ledger, last, tuner)
        except NotOurs:
            logger.debug("another tuner goes on with '%s'", self._account.name)
        except CloudtuneError as error:
            logger.warning(
                "what '%s' has cost could not be written into the study's budget: as much as it could have cost at "
                "most stays committed there (%s)",
                self._account.name,
                error,
            )

    def _cost_of_jobs(self, patience: float, ending: str | None) -> int | None:
        """What all jobs of the tuner cost; None: nobody can tell."""
        place = TunerPlace(self._place.bucket.with_patience(patience), self._place.experiment(self._account.name))
        try:
            return earlier_jobs(place, patience, ending)[0]
        except CloudtuneError as error:
            logger.info("what the tuner's jobs of '%s' cost is not known: %s", self._account.name, error)
            return None
