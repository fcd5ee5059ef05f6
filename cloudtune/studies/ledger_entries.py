"""What may happen in a study's ledger: each a function from what it says to what it says then.

They say what is to stand there, not by how much it changes: done twice, since nobody knows whether the first time was
written, they do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudtune.studies.launch_claim import NONCE
from cloudtune.studies.ledger import Book, Share

#: In a launcher's claim: whether the tuner before it asked the ledger.
_LIMITED = "limited"


class NotOurs(Exception):
    """Another tuner goes on with the cell; the share is its own."""


@dataclass(frozen=True)
class LastWord:
    """What the ledger is told at a tuner's end, in micro-dollars.

    Args:
        trials: What its trials have cost, and may still cost.
        spent: What they were billed.
        for_good: The experiment has ended; else somebody may go on with it.
    """

    trials: int
    spent: int
    for_good: bool


def launched(book: Book, name: str, tuner: int, one_trial: int, claim: Mapping[str, Any]) -> Book | None:
    """A cell's tuner is about to be launched; None: there is not enough for that and for one trial.

    Both are put aside, so that no other cell is launched with the same money, and its tuner can begin.

    Args:
        book: What the ledger says.
        name: Of the cell.
        tuner: What all its tuner's jobs cost at most, this one included.
        one_trial: What one trial may cost at most.
        claim: Of the launcher.
    """
    share = book.share(name)
    before = share.trials - share.first
    # A tuner that was killed may have left enough, which its trials perhaps need no more.
    trials = max(before, share.spent + one_trial)
    claim = {**claim, _LIMITED: share.limited}
    after = replace(share, tuner=tuner, trials=trials, first=trials - before, ended=False, limited=True, claim=claim)
    there = book.with_share(name, after)
    return there if there.free >= 0 else None


def withdrawn(book: Book, name: str, nonce: str, tuner: int, runs: bool) -> Book:
    """A launcher has not launched a cell's tuner after all.

    Args:
        book: What the ledger says.
        name: Of the cell.
        nonce: Of the launcher. Where another one has put money aside since, or a tuner has it, nothing changes.
        tuner: What those of the tuner's jobs cost at most that exist.
        runs: One of them has not ended: another launcher's, which needs the money for its first trial.
    """
    share = book.share(name)
    if share.claim.get(NONCE) != nonce:
        return book
    if runs:
        return book.with_share(name, replace(share, tuner=tuner))
    limited = bool(share.claim.get(_LIMITED))
    after = replace(share, tuner=tuner, trials=share.trials - share.first, first=0, limited=limited, claim={})
    return book.with_share(name, after) if after != Share() else book.without_share(name)


def taken_over(book: Book, name: str, owner: str, tuner: int | None, begins: bool = False) -> Book:
    """A tuner begins to drive a cell: it goes on with what is put aside.

    Args:
        book: What the ledger says.
        name: Of the cell.
        owner: The tuner.
        tuner: What those of its tuner's jobs cost at most that exist; None: nobody could tell. What stands there may be
            more, for jobs that are to carry on.
        begins: Its log is a new one: what tuners before have spent, it knows nothing of, nor of trials they have left.
    """
    share = book.share(name)
    if begins and share.spent and share.owner != owner:
        gone = share.trials - share.first
        share = replace(share, earlier=share.earlier + gone, trials=share.first, spent=0)
    most = max(share.tuner, tuner or 0)
    after = replace(share, owner=owner, ended=False, tuner=most, first=0, limited=True, claim={})
    return book.with_share(name, after)


def asked(book: Book, name: str, owner: str, keep: int, wants: Sequence[int], spent: int) -> Book:
    """A cell puts aside for its trials as much as it wants and there is.

    Args:
        book: What the ledger says.
        name: Of the cell.
        owner: Its tuner.
        keep: What it needs at least: what trials may have cost that it has started, or may start at this moment. It is
            no more than what is put aside.
        wants: What it would rather have, the most first.
        spent: What its trials were billed.

    Raises:
        NotOurs: The share is another tuner's.
    """
    share = _own(book, name, owner)
    reach = share.trials + max(0, book.free)
    keep = min(keep, reach)
    most = max(keep, next((amount for amount in wants if amount <= reach), 0))
    waits = bool(wants) and most < min(wants)
    return book.with_share(name, replace(share, trials=most, spent=spent, waits=waits, first=0, claim={}))


def ended(book: Book, name: str, owner: str, last: LastWord, tuner: int | None, seen: int) -> Book:
    """A cell's tuner has ended.

    Args:
        book: What the ledger says.
        name: Of the cell.
        owner: Its tuner.
        last: What its trials have cost.
        tuner: What its tuner's jobs have cost; None: what stands there stays.
        seen: What was put aside for them when the tuner looked last. If it is another sum now, or a launcher has put
            money aside since, which may be the same sum, somebody is about to launch the next one.

    Raises:
        NotOurs: The share is another tuner's.
    """
    share = _own(book, name, owner)
    known = share.tuner if tuner is None or share.claim or share.tuner != seen else tuner
    # Nobody's from now on: what its owner does later comes too late. What a launcher has put aside meanwhile stays.
    after = Share(known, last.trials + share.first, last.spent, ended=last.for_good and not share.claim)
    kept = replace(after, first=share.first, earlier=share.earlier, limited=share.limited, claim=share.claim)
    return book.with_share(name, kept)


def _own(book: Book, name: str, owner: str) -> Share:
    share = book.share(name)
    if share.owner != owner:
        raise NotOurs(name)
    return share
