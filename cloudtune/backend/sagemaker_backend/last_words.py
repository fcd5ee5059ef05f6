"""What a job that is over has left: its last head in S3, and its log."""

from __future__ import annotations

import logging

from cloudtune.agent.log_lines import without_reports
from cloudtune.agent.protocol import TERMINATED
from cloudtune.aws.errors import AwsError
from cloudtune.aws.logs import JobLogs
from cloudtune.aws.training_jobs import JobState
from cloudtune.backend.sagemaker_backend.attempt import Attempt
from cloudtune.backend.sagemaker_backend.inbox import Inbox
from cloudtune.backend.sagemaker_backend.log_reader import LogReader

logger = logging.getLogger(__name__)

#: Lines that are quoted of a log, and that are read for it: reports may stand between them.
_LINES, _LINES_READ = 10, 200
#: Characters of them that are quoted, as the agent does it.
_CHARACTERS = 2048


class LastWords:
    """Reads what is left to read of a job, before its end is told.

    Args:
        inbox: Reads heads.
        log_reader: Reads reports from logs.
        logs: The logs of jobs, for the reason of a failure.
        interval: Seconds until it is worth asking again whether a log is complete.
    """

    def __init__(self, inbox: Inbox, log_reader: LogReader, logs: JobLogs, interval: float) -> None:
        self._inbox = inbox
        self._log_reader = log_reader
        self._logs = logs
        self.interval = interval

    def have_come(self, attempt: Attempt, state: JobState) -> bool:
        """Whether all that the job reported is with the tuner now; the job is terminal."""
        if attempt.end_delivered:
            return True
        if attempt.use_s3:
            self._inbox.fetch(attempt)
            if attempt.end_delivered or (attempt.has_head and not _last_run_is_missing(attempt, state)):
                return True
        if not state.has_run and not attempt.delivered:
            return True  # its container was never started: there is no log to wait for
        self.read_log_of(attempt)
        return self._log_reader.is_complete(attempt)

    def read_log_of(self, attempt: Attempt) -> None:
        """The job does without S3, or nothing came through S3: it may have no rights there, and report by its log."""
        self._log_reader.watch(attempt)

    def output(self, attempt: Attempt, state: JobState) -> str:
        """The last lines that a failed job has written."""
        if state.status != "Failed" or not state.has_run:
            return ""
        if attempt.mark is not None and attempt.mark["output"]:
            return attempt.mark["output"]
        try:
            lines = without_reports("\n".join(self._logs.last_lines(attempt.job_name, _LINES_READ))).splitlines()
            return "\n".join(lines[-_LINES:])[-_CHARACTERS:]
        except AwsError as error:
            logger.info("the log of %s could not be read: %s", attempt.job_name, error)
            return ""


def _last_run_is_missing(attempt: Attempt, state: JobState) -> bool:
    """Whether the newest run has told nothing in S3, where earlier ones have: it may have lost its rights there."""
    if attempt.has_changed_to_log:
        return True
    is_interrupted = attempt.mark is not None and attempt.mark["outcome"] == TERMINATED
    return (is_interrupted and state.status in ("Completed", "Failed")) or (
        attempt.mark is None and state.status == "Completed"
    )
