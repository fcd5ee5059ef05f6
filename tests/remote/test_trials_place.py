"""Where trials are, as the log's beginning says: however many tuners have ended before, and whatever is damaged."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.remote.trials_place import place_of_trials
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.entries import EXPERIMENT, PLACE, SUGGEST
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_store import S3Store
from tests.contracts.store_contract import report
from tests.store.memory_s3 import MemoryBucket, MemoryS3

ROOT = "cloudtune/digits/digits/"
OWN = "s3://own/team/cloudtune/digits/digits/abc123/"
BEGUN: dict[str, Any] = {"event": EXPERIMENT, "name": "digits", "experiment_id": "abc123", "scheduler": {}}
NOTED: dict[str, Any] = {"event": PLACE, "trials_at": {"place": OWN, "region": "us-east-1"}}
SUGGESTED: dict[str, Any] = {"event": SUGGEST, "trial": 0, "attempt": 0, "config": {}}


class CountingBucket(MemoryBucket):
    """Counts what is read."""

    reads = 0

    def look(self, key: str) -> Any:
        self.reads += 1
        return super().look(key)


@pytest.fixture
def place() -> TunerPlace:
    return TunerPlace(CountingBucket(MemoryS3()), ROOT)


def write(bucket: Bucket, *segments: list[dict[str, Any]]) -> None:
    """One tuner that puts each of the lists at once."""
    store = S3Store(bucket, ROOT)
    store.open()
    for entries in segments:
        store.append(entries)
        store.flush()
    store.close()


@pytest.mark.parametrize("earlier", [0, 3, 4, 30])
def test_tuners_that_ended_before_they_began(place: TunerPlace, earlier: int) -> None:
    """Each has left a segment with its epoch: what follows is found all the same."""
    for _ in range(earlier):
        write(place.bucket)
    assert place_of_trials(place) == ""
    write(place.bucket, [BEGUN], [NOTED], [SUGGESTED])
    assert place_of_trials(place) == OWN


def test_a_log_that_notes_no_place(place: TunerPlace) -> None:
    """Its trials are beside it, also before the first one was suggested."""
    beside = f"s3://memory/{ROOT}abc123"
    write(place.bucket, [BEGUN])
    assert place_of_trials(place) == beside
    write(place.bucket, [SUGGESTED])
    assert place_of_trials(place) == beside


def test_only_the_beginning_is_read(place: TunerPlace) -> None:
    """A log of hundreds of segments costs no more than a short one."""
    write(place.bucket, [BEGUN], [NOTED], *([report(number)] for number in range(300)))
    bucket = place.bucket
    assert isinstance(bucket, CountingBucket)
    bucket.reads = 0
    assert place_of_trials(place) == OWN
    assert bucket.reads == 4


def test_a_damaged_beginning(place: TunerPlace) -> None:
    """The experiment was begun anew behind what cannot be read: its trials are those that run."""
    write(place.bucket, [{**BEGUN, "experiment_id": "lost00"}], [SUGGESTED], [report(0)])
    place.bucket.put(LogKeys(ROOT).segment(2), b'{"event": "seg')
    place.bucket.put(LogKeys(ROOT).segment(3), b'[1]\n"text"\n')
    write(place.bucket, [BEGUN], [NOTED], [SUGGESTED])
    assert place_of_trials(place) == OWN
