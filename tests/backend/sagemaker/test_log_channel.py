"""Reports from the CloudWatch log: each once and in order, whatever the log does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtune.agent.protocol import COMPLETED, TERMINATED
from cloudtune.aws.errors import AccessDenied, Throttled
from cloudtune.backend.sagemaker_backend.log_attempt import Patience
from cloudtune.backend.sagemaker_backend.log_channel import LogNews
from cloudtune.trial import Report
from tests.aws.scripted_logs import ScriptedLine
from tests.backend.sagemaker.log_desk import LOG, Desk, agent_end, agent_report, printed_report


@dataclass(frozen=True)
class Job:
    """A job of a drawn history: for each run, the seconds between its lines and how late each of these came."""

    agent: bool
    runs: tuple[tuple[tuple[int, float, bool], ...], ...]  # (seconds before, late, doubled)
    told_at_once: bool


def jobs() -> st.SearchStrategy[Job]:
    line = st.tuples(st.integers(0, 3), st.floats(0, 9.9), st.booleans())
    run = st.lists(line, min_size=1, max_size=6).map(tuple)
    runs = st.lists(run, min_size=1, max_size=3).map(tuple)
    return st.builds(Job, agent=st.booleans(), runs=runs, told_at_once=st.booleans())


def history(jobs: list[Job]) -> Iterator[tuple[str, Job, list[ScriptedLine], float]]:
    """For each job its name, its lines, and when it had ended."""
    for index, job in enumerate(jobs):
        name, moment, lines = f"exp-{index}", 1.0, []
        for number, run in enumerate(job.runs):
            moment += 1
            stream = f"{name}/algo-1-{100 + int(moment)}"
            for report, (before, late, doubled) in enumerate(run):
                moment += before
                text = agent_report(report, f"run{number}") if job.agent else printed_report(report)
                for copy in range(1 + doubled):
                    event = f"{name}-{number}-{report}-{copy}"
                    lines.append(ScriptedLine(stream, moment, moment + late / (1 + copy), text, event))
            if job.agent:
                outcome = COMPLETED if number == len(job.runs) - 1 else TERMINATED
                late = run[0][1]
                text = agent_end(len(run), outcome, f"run{number}")
                lines.append(ScriptedLine(stream, moment, moment + late, text, f"{name}-{number}-end"))
        yield name, job, lines, moment


@example(  # the last look before the time to settle is over must be one after it: 11.9 is read at 12.0, not at 11.5
    drawn=[Job(agent=False, runs=(((0, 9.9, False),),), told_at_once=True)], page=1, every=0.5
)
@given(drawn=st.lists(jobs(), min_size=1, max_size=4), page=st.integers(1, 30), every=st.sampled_from([0.5, 2.0, 3.7]))
def test_every_report_comes_once_and_in_order(drawn: list[Job], page: int, every: float) -> None:
    """Of any jobs with restarts, with the agent or without, lines late, shuffled and doubled: all, once, in order."""
    desk = Desk()
    desk.logs.page = page
    ended: dict[str, float] = {}
    expected = {}
    for name, job, lines, end in history(drawn):
        desk.logs.lines += lines
        desk.channel.watch(name, len(ended), 0, {}, job.agent)
        ended[name] = end if job.told_at_once else end + 30
        expected[name] = [(run, number) for run, made in enumerate(job.runs) for number in range(len(made))]
    while desk.channel._attempts:
        desk.look(every)
        for name, end in ended.items():
            if desk.logs.now >= end:
                desk.channel.job_ended(name)
        assert desk.logs.now < 300, "a job never settled"
    for name, job in zip(ended, drawn, strict=True):
        assert [(report.run, report.number) for report in desk.reports_of(name)] == expected[name]
        assert [news.settled for news in desk.heard if news.job_name == name].count(True) == 1
        if job.agent:
            last = desk.ends_of(name)[-1]
            assert (last.run, last.end["outcome"], last.reports) == (len(job.runs) - 1, COMPLETED, len(job.runs[-1]))
            own = [news for news in desk.heard if news.job_name == name]
            assert not any(news.reports for news in own[own.index(next(n for n in own if n.end is last)) + 1 :])


@given(cut=st.integers(0, 10), late=st.lists(st.floats(0, 9), min_size=10, max_size=10), agent=st.booleans())
def test_a_new_tuner_goes_on_where_the_log_ends(cut: int, late: list[float], agent: bool) -> None:
    """What was delivered to the tuner before is not delivered again; what was not is."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {0: cut}, agent)
    for number in range(10):
        text = agent_report(number) if agent else printed_report(number)
        desk.logs.write("exp-1/algo-1-5", text, time=number, appears=number + late[number])
    for _ in range(30):
        desk.look()
    assert [report.number for report in desk.reports_of("exp-1")] == list(range(cut, 10))


@pytest.mark.defect("C1")
def test_the_next_attempt_of_a_trial_loses_nothing() -> None:
    """It is another job with another log, whose reports count from 0; what the first attempt has reported is over."""
    desk = Desk()
    desk.channel.watch("exp-1-0", 1, 0, {}, agent=True, may_restart=False)
    for number in range(3):
        desk.logs.write("exp-1-0/algo-1-5", agent_report(number))
    assert desk.numbers() == [(0, 0), (0, 1), (0, 2)]
    desk.channel.forget("exp-1-0")
    desk.channel.watch("exp-1-1", 1, 1, {}, agent=True, may_restart=False)
    for number in range(2):
        desk.logs.write("exp-1-1/algo-1-9", agent_report(number))
    assert [report[:4] for news in desk.look() for report in news.reports] == [(1, 1, 0, 0), (1, 1, 0, 1)]


@pytest.mark.parametrize("running", [50, 100, 300])
def test_a_look_is_one_call_however_many_trials_run(running: int) -> None:
    """And tells of all that have reported, also where a prefix would not reach all of their logs."""
    desk = Desk()
    for trial in range(running):
        desk.channel.watch(f"exp-{trial}-0", trial, 0, {}, agent=True, may_restart=False)
    for looks in range(1, 4):
        for trial in range(running):
            desk.logs.write(f"exp-{trial}-0/algo-1-5", agent_report(looks - 1))
        assert sorted(report.trial_id for news in desk.look() for report in news.reports) == list(range(running))
        assert len(desk.logs.requests) == looks
    assert ("logStreamNamePrefix" in desk.logs.requests[-1]) == (running <= 80)


@pytest.mark.parametrize(
    ("trial", "attempt", "hosts", "by_prefix"),
    [(39, 0, 2, True), (40, 0, 2, False), (0, 79, 1, True), (0, 80, 1, False), (79, 0, 1, True), (79, 1, 1, False)],
)
def test_logs_are_counted_that_nobody_reads(trial: int, attempt: int, hosts: int, by_prefix: bool) -> None:
    """Those of other hosts, of earlier attempts, and of trials that an earlier tuner has watched count as well."""
    desk = Desk()
    desk.channel.watch("exp", trial, attempt, {}, agent=True, hosts=hosts)
    desk.look()
    assert ("logStreamNamePrefix" in desk.logs.requests[0]) == by_prefix


def test_reports_come_at_once_where_nothing_can_be_missing() -> None:
    """A job that is never restarted has one run: its reports are not held back."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 3, {}, agent=True, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", agent_report(0))
    assert desk.look() == [LogNews(1, 3, "exp-1", [Report(1, 3, 0, 0, {"loss": 0})])]


def test_a_report_waits_for_those_before_it() -> None:
    """And comes together with them."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", agent_report(1))
    assert desk.numbers() == []
    desk.logs.write("exp-1/algo-1-5", agent_report(0))
    assert desk.numbers() == [(0, 0), (0, 1)]


def test_the_end_waits_for_the_reports() -> None:
    """The agent says how many there are; the end is told with the last of them, and the job is settled at once."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", agent_end(2))
    desk.channel.job_ended("exp-1")
    desk.logs.write("exp-1/algo-1-5", agent_report(0))
    (news,) = desk.look()
    assert (len(news.reports), news.end, news.settled) == (1, None, False)
    desk.logs.write("exp-1/algo-1-5", agent_report(1))
    (news,) = desk.look()
    assert (len(news.reports), news.end and news.end.reports, news.settled) == (1, 2, True)


def test_a_report_that_never_comes_does_not_hold_up_the_others_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """While the job runs it is waited for minutes, then the others keep their numbers; the loss is told once."""
    desk = Desk(Patience(gap=60))
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", agent_report(0))
    desk.logs.write("exp-1/algo-1-5", agent_report(2))
    assert desk.numbers() == [(0, 0)]
    assert desk.numbers(59) == []
    with caplog.at_level(logging.WARNING, LOG):
        assert desk.numbers(2) == [(0, 2)]
    assert [record.getMessage() for record in caplog.records] == [
        "report 1 of run 0 of job exp-1 never appeared in its log; the reports after it are used without it"
    ]
    desk.logs.write("exp-1/algo-1-5", agent_report(1))
    desk.logs.write("exp-1/algo-1-5", agent_report(3))
    assert desk.numbers() == [(0, 3)], "what comes too late must not come out of order"


def test_a_job_that_lacks_a_line_is_settled_without_it() -> None:
    """The job is terminal, a line was lost: after a while the rest is given with its numbers, and the end too."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    for number in (0, 2):
        desk.logs.write("exp-1/algo-1-5", agent_report(number))
    desk.logs.write("exp-1/algo-1-5", agent_end(4))
    begin = desk.logs.now
    assert desk.settle("exp-1") == [0, 2]
    assert desk.logs.now - begin <= Patience().longest + 2
    assert [end.reports for end in desk.ends_of("exp-1")] == [4]


def test_a_job_is_not_settled_before_late_lines() -> None:
    """Without the agent nobody knows how many reports there are: seconds are waited. Other jobs lose nothing."""
    desk = Desk()
    for job in (1, 2):
        desk.channel.watch(f"exp-{job}", job, 0, {}, agent=False, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", printed_report(0))
    desk.logs.write("exp-1/algo-1-5", printed_report(1), appears=8.0)
    desk.logs.write("exp-2/algo-1-5", printed_report(0), appears=2.0)
    assert desk.settle("exp-1") == [0, 1]
    assert len(desk.reports_of("exp-2")) == 1


def test_a_look_that_fails_loses_nothing() -> None:
    """What CloudWatch was asked for in vain is read by the next look."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=False, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", printed_report(0))
    desk.channel.job_ended("exp-1")
    for error in (Throttled("slow"), AccessDenied("no")):
        desk.logs.errors = [error]
        with pytest.raises(type(error)):
            desk.look()
    assert desk.settle("exp-1") == [0]
