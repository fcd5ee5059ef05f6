"""The event log in S3: how often it is written, how fast a long one is read, and what memory its owner takes."""

from __future__ import annotations

import contextlib
import heapq
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarking.overhead.measurement import Row, in_turn, peak_megabytes, seconds
from benchmarking.overhead.store import entries
from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.store.lease import ourselves
from cloudtune.store.s3_lease import RENEW_INTERVAL
from cloudtune.store.s3_log import LogReader, S3LogView
from cloudtune.store.s3_packing import Packer
from cloudtune.store.s3_segments import LogKeys, Segment, make_segment
from cloudtune.store.s3_store import S3Store

ROOT = "cloudtune/bench/bench/"
NUM_REPORTS = 50_000
NUM_SEGMENTS = 5_000
HOUR = 3600.0
#: A report of each of so many trials per minute, and a decision that acts every so many seconds.
TRIALS = 100
ACT_EVERY = 10.0
#: What the target of 2,000 puts an hour leaves to the store: 500 are the backend's.
PUTS = 1_500


def measure(repeats: int) -> list[Row]:
    """All rows about the S3 store; the long logs are written once."""
    return [*_puts_per_hour(), *_reading(repeats), *_memory()]


@contextlib.contextmanager
def cloud_with_bucket() -> Iterator[tuple[LocalCloud, Bucket]]:
    """A local cloud with a bucket."""
    with LocalCloud() as cloud, cloud.activate():
        cloud.client("s3").create_bucket(Bucket="bench")
        yield cloud, Bucket(Aws(budget=RateBudget({})), "bench")


# ---------------------------------------------------------------------------------------------- how often it is written


def _puts_per_hour() -> list[Row]:
    """An hour of the tuner's loop, by a clock that jumps to the next event; each turn is one call of ``maintain``."""
    with cloud_with_bucket() as (cloud, bucket):
        store = S3Store(bucket, ROOT)
        before = cloud.call_counts().get("s3:PutObject", 0)
        store.open()
        store.snapshot(b"tuner")
        store.write_metadata({})
        batch = entries(10)[0]
        store.append([batch[0]])
        events = [(60.0 * trial / TRIALS, "report") for trial in range(TRIALS)] + [(ACT_EVERY, "act")]
        heapq.heapify(events)
        begin, now = 1.79e9, 0.0
        while now < HOUR:
            wanted = store.maintain(begin + now)
            _settle(store)
            if wanted is not None and wanted - begin < events[0][0]:
                now = wanted - begin
                continue
            now, what = heapq.heappop(events)
            store.append([batch[1] | {"time": now}])
            if what == "act":
                store.flush()
            heapq.heappush(events, (now + (ACT_EVERY if what == "act" else 60.0), what))
        store.update_results()
        store.write_metadata({})
        store.close()
        puts = cloud.call_counts()["s3:PutObject"] - before + HOUR / RENEW_INTERVAL
    return [Row("S3 puts of the store per hour, 100 trials", puts, PUTS, "puts", 1.0, "2,000 less the backend's 500")]


def _settle(store: S3Store) -> None:
    """Waits for what goes on in the background: the clock does not."""
    for job in (store._log_job, store._results_job, store._packing_job):
        if job is not None:
            job.result()


# ---------------------------------------------------------------------------------------------- how fast it is read


def _segments() -> list[Segment]:
    """A log of 50,000 reports of 1,000 trials in 5,000 segments."""
    lines = [json.dumps(entry).encode() + b"\n" for batch in entries(NUM_REPORTS) for entry in batch]
    epoch = {"event": "epoch", "epoch": 1, "nonce": "bench", "owner": ourselves(), "unix": 0.0, "format": 1}
    lines[0:0] = [json.dumps(epoch).encode() + b"\n"]
    share = -(-len(lines) // NUM_SEGMENTS)
    made: list[Segment] = []
    for start in range(0, len(lines), share):
        after = made[-1].digest if made else ""
        made.append(make_segment(len(made) + 1, 1, "bench", start, len(made), after, lines[start : start + share]))
    return made


def _reading(repeats: int) -> list[Row]:
    with cloud_with_bucket() as (cloud, bucket), tempfile.TemporaryDirectory() as folder:
        keys = LogKeys(ROOT)
        made = _segments()
        plain = Path(folder, "lines.jsonl")
        plain.write_bytes(b"".join(segment.data for segment in made))
        files = []
        for segment in made:
            path = Path(folder, f"{segment.seq}")
            path.write_bytes(segment.data)
            files.append((path, keys.segment(segment.seq)))
        bucket.upload_files(files)
        some = [keys.segment(segment.seq) for segment in made[:500]]

        unpacked, getting = in_turn(
            1, lambda: seconds(lambda: _read(bucket)), lambda: seconds(lambda: bucket.get_many(some)) * 10
        )
        reader = LogReader(bucket, ROOT)
        reader.read_on()
        packer = Packer(bucket, keys, reader.chain, reader.packs)
        packing = seconds(lambda: _pack(packer))
        before = cloud.call_counts()["s3:GetObject"]
        _read(bucket)
        gets = cloud.call_counts()["s3:GetObject"] - before
        packed, parsing = in_turn(
            repeats, lambda: seconds(lambda: _read(bucket)), lambda: seconds(lambda: _parse(plain))
        )
        reopened = seconds(lambda: _open(bucket))
    segments = len(made)
    return [
        Row(f"reading 50,000 reports, {segments} segments, none packed", unpacked, getting, "s", 2.0, "their requests"),
        Row("... all packed", packed, parsing, "s", 8.0, "json.loads of each line, from a local file"),
        Row("... against unpacked", packed, unpacked, "s", 0.25, "unpacked"),
        Row("... requests", gets, segments, "GETs", 0.05, "segments"),
        Row("packing them", packing, unpacked, "s", None, "reading them unpacked"),
        Row("opening the store of 50,000 packed reports", reopened, packed, "s", 3.0, "reading them"),
    ]


def _read(bucket: Bucket) -> None:
    count = sum(map(len, S3LogView(bucket, ROOT).blocks()))
    if count < NUM_REPORTS:
        raise RuntimeError(f"{count} entries came back, not {NUM_REPORTS} and more")


def _parse(path: Path) -> None:
    with path.open() as file:
        for line in file:
            json.loads(line)


def _pack(packer: Packer) -> None:
    while packer.is_due:
        packer.pack_next()


def _open(bucket: Bucket) -> None:
    store = S3Store(bucket, ROOT)
    store.open()
    for _ in store.read():
        pass
    store._results_length = store.length()  # the writing of results is measured elsewhere
    store.close()


# ---------------------------------------------------------------------------------------------- memory


_FILL = """
from benchmarking.overhead import s3_store
s3_store.fill({reports})
"""


def fill(num_reports: int) -> None:
    """Puts so many reports through a store, five a segment, and writes the results."""
    bucket = Bucket(Aws(budget=RateBudget({})), "bench")
    store = S3Store(bucket, f"cloudtune/memory/{num_reports}-{time.time_ns()}")
    store.open()
    made = entries(10)[0]
    clock = 0.0
    for trial in range(num_reports // 10):
        batch: list[dict[str, Any]] = [{**entry, "trial": trial} for entry in made]
        for part in (batch[:6], batch[6:]):
            store.append(part)
            # As if time passed: most of a long experiment's segments are of a few reports.
            if trial % 10 == 0:
                store.flush()
            clock += 1.0
            store.maintain(clock)
    store.close()


def _memory() -> list[Row]:
    with cloud_with_bucket():
        many = peak_megabytes(_FILL.format(reports=NUM_REPORTS))
        few = peak_megabytes(_FILL.format(reports=NUM_REPORTS // 10))
    return [
        Row("memory of the S3 store at 50,000 reports", many, few, "MB", 1.3, "at 5,000"),
        Row("... against the target of a whole tuner", many, 250.0, "MB", 0.6, "the target"),
    ]
