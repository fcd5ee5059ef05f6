"""The study's experiments: what is run, that it is run once, and that it comes out the same."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarking.study import running
from benchmarking.study.experiment import Experiment, Setup
from benchmarking.study.plan import FULL, PLANS, REGRET, Plan
from benchmarking.study.playing import play
from benchmarking.study.records import Valid, append, digest_of, read, valid
from benchmarking.study.stragglers import WithStragglers
from benchmarking.study.tables import DIGITS, LONG, TASKSET_VARIABLE, ground, is_there, power_laws
from cloudtune.optimizer import baselines
from cloudtune.optimizer.schedulers.soft_ranking import SoftRanking

ROOT = Path(__file__).parents[2]
SHORT = {"max_num_trials_started": 6}
SETUPS = {
    "asha": [
        Setup("random search", "RandomSearch", 2, limits=SHORT),
        Setup("ASHA", "ASHA", 2, limits=SHORT),
    ]
}
TINY = Plan(2, {"asha": (DIGITS,)}, setups=SETUPS)
#: Runs TINY's experiments as the command does, with two processes.
SCRIPT = """
import sys
from pathlib import Path
from tests.benchmarking.test_study import TINY
from benchmarking.study.running import run
if __name__ == "__main__":
    print(run(Path(sys.argv[1]), TINY.experiments(), int(sys.argv[2])))
"""


def without_time(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "took"}


def test_a_study_that_is_cut_short_goes_on_and_runs_nothing_twice(tmp_path: Path) -> None:
    """Each experiment has one line after a run that ended in between; a third run has nothing to do."""
    file = tmp_path / "records.jsonl"
    experiments = TINY.experiments()
    told: list[str] = []

    class Cut(Exception):
        pass

    def cut(done: int, _of: int, record: dict[str, Any]) -> None:
        told.append(record["key"])
        if done == 2:
            raise Cut

    with pytest.raises(Cut):
        running.run(file, experiments, 1, told=cut)
    assert running.run(file, experiments, 1, told=lambda _done, _of, record: told.append(record["key"])) == 0
    assert told == [one.key for one in experiments]
    before = file.read_bytes()
    assert running.run(file, experiments, 1) == 0
    assert file.read_bytes() == before


def test_a_killed_study_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    """After SIGKILL the workers end by themselves; another run in two processes completes each experiment once."""
    file, script = tmp_path / "records.jsonl", tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(file), "2"]
    environment = {"PYTHONPATH": str(ROOT), "CLOUDTUNE_FOLDER": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        while not file.exists() and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        # The pipe is at its end once no process holds it, workers included.
        first.stdout.read()
    kept = read(file)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    lines = read(file)
    assert set(lines) == {one.key for one in TINY.experiments()}
    assert all(len(of_key) == 1 for of_key in lines.values())
    assert all(lines[key] == of_key for key, of_key in kept.items())


@pytest.mark.parametrize("method", ["RandomSearch", "ASHA", "PASHA", "SyncHyperband"])
def test_the_same_seed_gives_the_same_record(method: str) -> None:
    """Run twice: nothing but the real time differs. Another seed gives another record."""
    first, again, other = (
        running.record_of(Experiment("x", DIGITS, Setup("x", method, 3, limits=SHORT), seed)) for seed in (4, 4, 5)
    )
    assert without_time(first) == without_time(again)
    assert first["steps"] != other["steps"]


def test_methods_of_the_same_seed_begin_alike() -> None:
    """Differences between methods are paired: with one seed they begin with the same configuration."""
    firsts = {
        method: play(Experiment("x", DIGITS, Setup("x", method, 1, limits=SHORT), 3))["steps"][0]
        for method in ("RandomSearch", "ASHA", "PASHA", "BayesianOptimization")
    }
    assert len({tuple(step) for step in firsts.values()}) == 1


@pytest.mark.parametrize(
    "setup", [setup for of_claim in FULL.setups.values() for setup in of_claim], ids=lambda s: s.name
)
def test_every_setup_chooses_among_the_tables_own_configurations(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands in for others: each trial is another row of the table."""
    table = ground(LONG).table
    asked: list[int | None] = []
    honest = table.row_of

    def noted(config: dict[str, Any]) -> int | None:
        asked.append(honest(config))
        return asked[-1]

    monkeypatch.setattr(table, "row_of", noted)
    record = play(Experiment("x", LONG, dataclasses.replace(setup, limits=SHORT, whole_trials=None), 1))
    assert None not in asked
    assert record["started"] == len(set(asked)) == 6


def test_regret_is_not_concerned_by_what_is_done_with_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of a table that was searched otherwise does not count any more; those of functions do."""
    of_table = TINY.experiments()[0]
    of_function = Experiment(REGRET, "branin", Setup("random", "random", 1, limits={"evaluations": 60}), 0)
    before = digest_of(of_table), digest_of(of_function)
    assert before[1] == "6e0837437772de88"
    monkeypatch.setattr("benchmarking.study.experiment.FORM_OF_TABLES", 1)
    assert digest_of(of_table) != before[0]
    assert digest_of(of_function) == before[1]


def test_a_record_tells_how_it_went() -> None:
    """Places become better as time goes on, within the limit; epochs and worker-seconds are what trials used."""
    setup = Setup("x", "RandomSearch", 2, whole_trials=3)
    record = play(Experiment("x", DIGITS, setup, 0))
    times, ranks = zip(*record["steps"], strict=True)
    assert sorted(times) == list(times)
    assert sorted(ranks, reverse=True) == list(ranks)
    assert record["limit"] == pytest.approx(3 * ground(DIGITS).whole_trial)
    assert record["seconds"] == pytest.approx(record["limit"])
    assert record["worker_seconds"] == pytest.approx(2 * record["seconds"], rel=0.01)
    assert 27 * record["completed"] <= record["epochs"] <= 27 * record["started"]
    assert 1 <= record["end_rank"] <= ground(DIGITS).table.num_configs


def test_places_count_what_is_better() -> None:
    """The best value of the table has place 1, equal values share one, and what is not finite is last."""
    on = ground(DIGITS)
    best = on.table.values[:, 0, :, 0].min(axis=1).astype(float)
    assert on.rank(best.min(), 0) == 1
    for value in best[:20]:
        assert on.rank(value, 0) == 1 + (best < value).sum()
    assert on.rank(float("nan"), 0) == on.rank(float("inf"), 0) == on.table.num_configs
    ends = on.table.values[:, 1, -1, 0].astype(float)
    assert on.rank(ends[7], 1, at_end=True) == 1 + (ends < ends[7]).sum()


@pytest.mark.parametrize(
    "change",
    [
        lambda one: Experiment(one.claim, one.table, Setup("ASHA", "ASHA", 3, limits=SHORT), one.seed),
        lambda one: Experiment(one.claim, one.table, Setup("ASHA", "ASHA", 2, {"brackets": 2}, SHORT), one.seed),
        lambda one: Experiment(one.claim, one.table, Setup("ASHA", "PASHA", 2, limits=SHORT), one.seed),
    ],
)
def test_a_record_of_other_settings_does_not_count(tmp_path: Path, change: Callable[[Experiment], Experiment]) -> None:
    """It is told, and the experiment is run again; the newer record then counts."""
    file = tmp_path / "records.jsonl"
    now = Experiment("asha", DIGITS, SETUPS["asha"][1], 0)
    former = change(now)
    assert former.key == now.key
    append(file, {"key": now.key, "digest": digest_of(former), "steps": []})
    assert valid(file, [now]) == Valid({}, 1, frozenset())
    assert running.run(file, [now], 1) == 0
    assert valid(file, [now]).records[now.key]["steps"]
    assert len(read(file)[now.key]) == 2


def test_a_line_cut_short_is_left_behind(tmp_path: Path) -> None:
    """What a crash of the machine tore is passed over, and the next record stands in a line of its own."""
    file = tmp_path / "records.jsonl"
    append(file, {"key": "a"})
    with file.open("a") as opened:
        opened.write('{"key":"b","steps":[[1')
    append(file, {"key": "c"})
    assert list(read(file)) == ["a", "c"]
    assert json.loads(file.read_text().splitlines()[-1]) == {"key": "c"}


def test_time_limit_begins_nothing_more(tmp_path: Path) -> None:
    """With no time at all nothing runs, and what is left is told."""
    assert running.run(tmp_path / "records.jsonl", TINY.experiments(), 1, time_limit=0.0) == 4


def test_stragglers_are_slower_by_the_factor_and_the_same_for_all_methods() -> None:
    """About the share that was asked for; which ones depends on the seed and the configuration alone."""
    table = power_laws(200, 5)
    slow = WithStragglers(table, 0.25, 8.0, random_seed=1)
    flags = [slow.is_slow(table.config_at(row)) for row in range(200)]
    assert 0.15 < sum(flags) / 200 < 0.35
    for row in range(20):
        config = table.config_at(row)
        factor = 8.0 if flags[row] else 1.0
        assert list(slow.curve({**config, "more": 1}).elapsed) == [factor * one for one in table.curve(config).elapsed]
        assert slow.curve(config).metrics == table.curve(config).metrics
    other = WithStragglers(table, 0.25, 8.0, random_seed=2)
    assert flags != [other.is_slow(table.config_at(row)) for row in range(200)]
    with pytest.raises(ValueError, match="factor 1 or more"):
        WithStragglers(table, 0.1, 0.5, 0)


def test_tables_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TaskSet the study has our own tables alone; its records still count for the page."""
    monkeypatch.setenv(TASKSET_VARIABLE, str(tmp_path))
    assert is_there(DIGITS)
    assert len(FULL.missing_tables()) == 6
    experiment = Experiment("asha", FULL.missing_tables()[0], SETUPS["asha"][0], 0)
    file = tmp_path / "records.jsonl"
    append(file, {"key": experiment.key, "digest": "made where it was"})
    assert experiment.key in valid(file, [experiment]).records


@pytest.mark.parametrize("name", list(PLANS))
def test_plans_name_methods_and_each_experiment_once(name: str) -> None:
    """Every setup is a method of ours or an optimizer of the comparison of regrets; keys are distinct."""
    experiments = PLANS[name].experiments()
    keys = [one.key for one in experiments]
    assert len(set(keys)) == len(keys)
    assert all(hasattr(baselines, one.setup.method) for one in experiments if one.claim != REGRET)
    # Seed after seed: what is there after a cut are whole seeds.
    assert [one.seed for one in experiments] == sorted(one.seed for one in experiments)


def test_an_error_of_an_experiment_names_it(tmp_path: Path) -> None:
    """It ends the run, and what had finished is kept."""
    broken = Experiment("asha", DIGITS, Setup("broken", "ASHA", 2, {"grace_period": -1}, SHORT), 0)
    good = TINY.experiments()[0]
    file = tmp_path / "records.jsonl"
    with pytest.raises(ValueError, match="grace_period"):
        running.run(file, [good, broken], 1)
    assert list(read(file)) == [good.key]


def test_the_least_that_pasha_can_need_is_that_of_a_maximum_that_never_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every ranking counts as settled, PASHA trains exactly what the setup beside it trains."""
    _, pasha, least = FULL.setups["pasha"]
    monkeypatch.setattr(SoftRanking, "has_settled", lambda *_: True)
    limits = {"max_num_trials_started": 40}
    records = [play(Experiment("x", DIGITS, dataclasses.replace(setup, limits=limits), 3)) for setup in (pasha, least)]
    assert records[0]["epochs"] == records[1]["epochs"]
    assert records[0]["best"] == records[1]["best"]
