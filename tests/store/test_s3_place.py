"""Where an experiment lies in S3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent import protocol
from cloudtune.aws.buckets import BucketUnusable
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.experiment_place import experiment_prefix
from cloudtune.aws.s3 import Bucket
from cloudtune.store.s3_place import S3Place
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_store import S3Store


@pytest.mark.parametrize(
    ("s3_path", "tag", "root"),
    [
        ("s3://data", None, "cloudtune/asha-1/asha-1/"),
        ("s3://data/", "study", "cloudtune/study/asha-1/"),
        ("s3://data/team/a/", "study", "team/a/cloudtune/study/asha-1/"),
        ("data", "", "cloudtune/asha-1/asha-1/"),
    ],
)
def test_the_root_of_an_experiment(s3_path: str, tag: str | None, root: str) -> None:
    """Bucket, prefix, tag or else name, name; the trials of a SageMaker backend lie below it."""
    place = S3Place.of(s3_path)
    assert place.bucket_name == "data"
    assert place.root("asha-1", tag) == root
    assert place.uri("asha-1", tag) == f"s3://data/{root}"
    assert protocol.Keys(f"{root}abc123").life.startswith(root)


def test_what_names_no_bucket() -> None:
    """It is refused with what would be right."""
    with pytest.raises(BucketUnusable, match="s3://name/prefix"):
        S3Place.of("s3://")


@given(st.text(max_size=20), st.text(max_size=20) | st.none())
def test_no_name_leads_out_of_the_prefix(name: str, tag: str | None) -> None:
    """Whatever tag and name are: the root has three parts below the prefix, or is refused."""
    try:
        root = experiment_prefix("team", tag, name)
    except InvalidRequest:
        return
    parts = root.split("/")
    assert parts[:2] == ["team", "cloudtune"]
    assert parts[4:] == [""]
    assert not {"", ".", ".."} & set(parts[:4])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ä", "a\n", "a" * 129])
def test_names_that_are_refused(name: str) -> None:
    """With a sentence that says what may be in one."""
    with pytest.raises(InvalidRequest, match="letters, digits, dots"):
        S3Place("data").root(name)


def test_an_empty_root_is_refused() -> None:
    """It would be the whole bucket."""
    for root in ("", "/"):
        with pytest.raises(ValueError, match="prefix"):
            LogKeys(root)


@pytest.mark.parametrize(
    ("root", "s3_path"),
    [
        ("cloudtune/study/asha-1/", "s3://data"),
        ("team/a/cloudtune/study/asha-1/", "s3://data/team/a"),
        ("cloudtune/cloudtune/asha-1/", "s3://data"),
        ("a/cloudtune/cloudtune/cloudtune/", "s3://data/a"),
        ("elsewhere/asha-1/", None),
    ],
)
def test_a_store_tells_where_experiments_lie(root: str, s3_path: str | None) -> None:
    """What stands before its usual root; nothing where somebody has chosen another root. The key is the bucket's."""
    store = S3Store(Bucket(Aws("eu-west-1"), "data", kms_key="key"), root)
    assert (store.s3_path, store.s3_region, store.kms_key) == (s3_path, "eu-west-1", "key")
