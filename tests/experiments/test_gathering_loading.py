"""Loading the experiments of studies in S3: by tag, by name, with filters, and no more than is looked at."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cloudtune.errors import DamagedLog, ExperimentNotFound
from cloudtune.experiments import (
    ExperimentResult,
    frames,
    list_experiments,
    load_experiment,
    load_experiments,
    load_experiments_df,
    sync,
)
from cloudtune.localcloud import LocalCloud
from cloudtune.store.places import experiments_root
from tests.experiments.in_s3 import DEFAULT_BUCKET, account
from tests.experiments.recorded import THREE_TRIALS, record, recorded, row, trial
from tests.experiments.studies_in_s3 import Asked, ended, place

__all__ = ["account"]

pytestmark = pytest.mark.usefixtures("account")


def names(*arguments: Any, **options: Any) -> list[str]:
    return [one.name for one in load_experiments(*arguments, **options)]


@pytest.fixture
def frames_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each data frame that is made."""
    made: list[int] = []
    real = frames.results_frame

    def counted(table: Any) -> pd.DataFrame:
        made.append(1)
        return real(table)

    monkeypatch.setattr(frames, "results_frame", counted)
    return made


def test_what_is_not_here_is_fetched(account: LocalCloud) -> None:
    """A tag that nothing on this machine fits is looked for in S3 by itself, unless that is not wanted."""
    ended("study-0", created=2.0)
    ended("study-1", created=1.0)
    with pytest.raises(ExperimentNotFound) as error:
        load_experiments("study", download_from_s3=False)
    assert "S3" not in str(error.value)
    assert names("study") == ["study-1", "study-0"]
    calls = len(account.calls())
    assert names("study", download_from_s3=False) == ["study-1", "study-0"]
    assert len(account.calls()) == calls, "the copy is there from then on"
    with pytest.raises(
        ExperimentNotFound, match=r"'other' in .*, nor can one be read from S3 \(there is no experiment"
    ):
        load_experiments("other")


def test_experiments_that_are_nowhere_but_here() -> None:
    """Asking for a download of what S3 has not is no error as long as there is something here."""
    recorded("here", *THREE_TRIALS)
    ended("study-0")
    assert names(["here", "study"], download_from_s3=True) == ["study-0", "here"]
    with pytest.raises(ExperimentNotFound, match="'nowhere'"):
        load_experiments(["here", "nowhere"], download_from_s3=True)


def test_a_place_that_is_named_hides_this_machine() -> None:
    """Experiments of the same names here are not taken for those of the place."""
    recorded("study-0", trial(0, lr=0.1), row(0, 1.0, loss=0.5))
    ended("study-0", place="s3://data/team")
    assert [one.place for one in load_experiments("study")] == [""]
    (only,) = load_experiments("study", s3_path="s3://data/team")
    assert only.place == "s3://data/team/cloudtune/study/study-0/"
    with pytest.raises(ExperimentNotFound, match="s3://data/elsewhere"):
        load_experiments("study", s3_path="s3://data/elsewhere")
    with pytest.raises(ExperimentNotFound, match="nor a copy of one in s3://data/elsewhere"):
        load_experiments("study", s3_path="s3://data/elsewhere", download_from_s3=False)


def test_single_experiments_by_name() -> None:
    """One of a study by its own name or with its tag; runs without a tag by the name before their time of day."""
    ended("study-0")
    ended("study-1")
    assert names("study-1") == ["study-1"]
    assert names("study/study-0") == ["study-0"]
    for time in ("2026-01-02-03-04-05-678", "2026-01-02-03-04-05-679"):
        ended(f"height-{time}", tag="")
    ended("height-other", tag="")
    assert sorted(names("height")) == ["height-2026-01-02-03-04-05-678", "height-2026-01-02-03-04-05-679"]
    assert sorted(names(["height", "study"])) == [*sorted(names("height")), "study-0", "study-1"]
    with pytest.raises(ExperimentNotFound, match="'study/study-7'"):
        load_experiments("study/study-7")


def test_a_tag_is_not_the_beginning_of_another() -> None:
    """Studies whose tags begin alike do not mix."""
    ended("study-a-0", tag="study-a")
    ended("study-0")
    sync("study")
    sync("study-a")
    assert names("study") == ["study-0"]
    assert names("study-a") == ["study-a-0"]


def test_without_names() -> None:
    """All experiments of this machine; S3 is not searched through for all there are."""
    recorded("here", *THREE_TRIALS)
    ended("study-0")
    sync("study")
    assert names() == ["here"]
    for options in ({"download_from_s3": True}, {"s3_path": f"s3://{DEFAULT_BUCKET}"}):
        with pytest.raises(ValueError, match="name the tags"):
            load_experiments(None, **options)


def test_a_filter_of_metadata(frames_made: list[int]) -> None:
    """It decides before any row is unpacked, here and in the copy; the other filter sees what is left."""
    for seed in range(4):
        ended(f"study-{seed}", seed=seed)
    recorded("study-9", *THREE_TRIALS, seed=9)
    sync("study")
    asked: list[str] = []

    def later(experiment: ExperimentResult) -> bool:
        asked.append(experiment.name)
        return bool(experiment.metadata["seed"] != 3)

    found = load_experiments("study", later, metadata_filter=lambda metadata: metadata["seed"] >= 2)
    assert [one.name for one in found] == ["study-2", "study-9"]
    assert sorted(asked) == ["study-2", "study-3", "study-9"]
    table = load_experiments_df("study", metadata_filter=lambda metadata: metadata["seed"] == 1)
    assert set(table["experiment_name"]) == {"study-1"}
    assert frames_made == []


def test_a_filter_spares_the_log_of_an_experiment_here() -> None:
    """Its rows are not even read: damage there goes unnoticed."""
    recorded("here", *THREE_TRIALS, seed=1)
    log = next((experiments_root() / "here" / "log").iterdir())
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([lines[0], "rubbish\n", *lines[1:]]))
    assert load_experiments("here", metadata_filter=lambda metadata: bool(metadata["seed"] == 2)) == []
    with pytest.raises(DamagedLog):
        load_experiment("here")


def test_frames_are_made_when_they_are_looked_at(frames_made: list[int]) -> None:
    """Loading makes none, looking makes one, looking again the same; a running experiment stays as it was loaded."""
    for number in range(3):
        ended(f"study-{number}")
    store = record("study-8", *THREE_TRIALS)
    loaded = load_experiments("study", download_from_s3=True)
    assert frames_made == []
    store.append([row(0, 9.0, loss=0.1)])
    assert [len(one.results) for one in loaded] == [6] * 4
    assert loaded[0].results is loaded[0].results
    assert len(frames_made) == 4
    store.close()


def test_results_may_be_replaced() -> None:
    """By a filter or a user: what is there then is what is plotted, and what one table of all has."""
    ended("study-0")
    ended("study-1")

    def keep_best(experiment: ExperimentResult) -> bool:
        experiment.results = experiment.results.nsmallest(1, "loss")
        return True

    table = load_experiments_df("study", keep_best)
    assert list(table["loss"]) == [0.4, 0.4]
    assert list(table["trial_id"]) == [1, 1]
    assert list(table["experiment_name"]) == ["study-0", "study-1"]


def test_one_table_of_a_study() -> None:
    """Rows of all, with name and metadata; the same as of experiments on this machine."""
    for seed in range(3):
        ended(f"study-{seed}", seed=seed, created=float(seed))
        recorded(f"here-{seed}", *THREE_TRIALS, seed=seed, st_tuner_creation_timestamp=float(seed), tag="study")
    of_study, of_here = load_experiments_df("study"), load_experiments_df("here")
    pd.testing.assert_frame_equal(
        of_study.drop(columns="experiment_name"), of_here.drop(columns="experiment_name"), check_like=True
    )
    assert list(of_study["experiment_name"]) == [f"study-{seed}" for seed in range(3) for _ in range(6)]


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (self.trace,)


@pytest.mark.defect("C14")
def test_the_tuner_is_asked_for_and_nothing_else_changes(account: LocalCloud, tmp_path: Path) -> None:
    """``load_tuner`` says only whether tuners are unpickled: not where experiments are looked for."""
    trace = tmp_path / "sprung"
    ended("study-0")
    key = "cloudtune/study/study-0/tuner.dill"
    account.client("s3").put_object(Bucket=DEFAULT_BUCKET, Key=key, Body=pickle.dumps(Trap(trace)))
    for load_tuner in (False, True):
        with pytest.raises(ExperimentNotFound):
            load_experiments("study", download_from_s3=False, load_tuner=load_tuner)
        with pytest.raises(ExperimentNotFound) as error:
            load_experiment("study-0", load_tuner, download_if_not_found=False)
        assert "S3" not in str(error.value)
    assert names("study") == ["study-0"]
    load_experiment("study-0").best_config()
    assert not trace.exists()
    asked = Asked(account)
    asked.new()
    with pytest.raises(Exception, match="holds no tuner"):
        load_experiments("study", load_tuner=True)
    assert trace.exists()
    assert asked.new()["GetObject"] >= 1


@pytest.mark.defect("C14")
def test_tuners_of_experiments_of_this_machine() -> None:
    """The tuner of each is there where it is asked for, and only then."""
    from cloudtune import StoppingCriterion, Tuner
    from cloudtune.backend import PythonBackend
    from cloudtune.optimizer.baselines import RandomSearch

    def tune(x: int) -> None:
        from cloudtune import Reporter

        Reporter()(loss=x)

    from cloudtune.config_space import randint

    space = {"x": randint(0, 3)}
    tuner = Tuner(
        trial_backend=PythonBackend(tune_function=tune, config_space=space),
        scheduler=RandomSearch(space, metric="loss", random_seed=0),
        stop_criterion=StoppingCriterion(max_num_trials_started=1),
        n_workers=1,
        tuner_name="here",
        suffix_tuner_name=False,
    )
    tuner.run()
    (without,) = load_experiments("here")
    (with_tuner,) = load_experiments("here", load_tuner=True)
    assert without.tuner is None
    assert with_tuner.tuner is not None
    assert with_tuner.tuner.name == "here"


def test_what_an_experiment_in_a_copy_has() -> None:
    """All that one of this machine has: best configuration, names of metrics, dates; a short representation."""
    ended("study-0", created=86400.0)
    (one,) = load_experiments("study")
    assert one.best_config() == {"trial_id": 1, "loss": 0.4, "epoch": 2, "config_lr": 0.2, "config_width": 64}
    assert one.metric_names() == ["loss"]
    assert one.creation_date().day == 2
    assert repr(one).startswith("ExperimentResult(name='study-0'")
    assert place().bucket.uri(place().experiment("study-0")) == one.place


def test_a_longer_tag_here_does_not_hide_the_study_in_s3() -> None:
    """Neither experiments of this machine nor a copy, both of ``study-2``, are taken for those of ``study``."""
    ended("study-0")
    recorded("study-2-a", *THREE_TRIALS, tag="study-2")
    assert names("study") == ["study-0"]
    assert list_experiments("study-2") == ["study-2-a"]
    ended("other-2-a", tag="other-2")
    ended("other-0", tag="other")
    sync("other-2")
    assert names("other") == ["other-0"]
    assert names("other-2") == ["other-2-a"]
