"""Conditional reads, writes, deletions and copies, against a simple model of S3."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.localcloud.gate.stand_in import StandIn, client, open_gate

BUCKET = "models"
KEYS = ("a", "folder/b")


def code_of(call: Any, **arguments: Any) -> str:
    """AWS's error code, or an empty string for success."""
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


keys = st.sampled_from(KEYS)
contents = st.sampled_from([b"", b"1", b"two"])
#: Of the object that is there, of none that is there, with and without quotes, or any.
etags = st.sampled_from([etag(b""), etag(b"1"), etag(b"1").strip('"'), etag(b"two"), etag(b"other")])
matches = st.none() | st.just("*") | etags


class S3Machine(RuleBasedStateMachine):
    """The model: a dictionary, and the rules of S3's documentation."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = open_gate()
        self.cloud = self.opened.__enter__()
        self.s3 = client("s3")
        self.model: dict[str, bytes] = {}

    @initialize()
    def create_bucket(self) -> None:
        self.s3.create_bucket(Bucket=BUCKET)

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)

    def write_code(self, key: str, if_match: str | None, if_none_match: bool) -> str:
        current = self.model.get(key)
        if if_match is not None:
            if current is None:
                return "NoSuchKey"
            if if_match != "*" and if_match.strip('"') != etag(current).strip('"'):
                return "PreconditionFailed"
        if if_none_match and current is not None:
            return "PreconditionFailed"
        return ""

    @staticmethod
    def conditions(if_match: str | None, if_none_match: bool) -> dict[str, str]:
        arguments = {} if if_match is None else {"IfMatch": if_match}
        return {**arguments, "IfNoneMatch": "*"} if if_none_match else arguments

    @rule(key=keys, content=contents, if_match=matches, if_none_match=st.booleans())
    def put(self, key: str, content: bytes, if_match: str | None, if_none_match: bool) -> None:
        expected = self.write_code(key, if_match, if_none_match)
        conditions = self.conditions(if_match, if_none_match)
        assert code_of(self.s3.put_object, Key=key, Body=content, **conditions) == expected
        if not expected:
            self.model[key] = content

    @rule(key=keys, content=contents, if_match=matches, if_none_match=st.booleans())
    def upload_in_parts(self, key: str, content: bytes, if_match: str | None, if_none_match: bool) -> None:
        upload = self.s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        part = self.s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=content)
        expected = self.write_code(key, if_match, if_none_match)
        found = code_of(
            self.s3.complete_multipart_upload,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
            **self.conditions(if_match, if_none_match),
        )
        assert found == expected
        if expected:
            self.s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
        else:
            # The ETag of parts is another one: written once more, so that the model can know it.
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
            self.model[key] = content

    @rule(key=keys, if_match=matches)
    def delete(self, key: str, if_match: str | None) -> None:
        expected = self.write_code(key, if_match, False)
        assert code_of(self.s3.delete_object, Key=key, **self.conditions(if_match, False)) == expected
        if not expected:
            self.model.pop(key, None)

    @rule(
        source=keys,
        to=keys,
        source_match=st.none() | etags,
        source_none_match=st.none() | etags,
        if_match=matches,
        if_none_match=st.booleans(),
    )
    def copy(
        self,
        source: str,
        to: str,
        source_match: str | None,
        source_none_match: str | None,
        if_match: str | None,
        if_none_match: bool,
    ) -> None:
        conditions = self.conditions(if_match, if_none_match)
        if source_match is not None:
            conditions["CopySourceIfMatch"] = source_match
        if source_none_match is not None:
            conditions["CopySourceIfNoneMatch"] = source_none_match
        copied = self.model.get(source)
        if copied is None:
            # Both are errors; which of them S3 tells first is not documented.
            assert code_of(self.s3.copy_object, Key=to, CopySource=f"{BUCKET}/{source}", **conditions) in (
                "NoSuchKey",
                "PreconditionFailed",
            )
            return
        is_same = etag(copied).strip('"')
        expected = ""
        if source_match is not None and source_match.strip('"') != is_same:
            expected = "PreconditionFailed"
        if source_none_match is not None and source_none_match.strip('"') == is_same:
            expected = "PreconditionFailed"
        expected = expected or self.write_code(to, if_match, if_none_match)
        found = code_of(
            self.s3.copy_object,
            Key=to,
            CopySource=f"{BUCKET}/{source}",
            MetadataDirective="REPLACE",
            **conditions,
        )
        assert found == expected
        if not expected:
            self.model[to] = copied

    @rule(key=keys, if_match=st.none() | etags, if_none_match=st.none() | etags)
    def get(self, key: str, if_match: str | None, if_none_match: str | None) -> None:
        current = self.model.get(key)
        arguments = {"IfMatch": if_match, "IfNoneMatch": if_none_match}
        found = code_of(self.s3.get_object, Key=key, **{name: each for name, each in arguments.items() if each})
        if current is None:
            assert found == "NoSuchKey"
        elif if_match is not None and if_match.strip('"') != etag(current).strip('"'):
            assert found == "PreconditionFailed"
        elif if_none_match is not None and if_none_match.strip('"') == etag(current).strip('"'):
            assert found == "304"
        else:
            assert found == ""

    @invariant()
    def everybody_sees_what_the_model_holds(self) -> None:
        if self.model or self.cloud.calls.counts():
            listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
            assert {each["Key"]: each["ETag"] for each in listed} == {
                key: etag(content) for key, content in self.model.items()
            }
            stored = {each.key: self.cloud.storage.read(BUCKET, each.key) for each in self.cloud.storage.list(BUCKET)}
            assert stored == self.model


TestS3 = pytest.mark.timeout(900)(S3Machine.TestCase)
TestS3.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestS3.__doc__ = "Whatever is written under whatever conditions, S3 refuses and holds exactly what it should."


@pytest.fixture
def s3(cloud: StandIn) -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    return s3


def race(contenders: list[Any]) -> None:
    """Runs all at the same moment."""
    gate = threading.Barrier(len(contenders))

    def run(contender: Any) -> None:
        gate.wait()
        contender()

    threads = [threading.Thread(target=run, args=(contender,)) for contender in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_conditional_put_has_exactly_one_winner(s3: Any) -> None:
    """Eight writers, thirty keys: each key is created by one of them, and holds what that one wrote."""
    clients = [client("s3") for _ in range(8)]
    winners: list[tuple[str, int]] = []

    def create(writer: int) -> None:
        for number in range(30):
            body = str(writer).encode()
            if not code_of(clients[writer].put_object, Key=f"key-{number}", Body=body, IfNoneMatch="*"):
                winners.append((f"key-{number}", writer))

    race([lambda writer=writer: create(writer) for writer in range(8)])
    assert sorted(key for key, _ in winners) == sorted(f"key-{number}" for number in range(30))
    for key, writer in winners:
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == str(writer).encode()


def test_a_counter_that_is_compared_and_swapped_is_exact(s3: Any) -> None:
    """Read, add one, write if unchanged, from eight threads: the count in the object is the number of successes."""
    s3.put_object(Bucket=BUCKET, Key="counter", Body=b"0")
    clients = [client("s3") for _ in range(8)]
    done: list[int] = []

    def count(writer: int) -> None:
        for _ in range(15):
            seen = clients[writer].get_object(Bucket=BUCKET, Key="counter")
            body = str(int(seen["Body"].read()) + 1).encode()
            if not code_of(clients[writer].put_object, Key="counter", Body=body, IfMatch=seen["ETag"]):
                done.append(writer)

    race([lambda writer=writer: count(writer) for writer in range(8)])
    assert int(s3.get_object(Bucket=BUCKET, Key="counter")["Body"].read()) == len(done) > 0


def test_readers_never_see_half_of_an_object(s3: Any, cloud: StandIn) -> None:
    """While an object is replaced again and again, every read gives one of its versions, whole, with its ETag."""
    versions = {etag(body): body for body in (bytes([number]) * 50_000 for number in range(8))}
    s3.put_object(Bucket=BUCKET, Key="a", Body=next(iter(versions.values())))
    ended = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        reader = client("s3")
        while not ended.is_set():
            answer = reader.get_object(Bucket=BUCKET, Key="a")
            if versions.get(answer["ETag"]) != answer["Body"].read():
                wrong.append("get")
            if any(each["ETag"] not in versions for each in reader.list_objects_v2(Bucket=BUCKET)["Contents"]):
                wrong.append("list")
            if cloud.storage.read(BUCKET, "a") not in versions.values():
                wrong.append("storage")

    def write() -> None:
        writer = client("s3")
        for _ in range(10):
            for body in versions.values():
                writer.put_object(Bucket=BUCKET, Key="a", Body=body)
        ended.set()

    race([read, read, write])
    assert not wrong
    assert not [call for call in cloud.calls.calls() if call.status >= 500]


def test_an_upload_that_lost_its_answer_can_be_completed_again(s3: Any) -> None:
    """Its own object is no reason to refuse it, even if it was to be created only where nothing is."""
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="a")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="a", UploadId=upload, PartNumber=1, Body=b"1")
    arguments = {"Key": "a", "UploadId": upload, "IfNoneMatch": "*"}
    arguments["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert [code_of(s3.complete_multipart_upload, **arguments) for _ in range(2)] == ["", ""]


def test_dates_are_conditions_of_copies(s3: Any) -> None:
    """With the precedence of the documentation: a matching ETag outweighs the date."""
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    copy = {"Key": "b", "CopySource": f"{BUCKET}/a"}
    past, future = "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
    assert code_of(s3.copy_object, **copy, CopySourceIfUnmodifiedSince=past) == "PreconditionFailed"
    assert code_of(s3.copy_object, **copy, CopySourceIfModifiedSince=future) == "PreconditionFailed"
    assert code_of(s3.copy_object, **copy, CopySourceIfModifiedSince=past) == ""
    assert code_of(s3.copy_object, **copy, CopySourceIfUnmodifiedSince=future) == ""
    both = {"CopySourceIfMatch": etag(b"1"), "CopySourceIfUnmodifiedSince": past}
    assert code_of(s3.copy_object, **copy, **both) == ""
    both = {"CopySourceIfNoneMatch": etag(b"1"), "CopySourceIfModifiedSince": past}
    assert code_of(s3.copy_object, **copy, **both) == "PreconditionFailed"


def test_a_part_is_copied_under_conditions_too(s3: Any) -> None:
    """UploadPartCopy has the conditions of a copy's source."""
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="b")["UploadId"]
    arguments = {"Key": "b", "UploadId": upload, "PartNumber": 1, "CopySource": f"{BUCKET}/a"}
    assert code_of(s3.upload_part_copy, **arguments, CopySourceIfMatch=etag(b"2")) == "PreconditionFailed"
    assert code_of(s3.upload_part_copy, **arguments, CopySourceIfMatch=etag(b"1")) == ""


def test_none_match_with_an_etag_is_not_implemented(s3: Any) -> None:
    """S3 knows only the asterisk there, and says so instead of writing unconditionally."""
    assert code_of(s3.put_object, Key="a", Body=b"", IfNoneMatch=etag(b"1")) == "NotImplemented"
