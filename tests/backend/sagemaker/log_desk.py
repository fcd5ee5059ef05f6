"""A log channel on a scripted log, and the lines that jobs write there."""

from __future__ import annotations

import json
from typing import Any

from cloudtune.agent.log_lines import end_line, report_line
from cloudtune.agent.protocol import COMPLETED
from cloudtune.backend.sagemaker_backend.log_attempt import LogEnd, Patience
from cloudtune.backend.sagemaker_backend.log_channel import LogChannel, LogNews
from cloudtune.trial import Report
from tests.aws.scripted_logs import ScriptedLogs
from tests.backend.sagemaker.heads import end_mark

#: Who tells what is odd about the log of an attempt.
LOG = "cloudtune.backend.sagemaker_backend.log_attempt"


def agent_report(number: int, run: str = "r") -> str:
    return report_line(run, number, json.dumps({"loss": number}))


def agent_end(reports: int, outcome: str = COMPLETED, run: str = "r") -> str:
    return end_line(run, end_mark(outcome), reports)


def printed_report(number: int, **metrics: Any) -> str:
    return "[tune-metric]: " + json.dumps({"loss": number, **metrics, "st_worker_iter": number})


class Desk:
    """A channel, its scripted log, and what was heard."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.logs = ScriptedLogs()
        self.channel = self.new_channel(patience)
        self.heard: list[LogNews] = []

    def new_channel(self, patience: Patience | None = None) -> LogChannel:
        return LogChannel(self.logs, "exp-", patience=patience, clock=lambda: self.logs.now)

    def look(self, after: float = 2.0) -> list[LogNews]:
        """The news of the next look."""
        self.logs.now += after
        news = self.channel.look()
        self.heard += news
        return news

    def numbers(self, after: float = 2.0) -> list[tuple[int, int]]:
        """Run and number of the reports of the next look."""
        return [(report.run, report.number) for news in self.look(after) for report in news.reports]

    def settle(self, job_name: str) -> list[int]:
        """Numbers of the reports that come from when the job is known to have ended until it is settled."""
        self.channel.job_ended(job_name)
        before = len(self.reports_of(job_name))
        while not any(news.settled and news.job_name == job_name for news in self.heard):
            self.look(1.0)
        return [report.number for report in self.reports_of(job_name)[before:]]

    def reports_of(self, job_name: str) -> list[Report]:
        return [report for news in self.heard if news.job_name == job_name for report in news.reports]

    def ends_of(self, job_name: str) -> list[LogEnd]:
        return [news.end for news in self.heard if news.job_name == job_name and news.end is not None]
