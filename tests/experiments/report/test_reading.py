"""What is read of an experiment's log, beside its table of results."""

from __future__ import annotations

from cloudtune.experiments import load_experiment
from cloudtune.experiments.report.reading import read_in_folder, read_in_s3, read_results_only
from cloudtune.experiments.report.study import ReportedTrial
from cloudtune.localcloud import LocalCloud
from tests.experiments.in_s3 import account, header
from tests.experiments.recorded import THREE_TRIALS, record, recorded
from tests.experiments.studies_in_s3 import ended, place, running

__all__ = ["account"]

FAILED = {
    "event": "end",
    "trial": 2,
    "attempt": 0,
    "outcome": "failed",
    "reason": "exit code 1\nboom",
    "exit_code": 1,
    "time": 6.0,
    "status": "Failed",
}
BILL = {"event": "bill", "trial": 1, "attempt": 0, "dollars": 0.5, "seconds": 9, "final": True, "time": 7.0}
FINISHED = {"event": "finish", "why": "enough", "state": "finished", "time": 9.0}


def test_an_experiment_that_has_ended() -> None:
    """Its state and why, each trial with its configuration, bills, and why a trial has failed."""
    recorded("digits", header("digits"), *THREE_TRIALS, FAILED, BILL, FINISHED)
    read = read_in_folder(load_experiment("digits"))
    assert (read.name, read.state, read.why, read.seconds, read.cost) == ("digits", "finished", "enough", 9.0, 0.5)
    assert list(read.trials) == [
        ReportedTrial(0, "Stopping", {"lr": 0.1, "width": 32}),
        ReportedTrial(1, "InProgress", {"lr": 0.2, "width": 64}, cost=0.5),
        ReportedTrial(2, "Failed", {"lr": 0.3, "width": None}, reason="exit code 1\nboom"),
    ]


def test_an_experiment_whose_tuner_is_at_work_or_gone() -> None:
    """The lease tells them apart; a cost that nobody has told is not known, which is not 0."""
    store = record("digits", header("digits"), *THREE_TRIALS)
    assert read_in_folder(load_experiment("digits")).state == "running"
    store.close()
    gone = read_in_folder(load_experiment("digits"))
    assert (gone.state, gone.why, gone.cost) == ("unfinished", "", None)


def test_experiments_in_s3(account: LocalCloud) -> None:
    """The same, by log and lease in the bucket."""
    ended("one", FAILED | {"event": "clock"}, *THREE_TRIALS, FAILED)
    store = running("two", *THREE_TRIALS)
    states = {}
    for name in ("one", "two"):
        result = load_experiment(f"study/{name}")
        read = read_in_s3(result, place().bucket, place().experiment(name))
        states[name] = (read.state, [trial.status for trial in read.trials])
    store.close()
    assert states == {
        "one": ("finished", ["Stopping", "InProgress", "Failed"]),
        "two": ("running", ["Stopping", "InProgress", "Stopping"]),
    }


def test_without_its_log_the_table_of_results_tells_what_it_can() -> None:
    """A copy of results is here, and S3 is not to be reached: the page says what is missing."""
    recorded("digits", header("digits"), *THREE_TRIALS, FINISHED, st_finished_why="enough", st_cost=0.5)
    read = read_results_only(load_experiment("digits"), "no network")
    assert (read.state, read.why, read.seconds, read.cost) == ("finished", "enough", 4.5, 0.5)
    assert list(read.trials) == [
        ReportedTrial(0, "Stopped", {"lr": 0.1, "width": 32}),
        ReportedTrial(1, "Unknown", {"lr": 0.2, "width": 64}),
        ReportedTrial(2, "Unknown", {"lr": 0.3, "width": None}),
    ]
    assert read.damage == "its log cannot be read (no network): trials that have reported nothing are missing"
