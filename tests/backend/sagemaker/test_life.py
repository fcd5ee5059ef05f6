"""The life object: signs of life, wishes, and the fence between two tuners."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from cloudtune.agent.protocol import Keys
from cloudtune.aws.errors import ServiceFailure
from cloudtune.aws.s3 import Bucket
from cloudtune.backend.sagemaker_backend import life as life_module
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.life import LifeWriter
from cloudtune.errors import Fenced
from cloudtune.localcloud import LocalCloud

KEYS = Keys("cloudtune/tag/name/abcdef")
LIFE = KEYS.life


def life(bucket: Bucket) -> dict[str, Any]:
    got = bucket.get(LIFE)
    assert got is not None
    value: dict[str, Any] = json.loads(got.body)
    return value


def test_wishes_stand_in_the_next_write(bucket: Bucket, desk: Desk) -> None:
    """A wish is written at the next turn, with all others; it goes when the attempt is over."""
    writer = LifeWriter(desk, bucket, KEYS, interval=1000)
    writer.begin()
    assert life(bucket)["wishes"] == {}
    assert writer.turn() > 900  # type: ignore[operator]
    writer.wish(3, 0, "stop")
    writer.wish(4, 1, "pause")
    writer.turn()
    assert life(bucket)["wishes"] == {"3-0": "stop", "4-1": "pause"}
    writer.forget(3, 0)
    writer.wish(5, 0, "stop")
    writer.turn()
    assert life(bucket)["wishes"] == {"4-1": "pause", "5-0": "stop"}


def test_a_sign_of_life_changes_the_object(bucket: Bucket, desk: Desk) -> None:
    """Without any wish the object changes at every interval; in between nothing is written."""
    writer = LifeWriter(desk, bucket, KEYS, interval=0.000001)
    writer.begin()
    first = bucket.get(LIFE)
    writer.turn()
    second = bucket.get(LIFE)
    assert first is not None
    assert second is not None
    assert first.etag != second.etag


def test_the_former_tuner_is_fenced(bucket: Bucket, desk: Desk) -> None:
    """When another tuner has begun, the former one stops at its next write, and what the new one wrote stays."""
    old = LifeWriter(desk, bucket, KEYS, interval=1000)
    old.begin()
    new = LifeWriter(desk, bucket, KEYS, interval=1000)
    new.begin()
    new.wish(1, 0, "pause")
    new.turn()
    old.wish(1, 0, "stop")
    with pytest.raises(Fenced, match="another tuner drives the experiment at s3://data/cloudtune/tag/name/abcdef/"):
        old.turn()
    assert life(bucket)["wishes"] == {"1-0": "pause"}
    new.wish(2, 0, "stop")
    new.turn()
    assert life(bucket)["wishes"] == {"1-0": "pause", "2-0": "stop"}


def test_who_drives_can_be_asked(bucket: Bucket, desk: Desk) -> None:
    """The newest to begin is confirmed, with the object or without; a former one is not, before any write of its."""
    old = LifeWriter(desk, bucket, KEYS, interval=1000)
    old.begin()
    old.confirm()
    new = LifeWriter(desk, bucket, KEYS, interval=1000)
    new.begin()
    new.confirm()
    with pytest.raises(Fenced):
        old.confirm()
    bucket.delete([LIFE])
    new.confirm()


def test_who_has_stood_still_asks_before_it_changes_a_job(
    bucket: Bucket, desk: Desk, local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second of a sign of life nobody is asked; later S3 is, once, by a clock that went on meanwhile."""
    clock = 1000.0
    monkeypatch.setattr(life_module, "_with_sleep", lambda: clock)
    old = LifeWriter(desk, bucket, KEYS, interval=1000)
    old.begin()
    gets = local_cloud.call_counts()["s3:GetObject"]
    old.confirm_unless_certain()
    assert local_cloud.call_counts()["s3:GetObject"] == gets
    clock += 60.0
    for _ in range(2):
        old.confirm_unless_certain()
    assert local_cloud.call_counts()["s3:GetObject"] == gets + 1
    LifeWriter(desk, bucket, KEYS, interval=1000).begin()
    clock += 60.0
    for confirm in (old.confirm_unless_certain, old.confirm_if_possible):
        with pytest.raises(Fenced):
            confirm()
    local_cloud.faults.add("internal_error", operation="s3:GetObject")
    impatient = LifeWriter(desk, bucket.with_patience(0), KEYS, interval=1000)
    impatient.confirm_if_possible()
    with pytest.raises(ServiceFailure):
        impatient.confirm_unless_certain()


def test_a_lost_answer_is_no_fence(bucket: Bucket, desk: Desk, local_cloud: LocalCloud) -> None:
    """A write whose answer was lost may have been done: its own nonce tells the tuner that nobody else wrote."""
    writer = LifeWriter(desk, bucket, KEYS, interval=1000)
    writer.begin()
    local_cloud.faults.add("answer_lost", operation="s3:PutObject", count=1)
    writer.wish(1, 0, "stop")
    for _ in range(3):
        writer.turn()
    assert local_cloud.faults.fired()
    assert life(bucket)["wishes"] == {"1-0": "stop"}


def test_a_deleted_object_is_written_anew(bucket: Bucket, desk: Desk) -> None:
    """Somebody who deletes the object does not end the tuner."""
    writer = LifeWriter(desk, bucket, KEYS, interval=1000)
    writer.begin()
    bucket.delete([LIFE])
    writer.wish(1, 0, "stop")
    for _ in range(3):
        writer.turn()
    assert life(bucket)["wishes"] == {"1-0": "stop"}


def test_it_outlives_a_failure_of_s3(
    bucket: Bucket, desk: Desk, local_cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """While S3 fails, the wish waits; it is written as soon as S3 answers, and the user reads of both."""
    impatient = Bucket(bucket.aws, "data", "123456789012", patience=0)
    writer = LifeWriter(desk, impatient, KEYS, interval=1000)
    writer.begin()
    local_cloud.faults.add("internal_error", operation="s3:PutObject", count=2)
    with caplog.at_level(logging.INFO):
        writer.start()
        writer.wish(1, 0, "stop")
        while life(bucket)["wishes"] != {"1-0": "stop"}:
            assert writer.is_alive()
            desk.bell.wait(0.02)
        while "works again" not in caplog.text:
            desk.bell.wait(0.02)
        desk.closing.set()
        writer.join()
    assert "does not work at the moment, nothing is lost" in caplog.text


def test_a_first_write_that_was_lost_is_no_fence(bucket: Bucket, desk: Desk, local_cloud: LocalCloud) -> None:
    """What a tuner that is gone has left behind is no sign of another one: the write is made again."""
    LifeWriter(desk, bucket, KEYS, interval=1000).begin()
    local_cloud.faults.add("write_lost", operation="s3:PutObject", count=1)
    writer = LifeWriter(desk, bucket, KEYS, interval=1000)
    writer.begin()
    writer.wish(1, 0, "stop")
    for _ in range(3):
        writer.turn()
    assert life(bucket)["wishes"] == {"1-0": "stop"}
