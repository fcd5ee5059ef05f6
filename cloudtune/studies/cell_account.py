"""What a cell's tuner does with its share of the study's money: one look after another, by whatever thread."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from cloudtune.errors import CloudtuneError
from cloudtune.studies import ledger_entries
from cloudtune.studies.ledger import Book, Ledger, dollars
from cloudtune.studies.ledger_entries import LastWord
from cloudtune.studies.purse import Need, Purse

logger = logging.getLogger(__name__)

#: Why an experiment has ended, in its log.
USED_UP = "the study's money is used up"


class LedgerGone(CloudtuneError):
    """Somebody has deleted a study's ledger."""


class CellAccount:
    """Puts money aside before it is needed, and gives back what is not.

    It takes from the purse before it tells the ledger so, and fills the purse after the ledger has it: at every moment,
    whatever fails, what the tuner may spend is put aside.

    Args:
        purse: Of the tuner.
        name: Of the cell.
        wake: Called when the tuner should look again.
        longest_wait: For so many seconds a cell of which nothing runs waits for money that others may give back.
        clock: Seconds that never go back.
        cancel: Ends pauses between tries.
    """

    def __init__(
        self,
        purse: Purse,
        name: str,
        wake: Callable[[], object],
        longest_wait: float,
        clock: Callable[[], float] = time.monotonic,
        cancel: threading.Event | None = None,
    ) -> None:
        self.purse = purse
        self.name = name
        #: Tells this tuner from all others.
        self.owner = os.urandom(8).hex()
        self.is_open = False
        self._wake = wake
        self._longest_wait = longest_wait
        self._clock = clock
        self._cancel = cancel
        #: What was put aside for the tuner's jobs.
        self._seen = 0
        self._others_wait = False
        self._waits_since: float | None = None

    def open(self, ledger: Ledger, tuner: int | None, begins: bool = False) -> None:
        """Goes on with what the launcher, or an earlier tuner, has put aside.

        Args:
            ledger: Of the study.
            tuner: What those of the tuner's jobs cost at most that exist; None: nobody can tell.
            begins: The tuner goes on with nothing: its log is a new one.

        Raises:
            CloudtuneError: The ledger cannot be read or written.
        """
        book = self._change(ledger, lambda book: ledger_entries.taken_over(book, self.name, self.owner, tuner, begins))
        self.is_open = True
        if book.free < 0:
            logger.warning(
                "the study has committed $%.2f, more than its max_cost of $%.2f: a tuner was launched past its "
                "budget, or a bill was higher than could be foreseen",
                dollars(book.committed),
                dollars(book.limit),
            )
        self._grant(book)

    def look(self, ledger: Ledger) -> None:
        """Takes or gives back, as the tuner needs.

        Args:
            ledger: Of the study.

        Raises:
            NotOurs: Another tuner goes on with the cell.
            CloudtuneError: The ledger cannot be read or written.
        """
        need = self.purse.need()
        if need is None:
            return
        # Where others wait, nothing is kept for trials that cannot be started yet.
        ahead, slack = (0, 0) if self._others_wait else (self.purse.ahead, need.one)
        wants = need.wants(ahead)
        enough = max(wants, default=need.committed)
        keep = self.purse.lower(enough) if need.granted > enough + slack else need.granted
        book = self._ask(ledger, keep, [amount for amount in wants if amount > keep], need.spent)
        need = self.purse.need() or need
        if need.lacks and need.granted > need.keep:
            # What is not enough for a trial here may be elsewhere.
            book = self._ask(ledger, self.purse.lower(need.keep), [], need.spent, waits=True)
        self._consider_the_end(book, need)

    def close(self, ledger: Ledger, last: LastWord, tuner: int | None) -> None:
        """Says what the cell has cost.

        Args:
            ledger: Of the study.
            last: What is known of trials.
            tuner: What its tuner's jobs have cost; None: what was put aside for them stays.

        Raises:
            NotOurs: Another tuner goes on with the cell.
            CloudtuneError: The ledger cannot be read or written.
        """
        seen = self._seen
        self._change(ledger, lambda book: ledger_entries.ended(book, self.name, self.owner, last, tuner, seen))

    def _ask(self, ledger: Ledger, keep: int, wants: list[int], spent: int, waits: bool = False) -> Book:
        def ask(book: Book) -> Book:
            after = ledger_entries.asked(book, self.name, self.owner, keep, wants, spent)
            share = after.share(self.name)
            return after.with_share(self.name, replace(share, waits=share.waits or waits))

        book = self._change(ledger, ask)
        self._others_wait = any(other.waits and not other.ended for other in book.others(self.name))
        self._grant(book)
        return book

    def _grant(self, book: Book) -> None:
        if self.purse.fill(book.share(self.name).trials):
            self._wake()

    def _change(self, ledger: Ledger, change: Callable[[Book], Book]) -> Book:
        after = ledger.change(lambda book: None if book is None else change(book), self._cancel)
        if after is None:
            raise LedgerGone(
                f"{ledger.uri}, which says what the study's cells may spend, is gone; launch the study again with its "
                "max_cost"
            )
        self._seen = after.share(self.name).tuner
        return after

    def _consider_the_end(self, book: Book, need: Need) -> None:
        """Whether there is no more money to come for a cell of which nothing runs and which has too little."""
        if not (need.lacks and need.is_idle):
            self._waits_since, self.purse.why_last = None, ""
            return
        now = self._clock()
        if self._waits_since is None:
            self._waits_since = now
            logger.info("'%s' waits for money: one more trial may cost $%.2f", self.name, dollars(need.one))
        coming = sum(other.may_return for other in book.others(self.name))
        is_over = now - self._waits_since >= self._longest_wait
        if not is_over and book.free + need.granted + coming >= need.committed + need.one:
            self.purse.why_last = ""
            return
        if not self.purse.why_last:
            logger.info(
                "'%s' ends: of the study's $%.2f, $%.2f are committed, and %s",
                self.name,
                dollars(book.limit),
                dollars(book.committed),
                "nobody has given enough back in time" if is_over else "nobody can give enough back",
            )
        self.purse.why_last = USED_UP
        self._wake()
