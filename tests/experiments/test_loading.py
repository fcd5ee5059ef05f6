"""Finding experiments and reading them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cloudtune.errors import CloudtuneError, DamagedLog, ExperimentNotFound, NewerFormat
from cloudtune.experiments import (
    list_experiments,
    load_experiment,
    load_experiments,
    load_experiments_df,
)
from cloudtune.store.places import experiment_path, experiments_root
from tests.experiments.recorded import METADATA, THREE_TRIALS, record, recorded, row, trial


def test_an_experiment_by_name_and_by_path(tmp_path: Path) -> None:
    """The name is enough; a path, or the folder to look in, finds it elsewhere."""
    recorded("demo", *THREE_TRIALS)
    path = experiment_path("demo")
    for experiment in (
        load_experiment("demo"),
        load_experiment(str(path)),
        load_experiment("demo", local_path=path.parent),
    ):
        assert (experiment.name, experiment.path, experiment.tuner) == ("demo", path, None)
        assert len(experiment.results) == 6
        assert experiment.metadata == METADATA
    moved = path.rename(tmp_path / "moved")
    assert load_experiment(str(moved)).name == "moved"
    with pytest.raises(ExperimentNotFound):
        load_experiment("demo")


def test_the_table() -> None:
    """Columns and values as they were reported, with the configuration beside them."""
    recorded("demo", *THREE_TRIALS)
    results = load_experiment("demo").results
    assert list(results.columns) == [
        *("trial_id", "st_decision", "st_status", "st_tuner_time"),
        *("loss", "epoch", "config_lr", "config_width"),
    ]
    assert list(results["trial_id"]) == [0, 1, 0, 2, 1, 1]
    assert list(results["config_lr"]) == [0.1, 0.2, 0.1, 0.3, 0.2, 0.2]
    assert list(results["config_width"]) == [32, 64, 32, None, 64, 64]


def test_a_running_experiment_is_never_stale() -> None:
    """What a tuner has just appended is in the results, whatever results.csv.zip says."""
    store = record("demo", trial(0, lr=0.1))
    assert load_experiment("demo").results.empty
    for number in range(5):
        store.append([row(0, float(number), loss=1.0)])
        assert len(load_experiment("demo").results) == number + 1
    assert not (experiment_path("demo") / "results.csv.zip").exists()
    store.close()


def test_without_results_the_columns_are_there() -> None:
    """An experiment that has only just begun gives an empty table with the standard columns."""
    recorded("demo")
    results = load_experiment("demo").results
    assert results.empty
    assert {"trial_id", "st_decision", "st_status", "st_tuner_time"} <= set(results.columns)


def test_metadata_of_a_tuner_that_died_early() -> None:
    """Before metadata.json is written, the log says the same."""
    header = {
        "event": "experiment",
        "name": "demo",
        "scheduler": {"metric_names": ["loss"]},
        "metadata": {"a": 1},
        "unix": 5.0,
    }
    recorded("demo", header)
    (experiment_path("demo") / "metadata.json").unlink()
    assert load_experiment("demo").metadata == {
        "st_tuner_creation_timestamp": 5.0,
        "metric_names": ["loss"],
        "a": 1,
    }


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (self.trace,)


def test_nothing_is_unpickled_unasked(tmp_path: Path) -> None:
    """A booby-trapped tuner.dill does nothing until ``load_tuner=True`` asks for it."""
    trace = tmp_path / "sprung"
    store = record("demo", *THREE_TRIALS)
    store.snapshot(pickle.dumps(Trap(trace)))
    store.close()
    (experiment_path("demo") / "results.csv.zip").write_bytes(pickle.dumps(Trap(trace)))
    load_experiment("demo").best_config()
    load_experiments()
    load_experiments_df()
    list_experiments()
    assert not trace.exists()
    # What comes out of the trap is no tuner, which is an error in its turn.
    with pytest.raises((AssertionError, CloudtuneError)):
        load_experiment("demo", load_tuner=True)
    assert trace.exists()


def test_a_tuner_that_is_not_there() -> None:
    """Asking for a tuner that was not saved says so."""
    recorded("demo", *THREE_TRIALS)
    with pytest.raises(ExperimentNotFound, match=r"tuner\.dill"):
        load_experiment("demo", load_tuner=True)


def test_not_found_names_the_place_and_what_is_close() -> None:
    """The message says where it looked, and which experiments may have been meant."""
    with pytest.raises(ExperimentNotFound, match=r"there are no experiments there at all.*CLOUDTUNE_FOLDER"):
        load_experiment("height-tuning")
    recorded("height-tuning-2021-07-02-10-04-37-233")
    recorded("other")
    (experiments_root() / "no-experiment").mkdir()
    with pytest.raises(ExperimentNotFound, match="did you mean 'height-tuning-2021-07-02-10-04-37-233'") as error:
        load_experiment("height-tuning")
    assert str(experiments_root()) in str(error.value)
    assert "nor can one be read from S3 (No AWS region is set" in str(error.value)
    with pytest.raises(ExperimentNotFound, match=r"list_experiments\(\)") as error:
        load_experiment("zzz", download_if_not_found=False)
    assert "S3" not in str(error.value)
    with pytest.raises(ExperimentNotFound):
        load_experiment("no-experiment")


def test_errors_of_the_log_reach_the_caller() -> None:
    """A damaged log, or one of a newer version, is no empty result."""
    recorded("demo", *THREE_TRIALS)
    log = experiment_path("demo") / "log" / "000001.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([lines[0], "rubbish\n", *lines[1:]]))
    with pytest.raises(DamagedLog):
        load_experiment("demo")
    log.write_text(lines[0].replace('"format":1', '"format":2'))
    with pytest.raises(NewerFormat):
        load_experiment("demo")


def test_several_by_name_and_tag() -> None:
    """A tag stands for the experiments whose names continue it after a dash, in the order they were begun."""
    for name, created in (("abc-one", 3.0), ("abc-two", 1.0), ("abcd", 2.0), ("abc", 4.0)):
        recorded(name, *THREE_TRIALS, st_tuner_creation_timestamp=created)
    assert list_experiments() == ["abc", "abc-one", "abc-two", "abcd"]
    assert list_experiments("abc") == ["abc", "abc-one", "abc-two"]
    assert list_experiments(["abcd", "abc-one"]) == ["abc-one", "abcd"]
    assert [experiment.name for experiment in load_experiments()] == ["abc-two", "abcd", "abc-one", "abc"]
    chosen = load_experiments("abc", experiment_filter=lambda experiment: experiment.name.endswith("o"))
    assert [experiment.name for experiment in chosen] == ["abc-two"]
    with pytest.raises(ExperimentNotFound, match=r"'ab'.*did you mean 'abc'"):
        load_experiments(["abc", "ab"])


def test_a_tag_that_another_one_begins_with() -> None:
    """Experiments called after the longer tag are no part of the study with the shorter one."""
    recorded("t-1", *THREE_TRIALS, tag="t")
    recorded("t-10-1", *THREE_TRIALS, tag="t-10")
    recorded("t-11-1", *THREE_TRIALS, tag="t.11")
    assert list_experiments("t") == [one.name for one in load_experiments("t")] == ["t-1"]
    assert list_experiments("t-10") == list_experiments("t-10-1") == ["t-10-1"]
    assert list_experiments("t-11") == ["t-11-1"]


def test_names_that_only_begin_alike_stay_together() -> None:
    """A part of a study, runs of one script whose tag says something else, and experiments without a tag."""
    recorded("t-RS-1", *THREE_TRIALS, tag="t")
    recorded("height-2026-01-02-03-04-05-678", *THREE_TRIALS, tag="height-of-trees")
    header = {"event": "experiment", "scheduler": {"metric_names": ["loss"]}, "metadata": {"a": 1}, "unix": 5.0}
    recorded("height-none", header, *THREE_TRIALS)
    (experiment_path("height-none") / "metadata.json").write_text("[" * 100_000)
    assert list_experiments("t-RS") == ["t-RS-1"]
    assert list_experiments("height") == ["height-2026-01-02-03-04-05-678", "height-none"]
    assert [one.name for one in load_experiments("height")] == ["height-none", "height-2026-01-02-03-04-05-678"]


def test_one_bad_experiment_among_many(caplog: pytest.LogCaptureFixture) -> None:
    """It is passed over with a warning that names it; the others are loaded."""
    recorded("bad")
    recorded("good", *THREE_TRIALS)
    (experiment_path("bad") / "log" / "000001.jsonl").write_text("rubbish\n")
    assert [experiment.name for experiment in load_experiments()] == ["good"]
    assert "'bad' is passed over" in caplog.text


def test_a_filter_that_asks_for_what_some_lack(caplog: pytest.LogCaptureFixture) -> None:
    """These do not fit, which is told once for all of them; both kinds of filters."""
    recorded("abc-0", *THREE_TRIALS, method="ASHA")
    recorded("abc-1", *THREE_TRIALS, method="RS")
    for number in range(2, 6):
        recorded(f"abc-{number}", *THREE_TRIALS)
    assert [one.name for one in load_experiments("abc", metadata_filter=lambda it: bool(it["method"] == "ASHA"))] == [
        "abc-0"
    ]
    told = "4 of the experiments ('abc-2', 'abc-3', 'abc-4', ...) do not fit: they have no 'method', which"
    assert [record.getMessage() for record in caplog.records] == [f"{told} metadata_filter asks for"]
    caplog.clear()
    assert [one.name for one in load_experiments("abc", lambda one: bool(one.metadata["method"] == "ASHA"))] == [
        "abc-0"
    ]
    assert [record.getMessage() for record in caplog.records] == [f"{told} experiment_filter asks for"]


def test_a_log_that_has_not_begun(caplog: pytest.LogCaptureFixture) -> None:
    """A tuner that has only just made its folder: named, and no filter is asked about nothing."""
    recorded("abc-0", *THREE_TRIALS)
    store = record("abc-1")
    (experiment_path("abc-1") / "metadata.json").unlink()
    assert [one.name for one in load_experiments("abc", metadata_filter=lambda it: bool(it["tag"]))] == ["abc-0"]
    assert caplog.text.count("'abc-1' is passed over: its tuner has not begun") == 1
    assert len(caplog.records) == 1
    store.close()


def test_one_table_of_all() -> None:
    """Rows of all experiments with name and plain metadata; lists are spread out; results win over metadata."""
    recorded("abc-1", *THREE_TRIALS, seed=1, loss="metadata of the same name as a metric", metric_mode=["min"])
    recorded("abc-2", trial(0, lr=0.5), row(0, 1.0, loss=3.0, accuracy=0.5), seed=2)
    recorded("abc-3", seed=3)
    table = load_experiments_df("abc")
    assert list(table["experiment_name"]) == ["abc-1"] * 6 + ["abc-2"]
    assert list(table["seed"]) == [1] * 6 + [2]
    assert list(table["metric_names-0"]) == ["loss"] * 7
    assert table["loss"].dtype == float
    assert table["accuracy"].notna().sum() == 1
    assert "config_space" not in table.columns
    assert list(table.index) == list(range(7))


def test_one_table_of_nothing() -> None:
    """Without experiments, or with empty ones only, there is a table with the standard columns."""
    assert "trial_id" in load_experiments_df().columns
    recorded("demo", trial(0, lr=0.1))
    table = load_experiments_df()
    assert table.empty
    assert {"trial_id", "config_lr"} <= set(table.columns)


def test_loading_leaves_no_trace() -> None:
    """Reading changes no file and takes no lock."""
    store = record("demo", *THREE_TRIALS)
    before = {path: path.stat().st_mtime_ns for path in experiments_root().rglob("*")}
    load_experiment("demo")
    load_experiments_df()
    assert {path: path.stat().st_mtime_ns for path in experiments_root().rglob("*")} == before
    store.close()


def test_the_names_are_public_and_late() -> None:
    """Importing the package loads neither pandas nor matplotlib; unknown names are refused as usual."""
    program = (
        "import sys, cloudtune.experiments as e\n"
        "assert not {'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert set(e.__all__) <= set(dir(e))\n"
        "assert all(getattr(e, name) for name in e.__all__)\n"
        "assert 'matplotlib' not in sys.modules\n"
        "try:\n    e.nonsense\nexcept AttributeError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "nonsense" in result.stdout


def test_many_reports_over_many_epochs() -> None:
    """A log of several segments and blocks gives one table, in order."""
    expected = []
    for epoch in range(3):
        store = record("demo", trial(epoch, lr=0.5))
        for number in range(0, 3000, 100):
            store.append([row(epoch, float(number + i), loss=float(number + i), text="x" * 100) for i in range(100)])
        store.close()
        expected += [(epoch, float(number)) for number in range(3000)]
    results = load_experiment("demo").results
    assert list(zip(results["trial_id"], results["loss"], strict=True)) == expected
    pd.testing.assert_series_equal(results["loss"], results["st_tuner_time"], check_names=False)
