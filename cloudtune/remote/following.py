"""Follows an experiment that runs elsewhere, from what stands of it in S3, as if it ran here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from cloudtune.aws.buckets import parse_bucket
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import PASSING, AccessDenied, NotFound
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.callbacks.log_output import log_shown
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.course import Course, KnownLimits
from cloudtune.experiments.known_metadata import metadata_in_s3
from cloudtune.experiments.s3_finding import experiment_at
from cloudtune.remote.ctrl_c import CtrlC
from cloudtune.remote.launches import experiment_of, newest_launch, out_of_time, why_failed
from cloudtune.remote.standing import is_gone_from_here
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store import entries
from cloudtune.store.s3_lease import read_lease
from cloudtune.store.s3_log import S3LogFollower
from cloudtune.store.store import Entry
from cloudtune.trial import Trial, TrialStatus
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)

#: For so long a look tries again when AWS throttles or cannot be reached, in seconds. Then the next look does.
_PATIENCE = 5.0
#: A tuner notes the time at least so often (seconds): beyond that the time shown stands still.
_KNOWN_TIME = 20.0
_SHORTEST_WAIT = 0.02


class RemoteTunerFailed(CloudtuneError):
    """The training job that ran the tuner has failed; the message tells why."""


@dataclass(frozen=True)
class Pace:
    """Seconds between two looks.

    Args:
        log: At the event log: one listing each.
        quiet_log: At the event log, at the most, when nothing happens.
        job: At the tuner's job while it starts or ends.
        quiet_job: At the tuner's job while it runs.
    """

    log: float = 2.0
    quiet_log: float = 10.0
    job: float = 5.0
    quiet_job: float = 30.0


def follow(
    aws: Aws,
    place: str,
    job_name: str | None = None,
    *,
    pace: Pace | None = None,
    progress: ProgressCallback | None = None,
    tell: Callable[[str], None] | None = None,
) -> bool:
    """Shows an experiment as if it ran here, until it ends. Ctrl-C stops following, and nothing else.

    Args:
        aws: Account and region.
        place: ``s3://bucket/prefix`` of the experiment.
        job_name: Of its tuner's training job; by default that of the newest launch.
        pace: How often to look.
        progress: The display.
        tell: Told what there is to say at the end; by default it goes to the log.

    Returns:
        Whether the experiment's tuner has ended.

    Raises:
        RemoteTunerFailed: The tuner's job has failed, or has ended before the tuner had.
        CloudtuneError: The experiment cannot be read.
    """
    following = _Following(aws, place, job_name, pace or Pace(), progress or ProgressCallback())
    with log_shown():
        say = tell or (lambda text: logger.info("%s", text))
        following.progress.on_tuning_start(following)
        try:
            with CtrlC() as ctrl_c:
                try:
                    following.run(ctrl_c)
                except KeyboardInterrupt:
                    # Whoever presses it twice is told as well how to go on.
                    following.progress.leave()
                    say(
                        f"'{following.name}' goes on; follow it again with `cloudtune status {following.known_as} "
                        f"--follow`, stop it with `cloudtune stop {following.known_as}`"
                    )
                    return False
        except BaseException:
            following.progress.leave()
            raise
        following.progress.on_tuning_end()
        following.raise_if_failed()
        if following.status.finished_state == entries.INTERRUPTED:
            say(f"the tuner has ended before the experiment; `cloudtune resume {following.known_as}` continues it")
        elif following.status.finished_state is None:
            say(f"nobody drives '{following.name}' any more; `cloudtune resume {following.known_as}` continues it")
    return True


class _Following:
    """One experiment that is followed; to the display it looks like a tuner."""

    def __init__(self, aws: Aws, place: str, job_name: str | None, pace: Pace, progress: ProgressCallback) -> None:
        bucket_name, root = parse_bucket(place)
        self._place = TunerPlace(Bucket(aws, bucket_name, aws.account, patience=_PATIENCE), f"{root}/")
        self._training = TrainingJobs(aws)
        self._pace = pace
        self.progress = progress
        self.name = experiment_of(self._place)
        self.results_place = self._place.bucket.uri(self._place.root)
        self.stop_criterion = KnownLimits()
        self._log = S3LogFollower(self._place.bucket, self._place.root)
        self._rewinds = self._log.rewinds
        self._course = Course()
        self._job_name = job_name
        self._job: JobState | None = None
        #: The tuner runs elsewhere than in a job.
        self._without_job = False
        #: Jobs may not be looked at: the lease tells who drives the experiment.
        self._sees_no_jobs = False
        self._is_over = False
        self._is_first_look = True
        self._metadata_looks = 1
        self._log_pause = pace.log
        self._next_log = self._next_job = float("-inf")
        self._logged_time = 0.0
        self._logged_at = time.monotonic()

    # ------------------------------------------------------------------ what the display asks for

    @property
    def trial_backend(self) -> _Following:
        """Whose time counts."""
        return self

    @property
    def known_as(self) -> str:
        """What commands of this machine know it by."""
        return experiment_at(self._place.bucket, self._place.root).known_as

    @property
    def status(self) -> TuningStatus:
        """How the experiment stands."""
        return self._course.status

    @property
    def is_virtual(self) -> bool:
        """Nobody simulates as slowly as this looks."""
        return False

    def wall_time(self) -> float:
        """Unix seconds."""
        return time.time()

    # ------------------------------------------------------------------ following

    def run(self, ctrl_c: CtrlC) -> None:
        """Returns when the tuner has ended. Raises KeyboardInterrupt at Ctrl-C."""
        while not self._is_over:
            self._patiently(self._look)
            due = self.progress.next_time()
            if due is not None and due <= self.wall_time():
                self._let_time_pass()
                self.progress.on_time(self.wall_time(), self.status)
                due = self.progress.next_time()
            waits = [self._next_log, self._next_job]
            until = min(waits) - time.monotonic()
            if due is not None:
                until = min(until, due - self.wall_time())
            if not self._is_over:
                ctrl_c.wait(max(_SHORTEST_WAIT, until))

    def _patiently(self, look: Callable[[], None]) -> None:
        """One look; that AWS does not answer for a while ends nothing."""
        try:
            look()
        except PASSING as error:
            self.progress.note(f"{' '.join(str(error).split())} Trying again")
            self._next_log = self._next_job = time.monotonic() + self._pace.quiet_log

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._next_log:
            self._look_at_log()
        if now >= self._next_job:
            self._look_at_job()
            hurry = self._job is None or self._job.secondary != "Training" or self.status.finished_state is not None
            self._next_job = time.monotonic() + (self._pace.job if hurry else self._pace.quiet_job)

    def _let_time_pass(self) -> None:
        """Between two entries the time goes on, too."""
        if self.status.finished_state is None and self._course.header is not None:
            since = min(time.monotonic() - self._logged_at, _KNOWN_TIME)
            self.status.wallclock_time = self._logged_time + since

    def raise_if_failed(self) -> None:
        """Raises RemoteTunerFailed if the tuner has not come to an end of its own, or of somebody's wish."""
        job = self._job
        if job is None or self._without_job:
            return
        has_begun = self._course.header is not None and not self._course.ended_before(job)
        state = self.status.finished_state if has_begun else None
        if state == entries.FINISHED:
            return
        if job.status == "Failed":
            what = f"failed: {why_failed(job)}"
        elif state is None and out_of_time(job):
            what = out_of_time(job)
        elif state is None:
            # A job that somebody stops before it has begun writes nothing.
            what = "ended before the tuner" if has_begun else "was stopped before the tuner had begun"
        else:
            return
        raise RemoteTunerFailed(
            f"the tuner of '{self.name}', training job {job.name}, {what}; `cloudtune logs {self.known_as}` shows what "
            f"it wrote, `cloudtune resume {self.known_as}` continues the experiment"
        )

    # ------------------------------------------------------------------ the log

    def _look_at_log(self) -> None:
        begun = self._course.header is not None
        news = [entry for block in self._log.new_blocks() for entry in block]
        if self._log.rewinds != self._rewinds:
            # A tuner went on without entries that were shown: the course is taken from its beginning.
            self._log = S3LogFollower(self._place.bucket, self._place.root)
            self._rewinds = self._log.rewinds
            self._course = Course()
            self._logged_time = 0.0
            self._is_first_look = True
            news = [entry for block in self._log.new_blocks() for entry in block]
        self.status.wallclock_time = self._logged_time  # what was shown meanwhile was a guess
        for entry in news:
            self._apply(entry)
        if news:
            self._logged_time, self._logged_at = self.status.wallclock_time, time.monotonic()
            self._log_pause = self._pace.log
            if self.status.finished_state is not None:
                self._next_job = float("-inf")
        else:
            self._log_pause = min(self._log_pause * 1.25, self._pace.quiet_log)
        self._is_first_look = False
        self._next_log = time.monotonic() + self._log_pause
        if self._course.header is not None and self._metadata_looks > 0:
            self._metadata_looks -= 1
            self._read_limits()
        if begun != (self._course.header is not None):
            self._next_job = float("-inf")

    def _read_limits(self) -> None:
        metadata = metadata_in_s3(self._place.bucket, self._place.root)
        if metadata is not None:
            self.stop_criterion = KnownLimits(metadata)

    def _apply(self, entry: Entry) -> None:
        """Takes an entry, and tells the display, unless it was there before we began to look."""
        self._course.apply(entry)
        if entry["event"] == entries.EPOCH:
            self._metadata_looks = 2  # the limits may be others; they are written a moment later
        if self._is_first_look or "trial" not in entry:
            return
        record = self.status.records[entry["trial"]]
        trial = Trial(record.trial.trial_id, record.trial.config, record.trial.attempt)
        if entry["event"] == entries.SUGGEST and entry["attempt"] == 0:
            self.progress.on_start_trial(trial)
        elif entry["event"] in (entries.SUGGEST, entries.RETRY):
            self.progress.on_resume_trial(trial)
        elif entry["event"] in (entries.REPORT, entries.COUNTED):
            self.progress.on_trial_result(trial, entry["status"], entry["metrics"], entry["decision"])
        elif entry["event"] == entries.END:
            status = TrialStatus(entry["status"])
            self.progress.on_trial_end(trial, status, record.last_metrics, entry.get("reason") or "")

    # ------------------------------------------------------------------ the job

    def _look_at_job(self) -> None:
        if self._without_job:
            self._look_for_owner()
            return
        self._job = self._describe()
        if self._job is None:
            self._look_for_owner()
        elif not self._job.is_terminal:
            self.progress.note(self._said_of(self._job))
        else:
            self._after_job(self._job)

    def _describe(self) -> JobState | None:
        try:
            if self._job_name is not None:
                return self._training.describe(self._job_name, _PATIENCE)
            newest = newest_launch(self._place, _PATIENCE)
        except NotFound:
            return None
        except AccessDenied as error:
            logger.warning("the tuner's training job is not looked at: %s", " ".join(str(error).split()))
            self._sees_no_jobs = True
            return None
        if newest is None:
            return None
        self._job_name = newest[1].name
        return newest[1]

    def _said_of(self, job: JobState) -> str:
        """What there is to say of a job that has not ended."""
        if job.status == "Stopping":
            return f"training job {job.name} is being stopped"
        has_begun = self._course.header is not None and not self._course.ended_before(job)
        if self.status.finished_state is not None and has_begun and job.secondary == "Training":
            return f"the tuner has ended, training job {job.name} not yet"
        if job.secondary in ("Interrupted", "Restarting"):
            return f"the machine of training job {job.name} was taken away; it goes on on another one"
        if job.secondary != "Training":
            return f"training job {job.name}, which runs the tuner: {job.secondary or 'Pending'}"
        if not has_begun:
            return f"training job {job.name} runs, the tuner begins"
        return ""

    def _after_job(self, job: JobState) -> None:
        """A job has ended: another one, or somebody else, may carry on."""
        self._look_at_log()  # what it wrote last
        newest = newest_launch(self._place, _PATIENCE)
        if newest is not None and newest[1].name != job.name and newest[1].created >= job.created:
            self._job_name, self._job = newest[1].name, newest[1]
            self.progress.note(f"training job {self._job_name} carries on")
        elif self.status.finished_state == entries.FINISHED or not self._find_driver(job.name):
            self._is_over = True

    def _look_for_owner(self) -> None:
        """There is no job of a tuner: whoever holds the lease runs the experiment."""
        if not self._find_driver(None):
            self._look_at_log()
            self._is_over = True

    def _find_driver(self, ended: str | None) -> bool:
        """Whether somebody drives the experiment, by the lease; what is to be watched is then that one.

        Args:
            ended: A job that has ended: it may have died before it could give the lease back.
        """
        lease = read_lease(self._place.bucket, self._place.root)
        job = None if lease is None else lease.owner.get("job")
        if lease is None or not lease.is_alive or (job is not None and job == ended) or is_gone_from_here(lease):
            return False
        self._without_job = job is None or self._sees_no_jobs
        self._job_name = job
        self.progress.note(f"driven by {lease.describe()}")
        return True
