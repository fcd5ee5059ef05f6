"""Ending an experiment from any machine: its tuner is asked through S3; where none lives, what it has left is ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudtune.agent.protocol import WISH_PAUSE, WISH_STOP
from cloudtune.aws.clients import aws_for
from cloudtune.aws.job_names import job_name_prefix
from cloudtune.aws.our_jobs import find_our_jobs
from cloudtune.aws.reaping import reap
from cloudtune.aws.signs_of_life import signs_of
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.errors import ExperimentLocked
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.launches import newest_launch, writable
from cloudtune.remote.standing import driver_of
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.entries import EXPERIMENT, PLACE, SUGGEST
from cloudtune.store.s3_lease import read_lease
from cloudtune.store.s3_log import S3LogView

#: Seconds between two looks at jobs that are to end.
_INTERVAL = 3.0
#: A job that was told to stop is killed after 120 seconds; AWS takes a while to say so.
_LONGEST_END = 600.0


@dataclass
class Stopped:
    """What became of an experiment that was to end.

    Args:
        job: The tuner's training job, if it lived.
        job_status: How it stands now.
        ended: Jobs of trials that ran and have ended.
        running: Jobs of trials that still run.
        failed: What could not be ended, and why.
    """

    job: str | None = None
    job_status: str = ""
    ended: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class Stopping:
    """Ends one experiment.

    Args:
        experiment: Which.
        leave_trials: Jobs of trials go on; a tuner that continues the experiment takes them over.
        grace: Seconds that a tuner has to end its trials and itself, before StopTrainingJob.
        tell: Told in a line what happens.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        experiment: S3Experiment,
        leave_trials: bool,
        grace: float,
        tell: Callable[[str], None],
        interval: float = _INTERVAL,
    ) -> None:
        self._experiment = experiment = writable(experiment)
        self._training = TrainingJobs(experiment.bucket.aws)
        # Trials may be in another region.
        self._trials_aws = experiment.bucket.aws
        self._trials = self._training
        self._place = TunerPlace(experiment.bucket, experiment.root)
        self._leave_trials = leave_trials
        self._grace = grace
        self._tell = tell
        self._interval = interval
        self._prefix = ""

    def run(self, wait: bool = True) -> Stopped:
        """Asks the tuner to end.

        Args:
            wait: Until it and the jobs of its trials have ended.

        Raises:
            ExperimentLocked: The tuner runs elsewhere than in a training job.
            AwsError: AWS does not answer.
        """
        result = Stopped()
        newest = newest_launch(self._place)
        if newest is not None and not newest[1].is_terminal:
            result.job, result.job_status = newest[1].name, newest[1].status
            self._ask(*newest)
        else:
            self._refuse_another(None if newest is None else newest[1])
            self._tell(f"no tuner of {self._experiment.name} lives")
        self._find_trials()
        running = self._running()
        if wait and result.job is not None:
            result.job_status = self._await_job(result.job)
            running |= self._running()
        if not self._leave_trials and (wait or result.job is None):
            self._reap(result)
            if wait:
                self._await_trials()
        left = self._running()
        result.running = sorted(left)
        result.ended = sorted(running - left)
        return result

    def _ask(self, launch: int, job: JobState) -> None:
        self._place.put_wish(launch, WISH_PAUSE if self._leave_trials else WISH_STOP)
        self._tell(f"training job {job.name}, which runs the tuner, is asked to end")
        if job.secondary != "Training" and job.status != "Stopping":
            # Nothing runs there that could hear.
            self._training.stop(job.name)

    def _refuse_another(self, job: JobState | None) -> None:
        driver = driver_of(read_lease(self._experiment.bucket, self._experiment.root), job)
        if driver is not None:
            raise ExperimentLocked(
                f"experiment '{self._experiment.name}' is driven by {driver.describe()}, which is no training job: "
                "end it there with Ctrl-C, or if it has died try again in two minutes"
            )

    def _find_trials(self) -> None:
        """Learns from the log what the jobs of trials are called, and in which region they are."""
        view = S3LogView(self._experiment.bucket, self._experiment.root)
        for entry in view.entries():
            if entry["event"] == EXPERIMENT:
                self._prefix = job_name_prefix(self._experiment.name, entry["experiment_id"])
            elif entry["event"] == PLACE:
                region = entry["trials_at"].get("region", self._trials_aws.region)
                if region != self._trials_aws.region:
                    self._trials_aws = aws_for(region, self._trials_aws.profile)
                    self._trials = TrainingJobs(self._trials_aws)
            if entry["event"] in (PLACE, SUGGEST):
                return
        if view.damage and not self._prefix:
            self._prefix = self._prefix_by_tags()

    def _prefix_by_tags(self) -> str:
        """What the jobs of trials are called, where the log is damaged at its beginning; "" if none is known."""
        for job in find_our_jobs(self._trials_aws).jobs:
            if job.place.startswith(self._experiment.uri) and not job.is_tuner:
                return job_name_prefix(self._experiment.name, job.place.rstrip("/").rpartition("/")[2])
        return ""

    def _running(self) -> set[str]:
        """Names of jobs of trials that have not ended."""
        if not self._prefix:
            return set()
        found = [job for status in ("InProgress", "Stopping") for job in self._trials.list(self._prefix, status)]
        return {job.name for job in found if job.name.startswith(self._prefix)}

    def _await_job(self, name: str) -> str:
        """Returns the status of the tuner's job once it has ended."""
        asked_at = time.monotonic()
        told, is_stopped = "", False
        while True:
            state = self._training.describe(name)
            count = len(self._running())
            said = f"{name}: {state.status}; {count} job{'s' * (count != 1)} of trials run{'s' * (count == 1)}"
            if said != told:
                told = said
                self._tell(said)
            waited = time.monotonic() - asked_at
            if state.is_terminal or waited > self._grace + _LONGEST_END:
                return state.status
            if not is_stopped and state.status != "Stopping" and waited > self._grace:
                is_stopped = True
                self._tell(f"{name}: it does not end; stopping it")
                self._training.stop(name)
            self._pause()

    def _reap(self, result: Stopped) -> None:
        """Ends jobs that the tuner has not ended."""
        if not self._running():
            return
        found = find_our_jobs(self._trials_aws)
        # By their names, which hold the experiment's id: their files may lie elsewhere than its log.
        ours = [job for job in found.jobs if job.name.startswith(self._prefix) and not job.is_tuner]
        if not ours:
            return
        signs = signs_of(self._trials_aws, ours)
        result.failed = reap(self._trials_aws, ours, signs, grace=self._grace, tell=self._tell).failed

    def _await_trials(self) -> None:
        until = time.monotonic() + _LONGEST_END
        while self._running() and time.monotonic() < until:
            self._pause()

    def _pause(self) -> None:
        threading.Event().wait(self._interval)
