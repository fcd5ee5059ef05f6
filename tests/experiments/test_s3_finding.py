"""Finding an experiment in S3 by its name."""

from __future__ import annotations

import pytest

from cloudtune.aws import s3_folders
from cloudtune.aws.clients import Aws
from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud import LocalCloud
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, recorded_in_s3

__all__ = ["account"]

pytestmark = pytest.mark.usefixtures("account")


def test_by_name_by_tag_and_by_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the account's bucket, in one that is named, and in the one that the environment names."""
    recorded_in_s3("demo")
    found = find_in_s3("demo")
    assert (found.uri, found.tag, found.name) == (f"s3://{DEFAULT_BUCKET}/cloudtune/demo/demo/", "", "demo")
    assert found.code == "cloudtune/code/"
    recorded_in_s3("other", tag="study", place="s3://data/team/a")
    place = "s3://data/team/a/cloudtune/study/other/"
    for name, s3_path in (("study/other", "s3://data/team/a"), ("other", "s3://data/team/a"), (place, None)):
        found = find_in_s3(name, s3_path)
        assert (found.uri, found.tag, found.name) == (place, "study", "other")
    assert found.code == "team/a/cloudtune/code/"
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://data/team/a")
    assert find_in_s3("other").uri == place
    with pytest.raises(ExperimentNotFound):
        find_in_s3("demo")


def test_one_that_has_only_been_launched(account: LocalCloud) -> None:
    """Its tuner has not begun a log yet; what a local tuner's trials have left is no experiment, though."""
    s3 = account.client("s3")
    s3.put_object(Bucket=DEFAULT_BUCKET, Key="cloudtune/new/new/remote/trials/0/0/task/task.json", Body=b"{}")
    assert find_in_s3("new").name == "new"
    s3.put_object(Bucket=DEFAULT_BUCKET, Key="cloudtune/local/local/abc123/life.json", Body=b"{}")
    with pytest.raises(ExperimentNotFound):
        find_in_s3("local")


def test_the_same_name_below_several_tags() -> None:
    """They are listed; one without a tag comes first, and needs no search."""
    for tag in ("first", "second"):
        recorded_in_s3("demo", tag=tag)
    with pytest.raises(ExperimentNotFound, match=r"2 experiments .* name one of first/demo, second/demo"):
        find_in_s3("demo")
    assert find_in_s3("second/demo").tag == "second"
    recorded_in_s3("demo")
    assert find_in_s3("demo").tag == ""


def test_many_tags_are_searched(account: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than S3 lists at a time."""
    monkeypatch.setattr(s3_folders, "_PAGE", 2)
    s3 = account.client("s3")
    for number in range(5):
        s3.put_object(Bucket=DEFAULT_BUCKET, Key=f"cloudtune/tag{number}/x/remote/a", Body=b"")
    recorded_in_s3("demo", tag="tag4")
    assert find_in_s3("demo").tag == "tag4"


def test_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where it looked and what is called alike."""
    with pytest.raises(ExperimentNotFound, match=r"no experiments there at all.*--s3-path or CLOUDTUNE_S3_PATH"):
        find_in_s3("demo")
    recorded_in_s3("demo-2026")
    recorded_in_s3("digits", tag="study")
    with pytest.raises(ExperimentNotFound, match=rf"s3://{DEFAULT_BUCKET}/cloudtune/; did you mean 'demo-2026'"):
        find_in_s3("demo-2025")
    with pytest.raises(ExperimentNotFound, match="did you mean 'study/digits'"):
        find_in_s3("study/digit")
    with pytest.raises(ExperimentNotFound, match="what is there begins with 'demo-2026', 'study'"):
        find_in_s3("zzz")
    for name in ("a/b/c", "../x", "x y", ""):
        with pytest.raises(ExperimentNotFound):
            find_in_s3(name)
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://no-such-bucket")
    with pytest.raises(ExperimentNotFound, match="there is no bucket no-such-bucket"):
        find_in_s3("demo-2026")


def test_an_account_without_its_bucket(account: LocalCloud) -> None:
    """Nothing was ever run there: that is said, and no bucket is made."""
    account.client("s3").delete_bucket(Bucket=DEFAULT_BUCKET)
    with pytest.raises(ExperimentNotFound, match=f"there is no bucket {DEFAULT_BUCKET}"):
        find_in_s3("demo", aws=Aws())
    assert [bucket["Name"] for bucket in account.client("s3").list_buckets()["Buckets"]] == ["data"]
