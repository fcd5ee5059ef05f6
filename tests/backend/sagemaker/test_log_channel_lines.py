"""Which lines of a log are reports: of the first host and rank, whole, of one Reporter."""

from __future__ import annotations

import logging

import pytest

from tests.backend.sagemaker.log_desk import LOG, Desk, agent_report, printed_report


@pytest.mark.defect("R12")
def test_only_the_first_host_counts() -> None:
    """Each host of a job prints the same reports: those of algo-1 are used, once."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=False, may_restart=False)
    for number in range(3):
        for host in ("algo-2", "algo-1", "algo-11"):
            desk.logs.write(f"exp-1/{host}-5", printed_report(number, host=host))
    desk.look()
    assert [(report.number, report.metrics["host"]) for report in desk.reports_of("exp-1")] == [
        (0, "algo-1"),
        (1, "algo-1"),
        (2, "algo-1"),
    ]


def test_launchers_put_the_rank_before_the_line() -> None:
    """mpirun and torchrun show all ranks in the log of the first host; rank 0 counts."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=False, may_restart=False)
    for number, prefix in enumerate(("[1,mpirank:{},algo-1]<stdout>:", "[1,{}]<stdout>:", "[default{}]:")):
        for rank in (1, 0, 10):
            desk.logs.write("exp-1/algo-1-5", prefix.format(rank) + printed_report(number, rank=rank))
    desk.look()
    assert [(report.number, report.metrics["rank"]) for report in desk.reports_of("exp-1")] == [(0, 0), (1, 0), (2, 0)]


GARBAGE = [
    'progress 50% [tune-metric]: {"loss": 1, "st_worker_iter": 0}',
    '[tune-metric]: {"loss": 1',
    "[tune-metric]: [1]",
    '[tune-metric]: {"loss": 1}',
    '[tune-metric]: {"loss": 1, "st_worker_iter": -1}',
    '[tune-metric]: {"loss": 1, "st_worker_iter": true}',
    '[tune-metric]: {"loss": 1, "st_worker_iter": 0.0}',
    '[tune-metric]: {"loss": 1, "st_worker_iter": 1000000000000}',
    '[tune-metric]: {"loss": ' + "[" * 60 + "]" * 60 + ', "st_worker_iter": 0}',
    "[tune-metric]: " + "[" * 100_000,
    'it said [cloudtune-report]: {"run_id": "r", "n": 0, "m": {}}',
    '[cloudtune-report]: {"run_id": "r", "n": 0',
    '[cloudtune-report]: {"run_id": "r", "n": -1, "m": {}}',
    '[cloudtune-report]: {"run_id": "r", "n": 1000000000000, "m": {}}',
    '[cloudtune-report]: {"run_id": "r", "n": 0, "m": {"a": ' + "[" * 60 + "]" * 60 + "}}",
    '[cloudtune-end]: {"run_id": "r"}',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_only_looks_like_a_report_is_skipped_and_told_once(garbage: str, caplog: pytest.LogCaptureFixture) -> None:
    """Torn lines, tags in the middle of a line, numbers that are none: the next good report comes all the same."""
    agent = "tune-metric" not in garbage
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent, may_restart=False)
    with caplog.at_level(logging.WARNING, LOG):
        for _ in range(2):
            desk.logs.write("exp-1/algo-1-5", garbage)
        desk.logs.write("exp-1/algo-1-5", agent_report(0) if agent else printed_report(0))
        assert desk.numbers() == [(0, 0)]
    (told,) = caplog.records
    assert "looks like a report but is none" in told.getMessage()


def test_a_second_reporter_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """It counts from 0 as the first does, so its reports cannot be told from repetitions, and that is said."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=False, may_restart=False)
    with caplog.at_level(logging.WARNING, LOG):
        for _ in range(2):
            desk.logs.write("exp-1/algo-1-5", printed_report(0))
        assert desk.numbers() == [(0, 0)]
        assert not caplog.records, "a repeated line is no second Reporter"
        desk.logs.write("exp-1/algo-1-5", printed_report(0, other=1))
        assert desk.numbers() == []
    assert "make one Reporter" in caplog.text


def test_reports_of_another_run_in_the_same_stream_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    """A script that prints another job's log does not report for that job."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    with caplog.at_level(logging.WARNING, LOG):
        desk.logs.write("exp-1/algo-1-5", agent_report(0))
        desk.logs.write("exp-1/algo-1-5", agent_report(1, "foreign"))
        assert desk.numbers() == [(0, 0)]
    assert "reports of another run" in caplog.text


def test_not_a_number_is_a_report() -> None:
    """NaN and infinity pass, as they do elsewhere."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=False, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", '[tune-metric]: {"loss":NaN,"gain":-Infinity,"st_worker_iter":0}')
    desk.look()
    (report,) = desk.reports_of("exp-1")
    assert (str(report.metrics["loss"]), report.metrics["gain"]) == ("nan", float("-inf"))
