"""Copies of studies are brought up to date where they are read, as far as S3 can be reached; of several places one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudtune.aws.patience import Patience
from cloudtune.errors import CloudtuneError, ExperimentNotFound
from cloudtune.experiments import ComparativeResults, load_experiment, load_experiments, sync
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.experiments.in_s3 import DEFAULT_BUCKET, account
from tests.experiments.recorded import THREE_TRIALS
from tests.experiments.studies_in_s3 import Asked, ended, more_of, place, running

__all__ = ["account"]

pytestmark = pytest.mark.usefixtures("account")


def names(*arguments: str, **options: str | bool) -> list[str]:
    return sorted(one.name for one in load_experiments(*arguments, **options))  # type: ignore[arg-type]


def test_what_has_come_since_is_there(account: LocalCloud) -> None:
    """By one listing where nothing has; unless the copy is asked for as it is."""
    ended("study-0")
    assert names("study") == ["study-0"]
    ended("study-1")
    assert names("study", download_from_s3=False) == ["study-0"]
    assert names("study") == ["study-0", "study-1"]
    asked = Asked(account)
    asked.new()
    assert len(ComparativeResults("study").experiments) == 2
    assert asked.new() == {"ListObjectsV2": 1}
    ended("study-2")
    assert len(names("study", s3_path=f"s3://{DEFAULT_BUCKET}", download_from_s3=False)) == 2
    assert len(names("study", s3_path=f"s3://{DEFAULT_BUCKET}")) == 3


def test_one_that_runs_is_read_as_it_is_now(faults: CloudFaults, caplog: pytest.LogCaptureFixture) -> None:
    """Also by its own name; where S3 refuses, as the copy has it, which is told."""
    store = running("study-0", *THREE_TRIALS)
    sync("study")
    more_of(store, 5)
    assert len(load_experiment("study-0", download_if_not_found=False).results) == 6
    assert len(load_experiment("study-0").results) == 11
    more_of(store, 2)
    assert "could not be brought up to date" not in caplog.text
    faults.add("access_denied", operation="s3:*")
    assert len(load_experiment("study-0").results) == 11
    assert "is as old as its copy, " in caplog.text
    faults.clear()
    store.close()


def test_without_a_network_the_copy_serves_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One call is made, and not repeated; a warning tells how old the copy is."""
    ended("study-0")
    sync("study")
    # Nothing listens there, and a second try would wait for the patience that calls have otherwise.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("cloudtune.aws.clients.wait_for", lambda *_: pytest.fail("the call is repeated"))
    assert names("study") == ["study-0"]
    (told,) = [record.getMessage() for record in caplog.records if "as old as its copy" in record.getMessage()]
    assert "what is read of study 'study' is as old as its copy, " in told
    assert "got no answer" in told
    caplog.clear()
    assert names("study", download_from_s3=False) == ["study-0"]
    assert not caplog.records


@pytest.mark.parametrize(
    "read",
    [
        lambda: load_experiments("study", download_from_s3=True),
        lambda: load_experiments("study", s3_path=f"s3://{DEFAULT_BUCKET}"),
        lambda: load_experiments("absent"),
        lambda: load_experiment("absent"),
        lambda: load_experiment("study-0", s3_path=f"s3://{DEFAULT_BUCKET}"),
    ],
)
def test_without_a_network_a_download_is_given_up_soon(
    read: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call, which nothing answers, is repeated for seconds only, not for as long as calls are otherwise."""
    patiences: list[float | None] = []

    def none(seconds: float | None) -> Patience:
        patiences.append(seconds)
        return Patience(0.0)

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("cloudtune.aws.clients.Patience", none)
    with pytest.raises(CloudtuneError, match="got no answer"):
        read()
    (patience,) = patiences
    assert patience is not None
    assert 0 < patience <= 10


def test_what_has_gone_from_s3_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It is kept, and read; a study with the same name in another account is the usual reason."""
    ended("study-0")
    ended("study-1")
    sync("study")
    bucket = place().bucket
    bucket.delete([one.key for one in bucket.list("cloudtune/study/") if "study-1" in one.key])
    caplog.clear()
    assert names("study") == ["study-0", "study-1"]
    assert "what is read of experiment 'study-1' is an older copy: it is gone from S3" in caplog.text
    assert "study-0" not in caplog.text


def test_copies_of_several_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was just fetched, or the usual place, is meant; without one, each place is named as it is to be given."""
    ended("study-0")
    sync("study")
    ended("study-0", place="s3://data/team")
    sync("study", "s3://data/team")
    for options in ({}, {"download_from_s3": False}):
        with pytest.raises(ExperimentNotFound) as error:
            load_experiments("study", **options)  # type: ignore[arg-type]
        assert str(error.value).endswith(f"or set CLOUDTUNE_S3_PATH: s3://data/team, s3://{DEFAULT_BUCKET}")
        (one,) = load_experiments("study", s3_path="s3://data/team", **options)  # type: ignore[arg-type]
        assert one.place.startswith("s3://data/team/")
    (one,) = load_experiments("study", download_from_s3=True)
    assert one.place.startswith(f"s3://{DEFAULT_BUCKET}/")
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://data/team")
    for asked in (None, False, True):
        (one,) = load_experiments("study", download_from_s3=asked)
        assert one.place.startswith("s3://data/team/")
    assert load_experiment("study-0", download_if_not_found=False).place.startswith("s3://data/team/")


def test_copies_of_several_places_never_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no two of their experiments have one name: a tag at another place is another study."""
    ended("study-0")
    ended("study-1", place="s3://data/team")
    ended("other-0", tag="other", place="s3://data/team")
    for tag, place_of_it in (("study", None), ("study", "s3://data/team"), ("other", "s3://data/team")):
        sync(tag, place_of_it)
    for options in ({}, {"download_from_s3": False}):
        with pytest.raises(ExperimentNotFound, match=r"'study' of several places .*: s3://data/team, s3://sagemaker-"):
            load_experiments("study", **options)  # type: ignore[arg-type]
    assert names("other", download_from_s3=False) == ["other-0"]
    assert names("study", s3_path="s3://data/team", download_from_s3=False) == ["study-1"]
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{DEFAULT_BUCKET}")
    assert names("study", download_from_s3=False) == ["study-0"]
    assert load_experiment("study-1", download_if_not_found=False).place.startswith("s3://data/team/")
