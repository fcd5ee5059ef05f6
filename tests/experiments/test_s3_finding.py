"""Finding an experiment in S3 by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.aws import s3_folders
from cloudtune.aws.clients import Aws
from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud import LocalCloud
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, recorded_in_s3
from tests.experiments.recorded import recorded

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


@pytest.mark.parametrize(("tag", "label"), [("", "demo"), ("study", "study/demo")])
def test_what_commands_are_to_be_told(monkeypatch: pytest.MonkeyPatch, tag: str, label: str) -> None:
    """The name alone where they look by themselves, else all that it takes: to find, by that, the very same."""
    recorded_in_s3("demo", tag=tag)
    found = find_in_s3(label)
    assert found.known_as == label
    own = f"s3://{DEFAULT_BUCKET}/cloudtune/{tag or 'demo'}/demo"
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://data/team/")
    assert found.known_as == own
    assert find_in_s3(own).uri == found.uri
    recorded_in_s3("demo", tag=tag, place="s3://data/team")
    elsewhere = find_in_s3(label)
    assert (elsewhere.known_as, elsewhere.prefix) == (label, "team")
    monkeypatch.delenv("CLOUDTUNE_S3_PATH")
    assert elsewhere.known_as == f"s3://data/team/cloudtune/{tag or 'demo'}/demo"


def test_commands_are_told_of_profile_and_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where they are not those of the environment."""
    recorded_in_s3("demo")
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile work]\nregion = eu-west-1\n")
    credentials.write_text("[work]\naws_access_key_id = worker\naws_secret_access_key = worker\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    assert find_in_s3("demo", aws=Aws("us-east-1", "work")).known_as == "demo --profile work"
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert find_in_s3("demo", aws=Aws("us-east-1")).known_as == "demo --region us-east-1"
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert find_in_s3("demo", aws=Aws("us-east-1", "work")).known_as == "demo --region us-east-1"


def test_commands_find_what_is_on_this_machine_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So one in S3 that is called alike is told by its place."""
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path))
    recorded_in_s3("demo")
    recorded("demo")
    assert find_in_s3("demo").known_as == f"s3://{DEFAULT_BUCKET}/cloudtune/demo/demo"
    recorded_in_s3("demo", tag="study")
    assert find_in_s3("study/demo").known_as == "study/demo"


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
    with pytest.raises(ExperimentNotFound, match="s3://data/team is not the place of an experiment"):
        find_in_s3("s3://data/team")
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
