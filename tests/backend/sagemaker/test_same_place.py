"""Where trials are: what the user says, what the log has noted, and where the log itself lies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudtune.backend.sagemaker_backend.same_place import check_same_place, chosen_path, chosen_region
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.errors import ExperimentMismatch
from tests.backend.sagemaker.harness import make_backend

HERE = "us-east-1"
NOTED = {"place": "s3://noted/team/cloudtune/study/name/abcdef/", "region": "eu-west-1"}


def place(folder: Path, s3_path: str | None = None, **noted: str) -> ExperimentPlace:
    """Of an experiment whose log lies in S3, or on this machine."""
    region = None if s3_path is None else HERE
    return ExperimentPlace("name", "abcdef", folder, 1, "study", s3_path=s3_path, s3_region=region, trials_at=noted)


def test_trials_lie_beside_the_log(tmp_path: Path) -> None:
    """What the user gave the backend counts first, then what is noted, then the log's own place."""
    new = place(tmp_path, "s3://log/team")
    assert chosen_path(None, HERE, new) == "s3://log/team"
    assert chosen_path("s3://own", HERE, new) == "s3://own"
    begun = place(tmp_path, "s3://log", **NOTED)
    assert chosen_path(None, HERE, begun) == "s3://noted/team"
    assert chosen_path("s3://own", HERE, begun) == "s3://own"
    assert chosen_path(None, HERE, place(tmp_path)) is None
    plain = place(tmp_path, place="s3://noted/cloudtune/study/name/abcdef/")
    assert chosen_path(None, HERE, plain) == "s3://noted"


def test_jobs_of_another_region_do_not_use_the_logs_bucket(tmp_path: Path) -> None:
    """They have the default bucket of their own region: S3 and SageMaker would not work together across two."""
    assert chosen_path(None, "eu-west-1", place(tmp_path, "s3://log")) is None


def test_the_region_stays(tmp_path: Path) -> None:
    """One that is noted is kept, also against where the log is read; another one that the user gave is refused."""
    new, begun = place(tmp_path), place(tmp_path, **NOTED)
    assert chosen_region(None, False, new) is None
    assert chosen_region(HERE, True, new) == chosen_region(HERE, False, new) == HERE
    assert chosen_region(None, False, begun) == chosen_region(HERE, True, begun) == "eu-west-1"
    assert chosen_region("eu-west-1", False, begun) == "eu-west-1"
    with pytest.raises(ExperimentMismatch, match="run in eu-west-1, and this tuner would look for them in us-east-1"):
        chosen_region(HERE, False, begun)


def test_what_an_earlier_version_has_noted_counts(tmp_path: Path) -> None:
    """Its note lies beside the log on this machine; one of another experiment of that name does not count."""
    note = tmp_path / "sagemaker-place.json"
    note.write_text(json.dumps({"experiment_id": "abcdef", "place": NOTED["place"]}))
    assert chosen_path(None, HERE, place(tmp_path)) == "s3://noted/team"
    with pytest.raises(ExperimentMismatch, match="would look for them in s3://other/"):
        check_same_place(place(tmp_path), "s3://other/")
    check_same_place(place(tmp_path, place="s3://other/"), "s3://other/")
    note.write_text(json.dumps({"experiment_id": "fedcba", "place": NOTED["place"]}))
    assert chosen_path(None, HERE, place(tmp_path)) is None
    check_same_place(place(tmp_path), "s3://other/")


def test_credentials_of_this_machine_count_where_nothing_else_does() -> None:
    """A region counts where nothing else names one, a profile always; none leaves what was there."""
    backend = make_backend()
    backend.use_credentials(None, None)
    assert (backend.region, backend.profile) == (None, None)
    backend.use_credentials("eu-west-1", "work")
    assert (backend.region, backend.profile) == ("eu-west-1", "work")
    own = make_backend(region=HERE, profile="home")
    own.use_credentials("eu-west-1", None)
    assert (own.region, own.profile) == (HERE, "home")
    own.use_credentials("eu-west-1", "work")
    assert own.profile == "work"
