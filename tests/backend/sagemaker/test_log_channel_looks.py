"""What a look at the logs costs, and which jobs it reads: many, silent, watched late, ended before."""

from __future__ import annotations

import pytest

from cloudtune.aws.errors import Throttled
from cloudtune.backend.sagemaker_backend.log_channel import LogNews
from tests.backend.sagemaker.log_desk import Desk, agent_end, agent_report, printed_report


def test_ten_thousand_reports_of_one_trial() -> None:
    """All at once, in any order."""
    desk = Desk()
    desk.logs.page = 500
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    for number in reversed(range(10_000)):
        desk.logs.write("exp-1/algo-1-5", agent_report(number))
    desk.look()
    assert [report.number for report in desk.reports_of("exp-1")] == list(range(10_000))


@pytest.mark.defect("E3")
def test_a_look_costs_one_call_with_a_thousand_silent_jobs() -> None:
    """And asks for the agent's lines only where all jobs have the agent."""
    desk = Desk()
    for job in range(1000):
        desk.channel.watch(f"exp-{job}", job, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-7/algo-1-5", agent_report(0))
    assert desk.numbers() == [(0, 0)]
    for _ in range(9):
        assert desk.look() == []
    assert len(desk.logs.requests) == 10
    assert {request["filterPattern"] for request in desk.logs.requests} == {'?"[cloudtune-report]" ?"[cloudtune-end]"'}
    assert not desk.channel._restless


def test_the_pattern_has_what_the_watched_jobs_need() -> None:
    """Lines that nobody needs are not sent."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=False)
    desk.look()
    desk.channel.watch("exp-2", 2, 0, {}, agent=True)
    desk.look()
    assert [request["filterPattern"] for request in desk.logs.requests] == [
        '"[tune-metric]"',
        '?"[cloudtune-report]" ?"[cloudtune-end]" ?"[tune-metric]"',
    ]


def test_without_jobs_no_call_is_made() -> None:
    """Nor for jobs that are forgotten; their late lines are of no interest."""
    desk = Desk()
    assert desk.look() == []
    desk.channel.watch("exp-1", 1, 0, {}, agent=True)
    desk.channel.forget("exp-1")
    desk.channel.forget("exp-1")
    assert desk.look() == []
    assert desk.logs.requests == []


def test_a_job_may_be_watched_a_little_late() -> None:
    """What was seen of it before is kept for it."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-2/algo-1-5", agent_report(0))
    assert desk.numbers() == []
    desk.channel.watch("exp-2", 2, 0, {}, agent=True, may_restart=False)
    assert desk.numbers() == [(0, 0)]


def test_a_job_that_is_watched_late_misses_nothing_though_very_much_was_seen_before() -> None:
    """More than is kept: then its log is read once for itself, and from then on together with the others."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-2/algo-1-5", agent_report(0))
    for number in range(10_001):
        desk.logs.write("exp-3/algo-1-5", agent_report(number), time=1.0)
    desk.logs.now = 5000.0
    desk.logs.write("exp-1/algo-1-5", agent_report(0))
    assert desk.numbers() == [(0, 0)]
    desk.channel.watch("exp-2", 2, 0, {}, agent=True, may_restart=False)
    assert desk.numbers() == [(0, 0)]
    calls = len(desk.logs.requests)
    desk.logs.write("exp-2/algo-1-5", agent_report(1))
    assert desk.numbers() == [(0, 1)]
    assert len(desk.logs.requests) == calls + 1


def test_a_job_without_a_log_settles() -> None:
    """It failed before its container began."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True)
    desk.channel.job_ended("exp-1")
    while not desk.heard:
        desk.look()
        assert desk.logs.now < 60
    assert desk.heard == [LogNews(1, 0, "exp-1", settled=True)]


def test_a_job_that_is_watched_only_after_its_end_is_read_whole() -> None:
    """Its lines may be older than anything that a look would go back to; others' logs need not be read for it."""
    desk = Desk()
    desk.logs.write("exp-1/algo-1-5", agent_report(0), time=1.0)
    desk.logs.now = 5000.0
    desk.channel.watch("exp-2", 2, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-2/algo-1-9", agent_report(0))
    desk.logs.lines = [line for line in desk.logs.lines if line.stream.startswith("exp-2")]
    assert desk.numbers() == [(0, 0)]
    desk.logs.write("exp-1/algo-1-5", agent_report(0), time=1.0)
    desk.logs.write("exp-1/algo-1-5", agent_end(1), time=2.0)
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.channel.job_ended("exp-1")
    (news,) = desk.look()
    assert (news.job_name, len(news.reports), news.end and news.end.reports) == ("exp-1", 1, 1)
    assert desk.logs.requests[-1]["logStreamNamePrefix"] == "exp-1/algo-1-"


def test_a_job_is_not_settled_while_its_log_is_still_being_read() -> None:
    """CloudWatch answers with empty pages while it searches: that is not the same as no news."""
    desk = Desk()
    desk.logs.empty_pages = 180
    desk.logs.write("exp-1/algo-1-5", printed_report(0))
    desk.channel.watch("exp-1", 1, 0, {}, agent=False, may_restart=False)
    desk.channel.job_ended("exp-1")
    while not any(news.settled for news in desk.heard):
        desk.look(after=20.0)
    assert [report.number for report in desk.reports_of("exp-1")] == [0]


def test_many_jobs_that_ended_without_a_line_take_turns() -> None:
    """No look is held up by all of them; each is settled in the end."""
    desk = Desk()
    for job in range(35):
        desk.channel.watch(f"exp-{job}", job, 0, {}, agent=True, may_restart=False)
        desk.channel.job_ended(f"exp-{job}")
    while sum(news.settled for news in desk.heard) < 35:
        before = len(desk.logs.requests)
        desk.look()
        assert len(desk.logs.requests) - before <= 10
        assert desk.logs.now < 200


def test_an_error_of_a_look_is_raised_and_loses_nothing() -> None:
    """What the next look gives is complete."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", agent_report(0))
    desk.logs.errors = [Throttled("slow")]
    with pytest.raises(Throttled):
        desk.look()
    assert desk.numbers() == [(0, 0)]
