"""Reports of jobs that cannot write to S3, from their CloudWatch logs."""

from __future__ import annotations

import logging
import time

from cloudtune.agent.protocol import LOG_NOTE
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, AwsError
from cloudtune.aws.logs import JobLogs
from cloudtune.backend.sagemaker_backend.attempt import Attempt
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.log_channel import LogChannel, LogNews
from cloudtune.backend.sagemaker_backend.service import Service, now
from cloudtune.trial import TrialEvent

logger = logging.getLogger(__name__)

#: In so many lines the agent has said why it reports through the log, and what it says behind the reason.
_FIRST_LINES = 20
_FALLS_BACK = ". Reports go to the log"
#: Of a job that reports through its log although it was to report through S3: trial, job, reason.
_CANNOT = (
    "trial %d cannot write to S3 from its job %s, so its reports come from its log and its checkpoints are neither "
    "restored nor kept: %s"
)
_CANNOT_ANY_MORE = (
    "trial %d was started again by SageMaker and cannot use S3 any more from its job %s, so its reports come from its "
    "log, and no further checkpoint is kept: %s"
)


class LogReader(Service):
    """Looks at the logs of all watched jobs with one call per interval.

    Args:
        desk: Of the backend.
        aws: The account.
        job_prefix: What the names of the experiment's jobs begin with.
        ending: Told of end lines.
        interval: Seconds between two looks.
        may_restart: Whether SageMaker may start a job again by itself.
        oldest: Age in seconds of the oldest job that may still run: what is older in the log is not read.
    """

    def __init__(
        self,
        desk: Desk,
        aws: Aws,
        job_prefix: str,
        ending: Ending,
        interval: float,
        may_restart: bool,
        oldest: float,
    ) -> None:
        super().__init__(desk, "reading reports from CloudWatch")
        self._channel = LogChannel(aws, job_prefix, since=time.time() - oldest, cancel=desk.closing)
        self._logs = JobLogs(aws)
        self._ending = ending
        self._interval = interval
        self._may_restart = may_restart
        self._watched: dict[str, Attempt] = {}
        self._watched_since: dict[str, float] = {}
        self._ended: set[str] = set()
        self._complete: set[str] = set()
        self._may_not_read = False

    def watch(self, attempt: Attempt) -> None:
        """Reports of the attempt's job are looked for in its log from now on."""
        with self.desk.lock:
            if attempt.job_name in self._watched or (self._may_not_read and attempt.use_s3):
                return
            self._watched[attempt.job_name] = attempt
            self._watched_since[attempt.job_name] = now()
            self._channel.watch(
                attempt.job_name,
                *attempt.key,
                dict(attempt.delivered),
                agent=attempt.has_agent,
                may_restart=self._may_restart,
                hosts=attempt.instance_count,
                first_run=attempt.runs_heard,
            )
        self.wake()

    def is_complete(self, attempt: Attempt) -> bool:
        """Whether all that a terminal job has reported is with the tuner."""
        name = attempt.job_name
        if not self.is_alive():
            return True  # closing, or broken: nothing more will be read
        with self.desk.lock:
            if name not in self._watched or name in self._complete:
                return True
            if name not in self._ended:
                self._ended.add(name)
                self._channel.job_ended(name)
        self.wake()
        return False

    def turn(self) -> float | None:
        with self.desk.lock:
            for heard in [a for a in self._watched.values() if a.use_s3 and self._was_heard_since(a)]:
                self.forget(heard)  # through S3: it was only slow to begin
            if not self._watched:
                return None
        begin = now()
        try:
            found = self._channel.look()
        except AccessDenied as error:
            self._do_without(error)
            return 0.0
        changes = [change for change in map(self._take, found) if change is not None]
        for attempt, change in changes:  # the reason takes a call, for which no report waits
            logger.warning(change, attempt.trial_id, attempt.job_name, self._why_without_s3(attempt))
        return max(0.0, begin + self._interval - now())

    def _take(self, news: LogNews) -> tuple[Attempt, str] | None:
        """Delivers what is new of an attempt; tells if these are the first reports that have not come through S3."""
        with self.desk.lock:
            attempt = self._watched.get(news.job_name)
            if attempt is None:
                return None
            change = None
            events: list[TrialEvent] = list(attempt.take_reports(news.reports))
            if events and attempt.use_s3 and not attempt.has_head:
                attempt.use_s3 = False
                self.desk.jobs_without_s3 += 1
                change = attempt, _CANNOT
            elif events and attempt.use_s3 and not attempt.has_changed_to_log:
                attempt.has_changed_to_log = True
                change = attempt, _CANNOT_ANY_MORE
            if news.end is not None:
                attempt.take_mark(news.end.end, now())
                events.extend(self._ending.by_mark(attempt))
            if news.settled:
                self._complete.add(news.job_name)
            self.desk.deliver(events)
            return change

    def _was_heard_since(self, attempt: Attempt) -> bool:
        """Whether the attempt has told something in S3 since its log is read."""
        return attempt.heard_at is not None and attempt.heard_at > self._watched_since[attempt.job_name]

    def _do_without(self, error: AccessDenied) -> None:
        """Logs may not be read: a pity where reports come through S3, and the end where they come from nowhere else."""
        with self.desk.lock:
            if not all(attempt.use_s3 for attempt in self._watched.values()):
                raise error
            self._may_not_read = True
            logger.warning("what jobs say that are not heard of in S3 is not known: %s", error)
            for attempt in list(self._watched.values()):
                self.forget(attempt)

    def _why_without_s3(self, attempt: Attempt) -> str:
        """What the agent of a job says about it in the first lines of the log, or who could tell."""
        try:
            lines = self._logs.first_lines(attempt.job_name, _FIRST_LINES)
        except AwsError as error:
            logger.info("the log of %s could not be read: %s", attempt.job_name, error)
            lines = []
        notes = [line[len(LOG_NOTE) :] for line in lines if line.startswith(LOG_NOTE) and _FALLS_BACK in line]
        return notes[0].partition(_FALLS_BACK)[0] if notes else "`cloudtune doctor` tells what is missing"

    def forget(self, attempt: Attempt) -> None:
        """Nothing more is wanted of the attempt's log; the desk's lock is held."""
        if self._watched.pop(attempt.job_name, None) is not None:
            self._watched_since.pop(attempt.job_name)
            self._channel.forget(attempt.job_name)
            self._ended.discard(attempt.job_name)
            self._complete.discard(attempt.job_name)
