"""What has changed below a prefix."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cloudtune.aws.errors import AwsError
from cloudtune.aws.s3 import Bucket, Listed
from cloudtune.aws.s3_listing import Listing
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults

KEYS = ["in/a", "in/b", "in/c", "out/a"]
steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from([b"1", b"2"])),
    st.tuples(st.just("delete"), st.sampled_from(KEYS), st.none()),
    st.tuples(st.just("look"), st.none(), st.none()),
)


LOOK = ("look", None, None)


@given(st.lists(steps, max_size=12))
@example([("put", "in/a", b"1"), LOOK, ("put", "in/a", b"2"), LOOK, ("put", "in/a", b"2")])
@example([("put", "in/a", b"1"), LOOK, ("delete", "in/a", None), LOOK, ("put", "in/a", b"1")])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_look_tells_what_differs_from_the_last(bucket: Bucket, history: list[tuple[str, Any, Any]]) -> None:
    """Whatever is written and deleted: the objects whose content is another, and those that are gone."""
    bucket.delete(KEYS)
    listing = Listing(bucket, "in/")
    now: dict[str, bytes] = {}
    seen: dict[str, bytes] = {}
    for what, key, body in [*history, LOOK]:
        if what == "put":
            bucket.put(key, body)
            now[key] = body
        elif what == "delete":
            bucket.delete([key])
            now.pop(key, None)
        else:
            inside = {key: body for key, body in now.items() if key.startswith("in/")}
            changed = [one.key for one in listing.changed()]
            assert changed == sorted(key for key in inside if inside[key] != seen.get(key))
            assert sorted(listing.gone) == sorted(set(seen) - set(inside))
            seen = inside


@pytest.mark.defect("E3")
def test_a_look_costs_one_request_however_many_objects_there_are(bucket: Bucket, local_cloud: LocalCloud) -> None:
    """A hundred running trials, nothing new: one listing, and not one call of an operation with a rate."""
    client = bucket.aws.client("s3")
    for number in range(100):
        client.put_object(Bucket="data", Key=f"in/{number}-0.json", Body=b"{}")
    listing = Listing(bucket, "in/")
    assert len(listing.changed()) == 100
    before = local_cloud.call_counts()
    assert listing.changed() == []
    after = local_cloud.call_counts()
    assert {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)} == {
        "s3:ListObjectsV2": 1
    }


def test_nothing_is_lost_by_a_look_that_fails(bucket: Bucket, faults: CloudFaults) -> None:
    """The next one tells it."""
    listing = Listing(bucket.with_patience(0), "in/")
    assert listing.changed() == []
    etag = bucket.put("in/a", b"1")
    faults.add("request_lost", operation="s3:ListObjectsV2", count=1)
    with pytest.raises(AwsError):
        listing.changed()
    assert listing.changed() == [Listed("in/a", 1, etag)]


def test_an_object_that_could_not_be_read_is_told_again(bucket: Bucket) -> None:
    """Whoever failed to make use of a change asks to hear of it once more."""
    listing = Listing(bucket, "in/")
    bucket.put("in/a", b"1")
    assert [one.key for one in listing.changed()] == ["in/a"]
    listing.forget("in/a")
    assert [one.key for one in listing.changed()] == ["in/a"]
    assert listing.changed() == []


def test_how_old_an_object_is_by_the_clock_of_s3(bucket: Bucket) -> None:
    """A listing tells it, so that nobody has to read an object to know; equality of rows does not count it."""
    bucket.put("in/a", b"1")
    (listed,) = bucket.list("in/")
    seen = bucket.look("in/a")
    assert seen is not None
    assert listed.age_seconds is not None
    assert seen.age_seconds is not None
    assert 0 <= listed.age_seconds <= seen.age_seconds
