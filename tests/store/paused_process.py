"""A tuner's store in a process of its own: ``paused_process.py JOURNAL NAME SKEW [WHEN NUMBER]``.

It opens the experiment as soon as nobody drives it any more, then appends and flushes one report after the other, until
there is a file ``JOURNAL.stop`` or another one has taken over. What it has done it notes in the journal.

With ``WHEN`` (``before`` or ``after``) it stands still (SIGSTOP) at put number ``NUMBER`` of a segment of the log. Its
clock is ``SKEW`` seconds off.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store import s3_lease
from cloudtune.store.s3_store import S3Store
from tests.contracts.store_contract import report
from tests.store.conftest import ROOT

#: S3 tells times in whole seconds.
STALE_AFTER, RENEW_INTERVAL = 2.0, 0.3
FENCED = 3


def shorten_the_lease() -> None:
    """Has it end within seconds."""
    s3_lease.STALE_AFTER = STALE_AFTER
    s3_lease.S3Lease.__init__.__defaults__ = (None, RENEW_INTERVAL)


def stand_still_at(when: str, number: int) -> None:
    """Stops all threads of this process right before or after a put of a segment."""
    put = Bucket.put
    count = itertools.count(1)

    def around(self: Bucket, key: str, body: bytes, **conditions: Any) -> str:
        mine = next(count) if "/log/" in key else 0
        if mine == number and when == "before":
            os.kill(os.getpid(), signal.SIGSTOP)
        try:
            return put(self, key, body, **conditions)
        finally:  # also if its answer was lost, and asking again told of a conflict
            if mine == number and when == "after":
                os.kill(os.getpid(), signal.SIGSTOP)

    Bucket.put = around  # type: ignore[method-assign]


def drive(journal: Path, name: int) -> None:
    """Drives the experiment."""

    def note(text: str) -> None:
        with journal.open("a") as file:
            file.write(text + "\n")

    store = S3Store(Bucket(Aws(budget=RateBudget({})), "data", "123456789012"), ROOT)
    refused = False
    while not store.epoch:
        try:
            store.open()
        except ExperimentLocked:
            if not refused:
                note("refused")
            refused = True
            time.sleep(0.05)
    note("open")
    try:
        for number in itertools.count(1000 * name):
            store.append([report(number)])
            store.flush()
            note(str(number))
            if journal.with_suffix(".stop").exists():
                break
    except Fenced as fenced:
        note(f"fenced: {fenced}")
        store.close()
        sys.exit(FENCED)
    store.close()


def main() -> None:
    """Does what the arguments say."""
    journal, name, skew, *where = sys.argv[1:]
    shorten_the_lease()
    clock = time.time
    time.time = lambda: clock() + float(skew)
    if where:
        stand_still_at(where[0], int(where[1]))
    drive(Path(journal), int(name))


if __name__ == "__main__":
    main()
