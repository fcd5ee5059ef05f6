"""Who tells the trials of an earlier tuner to end, where the next one is stopped about when it begins."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.signs_of_life import call_off
from cloudtune.interruption import SignalWatch
from cloudtune.remote import early_end as module
from cloudtune.remote.early_end import EarlyEnd
from cloudtune.remote.own_job import OwnJob
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.s3_segments import LogKeys

ID = "a1b2c3"


class Beginning:
    """A tuner that was told to end while it reads the log of an experiment whose trials run.

    Args:
        place: Of the experiment.
        kms_key: Of its trials.
    """

    def __init__(self, place: TunerPlace, kms_key: str | None = None) -> None:
        self._place = place
        self._life = protocol.Keys(f"{place.root}{ID}/").life
        entry = json.dumps({"event": "experiment", "experiment_id": ID})
        place.bucket.put(LogKeys(place.root).segment(1), entry.encode())
        self._write("that of an earlier tuner")
        self._signals = SignalWatch()
        self._signals.received, self._signals.received_at = signal.SIGTERM, time.monotonic()
        job = OwnJob(place.bucket.aws, place, 1, "digits-tuning-0-1")
        self.early_end = EarlyEnd(job, self._signals, self._leaves, kms_key)
        self.before_it_is_asked: Callable[[], None] = lambda: None

    def _leaves(self) -> bool:
        self.before_it_is_asked()
        return False

    def _write(self, nonce: str) -> None:
        self._place.bucket.put(self._life, json.dumps({"nonce": nonce, "beat": 1, "stop_all": None}).encode())

    def begin(self) -> None:
        """The tuner has read the log, and writes its first sign of life."""
        self.early_end.on_log_read()
        self._write("that of this tuner")

    def end(self) -> dict[str, Any]:
        """What stands in the life object of the trials when nobody tells them anything any more."""
        self.early_end.start()
        for thread in threading.enumerate():
            if thread.name == "cloudtune early end":
                thread.join(60)
                assert not thread.is_alive()
        got = self._place.bucket.get(self._life)
        assert got is not None
        life: dict[str, Any] = json.loads(got.body)
        return life


def test_a_tuner_that_still_reads_the_log(place: TunerPlace) -> None:
    """All trials are told to save their checkpoints and to end, by one write."""
    assert Beginning(place).end()["stop_all"] == protocol.WISH_PAUSE


def test_the_key_of_the_trials_encrypts_what_they_are_told(place: TunerPlace) -> None:
    """A bucket may take nothing else."""
    key, bucket = "arn:aws:kms:us-east-1:123456789012:key/one", place.bucket
    assert Beginning(place, key).end()["stop_all"] == protocol.WISH_PAUSE
    life = protocol.Keys(f"{place.root}{ID}/").life
    answer = bucket.aws.call("s3", "head_object", Bucket=bucket.name, Key=life)
    assert answer["SSEKMSKeyId"] == key


def test_a_tuner_that_begins_while_it_is_found_out_why_it_is_to_end(place: TunerPlace) -> None:
    """It tells its trials itself. Written over by somebody else, it would take the experiment for another tuner's."""
    beginning = Beginning(place)
    beginning.before_it_is_asked = beginning.begin
    assert beginning.end()["nonce"] == "that of this tuner"


def test_a_tuner_that_begins_at_the_last_moment(place: TunerPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its trials were looked for, and before they are told."""
    beginning = Beginning(place)

    def begins_first(*arguments: Any) -> bool:
        beginning.begin()
        return call_off(*arguments)

    monkeypatch.setattr(module, "call_off", begins_first)
    assert beginning.end()["nonce"] == "that of this tuner"
