"""ListObjectsV2."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response

from cloudtune.localcloud.gate import s3_gate
from tests.localcloud.gate.stand_in import StandIn, client

BUCKET = "models"
names = st.text(st.sampled_from("ab/ +&<é\n%"), min_size=1, max_size=6)


@pytest.fixture
def s3(cloud: StandIn) -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    return s3


def expected(keys: set[str], prefix: str, delimiter: str, after: str) -> list[str]:
    """Keys, and folders in place of what lies in them, as the documentation has it."""
    shown = set()
    for key in keys:
        if key.startswith(prefix):
            head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            shown.add(prefix + head + cut if cut else key)
    return sorted(each for each in shown if each > after)


def test_pages_are_together_what_is_there(s3: Any) -> None:
    """For any keys, prefix, delimiter, beginning and size of page: all of it, once, in order, with true counts."""
    backend = s3_backends["123456789012"]["aws"]

    @given(
        st.sets(names, max_size=10),
        st.text(st.sampled_from("ab/ +"), max_size=2),
        st.sampled_from(["", "/", "a"]),
        st.just("") | names,
        st.integers(1, 4) | st.just(5000),
    )
    def check(keys: set[str], prefix: str, delimiter: str, after: str, most: int) -> None:
        backend.reset()
        backend.create_bucket(BUCKET, "us-east-1", None)
        for key in keys:
            backend.put_object(BUCKET, key, key.encode())
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter, StartAfter=after, PaginationConfig={"PageSize": most}
        )
        seen: list[str] = []
        for page in pages:
            content = [each["Key"] for each in page.get("Contents", [])]
            folders = [each["Prefix"] for each in page.get("CommonPrefixes", [])]
            assert page["KeyCount"] == len(content) + len(folders) <= page["MaxKeys"] == min(most, 1000)
            assert (page["Name"], page["Prefix"]) == (BUCKET, prefix)
            seen += sorted(content + folders)
            assert all(each["Size"] == len(each["Key"].encode()) for each in page.get("Contents", []))
        assert seen == expected(keys, prefix, delimiter, after)

    check()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"Prefix": "a", "Delimiter": "/"},
        {"MaxKeys": 1},
        {"MaxKeys": 0},
        {"StartAfter": "a/1", "FetchOwner": True},
        {"Prefix": "nothing"},
    ],
)
def test_the_answer_is_the_one_of_moto(s3: Any, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    """Member by member, save for the display name of the owner, which S3 no longer gives."""
    s3.put_object(Bucket=BUCKET, Key="a/1", Body=b"1")
    s3.put_object(Bucket=BUCKET, Key="a/2", Body=b"22", ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket=BUCKET, Key="b & <c>", Body=b"", StorageClass="STANDARD_IA")
    ours = s3.list_objects_v2(Bucket=BUCKET, **arguments)

    def by_moto(backend: object, bucket: object, request: Any) -> Any:
        return S3Response().bucket_response(request, request.raw_url, request.headers)

    monkeypatch.setattr(s3_gate, "list_objects_v2", by_moto)
    motos = s3.list_objects_v2(Bucket=BUCKET, **arguments)
    for answer in (ours, motos):
        del answer["ResponseMetadata"]
        for each in answer.get("Contents", []):
            each.get("Owner", {}).pop("DisplayName", None)
    assert ours == motos


def test_a_token_is_repeated_and_a_false_one_refused(s3: Any) -> None:
    """As paginators want it."""
    for key in "abc":
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    token = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=2)["NextContinuationToken"]
    page = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=2, ContinuationToken=token)
    assert (page["ContinuationToken"], [each["Key"] for each in page["Contents"]]) == (token, ["c"])
    with pytest.raises(s3.exceptions.ClientError, match="continuation token provided is incorrect"):
        s3.list_objects_v2(Bucket=BUCKET, ContinuationToken="invented")
