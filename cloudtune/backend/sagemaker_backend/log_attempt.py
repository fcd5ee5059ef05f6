"""An attempt of a trial as the log of its training job tells of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import zip_longest
from typing import NamedTuple

from cloudtune.agent.forms import EndForm
from cloudtune.agent.log_lines import EndLine
from cloudtune.agent.protocol import TERMINATED
from cloudtune.aws.logs import FIRST_HOST, LogEvent, run_epoch
from cloudtune.backend.sagemaker_backend.log_reports import NoReport, agent_line, reporter_line
from cloudtune.backend.sagemaker_backend.run_reports import RunReports
from cloudtune.trial import Report

logger = logging.getLogger(__name__)

#: The host whose reports count.
HOST = FIRST_HOST
#: Characters of a line that are quoted.
_QUOTED = 100


class LogEnd(NamedTuple):
    """What the agent's end line says."""

    run: int
    end: EndForm
    reports: int  # how many the run has made


class Patience(NamedTuple):
    """How long is waited for what may not come. Seconds."""

    settle: float = 10.0  # for lines that come late, where nothing tells whether there are any
    longest: float = 45.0  # the same where it is known that something is missing, or lines came very late
    gap: float = 300.0  # for a report that is missing between others while its job runs


class _Run:
    """One log stream."""

    def __init__(self, seen: float) -> None:
        self.number: int | None = None  # among the runs of the attempt, once that is certain
        self.reports = RunReports()
        self.first_seen = seen
        self.last_new = seen
        self.gap_since: float | None = None
        self.gap_looks = 0
        self.run_id: str | None = None
        self.end: EndLine | None = None
        self.end_told = False
        self.prints: dict[int, int] = {}  # number -> hash of the line, where a second Reporter is possible

    @property
    def is_complete(self) -> bool:
        """Whether it is certain that all its reports were delivered."""
        return self.end is not None and self.reports.next >= self.end.reports


class LogAttempt:
    """Puts runs, and reports within a run, in order. Does nothing by itself; told of events and of the time.

    A run is a stream ``<job>/algo-1-<epoch>``; runs are numbered by their epochs, from ``first_run`` on. If the job may
    be restarted, a stream gets its number only some time after it was seen first: an earlier one may come late. What
    the runs before have still to say comes first, for the same time.
    """

    def __init__(
        self,
        job_name: str,
        trial: int,
        attempt: int,
        delivered: Mapping[int, int],
        agent: bool,
        may_restart: bool,
        patience: Patience,
        first_run: int = 0,
    ) -> None:
        self.job_name = job_name
        self.trial = trial
        self.attempt = attempt
        self.agent = agent
        self.ended_at: float | None = None  # when the tuner learned that the job is terminal
        self.quiet_looks = 0  # in a row since then
        self.quiet_at: float | None = None  # when the last of them began
        self._delivered = dict(delivered)
        self._may_restart = may_restart
        self._first_run = first_run
        self._patience = patience
        self._runs: dict[int, _Run] = {}  # by epoch
        self._told: set[str] = set()

    def take_event(self, event: LogEvent, now: float) -> bool:
        """Takes a line in; False if it says nothing new."""
        epoch = run_epoch(event.stream, self.job_name, HOST)
        if epoch is None:  # another host
            return False
        try:
            line = agent_line(event.message) if self.agent else reporter_line(event.message)
        except NoReport:
            self._tell_once(
                "a line in the log of job %s looks like a report but is none, and is skipped: %r. A report is printed "
                "whole, on a line of its own",
                self.job_name,
                event.message[:_QUOTED],
            )
            return False
        if line is None:
            return False
        run = self._runs.get(epoch)
        if run is None:
            run = self._runs[epoch] = _Run(now)
        if run.run_id is None:
            run.run_id = line.run_id
        elif run.run_id != line.run_id:
            self._tell_once(
                "the log of job %s has reports of another run among those of a run, which are skipped: %r",
                self.job_name,
                event.message[:_QUOTED],
            )
            return False
        if isinstance(line, EndLine):
            is_new = run.end is None
            run.end = run.end or line
        else:
            is_new = run.reports.add(line.number, line.metrics)
            if not self.agent:
                self._note_second_reporter(run, line.number, event.message)
        if is_new:
            run.last_new = now
        return is_new

    def take_news(self, now: float, lag: float) -> tuple[list[Report], LogEnd | None]:
        """The reports that are due, and the end of the newest run once all its reports were given.

        Args:
            now: Monotonic seconds.
            lag: Seconds by which lines came late recently.
        """
        wait = self._wait(lag)
        self._number_runs(now, wait)
        reports: list[Report] = []
        end: LogEnd | None = None
        numbered = self._in_order()
        for run, later in zip_longest(numbered, numbered[1:]):
            reports += self._reports(run, run.reports.take())
            self._watch_gap(run, now)
            if run.gap_since is not None and now - run.gap_since >= self._patience.gap:
                reports += self._give_up(run)
            if later is not None and not run.is_complete:
                if now - max(run.last_new, later.first_seen) < wait:
                    break
                reports += self._give_up(run)
            if later is None and run.end is not None and run.is_complete and not run.end_told:
                run.end_told = True
                end = LogEnd(run.number or 0, run.end.end, run.end.reports)
        return reports, end

    def take_rest(self) -> tuple[list[Report], LogEnd | None]:
        """All reports that have come, and the end of the newest run: nothing else is waited for."""
        self._number_runs(0.0, 0.0, at_once=True)
        reports: list[Report] = []
        end: LogEnd | None = None
        for run in self._in_order():
            reports += self._reports(run, run.reports.take())
            reports += self._give_up(run)
            end = None
            if run.end is None:
                continue
            if not run.is_complete:
                logger.warning(
                    "run %d of job %s has made %d reports, of which those from number %d on never appeared in its log",
                    run.number,
                    self.job_name,
                    run.end.reports,
                    run.reports.next,
                )
            if not run.end_told:
                end = LogEnd(run.number or 0, run.end.end, run.end.reports)
        return reports, end

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard of it."""
        return not self._runs

    @property
    def is_restless(self) -> bool:
        """Whether there may be news of it without new lines, because time passes."""
        return self.ended_at is not None or any(
            run.number is None or run.reports.has_gap for run in self._runs.values()
        )

    def note_quiet_look(self, began: float) -> None:
        """A look that began at this time (monotonic seconds) has read everything, and found nothing new of it."""
        self.quiet_looks += 1
        self.quiet_at = began

    def is_settled(self, lag: float) -> bool:
        """Whether nothing will follow, the job being terminal.

        Only time up to the last look counts: what appeared since then was not read yet.
        """
        if self.ended_at is None:
            return False
        runs = self._in_order()
        if len(runs) == len(self._runs) and runs and all(run.is_complete for run in runs):
            # After SIGTERM a spot job may have run again: that is not seen from its first run.
            last = runs[-1].end
            if not self._may_restart or (last is not None and last.end["outcome"] != TERMINATED):
                return True
        if self.quiet_looks < 2 or self.quiet_at is None:
            return False
        waited = self.quiet_at - self.ended_at
        return waited >= (self._patience.longest if self._lacks_something() else self._wait(lag))

    def _lacks_something(self) -> bool:
        """Whether it is known that lines are missing. An agent that could end in order has told its end."""
        if not self._runs:
            return False
        newest = self._runs[max(self._runs)]
        return (self.agent and newest.end is None) or any(
            run.reports.has_gap or (run.end is not None and not run.is_complete) for run in self._runs.values()
        )

    def wants_wide_look(self) -> bool:
        """Whether the next look should go back far: something is missing, or the job is about to be settled.

        To be asked once per look.
        """
        wanted = self.ended_at is not None and self.quiet_looks in (1, 4, 12)
        for run in self._runs.values():
            if run.gap_since is not None:
                run.gap_looks += 1
                wanted = wanted or run.gap_looks in (2, 4, 8, 16)
        return wanted

    def _wait(self, lag: float) -> float:
        return min(self._patience.settle + 2 * lag, max(self._patience.settle, self._patience.longest))

    def _number_runs(self, now: float, wait: float, at_once: bool = False) -> None:
        """Gives numbers to the runs that were seen long enough ago, and to those before them."""
        new = sorted(epoch for epoch, run in self._runs.items() if run.number is None)
        if not new:
            return
        certain = [e for e in new if at_once or not self._may_restart or now - self._runs[e].first_seen >= wait]
        if not certain:
            return
        free = self._first_run + len(self._runs) - len(new)
        newest = max((epoch for epoch, run in self._runs.items() if run.number is not None), default=0)
        for number, epoch in enumerate((e for e in new if e <= certain[-1]), free):
            if epoch < newest:
                self._tell_once(
                    "the log of an earlier run of job %s came very late: its reports follow those of a later run, as "
                    "run %d",
                    self.job_name,
                    number,
                )
            run = self._runs[epoch]
            run.number = number
            held = run.reports
            run.reports = RunReports(self._delivered.get(number, 0))
            for report in held.take_all():
                run.reports.add(*report)

    def _in_order(self) -> list[_Run]:
        """The runs that have numbers."""
        numbered = [(run.number, run) for run in self._runs.values() if run.number is not None]
        return [run for _, run in sorted(numbered, key=lambda pair: pair[0])]

    def _watch_gap(self, run: _Run, now: float) -> None:
        if not run.reports.has_gap:
            run.gap_since, run.gap_looks = None, 0
        elif run.gap_since is None:
            run.gap_since = now

    def _give_up(self, run: _Run) -> list[Report]:
        missing = run.reports.next
        reports = self._reports(run, run.reports.take_all())
        if reports:
            logger.warning(
                "report %d of run %d of job %s never appeared in its log; the reports after it are used without it",
                missing,
                run.number,
                self.job_name,
            )
        return reports

    def _reports(self, run: _Run, numbered: list[tuple[int, dict[str, object]]]) -> list[Report]:
        return [Report(self.trial, self.attempt, run.number or 0, number, metrics) for number, metrics in numbered]

    def _note_second_reporter(self, run: _Run, number: int, message: str) -> None:
        """Two Reporters of a script both begin to count from 0."""
        printed = hash(message)
        if run.prints.setdefault(number, printed) != printed:
            self._tell_once(
                "job %s has printed two different reports as number %d, of which one is lost; make one Reporter in the "
                "training script, in the process with rank 0",
                self.job_name,
                number,
            )

    def _tell_once(self, text: str, *values: object) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.warning(text, *values)
