"""Who decides which experiments of a study begin: launchers at the same time do so one after the other.

Each looks what runs, begins what there is room for, and lets the next one look once these are to be seen. Otherwise all
of them would give away the same room.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from cloudtune.aws.errors import AwsError, Conflict
from cloudtune.aws.s3 import Seen
from cloudtune.store.lease import describe_holder, ourselves
from cloudtune.store.processes import is_same_space, lives, process_identity
from cloudtune.store.study_place import StudyPlace

logger = logging.getLogger(__name__)

#: Seconds after which whoever has not renewed it has died; and how often it is renewed.
EXPIRES = 60.0
RENEWED = 15.0
_NONCE = "nonce"

#: Nonces of the turns that this process has.
_ours: set[str] = set()
_lock = threading.Lock()


class LaunchTurn:
    """The turn of one launcher. For one thread.

    Args:
        place: Of the study.
    """

    def __init__(self, place: StudyPlace) -> None:
        self._bucket = place.bucket
        self._key = f"{place.folder}launching.json"
        self._nonce = os.urandom(8).hex()
        self._etag: str | None = None
        self._renewed_at = 0.0
        #: What was seen last of another launcher's, and since when.
        self._seen = ("", 0.0)

    @property
    def is_ours(self) -> bool:
        """Whether this launcher has it."""
        return self._etag is not None

    def take(self) -> str:
        """Takes it; "" if it is ours, or else who has it. Raises AwsError."""
        if self._etag is not None:
            return ""
        seen = self._bucket.look(self._key)
        claim = {} if seen is None else _claim(seen.body)
        if seen is not None and claim.get(_NONCE) and not self._is_old(seen) and not _is_left(claim):
            return describe_holder(claim if {"pid", "host", "user", "since"} <= claim.keys() else None)
        with _lock:
            _ours.add(self._nonce)
        condition: dict[str, Any] = {"if_none_match": True} if seen is None else {"if_match": seen.etag}
        try:
            self._put({**ourselves(), **process_identity(), _NONCE: self._nonce}, condition)
        except Conflict:
            self._forget()
            return "another process"
        except AwsError:
            self._forget()
            raise
        return ""

    def _is_old(self, seen: Seen) -> bool:
        """Whether it was not renewed for long: by S3's clock, or since it was seen here first."""
        if self._seen[0] != seen.etag:
            self._seen = seen.etag, time.monotonic()
        return max(seen.age_seconds or 0.0, time.monotonic() - self._seen[1]) > EXPIRES

    def keep(self) -> None:
        """Renews it, if that is due. Where somebody has taken it meanwhile, it is no longer ours."""
        if self._etag is None or time.monotonic() < self._renewed_at + RENEWED:
            return
        try:
            self._put({**ourselves(), **process_identity(), _NONCE: self._nonce}, {"if_match": self._etag})
        except Conflict:
            self._forget()
        except AwsError as error:
            self._renewed_at += RENEWED / 3
            logger.debug("the turn of this launch is renewed later: %s", error)

    def give_back(self) -> None:
        """Lets the next launcher have it. That it cannot is no failure: it expires."""
        etag = self._etag
        self._forget()
        if etag is None:
            return
        try:
            self._bucket.put(self._key, b"{}", if_match=etag)
        except AwsError as error:
            logger.debug("the turn of this launch is not given back, and expires: %s", error)

    def _put(self, claim: Mapping[str, Any], condition: Mapping[str, Any]) -> None:
        self._etag = self._bucket.put(self._key, json.dumps(claim).encode(), **condition)
        self._renewed_at = time.monotonic()

    def _forget(self) -> None:
        self._etag = None
        with _lock:
            _ours.discard(self._nonce)


def _claim(body: bytes) -> dict[str, Any]:
    try:
        claim = json.loads(body)
    except ValueError:  # damaged: whoever comes first takes it
        return {}
    return claim if isinstance(claim, dict) else {}


def _is_left(claim: Mapping[str, Any]) -> bool:
    """Whether a process of this machine had it that has died, or this process has given it up."""
    if not is_same_space(claim):
        return False
    if not lives(claim):
        return True
    with _lock:
        return claim.get("pid") == os.getpid() and claim[_NONCE] not in _ours
