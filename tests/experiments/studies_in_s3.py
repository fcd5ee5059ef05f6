"""Studies in S3 for these tests, written by real stores; and what is asked of S3."""

from __future__ import annotations

from typing import Any

from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.store.s3_store import S3Store
from cloudtune.store.store import Entry
from cloudtune.store.study_place import StudyPlace
from tests.experiments.in_s3 import ACCOUNT, DEFAULT_BUCKET, header, opened_in_s3
from tests.experiments.recorded import METADATA, THREE_TRIALS, row
from tests.store.opened_s3 import forget, settle

TAG = "study"


def place(tag: str = TAG, bucket: str = DEFAULT_BUCKET, prefix: str = "") -> StudyPlace:
    """Of a study."""
    return StudyPlace(Bucket(aws_for(), bucket, ACCOUNT), prefix, tag)


def finish(state: str = "finished") -> Entry:
    """The entry that ends an experiment."""
    return {"event": "finish", "why": "enough", "state": state, "time": 9.0}


def running(name: str, *entries: Entry, tag: str = TAG, **options: Any) -> S3Store:
    """An experiment whose tuner is at work, and has said so."""
    store = opened_in_s3(name, header(name), *(entries or THREE_TRIALS), tag=tag, **options)
    store.write_metadata({**METADATA, "tag": tag})
    store.maintain(1000.0)
    settle(store)
    return store


def ended(
    name: str, *entries: Entry, tag: str = TAG, created: float = 0.0, state: str = "finished", **more: Any
) -> None:
    """An experiment that has ended in order."""
    options = {key: more.pop(key) for key in ("place",) if key in more}
    store = opened_in_s3(name, header(name), *(entries or THREE_TRIALS), tag=tag, **options)
    store.append([finish(state)])
    store.write_metadata({**METADATA, "tag": tag, "st_tuner_creation_timestamp": created, **more})
    store.close()


def killed(name: str, *entries: Entry, tag: str = TAG) -> None:
    """An experiment whose tuner is gone without a word."""
    forget(running(name, *entries, tag=tag))


def killed_early(name: str, *entries: Entry, tag: str = TAG) -> None:
    """An experiment whose tuner died before it said that it runs."""
    forget(opened_in_s3(name, header(name), *(entries or THREE_TRIALS), tag=tag))


def of_older_version(name: str, *entries: Entry, tag: str = TAG) -> None:
    """An experiment that has ended, by a cloudtune that put its results nowhere but into log and results.csv.zip."""
    ended(name, *entries, tag=tag)
    bucket = place(tag).bucket
    bucket.delete([place(tag).results_of(name)])


def more_of(store: S3Store, count: int) -> None:
    """More reports."""
    store.append([row(0, 10.0 + number, loss=0.1, epoch=10 + number) for number in range(count)])
    store.flush()


class Asked:
    """Counts what is asked of S3."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._before: dict[str, int] = {}
        self.new()

    def new(self) -> dict[str, int]:
        """Calls of S3 since the last time, without those that look for the bucket."""
        now = self._cloud.call_counts()
        before, self._before = self._before, now
        counts = {name.partition(":")[2]: count - before.get(name, 0) for name, count in now.items() if "s3:" in name}
        return {name: count for name, count in counts.items() if count and name != "HeadBucket"}
