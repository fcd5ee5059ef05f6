"""Reports from the CloudWatch log, for jobs that cannot write to S3 or that run the image's own entry point.

With the agent as entry point, the agent prints numbered reports, and at the end how many there were. Without it, the
reports are what the script's own Reporter prints; a script makes one Reporter then, in the process with rank 0. Only
what host ``algo-1`` prints counts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from cloudtune.agent.protocol import LOG_END, LOG_REPORT
from cloudtune.aws.clients import Aws
from cloudtune.aws.logs import LogEvent, Tail
from cloudtune.backend.sagemaker_backend.log_attempt import HOST, LogAttempt, LogEnd, Patience
from cloudtune.constants import TUNE_METRIC_TAG
from cloudtune.trial import Report

logger = logging.getLogger(__name__)

#: Lines of jobs that are not watched yet, of which so many are kept.
_MOST_UNCLAIMED = 10_000
#: So many jobs are read each for itself in one look.
_MOST_ALONE = 10


@dataclass(frozen=True)
class LogNews:
    """What is new of an attempt.

    Args:
        trial: Its trial.
        attempt: Its number.
        job_name: Its training job.
        reports: New ones, in order; none is given twice.
        end: How the newest run ended, by the agent's word, once all its reports were given. After SIGTERM
            (``terminated``) a spot job may run again.
        settled: The job is terminal, and everything that its log has to say was said.
    """

    trial: int
    attempt: int
    job_name: str
    reports: list[Report] = field(default_factory=list)
    end: LogEnd | None = None
    settled: bool = False


class LogChannel:
    """Reports of all watched jobs for one call of FilterLogEvents per look. Thread-safe.

    Args:
        aws: Whose logs.
        job_name_prefix: Common to the names of all jobs of the experiment.
        since: Lines older than this do not matter, in Unix seconds by AWS's clock (``CreationTime`` of the oldest job
            that runs); None reads the logs of all jobs of the experiment once.
        patience: How long is waited for what may not come.
        clock: Monotonic seconds.
        cancel: Ends the waiting of a look, which raises Cancelled then, when it is set.
    """

    def __init__(
        self,
        aws: Aws,
        job_name_prefix: str,
        since: float | None = None,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        cancel: threading.Event | None = None,
    ) -> None:
        self._aws = aws
        self._cancel = cancel
        since_ms = None if since is None else int(since * 1000)
        self._tail = Tail(aws, job_name_prefix, since=since_ms, cancel=cancel)
        self._attempts_of: dict[int, int] = {}  # trial -> attempts that it has had
        self._attempts_had = 0  # by all trials together
        self._newest_trial = -1
        self._most_hosts = 1
        self._patience = patience or Patience()
        self._clock = clock
        self._lock = threading.RLock()
        self._looking = threading.Lock()  # one look at a time; never waited for while _lock is held
        self._attempts: dict[str, LogAttempt] = {}
        self._restless: set[str] = set()  # jobs of which there may be news without new lines
        self._over: set[str] = set()  # jobs whose lines are of no interest any more
        self._unclaimed: dict[str, list[LogEvent]] = {}
        self._pending: list[LogNews] = []
        self._alone: dict[str, Tail] = {}  # jobs that are read each for itself: nothing was heard, or not all was kept
        self._dropped: set[str] = set()  # jobs not watched yet of which lines were seen and not kept

    def watch(
        self,
        job_name: str,
        trial: int,
        attempt: int,
        delivered: Mapping[int, int],
        agent: bool,
        may_restart: bool = True,
        hosts: int = 1,
        first_run: int = 0,
    ) -> None:
        """Reports of this job are wanted from now on. Best called before the job is created.

        Args:
            job_name: The training job.
            trial: Its trial.
            attempt: Its number.
            delivered: For each run, the number from which on reports are new.
            agent: Whether our agent is the job's entry point.
            may_restart: Whether the container may be started anew (spot, RetryStrategy). The first reports of such a
                run are given some seconds later: the log of an earlier run might still come.
            hosts: Of the job; each writes a log, though only the first one's counts.
            first_run: Number of the first run that reports through the log; those before have reported elsewhere.
        """
        with self._lock:
            watched = LogAttempt(job_name, trial, attempt, delivered, agent, may_restart, self._patience, first_run)
            self._attempts[job_name] = watched
            self._over.discard(job_name)
            before = self._attempts_of.get(trial, 0)
            self._attempts_of[trial] = max(attempt + 1, before)
            self._attempts_had += self._attempts_of[trial] - before
            self._newest_trial = max(trial, self._newest_trial)
            self._most_hosts = max(hosts, self._most_hosts)
            # Logs of jobs that are over count too, and trials that only an earlier tuner has watched.
            others = self._newest_trial + 1 - len(self._attempts_of)
            self._tail.expect_streams((self._attempts_had + others) * self._most_hosts)
            now = self._clock()
            for event in self._unclaimed.pop(job_name, ()):
                if watched.take_event(event, now):
                    self._restless.add(job_name)
            if job_name in self._dropped or first_run:
                # It may have written for long, when nobody wanted its lines.
                self._dropped.discard(job_name)
                self._read_alone(watched)

    def forget(self, job_name: str) -> None:
        """Nothing of this job is wanted any more."""
        with self._lock:
            self._attempts.pop(job_name, None)
            self._restless.discard(job_name)
            self._unclaimed.pop(job_name, None)
            self._over.add(job_name)

    def job_ended(self, job_name: str) -> None:
        """The job is terminal: the next looks give the rest, the last of it with ``settled``. Returns at once."""
        with self._lock:
            watched = self._attempts.get(job_name)
            if watched is not None and watched.ended_at is None:
                watched.ended_at = self._clock()
                watched.quiet_looks = 0
                self._restless.add(job_name)
                if watched.is_silent:
                    # It may have written long ago, when nobody read: its log alone is small enough to be read whole.
                    self._read_alone(watched)

    def look(self) -> list[LogNews]:
        """What is new since the last look, by one call of FilterLogEvents; none is made where no job is watched.

        A job that has ended without a line so far is read by calls of its own, few at a time.

        Raises:
            AwsError: The log could not be read; nothing is lost.
        """
        with self._looking:
            with self._lock:
                self._tell([name for name in self._restless if self._attempts[name].ended_at is not None])
                alone = {name: tail for name, tail in self._alone.items() if name in self._attempts}
                self._alone = alone
                self._tail.filter_pattern = _pattern(self._attempts.values())
                common = self._attempts.keys() - alone.keys()
                wide = [self._attempts[name].wants_wide_look() for name in self._restless & common]
            if common:
                began = self._clock()
                self._note(self._tail, self._tail.look(wide=any(wide)), common, began)
            for name in list(alone)[:_MOST_ALONE]:
                began = self._clock()
                self._note(alone[name], alone[name].look(), {name}, began)
                with self._lock:
                    tail = self._alone.pop(name)
                    watched = self._attempts.get(name)
                    if watched is not None and (watched.ended_at is not None or tail.is_behind):
                        self._alone[name] = tail  # next time it is the turn of others
        with self._lock:
            news, self._pending = self._pending, []
        return news

    def _read_alone(self, watched: LogAttempt) -> None:
        """Has the next looks read a job's whole log for itself."""
        tail = Tail(self._aws, f"{watched.job_name}/{HOST}-", cancel=self._cancel)
        tail.filter_pattern = _pattern([watched])
        self._alone[watched.job_name] = tail

    def _note(self, tail: Tail, events: Iterable[LogEvent], read: AbstractSet[str], began: float) -> None:
        """Takes in what a look has found, and notes what is to be told.

        Args:
            tail: That has looked.
            events: What it has found.
            read: Names of the jobs whose logs it has read.
            began: When it has begun, in monotonic seconds.
        """
        with self._lock:
            touched = self._take(events, self._clock())
            restless = self._restless & read
            for name in restless:
                watched = self._attempts[name]
                if name in touched:
                    watched.quiet_looks = 0
                elif not tail.is_behind:
                    watched.note_quiet_look(began)
            self._tell([*touched, *(restless - touched.keys())])

    def _take(self, events: Iterable[LogEvent], now: float) -> dict[str, None]:
        """Hands lines to the jobs that have written them; returns the names of those of which there is news."""
        touched: dict[str, None] = {}
        for event in events:
            job_name = event.stream.partition("/")[0]
            watched = self._attempts.get(job_name)
            if watched is not None:
                if watched.take_event(event, now):
                    touched[job_name] = None
            elif job_name not in self._over:
                self._unclaimed.setdefault(job_name, []).append(event)
        while sum(map(len, self._unclaimed.values())) > _MOST_UNCLAIMED:
            dropped = next(iter(self._unclaimed))
            del self._unclaimed[dropped]
            self._dropped.add(dropped)
        return touched

    def _tell(self, job_names: Iterable[str]) -> None:
        """Notes what is to be told of these jobs now."""
        with self._lock:
            now = self._clock()
            for name in job_names:
                watched = self._attempts.get(name)
                if watched is None:
                    continue
                lag = self._alone.get(name, self._tail).lag / 1000
                reports, end = watched.take_news(now, lag)
                settled = watched.is_settled(lag)
                if settled:
                    rest, last_end = watched.take_rest()
                    reports += rest
                    end = last_end or end
                    self.forget(name)
                elif watched.is_restless:
                    self._restless.add(name)
                else:
                    self._restless.discard(name)
                if reports or end is not None or settled:
                    self._pending.append(LogNews(watched.trial, watched.attempt, name, reports, end, settled))


def _pattern(attempts: Iterable[LogAttempt]) -> str:
    """What CloudWatch is to look for: the fewest lines that the watched jobs need."""
    kinds = {watched.agent for watched in attempts}
    tags = [*([LOG_REPORT, LOG_END] if True in kinds else []), *([TUNE_METRIC_TAG] if False in kinds else [])]
    quoted = [f'"{tag.strip().rstrip(":")}"' for tag in tags]
    return quoted[0] if len(quoted) == 1 else " ".join(f"?{tag}" for tag in quoted)
