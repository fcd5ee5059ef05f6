"""``cloudtune rerun``: what it runs, what it tells, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click.testing
import pytest

from cloudtune.cli import main
from cloudtune.cli.rerun_text import expectation
from cloudtune.errors import CloudtuneError
from cloudtune.experiments import load_experiment
from cloudtune.remote.standing import standing_of_folder
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.seeds import rerun_seeds
from cloudtune.studies.winners import winners
from tests.experiments.recorded import record, row, trial
from tests.studies.noisy_study import CATALOGUE as CATALOGUE_ITSELF
from tests.studies.noisy_study import MASTER, TAG, of_study, run_study

CATALOGUE = "tests.studies.noisy_study"


def rerun(*arguments: str) -> click.testing.Result:
    line = ["rerun", *arguments, "--catalogue", CATALOGUE]
    return click.testing.CliRunner().invoke(main, line)


def told(result: click.testing.Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    (one,) = json.loads(result.stdout)["reruns"]
    assert isinstance(one, dict)
    return one


def test_the_winner_on_new_seeds() -> None:
    """It is run again here; then the same command only tells, and one with more seeds adds to them."""
    run_study()
    (winner,) = winners(TAG, of_study())
    line = (TAG, "--best", "--json", "--random_seed", str(MASTER))
    first = told(rerun(*line, "--num_seeds", "2"))
    assert first["study"]["value"] == winner.value
    assert first["config"] == {**winner.config, "max_epochs": 3}
    assert [run["seed"] for run in first["runs"]] == rerun_seeds(MASTER, "noisy", 2)
    log = load_experiment(first["name"]).path / "log"
    before = {path: path.stat().st_mtime_ns for path in sorted(log.rglob("*"))}
    again = told(rerun(*line, "--num-seeds", "2"))
    assert (again, {path: path.stat().st_mtime_ns for path in sorted(log.rglob("*"))}) == (first, before)
    more = told(rerun(*line, "--num_seeds=3"))
    assert more["name"] == first["name"]
    assert more["runs"][:2] == first["runs"]
    assert [run["seed"] for run in more["runs"]] == rerun_seeds(MASTER, "noisy", 3)


def test_a_master_seed_counts_also_where_nothing_is_left_to_run() -> None:
    """Another one than its runs have is refused, not ignored; without one it goes on with the seeds that there are."""
    run_study()
    line = (TAG, "--best", "--json", "--num_seeds")
    first = told(rerun(*line, "1", "--random_seed", "11"))
    assert [run["seed"] for run in first["runs"]] == rerun_seeds(11, "noisy", 1)
    for number in ("1", "2"):
        other = rerun(*line, number, "--random_seed", "12")
        assert other.exit_code == 1
        said = " ".join(other.output.split())
        assert f"experiment '{first['name']}' began with --random_seed 11, now it is 12: leave it out; a higher" in said
    more = told(rerun(*line, "2"))
    assert [run["seed"] for run in more["runs"]] == rerun_seeds(11, "noisy", 2)


def test_only_the_benchmark_of_the_winner_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one of the catalogue may lack what it needs on this machine; one that is named may not."""

    def missing() -> BenchmarkDefinition:
        raise CloudtuneError("its data are not on this machine")

    run_study()
    assert isinstance(CATALOGUE_ITSELF.benchmarks, dict)
    monkeypatch.setitem(CATALOGUE_ITSELF.benchmarks, "missing", missing)
    assert told(rerun(TAG, "--best", "--dry_run", "--json"))["benchmark"] == "noisy"
    named = rerun(TAG, "--best", "--dry_run", "--benchmark", "noisy", "missing")
    assert named.exit_code == 1
    assert "its data are not on this machine" in named.output


@pytest.mark.parametrize(("mode", "mean", "good"), [("min", 2.0, True), ("min", 0.5, False), ("max", 0.5, True)])
def test_which_value_to_expect(mode: str, mean: float, good: bool) -> None:
    """The study's own is called too good only where it is better than the mean of the new runs."""
    told = expectation({"mode": mode, "best": {"mean": mean}, "study": {"value": 1.0}})
    assert told.startswith("Expect the mean: ")
    assert ("and so too good" in told) == good


def test_what_a_reader_is_told() -> None:
    """The configuration, mean and interval beside the study's own value, and which of them to expect."""
    run_study()
    result = rerun(TAG, "--best", "--num_seeds", "2")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("noisy: error ")
    assert ", the minimum of the study, by trial " in lines[0]
    assert "run again on 2 of 2 new random seeds, as experiment noisy-noisy-rerun-" in result.stdout
    assert "error of a run at its best epoch: mean " in result.stdout
    assert "(95 % interval " in result.stdout
    assert lines[-1] == "Expect the mean: the study's own value is the best of many, and so too good."


def test_looking_first() -> None:
    """--dry_run tells what would be run again, and runs nothing."""
    run_study()
    one = told(rerun(TAG, "--best", "--dry_run", "--json"))
    assert (one["runs"], one["num_seeds"]) == ([], 10)
    assert len(of_study()) == 2


def test_a_run_that_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with where to look and why, and counts for nothing; the same command again runs nothing."""
    run_study()
    fails = tmp_path / "fails"
    fails.write_text(str(rerun_seeds(MASTER, "noisy", 3)[1]))
    monkeypatch.setenv("FAILS", str(fails))
    line = (TAG, "--best", "--num_seeds", "3")
    said = rerun(*line)
    assert said.exit_code == 1
    assert "run again on 2 of 3 new random seeds" in said.stdout
    name = next(one.name for one in of_study() if "rerun" in one.name)
    assert f"1 of 3 runs failed: trial 1, see `cloudtune logs {name} 1` (exit code 1" in said.stdout
    assert "a higher --num_seeds adds more" in said.stdout
    log = sorted((load_experiment(name).path / "log").rglob("*"))
    again = rerun(*line, "--json")
    assert again.exit_code == 1
    (one,) = json.loads(again.stdout)["reruns"]
    assert (one["state"], one["started"], len(one["runs"])) == ("finished", 3, 2)
    assert [(run["trial_id"], str(run["seed"])) for run in one["failed"]] == [(1, fails.read_text())]
    assert sorted((load_experiment(name).path / "log").rglob("*")) == log


def test_too_many_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They end it: what is known is told all the same, and that more of them must be allowed."""
    run_study()
    fails = tmp_path / "fails"
    fails.write_text(str(rerun_seeds(MASTER, "noisy", 1)[0]))
    monkeypatch.setenv("FAILS", str(fails))
    line = (TAG, "--best", "--num_seeds", "3", "--n_workers", "1", "--max_failures")
    for _ in range(2):
        said = rerun(*line, "0")
        assert said.exit_code == 1
        assert "1 of 3 runs failed: trial 0" in said.stdout
        assert "go on with a higher --max_failures" in said.stdout
    said = rerun(*line, "1")
    assert "run again on 2 of 3 new random seeds" in said.stdout


def test_a_time_limit_that_ends_it() -> None:
    """What would end at once is not run again: a longer limit is asked for, and with one it goes on."""
    run_study()
    line = (TAG, "--best", "--num_seeds", "3")
    for _ in range(2):
        said = rerun(*line, "--max_wallclock_time", "0.001")
        assert said.exit_code == 1
        assert "its time limit of 0.001 s ended it when " in said.stdout
        assert "go on with a longer one, as --max_wallclock_time 1" in said.stdout
    name = next(one.name for one in of_study() if "rerun" in one.name)
    assert standing_of_folder(load_experiment(name).path).epoch == 1
    assert len(told(rerun(*line, "--json"))["runs"]) == 3


def test_one_that_runs_already() -> None:
    """Somebody else drives it: that is told, and nothing else is tried."""
    run_study()
    name = told(rerun(TAG, "--best", "--dry_run", "--json"))["name"]
    store = record(name, trial(0, x=0.1), row(0, 1.0, error=0.5, epoch=1), tag=TAG, benchmark="noisy", rerun_of="any")
    said = rerun(TAG, "--best")
    store.close()
    assert said.exit_code == 0, said.output
    assert "It is under way; the same command tells more once it has ended." in said.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TAG,), "say what is to be run again; there is --best"),
        ((TAG, "--best", "--benchmark", "noise"), "there is no benchmark 'noise'; did you mean 'noisy'?"),
        ((TAG, "--best", "--benchmark", "seedless"), "has no result on seedless; there are results on noisy"),
        ((TAG, "--best", "--n_workers", "1", "2"), "give one --n_workers: it is one experiment"),
        ((TAG, "--best", "--use_spot"), "--use_spot is for trials that are training jobs"),
        ((TAG, "--best", "--max_cost", "3"), "No such option"),
        ((TAG, "--best", "--brackets", "2"), "--brackets is for methods, and no method chooses here; leave it out"),
        ((TAG, "--best", "--backend", "simulator"), "with --backend simulator nothing is; use local"),
    ],
)
def test_what_cannot_be(arguments: tuple[str, ...], message: str) -> None:
    """One line says why and what to do."""
    if "seedless" in arguments:
        run_study()
    result = rerun(*arguments)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


def test_a_study_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor, without credentials, in S3."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    result = rerun("absent", "--best")
    assert result.exit_code == 1
    assert "there is no study 'absent' on this machine, nor can one be read from S3 (" in result.output
