"""Reports from the CloudWatch log: each once and in order, whatever the log does."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent.log_lines import end_line, report_line
from cloudtune.agent.protocol import COMPLETED, TERMINATED
from cloudtune.aws.errors import AccessDenied, Throttled
from cloudtune.backend.sagemaker_backend.log_attempt import LogEnd, Patience
from cloudtune.backend.sagemaker_backend.log_channel import LogChannel, LogNews
from cloudtune.trial import Report
from tests.aws.scripted_logs import ScriptedLine, ScriptedLogs

LOG = "cloudtune.backend.sagemaker_backend.log_attempt"


def agent_report(number: int, run: str = "r") -> str:
    return report_line(run, number, json.dumps({"loss": number}))


def agent_end(reports: int, outcome: str = COMPLETED, run: str = "r") -> str:
    end = {"outcome": outcome, "exit_code": 0, "signal": None, "reason": "", "output": ""}
    return end_line(run, end, reports)  # type: ignore[arg-type]


def printed_report(number: int, **metrics: Any) -> str:
    return "[tune-metric]: " + json.dumps({"loss": number, **metrics, "st_worker_iter": number})


class Desk:
    """A channel, its scripted log, and what was heard."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.logs = ScriptedLogs()
        self.channel = self.new_channel(patience)
        self.heard: list[LogNews] = []

    def new_channel(self, patience: Patience | None = None) -> LogChannel:
        return LogChannel(self.logs, "exp-", patience=patience, clock=lambda: self.logs.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.logs.now += seconds

    def look(self, after: float = 2.0) -> list[LogNews]:
        """The news of the next look."""
        self.logs.now += after
        news = self.channel.look()
        self.heard += news
        return news

    def numbers(self, after: float = 2.0) -> list[tuple[int, int]]:
        """Run and number of the reports of the next look."""
        return [(report.run, report.number) for news in self.look(after) for report in news.reports]

    def reports_of(self, job_name: str) -> list[Report]:
        return [report for news in self.heard if news.job_name == job_name for report in news.reports]

    def ends_of(self, job_name: str) -> list[LogEnd]:
        return [news.end for news in self.heard if news.job_name == job_name and news.end is not None]


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


def test_a_drain_gives_what_is_there_with_its_numbers() -> None:
    """The job is terminal, a line was lost: after a settle time the rest is given as it is, and the end too."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    for number in (0, 2):
        desk.logs.write("exp-1/algo-1-5", agent_report(number))
    desk.logs.write("exp-1/algo-1-5", agent_end(4))
    begin = desk.logs.now
    assert [report.number for report in desk.channel.drain("exp-1")] == [0, 2]
    assert desk.logs.now - begin <= Patience().longest + 2
    assert desk.ends_of("exp-1") == []
    (news,) = desk.look()
    assert (news.reports, news.end and news.end.reports) == ([], 4)
    assert desk.channel.drain("exp-1") == []


def test_a_drain_makes_no_call_where_everything_is_there() -> None:
    """The agent's count is reached: nobody waits."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=True, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", agent_report(0))
    desk.logs.write("exp-1/algo-1-5", agent_end(1))
    assert desk.numbers() == [(0, 0)]
    calls, now = len(desk.logs.requests), desk.logs.now
    assert desk.channel.drain("exp-1") == []
    assert (len(desk.logs.requests), desk.logs.now) == (calls, now)


def test_a_drain_waits_for_late_lines_and_keeps_the_news_of_others() -> None:
    """Without the agent nobody knows how many reports there are: seconds are waited. Other jobs lose nothing."""
    desk = Desk()
    for job in (1, 2):
        desk.channel.watch(f"exp-{job}", job, 0, {}, agent=False, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", printed_report(0))
    desk.logs.write("exp-1/algo-1-5", printed_report(1), appears=8.0)
    desk.logs.write("exp-2/algo-1-5", printed_report(0), appears=2.0)
    assert [report.number for report in desk.channel.drain("exp-1")] == [0, 1]
    assert [(news.job_name, len(news.reports)) for news in desk.look()] == [("exp-2", 1)]


def test_a_drain_survives_throttling_but_not_a_refusal() -> None:
    """What was read before an error is not lost with it."""
    desk = Desk()
    desk.channel.watch("exp-1", 1, 0, {}, agent=False, may_restart=False)
    desk.logs.write("exp-1/algo-1-5", printed_report(0))
    desk.logs.errors = [Throttled("slow"), None, AccessDenied("no")]
    with pytest.raises(AccessDenied):
        desk.channel.drain("exp-1")
    assert [report.number for report in desk.channel.drain("exp-1")] == [0]


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
