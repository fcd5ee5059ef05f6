"""The ledger of a study whose cells share a limit of money: one object in S3, changed by compare-and-swap.

Each cell has a share: what is put aside for its tuner's jobs and for its trials, what those that have ended cost
included. No change lets the sum of all shares grow beyond the limit. All sums are whole micro-dollars, so that they add
up.
"""

from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from cloudtune.aws.errors import Conflict
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import CloudtuneError, NewerFormat

#: Micro-dollars of a dollar.
MICROS = 1_000_000
#: Of a micro-dollar: sums of floating-point numbers that differ by less are the same money.
_ROUNDING = 1e-4
_FORMAT = 1
#: So often a change is tried that meets another one each time, and for how long each try waits at most, in seconds.
_TRIES = 100
_LONGEST_PAUSE = 0.5


class DamagedLedger(CloudtuneError):
    """A study's ledger is not in the form that it should have; the message names the object."""


def micros(dollars: float) -> int:
    """Dollars in whole micro-dollars, rounded up."""
    return math.ceil(dollars * MICROS - _ROUNDING)


def dollars(amount: int) -> float:
    """Micro-dollars in dollars."""
    return amount / MICROS


@dataclass(frozen=True)
class Share:
    """What a cell has of a study's money, in micro-dollars.

    Args:
        tuner: For its tuner's jobs.
        trials: For its trials.
        spent: Of that, what its trials were billed so far.
        waits: It wants more than there was when it asked last.
        ended: Nothing of it runs any more: what is put aside is what it has really cost.
        owner: Who may change it beside launchers: tells the newest tuner from earlier ones; "": none yet.
        first: Of what is put aside for its trials, what its launcher has added for the first one; 0 as soon as a tuner
            has it.
        earlier: What tuners with other logs have spent and committed for its trials: no tuner gives it back.
        limited: Its tuners ask the ledger; False: it was launched when there was no limit.
        claim: Of the launcher, until a tuner has what it has put aside; see :mod:`~cloudtune.studies.launch_claim`.
    """

    tuner: int = 0
    trials: int = 0
    spent: int = 0
    waits: bool = False
    ended: bool = False
    owner: str = ""
    first: int = 0
    earlier: int = 0
    limited: bool = False
    claim: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reserved(self) -> int:
        """All that counts against the limit."""
        return self.tuner + self.trials + self.earlier

    @property
    def may_return(self) -> int:
        """What its trials may leave of it at most."""
        return 0 if self.ended else max(0, self.trials - self.spent)


_AMOUNTS = ("tuner", "trials", "spent", "first", "earlier")


@dataclass(frozen=True)
class Book:
    """What the ledger says.

    Args:
        limit: Of all shares together, in micro-dollars.
        shares: By the names of cells.
    """

    limit: int
    shares: Mapping[str, Share] = field(default_factory=dict)

    @property
    def committed(self) -> int:
        """All shares together."""
        return sum(share.reserved for share in self.shares.values())

    @property
    def free(self) -> int:
        """What is left; negative where more was spent than could be foreseen."""
        return self.limit - self.committed

    def share(self, name: str) -> Share:
        """Of a cell; an empty one where it has none."""
        return self.shares.get(name, Share())

    def with_share(self, name: str, share: Share) -> Book:
        """The same with another share of a cell."""
        return replace(self, shares={**self.shares, name: share})

    def without_share(self, name: str) -> Book:
        """The same without the share of a cell."""
        return replace(self, shares={other: share for other, share in self.shares.items() if other != name})

    def others(self, name: str) -> Iterable[Share]:
        """All shares but that of a cell."""
        return (share for other, share in self.shares.items() if other != name)

    def to_json(self) -> bytes:
        """As it lies in S3: amounts in dollars, for people who look into it."""
        shares = {}
        for name, share in sorted(self.shares.items()):
            said = asdict(share)
            shares[name] = {**said, **{one: dollars(said[one]) for one in _AMOUNTS}}
        return json.dumps({"format": _FORMAT, "max_cost": dollars(self.limit), "cells": shares}, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes, where: str) -> Book:
        """What :meth:`to_json` has written.

        Args:
            body: The object.
            where: It lies, for messages.

        Raises:
            NewerFormat: A newer cloudtune has written it.
            DamagedLedger: It is none.
        """
        try:
            said = json.loads(body)
            if said["format"] > _FORMAT:
                raise NewerFormat(f"a newer cloudtune has written {where}; upgrade with pip install -U cloudtune")
            return cls(_amount(said["max_cost"]), {str(name): _share(one) for name, one in said["cells"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedLedger(
                f"{where}, which says what the study's cells may spend, cannot be read ({type(error).__name__}: "
                f"{error}); restore an earlier version of the object, or launch what is missing under another tag"
            ) from error


def _share(said: Mapping[str, Any]) -> Share:
    known = {one.name for one in fields(Share)}
    given = {name: value for name, value in said.items() if name in known}
    return Share(**{**given, **{one: _amount(said.get(one, 0)) for one in _AMOUNTS}})


def _amount(said: Any) -> int:
    return round(float(said) * MICROS)


class Ledger:
    """The object. Thread-safe; may be pickled where its bucket may.

    Args:
        bucket: Of the study.
        key: Of the object.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.bucket = bucket
        self.key = key

    @property
    def uri(self) -> str:
        """``s3://bucket/key``."""
        return self.bucket.uri(self.key)

    def read(self) -> Book | None:
        """What it says now; None: there is none.

        Raises:
            DamagedLedger, NewerFormat, AwsError: It cannot be read.
        """
        got = self.bucket.get(self.key)
        return None if got is None else Book.from_json(got.body, self.uri)

    def change(
        self, change: Callable[[Book | None], Book | None], cancel: threading.Event | None = None
    ) -> Book | None:
        """Changes what it says, whoever else does at the same time.

        Args:
            change: From what it says to what it is to say; called again where somebody else was quicker, and where it
                is not known whether the last try was written. What it raises ends the change.
            cancel: Ends the pauses between tries.

        Returns:
            What it says then.

        Raises:
            Conflict: Somebody else was quicker each time.
            DamagedLedger, NewerFormat, AwsError: It cannot be read or written.
        """
        jitter = random.Random()
        pausing = cancel or threading.Event()
        for number in range(1, _TRIES + 1):
            got = self.bucket.get(self.key)
            before = None if got is None else Book.from_json(got.body, self.uri)
            after = change(before)
            if after is None or after == before:
                return after
            try:
                if got is None:
                    self.bucket.put(self.key, after.to_json(), if_none_match=True)
                else:
                    self.bucket.put(self.key, after.to_json(), if_match=got.etag)
            except Conflict:
                if number == _TRIES:
                    raise
                pausing.wait(jitter.uniform(0.0, min(_LONGEST_PAUSE, 0.02 * number)))
            else:
                return after
        raise AssertionError("the last try returns or raises")
