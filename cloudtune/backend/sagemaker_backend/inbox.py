"""Reports and end marks from S3: one listing tells which trials have news, and only these are read."""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import Any

from cloudtune.agent import protocol
from cloudtune.agent.forms import EndForm, Head
from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.s3_listing import Listing
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.service import Service, now
from cloudtune.trial import TrialEvent

logger = logging.getLogger(__name__)


class Inbox(Service):
    """Lists the heads once per interval while a job may write one.

    Args:
        desk: Where attempts are found and events delivered.
        bucket: Where the experiment lies.
        keys: Of the experiment.
        ending: Told of end marks.
        interval: Seconds between two listings.
    """

    def __init__(self, desk: Desk, bucket: Bucket, keys: protocol.Keys, ending: Ending, interval: float) -> None:
        super().__init__(desk, "reading reports from S3")
        self._bucket = bucket
        self._keys = keys
        self._ending = ending
        self._interval = interval
        self._listing = Listing(bucket, keys.inbox)
        #: Heads that have changed and were not read yet.
        self._unread: dict[str, None] = {}
        #: Heads that other threads want read again.
        self._asked: deque[str] = deque()
        #: Heads of attempts that are over, to be deleted.
        self._done: dict[str, None] = {}
        #: Those among them that ``end.json`` does not repeat: their jobs died without a last word.
        self._only_copies: dict[str, Attempt] = {}
        self._may_not_delete = False
        self._next = 0.0

    def turn(self) -> float | None:
        if not self._may_have_news():
            self._delete_done()
            return self._interval
        begin = now()
        self.look()
        self._delete_done()
        return max(0.0, begin + self._interval - now())

    def look(self) -> None:
        """Lists once, reads what changed, and delivers what is new."""
        for listed in self._listing.changed():
            self._unread[listed.key] = None
        while self._asked:
            self._unread[self._asked.popleft()] = None
        wanted = []
        for key in self._unread:
            if self._attempt(key) is not None:
                wanted.append(key)
            elif self._is_over(key):
                self._done[key] = None  # a late put has brought it back
        got = self._bucket.get_many(wanted)
        heads: list[tuple[Attempt, Head]] = []
        for key in wanted:
            attempt = self._attempt(key)
            if key in got and attempt is not None:
                heads += self._parsed(attempt, got[key].body)
        self._take(heads)
        self._unread.clear()

    def read_again(self, attempt: Attempt) -> None:
        """Has the next look read the attempt's head, though it was listed before: when nobody knew whose it is."""
        self._asked.append(self._keys.head(*attempt.key))

    def fetch(self, attempt: Attempt) -> None:
        """Reads all that one attempt has told, wherever it lies: for an attempt whose job has ended."""
        self._take([(attempt, head) for _, head in self._heads(attempt)])

    def _heads(self, attempt: Attempt) -> list[tuple[str, Head]]:
        """The head in the inbox and ``end.json``, with their keys, older first.

        The agent writes ``end.json`` before the head that says the same, and may die in between; of a job that was
        restarted ``end.json`` is of an earlier run.
        """
        keys = (self._keys.head(*attempt.key), self._keys.end(*attempt.key))
        got = [(key, self._bucket.get(key)) for key in keys]
        heads = [(key, head) for key, one in got if one is not None for _, head in self._parsed(attempt, one.body)]
        return sorted(heads, key=lambda pair: (pair[1]["run"], pair[1]["beat"]))

    def has_ended(self, attempt: Attempt) -> None:
        """The head of the attempt is not needed in the inbox any more."""
        key = self._keys.head(*attempt.key)
        if attempt.mark is None:
            self._only_copies[key] = attempt
        self._done[key] = None

    def _may_have_news(self) -> bool:
        with self.desk.lock:
            return any(
                a.phase is Phase.EXISTS and a.use_s3 and not a.end_delivered for a in self.desk.attempts.values()
            )

    def _attempt(self, key: str) -> Attempt | None:
        found = protocol.attempt_of_head(key)
        if found is None:
            return None
        with self.desk.lock:
            attempt = self.desk.attempts.get(found)
            return None if attempt is None or attempt.end_delivered else attempt

    def _is_over(self, key: str) -> bool:
        found = protocol.attempt_of_head(key)
        with self.desk.lock:
            attempt = None if found is None else self.desk.attempts.get(found)
            return attempt is not None and attempt.phase is Phase.OVER

    def _take(self, heads: list[tuple[Attempt, Head]]) -> None:
        """Takes heads in, with the chunks that are missing before their reports."""
        with self.desk.lock:
            missing = {
                self._keys.chunk(*attempt.key, run, first): (run, first)
                for attempt, head in heads
                for run, first in attempt.missing_chunks(head)
            }
        chunks = self._bucket.get_many(missing) if missing else {}
        for attempt, head in heads:
            mine: dict[tuple[int, int], list[dict[str, Any]]] = {}
            for run, first, _ in head["chunks"]:
                name = self._keys.chunk(*attempt.key, run, first)
                got = chunks.get(name)
                if got is None and name in missing:
                    logger.warning(
                        "s3://%s/%s is gone, and the reports of trial %d in it",
                        self._bucket.name,
                        name,
                        attempt.trial_id,
                    )
                if got is not None:
                    mine[run, first] = [json.loads(line) for line in got.body.splitlines()]
            with self.desk.lock:
                if attempt.end_delivered:
                    continue
                self.desk.jobs_without_s3 = 0
                events: list[TrialEvent] = list(attempt.take_head(head, mine, now()))
                events.extend(self._ending.by_mark(attempt))
                self.desk.deliver(events)

    def _parsed(self, attempt: Attempt, body: bytes) -> list[tuple[Attempt, Head]]:
        """The head with its attempt; nothing if somebody else has written what is no head."""
        try:
            head = json.loads(body)
        except ValueError:
            head = None
        if _is_head(head):
            return [(attempt, head)]
        logger.warning(
            "the object in s3://%s/%s for trial %d is not what an agent writes, and is ignored; leave that folder to "
            "cloudtune",
            self._bucket.name,
            self._keys.inbox,
            attempt.trial_id,
        )
        return []

    def _delete_done(self) -> None:
        if not self._done or self._may_not_delete:
            return
        keys = list(self._done)
        try:
            self._keep_only_copies()
            self._bucket.delete(keys)
        except AccessDenied as error:
            self._may_not_delete = True
            logger.warning("reports that were read stay in the inbox, whose listings grow longer: %s", error)
            return
        for key in keys:
            self._done.pop(key, None)

    def _keep_only_copies(self) -> None:
        """What was read of a job may not be in the tuner's log yet: if the tuner dies now, the next one looks here."""
        for key, attempt in list(self._only_copies.items()):
            newest = self._heads(attempt)[-1:]
            if newest and newest[0][0] == key:
                self._bucket.put(self._keys.end(*attempt.key), json.dumps(newest[0][1]).encode())
            self._only_copies.pop(key, None)


def _is_head(value: Any) -> bool:
    """Whether it has the form of a head, as far as it is made use of."""
    if not isinstance(value, dict) or not Head.__required_keys__ <= value.keys():
        return False
    chunks, reports, end = value["chunks"], value["reports"], value["end"]
    return (
        all(type(value[name]) is int for name in ("run", "beat", "first"))
        and isinstance(chunks, list)
        and all(isinstance(one, list) and [type(part) for part in one] == [int] * 3 for one in chunks)
        and isinstance(reports, list)
        and all(isinstance(one, dict) for one in reports)
        and (end is None or (isinstance(end, dict) and EndForm.__required_keys__ <= end.keys()))
    )
