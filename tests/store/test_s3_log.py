"""Reading a log in S3: packed or not, damaged or not, while it is written."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.errors import NewerFormat
from cloudtune.localcloud import LocalCloud
from cloudtune.store import s3_packing
from cloudtune.store.s3_log import S3LogFollower, S3LogView, log_exists, newest_entry
from cloudtune.store.s3_segments import LogKeys, make_pack, make_segment
from cloudtune.store.s3_store import S3Store
from tests.contracts.store_contract import own, report
from tests.store.conftest import ROOT
from tests.store.memory_s3 import MemoryBucket, MemoryS3

KEYS = LogKeys(ROOT)


@pytest.fixture
def memory() -> MemoryBucket:
    return MemoryBucket(MemoryS3())


def written(bucket: Bucket, count: int, first: int = 0) -> S3Store:
    """An open store that has put ``count`` reports, each in a segment of its own."""
    store = S3Store(bucket, ROOT)
    store.open()
    for number in range(first, first + count):
        store.append([report(number)])
        store.flush()
    return store


def numbers(bucket: Bucket) -> list[int]:
    return [entry["number"] for entry in own(S3LogView(bucket, ROOT).entries())]


def pack_all(store: S3Store) -> None:
    assert store._packer is not None
    while store._packer.is_due:
        store._packer.pack_next()


def test_views_of_nothing(bucket: Bucket) -> None:
    """Where no experiment is, nothing is read and nothing is wrong."""
    view = S3LogView(bucket, ROOT)
    assert (view.length(), list(view.entries()), view.last_entry(), view.damage) == (0, [], None, None)
    assert newest_entry(bucket, ROOT) is None
    assert not log_exists(bucket, ROOT)
    assert list(S3LogFollower(bucket, ROOT).new_blocks()) == []


def test_a_view_has_the_face_of_the_local_one(bucket: Bucket) -> None:
    """Length, entries and blocks from any number on, and the last entry; what comes later is not in it."""
    store = written(bucket, 5)
    view = S3LogView(bucket, ROOT)
    store.append([report(5)])
    store.close()
    assert view.length() == 6
    assert [entry["number"] for entry in view.entries(3)] == [2, 3, 4]
    assert [entry for block in view.blocks(3) for entry in block] == list(view.entries(3))
    assert view.last_entry() == report(4)
    assert newest_entry(bucket, ROOT) == report(5)
    assert list(view.entries(6)) == []


def test_a_packed_log_reads_as_before_with_few_requests(
    bucket: Bucket, local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments that were packed are not asked for any more, only those after them."""
    monkeypatch.setattr(s3_packing, "RUN", 5)
    store = written(bucket, 23)
    before = list(S3LogView(bucket, ROOT).entries())
    pack_all(store)
    counted = local_cloud.call_counts()
    view = S3LogView(bucket, ROOT)
    after = local_cloud.call_counts()
    assert list(view.entries()) == before
    assert after["s3:GetObject"] - counted["s3:GetObject"] == 4 + 4  # four packed objects, 24 - 20 segments
    assert after["s3:ListObjectsV2"] - counted["s3:ListObjectsV2"] == 2
    assert newest_entry(bucket, ROOT) == report(22)
    assert [entry["number"] for entry in view.entries(12)] == list(range(11, 23))
    store.close()
    reopened = written(bucket, 1, first=23)
    assert reopened._packer is not None
    assert numbers(bucket) == list(range(24))
    reopened.close()


@pytest.mark.parametrize("body", [b"", b"rubbish", b'{"event":"packed","format":1}\n', None])
def test_a_packed_object_that_is_of_no_use(
    memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch, body: bytes | None
) -> None:
    """Its segments are read instead; nothing is lost, and nobody is warned."""
    monkeypatch.setattr(s3_packing, "RUN", 5)
    store = written(memory, 14)
    pack_all(store)
    key = KEYS.pack(6, 10)
    assert key in memory.s3.objects
    if body is None:
        whole = memory.s3.objects[key][0]
        body = whole.replace(b'"number":7', b'"number":8')
        assert body != whole
    memory.s3.put(key, body)
    view = S3LogView(memory, ROOT)
    assert [entry["number"] for entry in own(view.entries())] == list(range(14))
    assert view.damage is None
    store.close()


def test_a_packed_object_heals_a_segment(memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was packed is read, whatever has become of the segment since."""
    monkeypatch.setattr(s3_packing, "RUN", 5)
    store = written(memory, 14)
    pack_all(store)
    memory.s3.put(KEYS.segment(3), b"gone")
    assert numbers(memory) == list(range(14))
    store.close()


def test_what_s3_has_lost_is_written_again(
    memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before it packs, the owner looks whether its segments stand there: it has them yet."""
    monkeypatch.setattr(s3_packing, "RUN", 5)
    store = written(memory, 8)
    body = memory.s3.objects[KEYS.segment(3)]
    memory.delete([KEYS.segment(3)])
    pack_all(store)
    assert memory.s3.objects[KEYS.segment(3)][0] == body[0]
    assert f"{KEYS.segment(3)} was gone from S3, and was written again" in caplog.text
    memory.delete([KEYS.pack(1, 5)])
    assert numbers(memory) == list(range(8))
    store.close()


def test_runs_are_packed_between_what_does_not_count(memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged segment is in no packed object, and what is read is what counted before."""
    monkeypatch.setattr(s3_packing, "RUN", 5)
    store = written(memory, 6)
    store.close()
    memory.s3.put(KEYS.segment(7), b"damaged")
    store = written(memory, 10, first=6)
    pack_all(store)
    assert {key for key in memory.s3.objects if key.startswith(KEYS.packed)} == {
        KEYS.pack(1, 5),
        KEYS.pack(8, 10),
        KEYS.pack(11, 15),
    }
    view = S3LogView(memory, ROOT)
    assert [entry["number"] for entry in own(view.entries())] == [0, 1, 2, 3, 4, *range(6, 16)]
    assert view.damage is not None
    store.close()


def cut(body: bytes) -> bytes:
    return body[:-10]


def change(body: bytes) -> bytes:
    return body.replace(b'"loss":', b'"lost":')


def gone(body: bytes) -> None:
    return None


def empty(body: bytes) -> bytes:
    return b""


def foreign(body: bytes) -> bytes:
    return b'{"event":"other"}\n'


def another_header(body: bytes) -> bytes:
    return body.replace(b'"seq":5', b'"seq":9')


@pytest.mark.parametrize("damage", [cut, change, gone, empty, foreign, another_header])
def test_everything_before_damage_is_used_and_nothing_overwritten(
    memory: MemoryBucket, damage: Callable[[bytes], bytes | None], caplog: pytest.LogCaptureFixture
) -> None:
    """The reader says what is lost, once; a tuner goes on from what comes before, in new objects; all agree after."""
    written(memory, 8).close()
    key = KEYS.segment(5)
    body = damage(memory.s3.objects[key][0])
    if body is None:
        memory.delete([key])
    else:
        assert body != memory.s3.objects[key][0]
        memory.s3.put(key, body)
    before = {name: there for name, there in memory.s3.objects.items() if name.startswith(KEYS.log)}
    view = S3LogView(memory, ROOT)
    assert [entry["number"] for entry in own(view.entries())] == [0, 1, 2]
    assert view.damage is not None
    assert key in view.damage
    assert "It and 4 more segments do not count. What comes before is used." in view.damage
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        f"the event log is damaged: s3://memory/{view.damage}"
    ]
    follower = S3LogFollower(memory, ROOT)
    assert sum(map(len, follower.new_blocks())) == 4
    store = written(memory, 2, first=3)
    assert store.damage is not None
    assert numbers(memory) == [0, 1, 2, 3, 4]
    store.close()
    written(memory, 1, first=5).close()
    assert numbers(memory) == [0, 1, 2, 3, 4, 5]
    assert {name: memory.s3.objects[name] for name in before} == before
    again = S3LogView(memory, ROOT)
    assert again.damage is not None
    assert "A later tuner has gone on from what comes before" in again.damage
    epochs = [entry for entry in again.entries() if entry["event"] == "epoch"]
    assert key in epochs[1]["damage"]
    assert [entry["number"] for block in follower.new_blocks() for entry in own(iter(block))] == [3, 4, 5]


def test_a_segment_damaged_on_its_way_is_read_again(memory: MemoryBucket) -> None:
    """Once wrong and then right is right: nothing is given up for it."""
    written(memory, 4).close()
    original = memory.s3.objects[KEYS.segment(3)]
    memory.s3.objects[KEYS.segment(3)] = (b"noise", 0.0)

    def repair(operation: str, key: str) -> str:
        if (operation, key) == ("get", KEYS.segment(4)):
            memory.s3.objects[KEYS.segment(3)] = original
        return "ok"

    view = S3LogView(MemoryBucket(memory.s3, repair), ROOT)
    assert view.damage is None
    assert view.length() == 5


def test_the_end_of_a_log_is_damaged(memory: MemoryBucket) -> None:
    """Also where nothing follows it."""
    written(memory, 4).close()
    memory.s3.put(KEYS.segment(5), b"{")
    assert numbers(memory) == [0, 1, 2]
    assert newest_entry(memory, ROOT) == report(2)
    written(memory, 1, first=3).close()
    assert numbers(memory) == [0, 1, 2, 3]


def test_a_log_without_a_beginning(memory: MemoryBucket) -> None:
    """Nothing of it counts; a tuner begins anew behind it."""
    written(memory, 2).close()
    memory.delete([KEYS.segment(1)])
    assert numbers(memory) == []
    written(memory, 1, first=7).close()
    assert numbers(memory) == [7]


def test_what_a_fenced_writer_puts_into_a_hole_is_not_read(memory: MemoryBucket) -> None:
    """Somebody deletes a segment of the new owner, and the old one, who slept, writes its own there."""
    store = written(memory, 2)
    assert store._writer is not None
    tip = store._writer.chain.tip
    assert tip is not None
    zombie = make_segment(4, 1, store._writer.nonce, 3, 3, tip.digest, [b'{"event":"report","number":99}\n'])
    second = S3Store(memory, ROOT)
    second.open(takeover=True)
    second.append([report(2)])
    second.close()
    memory.s3.put(KEYS.segment(4), zombie.data)
    view = S3LogView(memory, ROOT)
    assert [entry["number"] for entry in own(view.entries())] == [0, 1]
    assert view.damage is not None
    assert KEYS.segment(4) in view.damage
    store.close()


def test_who_could_not_read_goes_back_and_others_follow(memory: MemoryBucket) -> None:
    """A tuner that saw damage where there is none any more decided without it: from then on that is the log."""
    written(memory, 5).close()
    follower = S3LogFollower(memory, ROOT)
    assert sum(map(len, follower.new_blocks())) == 6
    original = memory.s3.objects[KEYS.segment(5)]
    memory.s3.put(KEYS.segment(5), b"noise")
    written(memory, 1, first=10).close()
    memory.s3.objects[KEYS.segment(5)] = original
    assert numbers(memory) == [0, 1, 2, 10]
    assert [entry["number"] for block in follower.new_blocks() for entry in own(iter(block))] == [10]
    assert follower.rewinds == 1


def test_a_newer_format_is_refused(memory: MemoryBucket) -> None:
    """A log of a later cloudtune is neither read nor continued nor fenced; the message names versions and remedy."""
    owner = written(memory, 1)
    header, _, rest = memory.s3.objects[KEYS.segment(2)][0].partition(b"\n")
    newer = json.dumps({**json.loads(header), "format": 99, "version": "7.5"}).encode() + b"\n" + rest
    memory.s3.put(KEYS.segment(2), newer)
    before = dict(memory.s3.objects)
    for act in (lambda: numbers(memory), lambda: S3Store(memory, ROOT).open(takeover=True)):
        with pytest.raises(NewerFormat, match=r"s3://memory/.*cloudtune 7\.5 \(log format 99\).*pip install --upgrade"):
            act()
    assert memory.s3.objects == before
    owner.close()


def test_a_follower_reads_only_what_is_new(bucket: Bucket, local_cloud: LocalCloud) -> None:
    """One listing each time, and one request for each new segment."""
    store = written(bucket, 3)
    follower = S3LogFollower(bucket, ROOT)
    assert sum(map(len, follower.new_blocks())) == 4
    for number in (3, 4):
        store.append([report(number)])
        store.flush()
    before = local_cloud.call_counts()
    assert [entry["number"] for block in follower.new_blocks() for entry in block] == [3, 4]
    assert list(follower.new_blocks()) == []
    after = local_cloud.call_counts()
    assert after["s3:ListObjectsV2"] - before["s3:ListObjectsV2"] == 2
    assert after["s3:GetObject"] - before["s3:GetObject"] == 2
    store.close()


def test_names_that_are_none_of_ours_are_passed_over(memory: MemoryBucket) -> None:
    """A file that somebody has laid beside the segments does no harm."""
    store = written(memory, 1)
    for key in (KEYS.log + "notes.txt", KEYS.log, KEYS.packed + "x.jsonl", KEYS.packed + "00000009-00000001.jsonl"):
        memory.s3.put(key, b"mine")
    assert numbers(memory) == [0]
    assert newest_entry(memory, ROOT) == report(0)
    store.close()


def test_packed_objects_may_overlap(memory: MemoryBucket) -> None:
    """Two tuners with other settings have packed the same log: each segment is read once."""
    store = written(memory, 9)
    bodies = [memory.s3.objects[KEYS.segment(seq)][0] for seq in range(1, 11)]
    for first, last in ((1, 4), (3, 6), (1, 6)):
        memory.s3.put(KEYS.pack(first, last), make_pack(bodies[first - 1 : last], first, last))
    assert numbers(memory) == list(range(9))
    store.close()
