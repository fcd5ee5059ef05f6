"""Reports from the log of a job that ran several times, and lines that come very late."""

from __future__ import annotations

import logging

import pytest

from tests.backend.sagemaker.log_desk import LOG, Desk, agent_end, agent_report, printed_report


def test_the_runs_of_a_spot_job_follow_each_other(caplog: pytest.LogCaptureFixture) -> None:
    """Runs are numbered by the epochs of their streams, though the log of the first came after that of the second."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True)
    desk.logs.write("exp-1/algo-1-20", agent_report(0, "b"))
    assert desk.numbers() == []
    desk.logs.write("exp-1/algo-1-10", agent_report(0, "a"))
    assert desk.numbers() == []
    found = [report for _ in range(30) for report in desk.numbers()]
    assert found == [(0, 0), (1, 0)]
    with caplog.at_level(logging.WARNING, LOG):
        desk.logs.write("exp-1/algo-1-5", agent_report(0, "z"))
        assert [report for _ in range(30) for report in desk.numbers()] == [(2, 0)]
    assert "came very late" in caplog.text


def test_a_job_is_not_settled_by_the_end_of_an_earlier_run() -> None:
    """The platform has failed after the agent's end, and has started the container again: that run counts, too."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True)
    desk.logs.write("exp-1/algo-1-10", agent_report(0, "a"))
    desk.logs.write("exp-1/algo-1-10", agent_end(1, run="a"))
    assert [report for _ in range(8) for report in desk.numbers()] == [(0, 0)]
    desk.logs.write("exp-1/algo-1-20", agent_report(0, "b"))
    assert desk.numbers() == []
    desk.channel.job_ended("exp-1")
    desk.logs.write("exp-1/algo-1-20", agent_report(1, "b"), appears=desk.logs.now + 5)
    assert [report for _ in range(40) for report in desk.numbers()] == [(1, 0), (1, 1)]


def test_what_an_earlier_run_has_still_to_say_comes_first() -> None:
    """As long as its lines keep coming, those of the next run wait."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True)
    desk.logs.write("exp-1/algo-1-10", agent_report(0, "a"), time=0, appears=0)
    desk.logs.write("exp-1/algo-1-20", agent_report(0, "b"), time=20, appears=20)
    desk.logs.write("exp-1/algo-1-10", agent_report(2, "a"), time=29, appears=29)
    desk.logs.write("exp-1/algo-1-10", agent_report(1, "a"), time=36, appears=36)
    found = [report for _ in range(120) for report in desk.numbers(1.0)]
    assert found == [(0, 0), (0, 1), (0, 2), (1, 0)]


def long_silence() -> Desk:
    """A job has reported a long time ago, and other jobs ever since."""
    desk = Desk()
    for job in (1, 2):
        desk.channel.watch(f"exp-{job}", job, 0, {}, agent=False, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", printed_report(0))
    for number in range(10):
        desk.logs.write("exp-2/algo-1-5", printed_report(number))
        desk.look(20.0)
    return desk


def test_a_very_late_line_is_found_before_the_job_is_settled() -> None:
    """It is older than what ordinary looks go back to: one look goes back further before the end."""
    desk = long_silence()
    desk.logs.write("exp-1/algo-1-5", printed_report(1), time=100.0)
    desk.channel.job_ended("exp-1")
    while not any(news.settled for news in desk.heard):
        desk.look()
    assert [report.number for report in desk.reports_of("exp-1")] == [0, 1]


def test_a_very_late_line_that_is_missed_is_looked_for() -> None:
    """The report after it has come: within a few looks the one that is missing is found."""
    desk = long_silence()
    desk.logs.write("exp-1/algo-1-5", printed_report(1), time=100.0)
    desk.logs.write("exp-1/algo-1-5", printed_report(2))
    assert [report for _ in range(4) for report in desk.numbers()] == [(0, 1), (0, 2)]
