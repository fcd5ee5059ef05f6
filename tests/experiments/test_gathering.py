"""Gathering the results of a study: all of them, only what has changed, and nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments import list_experiments, load_experiment, load_experiments, sync
from cloudtune.localcloud import LocalCloud
from cloudtune.store.places import experiment_path, experiments_root
from cloudtune.store.s3_store import S3Store
from tests.experiments.in_s3 import DEFAULT_BUCKET, account
from tests.experiments.recorded import THREE_TRIALS, recorded, row, trial
from tests.experiments.studies_in_s3 import (
    Asked,
    ended,
    finish,
    killed,
    killed_early,
    more_of,
    of_older_version,
    place,
    running,
)
from tests.store.opened_s3 import settle

__all__ = ["account"]

pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def asked(account: LocalCloud) -> Asked:
    return Asked(account)


def test_a_study_is_copied_and_read_from_the_copy(account: LocalCloud) -> None:
    """What is read offline is what load_experiment reads from the logs in S3: values, types, metadata, order."""
    ended("study-b", trial(0, lr=0.5, n=[1, 2]), row(0, 1.0, loss=float("nan"), ok=True), created=2.0)
    ended("study-a", created=1.0)
    s3 = {name: load_experiment(f"study/{name}", s3_path=f"s3://{DEFAULT_BUCKET}") for name in ("study-a", "study-b")}
    gathered = sync("study")
    assert (gathered.fetched, gathered.read, gathered.unchanged) == (["study-a", "study-b"], [], [])
    calls = len(account.calls())
    loaded = load_experiments("study", download_from_s3=False)
    assert [one.name for one in loaded] == ["study-a", "study-b"]
    for one in loaded:
        pd.testing.assert_frame_equal(one.results, s3[one.name].results)
        assert one.metadata == s3[one.name].metadata
        assert one.place == s3[one.name].place == f"s3://{DEFAULT_BUCKET}/cloudtune/study/{one.name}/"
        assert one.path == experiment_path(one.name)
        assert load_experiment(one.name).results.equals(one.results)
    assert load_experiment("study/study-a").best_config() == s3["study-a"].best_config()
    assert len(account.calls()) == calls, "the network was used"


def test_nothing_has_changed(asked: Asked) -> None:
    """One listing tells so, and nothing is fetched, whatever lies in the folders of the experiments."""
    for number in range(3):
        ended(f"study-{number}")
    killed("study-dead")
    asked.new()
    sync("study")
    first = asked.new()
    assert first["ListObjectsV2"] == 2 + 2, "the results, the folders; of the log its segments, and what is packed"
    assert first["GetObject"] == 4 + 3, "the results; two segments of the log, and its metadata"
    place().bucket.delete([place().results_of("study-dead")])
    ended("study-dead")  # continued, and done
    sync("study")
    asked.new()
    again = sync("study")
    assert asked.new() == {"ListObjectsV2": 1}
    assert again.unchanged == ["study-0", "study-1", "study-2", "study-dead"]


def test_only_what_has_changed(asked: Asked) -> None:
    """A new experiment, and one that was continued, are fetched; the others are not."""
    ended("study-0")
    ended("study-1", state="interrupted")
    sync("study")
    store = S3Store(place().bucket, place().experiment("study-1"))
    store.open()
    store.append([row(0, 20.0, loss=0.01, epoch=9), finish()])
    store.write_metadata({"metric_names": ["loss"], "metric_mode": "min", "st_tuner_creation_timestamp": 1.0})
    store.close()
    ended("study-2")
    asked.new()
    gathered = sync("study")
    assert (gathered.fetched, gathered.unchanged) == (["study-1", "study-2"], ["study-0"])
    assert asked.new() == {"ListObjectsV2": 2, "GetObject": 2}, "the results, the folders"
    assert load_experiment("study-1").best_config()["loss"] == 0.01


@pytest.mark.defect("C15")
def test_neither_checkpoints_nor_files_of_trials(account: LocalCloud) -> None:
    """Of all that lies below a study only results are asked for, however much else there is."""
    ended("study-0")
    of_older_version("study-1")
    killed("study-2")
    s3 = account.client("s3")
    for name in ("study-0", "study-1", "study-2"):
        for part in ("0/checkpoints/model.pt", "0/results.csv.zip", "trials/0/out.txt", "checkpoints/results.table"):
            s3.put_object(Bucket=DEFAULT_BUCKET, Key=f"cloudtune/study/{name}/{part}", Body=b"x" * 1000)
    before = len(account.calls())
    sync("study")
    asked = [call for call in account.calls()[before:] if call.operation == "GetObject"]
    allowed = ("/_study/results/", "/log/", "/metadata.json")
    assert asked
    assert [call.resource for call in asked if not any(part in call.resource for part in allowed)] == []
    assert {path.suffix for path in experiments_root().rglob("*") if path.is_file()} == {".table", ".json"}


def test_an_experiment_that_runs(asked: Asked) -> None:
    """It is read from its log, again only once that has grown, and no more once it has ended."""
    store = running("study-0")
    assert sync("study").read == ["study-0"]
    assert len(load_experiment("study-0").results) == 6
    asked.new()
    assert sync("study").unchanged == ["study-0"]
    assert asked.new() == {"ListObjectsV2": 3}, "the results, the folders, and what follows in the log"
    more_of(store, 3)
    assert sync("study").read == ["study-0"]
    assert len(load_experiment("study-0").results) == 9
    store.append([finish()])
    store.close()
    assert sync("study").fetched == ["study-0"]
    asked.new()
    sync("study")
    assert asked.new() == {"ListObjectsV2": 1}


def test_an_experiment_that_runs_again() -> None:
    """What it had at its first end does not hide what has come since."""
    ended("study-0", state="interrupted")
    sync("study")
    store = S3Store(place().bucket, place().experiment("study-0"))
    store.open()
    store.maintain(1000.0)
    store.append([row(0, 20.0, loss=0.01, epoch=9)])
    store.flush()
    settle(store)
    assert sync("study").read == ["study-0"]
    assert len(load_experiment("study-0").results) == 7
    store.close()


def test_what_is_as_old_as_its_copy_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A copy of an experiment that ran is read with a warning that names the remedy; right after syncing without."""
    store = running("study-0")
    ended("study-1")
    sync("study")
    load_experiment("study-1")
    assert caplog.text == ""
    load_experiments("study", download_from_s3=False)
    assert "what is read of 1 experiments ('study-0') is as old as their copy" in caplog.text
    assert "`cloudtune sync study` brings it up to date" in caplog.text
    caplog.clear()
    load_experiments("study", download_from_s3=True)
    assert caplog.text == ""
    store.close()


def test_an_experiment_of_an_older_version(asked: Asked) -> None:
    """It has no results object, and is read from its log; one that begins later is found as well."""
    of_older_version("study-0")
    assert sync("study").read == ["study-0"]
    assert len(load_experiment("study-0").results) == 6
    asked.new()
    assert sync("study").unchanged == ["study-0"]
    assert asked.new() == {"ListObjectsV2": 3}, "the results, the folders, what follows in the log"
    of_older_version("study-1")
    assert sync("study").read == ["study-1"]


def came_later(study: Path, seconds: float) -> None:
    """As if so much time had passed since the folders were looked at."""
    said = json.loads((study / "study.json").read_bytes())
    (study / "study.json").write_text(json.dumps({**said, "looked": said["looked"] - seconds}))


@pytest.mark.parametrize("how", [of_older_version, killed_early], ids=["older version", "killed early"])
def test_a_folder_that_comes_to_a_study_that_was_complete(how: Callable[[str], None], asked: Asked) -> None:
    """Without a results object it is found when something else has changed, and after some minutes in any case."""
    ended("study-0")
    sync("study")
    asked.new()
    assert sync("study").unchanged == ["study-0"]
    assert asked.new() == {"ListObjectsV2": 1}
    how("study-1")
    ended("study-2")
    gathered = sync("study")
    assert (gathered.fetched, gathered.read) == (["study-2"], ["study-1"])
    how("study-3")
    assert sync("study").read == ["study-3"], "once there is one, folders are looked at each time"


def test_a_folder_that_comes_to_a_study_in_which_nothing_changes(asked: Asked) -> None:
    """It is found after some minutes; also where the clock was set back, or an older version made the copy."""
    ended("study-0")
    path = sync("study").path
    for number, seconds in enumerate((1000.0, -1000.0), start=1):
        came_later(path, seconds)
        asked.new()
        assert sync("study").unchanged == ["study-0"]
        assert asked.new() == {"ListObjectsV2": 2}
        sync("study")
        assert asked.new() == {"ListObjectsV2": 1}, number
    (path / "study.json").write_text(json.dumps({**json.loads((path / "study.json").read_bytes()), "looked": "x"}))
    of_older_version("study-1")
    assert sync("study").read == ["study-1"]


def test_killed_tuners() -> None:
    """What they had put into their logs is gathered, also where the end is there and the results object is not."""
    killed("study-0")
    killed("study-1", *THREE_TRIALS, finish())
    assert sync("study").read == ["study-0", "study-1"]
    assert [len(one.results) for one in load_experiments("study")] == [6, 6]


def test_an_experiment_without_a_tag() -> None:
    """It is gathered by its name."""
    ended("lonely", tag="")
    assert sync("lonely").fetched == ["lonely"]
    assert load_experiment("lonely").place == f"s3://{DEFAULT_BUCKET}/cloudtune/lonely/lonely/"


def test_another_place(tmp_path: Path) -> None:
    """Bucket and prefix may be named; copies of several places do not meet."""
    ended("study-0", place="s3://data/team/a")
    ended("study-0", trial(0, lr=1.0), row(0, 1.0, loss=7.0))
    first = sync("study", "s3://data/team/a")
    assert first.place == "s3://data/team/a/cloudtune/study/"
    second = sync("study")
    assert first.path != second.path
    assert [len(one.results) for one in load_experiments("study", s3_path="s3://data/team/a")] == [6]
    with pytest.raises(ExperimentNotFound, match=r"of several places .*: s3://data/team/a, s3://"):
        load_experiments("study")
    (only,) = load_experiments("study", s3_path=f"s3://{DEFAULT_BUCKET}", download_from_s3=False)
    assert list(only.results["loss"]) == [7.0]
    elsewhere = sync("study", "s3://data/team/a", local_path=tmp_path / "other")
    assert elsewhere.path.is_relative_to(tmp_path / "other")


def test_no_such_study() -> None:
    """The message says where it looked and what may have been meant; no trace is left."""
    with pytest.raises(
        ExperimentNotFound, match=r"'study' in s3://.*/cloudtune/; there are no experiments there at all"
    ):
        sync("study")
    ended("study-0")
    with pytest.raises(ExperimentNotFound, match=r"'studie' in .* did you mean 'study'"):
        sync("studie")
    with pytest.raises(ExperimentNotFound, match="no bucket nowhere"):
        sync("study", "s3://nowhere")
    with pytest.raises(ExperimentNotFound, match=r"'\.\./study' .* use letters"):
        sync("../study")
    assert not experiments_root().exists()


def test_copies_are_no_experiments_of_this_machine() -> None:
    """Nothing that lists, continues or stops experiments here meets them."""
    recorded("here", *THREE_TRIALS)
    ended("study-0")
    sync("study")
    assert list_experiments() == ["here"]
    assert [one.name for one in load_experiments()] == ["here"]
    assert not experiment_path("study-0").exists()


def test_an_experiment_of_this_machine_comes_first() -> None:
    """Of two with one name, alone and among others; the others come from the copy."""
    ended("study-0", created=1.0)
    ended("study-1", created=2.0)
    recorded("study-0", trial(0, lr=0.1), row(0, 1.0, loss=0.5), st_tuner_creation_timestamp=3.0)
    sync("study")
    assert load_experiment("study-0").place == ""
    assert [(one.name, one.place == "") for one in load_experiments("study")] == [("study-1", False), ("study-0", True)]


def test_warnings_only_where_there_is_something_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    """A study without trouble is gathered without a word."""
    for number in range(2):
        ended(f"study-{number}")
    with caplog.at_level(logging.WARNING):
        sync("study")
        load_experiments("study")
    assert caplog.text == ""
