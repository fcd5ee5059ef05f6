"""Objects of a bucket, in the local cloud's S3."""

from __future__ import annotations

import io
import pickle
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import (
    AccessDenied,
    AwsError,
    Conflict,
    InvalidRequest,
    NotFound,
    ServiceFailure,
    Throttled,
    Unreachable,
)
from cloudtune.aws.s3 import Bucket, Got, Listed
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.conftest import ACCOUNT

OTHER = "999999999999"


def fill(bucket: Bucket, keys: list[str]) -> None:
    """Writes objects that hold their own names."""
    client = bucket.aws.client("s3")
    for key in keys:
        client.put_object(Bucket=bucket.name, Key=key, Body=key.encode())


def test_what_is_put_is_got(bucket: Bucket) -> None:
    """With its ETag, which tells one content from another; nothing is None, not an error."""
    etag = bucket.put("a/key", b"one")
    assert bucket.get("a/key") == Got(b"one", etag)
    assert bucket.put("a/key", b"two") != etag
    assert bucket.get("a/none") is None
    assert (bucket.exists("a/key"), bucket.exists("a/none")) == (True, False)
    assert bucket.head("a/key") == Listed("a/key", 3, bucket.put("a/key", b"two"))


def test_a_look_tells_the_age_by_the_clock_of_s3(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """However wrong the clock of this machine is: leases are judged by it."""
    etag = bucket.put("key", b"one")
    moto_says = bucket.aws.call("s3", "head_object", Bucket=bucket.name, Key="key")["LastModified"].timestamp()
    for hours in (-5, 0, 5):
        monkeypatch.setattr("time.time", lambda hours=hours: moto_says + 3600 * hours)
        seen = bucket.look("key")
        assert seen is not None
        assert (seen.body, seen.etag) == (b"one", etag)
        assert seen.age_seconds is not None
        assert 0 <= seen.age_seconds < 600
    assert bucket.look("none") is None


def test_an_answer_without_a_time_tells_no_age(bucket: Bucket) -> None:
    """Nobody is taken for dead because a proxy has left the time out."""
    bucket.put("key", b"one")

    def forget_the_time(parsed: dict[str, Any], **_: Any) -> None:
        del parsed["ResponseMetadata"]["HTTPHeaders"]["date"]

    bucket.aws.client("s3").meta.events.register("after-call.s3.GetObject", forget_the_time)
    seen = bucket.look("key")
    assert seen is not None
    assert seen.age_seconds is None


@given(st.text(min_size=1, max_size=60).filter(lambda key: key.isprintable() and len(key.encode()) <= 200))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_may_be_any_text(bucket: Bucket, key: str) -> None:
    """Spaces, signs of URLs and letters of any script come back as they were, from listings too."""
    if any(part in (".", "..") for part in key.split("/")) or key.startswith("/"):
        return  # HTTP clients take such paths for something else
    etag = bucket.put("keys/" + key, b"x")
    assert bucket.get("keys/" + key) == Got(b"x", etag)
    assert bucket.list("keys/" + key) == [Listed("keys/" + key, 1, etag)]
    bucket.copy_many([("keys/" + key, "copies/" + key, 1)])
    assert bucket.exists("copies/" + key)
    bucket.delete(["keys/" + key, "copies/" + key])
    assert bucket.list("") == []


def test_only_one_of_many_creates_an_object(bucket: Bucket) -> None:
    """The others learn that they lost: this is what leases are built on."""
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait(60)
        try:
            bucket.put("lease", b"%d" % number, if_none_match=True)
            outcomes.append("won")
        except Conflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]


def test_an_object_is_replaced_only_in_the_version_that_was_read(bucket: Bucket) -> None:
    """Who read an older one, or one that is gone, is told of a conflict; a bucket that is gone is something else."""
    etag = bucket.put("key", b"one")
    newer = bucket.put("key", b"two", if_match=etag)
    with pytest.raises(Conflict):
        bucket.put("key", b"three", if_match=etag)
    bucket.delete(["key"])
    with pytest.raises(Conflict, match="not there any more"):
        bucket.put("key", b"three", if_match=newer)
    with pytest.raises(NotFound):
        Bucket(bucket.aws, "no-such-bucket").put("key", b"three", if_match=newer)


def test_a_conditional_write_whose_answer_was_lost_meets_itself(bucket: Bucket, faults: CloudFaults) -> None:
    """412 may be our own object: ``put`` leaves that to the caller, ``put_own`` compares."""
    faults.add("answer_lost", operation="s3:PutObject", resource="data/lost-*", count=2)
    with pytest.raises(Conflict):
        bucket.put("lost-1", b"nonce 1", if_none_match=True)
    assert bucket.put_own("lost-2", b"nonce 2", if_none_match=True) == bucket.put("x", b"nonce 2")
    etag = bucket.put("lost-3", b"one")
    faults.add("answer_lost", operation="s3:PutObject", resource="data/lost-3", count=1)
    assert bucket.put_own("lost-3", b"nonce 3", if_match=etag) == bucket.put("x", b"nonce 3")


def test_anothers_object_is_a_conflict_for_put_own_too(bucket: Bucket) -> None:
    """Only the very same content is taken for our own."""
    bucket.put("key", b"theirs")
    with pytest.raises(Conflict):
        bucket.put_own("key", b"ours", if_none_match=True)
    assert bucket.get("key") is not None


def test_many_objects_are_read_at_once(bucket: Bucket, local_cloud: LocalCloud) -> None:
    """One request each, however often a key is named; those that do not exist are left out."""
    keys = [f"many/{number}" for number in range(40)]
    fill(bucket, keys)
    got = bucket.get_many([*keys, "many/none", keys[0]])
    assert {key: one.body for key, one in got.items()} == {key: key.encode() for key in keys}
    assert list(got) == keys
    assert local_cloud.call_counts()["s3:GetObject"] == 41
    assert bucket.get_many([]) == {}


class Meeting:
    """A client whose requests are answered only when so many of them have come."""

    def __init__(self, requests: int) -> None:
        self._all = threading.Barrier(requests)

    def get_object(self, Key: str, **place: str) -> dict[str, Any]:  # noqa: N803 - S3's name
        self._all.wait(60)
        return {"Body": io.BytesIO(Key.encode()), "ETag": "1"}


def test_objects_are_really_read_in_parallel(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request waits for the answer to another."""
    client = Meeting(8)
    monkeypatch.setattr(aws, "client", lambda service, attempts=None: client)
    assert len(Bucket(aws, "data").get_many([str(number) for number in range(8)])) == 8


@pytest.mark.defect("E11")
def test_a_thousand_keys_go_into_one_request(bucket: Bucket, local_cloud: LocalCloud) -> None:
    """1,050 objects are two pages to list, and two requests to delete; the rest of the bucket stays."""
    keys = [f"list/{number:04}" for number in range(1050)]
    fill(bucket, [*keys, "stays"])
    found = bucket.list("list/")
    assert [one.key for one in found] == keys
    assert {one.size for one in found} == {len("list/0000")}
    assert local_cloud.call_counts()["s3:ListObjectsV2"] == 2
    assert [one.key for one in bucket.list("list/", start_after="list/1047")] == ["list/1048", "list/1049"]
    assert bucket.list("none/") == []
    assert local_cloud.call_counts()["s3:ListObjectsV2"] == 4
    assert bucket.delete_prefix("list/") == 1050
    assert local_cloud.call_counts()["s3:DeleteObjects"] == 2
    assert [one.key for one in bucket.list("")] == ["stays"]


def test_folders_are_named_without_what_is_in_them(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is on one of the pages, however much is in it; all pages are read."""
    folders = [f"{number:02d}" for number in range(11)]
    for key in ["top/file", "other/0/file", *(f"top/{name}/file" for name in folders), "top/00/deep/file"]:
        bucket.put(key, b"")
    pages: list[dict[str, Any]] = []

    def small_page(prefix: str, more: dict[str, str], client: Any) -> dict[str, Any]:
        pages.append(client.list_objects_v2(**bucket.place, Prefix=prefix, MaxKeys=5, **more))
        return pages[-1]

    monkeypatch.setattr(bucket, "_page", small_page)
    assert bucket.folders("top/") == folders
    assert len(pages) == 3
    assert bucket.folders("none/") == []


def test_deleting_what_is_not_there_is_no_error(bucket: Bucket, local_cloud: LocalCloud) -> None:
    """A key named twice is deleted once; nothing to delete is no request."""
    bucket.delete(["none", "none"])
    bucket.delete([])
    assert local_cloud.call_counts()["s3:DeleteObjects"] == 1


def test_deleting_an_empty_prefix_is_refused(bucket: Bucket) -> None:
    """It would be the whole bucket."""
    with pytest.raises(ValueError, match="whole bucket"):
        bucket.delete_prefix("")


class PartlyDeleting:
    """A client whose DeleteObjects answers with errors for some keys."""

    def __init__(self, answers: list[list[dict[str, str]]]) -> None:
        self.answers = answers
        self.asked: list[list[str]] = []

    def delete_objects(self, Delete: dict[str, Any], **place: str) -> dict[str, Any]:  # noqa: N803 - S3's name
        self.asked.append([one["Key"] for one in Delete["Objects"]])
        errors = self.answers.pop(0)
        return {"Errors": errors} if errors else {}


def test_keys_that_could_not_be_deleted_are_told_or_tried_again(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """DeleteObjects succeeds as a call; each key has its own error. (The local cloud never answers so.)"""
    failing = {"Key": "b", "Code": "InternalError", "Message": "We encountered an internal error."}
    client = PartlyDeleting([[failing], []])
    monkeypatch.setattr(aws, "client", lambda service, attempts=None: client)
    Bucket(aws, "data").delete(["a", "b", "c"])
    assert client.asked == [["a", "b", "c"], ["b"]]
    denied = {"Key": "c", "Code": "AccessDenied", "Message": "Access Denied"}
    client.answers = [[failing, denied]]
    with pytest.raises(AccessDenied, match="s3://data/c"):
        Bucket(aws, "data").delete(["a", "b", "c"])


ALL_WAYS = {
    "put": lambda bucket: bucket.put("key", b"x"),
    "get": lambda bucket: bucket.get("key"),
    "get_many": lambda bucket: bucket.get_many(["key", "key2"]),
    "exists": lambda bucket: bucket.exists("key"),
    "list": lambda bucket: bucket.list(""),
    "delete": lambda bucket: bucket.delete(["key"]),
    "copy_many": lambda bucket: bucket.copy_many([("key", "key2", 1)]),
}


@pytest.mark.parametrize("way", ALL_WAYS)
def test_a_bucket_of_another_account_is_refused(bucket: Bucket, way: str) -> None:
    """Nothing is written to or read from a bucket that somebody else took the name of."""
    bucket.put("key", b"x")
    with pytest.raises(AccessDenied):
        ALL_WAYS[way](Bucket(bucket.aws, "data", OTHER))


@pytest.mark.parametrize(
    ("way", "fault"),
    [(way, "answer_lost") for way in ALL_WAYS]
    + [("put", fault) for fault in ("slow_down", "throttle", "internal_error", "request_lost")],
)
def test_what_passes_is_repeated(bucket: Bucket, faults: CloudFaults, way: str, fault: str) -> None:
    """Every call survives what S3 and networks do at times."""
    bucket.put("key", b"x")
    faults.add(fault, operation="s3:*", count=1)
    ALL_WAYS[way](bucket)
    assert faults.fired()


@pytest.mark.parametrize(
    ("fault", "expected"), [("slow_down", Throttled), ("internal_error", ServiceFailure), ("request_lost", Unreachable)]
)
def test_an_impatient_bucket_tells_at_once(
    bucket: Bucket, faults: CloudFaults, local_cloud: LocalCloud, fault: str, expected: type[AwsError]
) -> None:
    """A loop that lists every second does not want to hang in one listing for a minute."""
    faults.add(fault, operation="s3:ListObjectsV2")
    with pytest.raises(expected):
        bucket.with_patience(0).list("")
    assert local_cloud.call_counts()["s3:ListObjectsV2"] == 1


def test_an_outage_longer_than_botocores_patience_is_survived(bucket: Bucket, faults: CloudFaults) -> None:
    """botocore gives up after a number of tries that all threads share; we go on for the time that was promised."""
    bucket.aws._connections.clients.clear()
    impatient = bucket.aws.client("s3", 1)
    bucket.aws._connections.clients["s3", 10] = impatient  # as if botocore's quota of repetitions were used up
    faults.add("internal_error", operation="s3:PutObject", count=1)
    bucket.put("key", b"x")
    assert bucket.exists("key")


def test_no_bucket_is_not_taken_for_no_object(aws: Aws) -> None:
    """Otherwise a misspelt name would look like an experiment that has not begun."""
    nowhere = Bucket(aws, "no-such-bucket")
    with pytest.raises(NotFound, match="s3://no-such-bucket/key"):
        nowhere.get("key")
    with pytest.raises(NotFound):
        nowhere.list("")
    with pytest.raises(NotFound):
        nowhere.get_many(["a", "b"])


def test_a_name_that_no_bucket_can_have(aws: Aws) -> None:
    """Refused before S3 is asked, with the name."""
    with pytest.raises(InvalidRequest, match="Not a bucket"):
        Bucket(aws, "Not a bucket").get("key")


def test_a_key_of_kms_encrypts_what_is_written(bucket: Bucket) -> None:
    """On put and copy; without one nothing is said, and the bucket's own encryption holds."""
    safe = Bucket(bucket.aws, "data", ACCOUNT, kms_key="alias/ours")
    safe.put("put", b"x")
    bucket.put("plain", b"x")
    safe.copy_many([("plain", "copied", 1)])
    client = bucket.aws.client("s3")
    for key, expected in (("put", "alias/ours"), ("copied", "alias/ours"), ("plain", None)):
        assert client.head_object(Bucket="data", Key=key).get("SSEKMSKeyId") == expected, key


def test_a_bucket_can_be_sent_to_another_process(bucket: Bucket) -> None:
    """With all that it was told."""
    copy = pickle.loads(pickle.dumps(bucket.with_patience(7)))
    copy.put("key", b"x")
    assert (copy.owner, copy.patience, copy.uri("key")) == (ACCOUNT, 7, "s3://data/key")
    assert bucket.exists("key")
