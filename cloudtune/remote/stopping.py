"""Ending an experiment from any machine: its tuner is asked through S3; where none lives, what it has left is ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudtune.agent.protocol import WISH_PAUSE, WISH_STOP
from cloudtune.aws.our_jobs import find_our_jobs
from cloudtune.aws.reaping import reap
from cloudtune.aws.signs_of_life import signs_of
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.errors import ExperimentLocked
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.jobs_of_trials import JobsOfTrials
from cloudtune.remote.launches import launches, newest_launch, writable
from cloudtune.remote.standing import driver_of
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.s3_lease import read_lease

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


def ask_to_end(place: TunerPlace, launch: int, job: JobState, leave_trials: bool) -> bool:
    """Asks the tuner of a launch to end; whether there is one that can hear: else its job is stopped.

    Args:
        place: Of the experiment, writable.
        launch: Number of the launch.
        job: Its job, which has not ended.
        leave_trials: Jobs of trials go on.

    Raises:
        AwsError: AWS does not answer.
    """
    place.put_wish(launch, WISH_PAUSE if leave_trials else WISH_STOP)
    if job.secondary == "Training" or job.status == "Stopping":
        return True
    # Nothing runs there that could hear.
    TrainingJobs(place.bucket.aws).stop(job.name)
    return False


def find_launch(place: TunerPlace, driving: str | None) -> tuple[int, JobState] | None:
    """The newest launch; an earlier one if its job drives the experiment, for which the newest was refused then.

    Args:
        place: Of the experiment.
        driving: Name of the job that drives it, as far as is known.

    Raises:
        AwsError: AWS does not answer.
    """
    newest = newest_launch(place)
    if newest is None or not newest[1].is_terminal or driving is None:
        return newest
    return next((one for one in launches(place) if one[1].name == driving and not one[1].is_terminal), newest)


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
        self._trials: JobsOfTrials | None = None
        self._place = TunerPlace(experiment.bucket, experiment.root)
        self._leave_trials = leave_trials
        self._grace = grace
        self._tell = tell
        self._interval = interval

    def run(self, wait: bool = True) -> Stopped:
        """Asks the tuner to end.

        Args:
            wait: Until it and the jobs of its trials have ended.

        Raises:
            ExperimentLocked: The tuner runs elsewhere than in a training job.
            AwsError: AWS does not answer.
        """
        result = Stopped()
        newest = self._find_launch()
        hears = False
        if newest is not None and not newest[1].is_terminal:
            result.job, result.job_status = newest[1].name, newest[1].status
            hears = self._ask(*newest)
        else:
            self._refuse_another(None if newest is None else newest[1])
            self._tell(f"no tuner of {self._experiment.name} lives")
        self._trials = JobsOfTrials(self._experiment)
        running = self._running()
        if wait and result.job is not None:
            result.job_status = self._await_job(result.job)
            if not self._trials.are_known:
                self._trials = JobsOfTrials(self._experiment)
            running |= self._running()
        # A job that has not begun may still have trials: of a tuner before it.
        if not self._leave_trials and (wait or not hears):
            self._reap(result)
            if wait:
                self._await_trials()
        left = self._running()
        result.running = sorted(left)
        result.ended = sorted(running - left)
        return result

    def _ask(self, launch: int, job: JobState) -> bool:
        """Asks the tuner to end; whether there is one that can hear."""
        self._tell(f"training job {job.name}, which runs the tuner, is asked to end")
        return ask_to_end(self._place, launch, job, self._leave_trials)

    def _find_launch(self) -> tuple[int, JobState] | None:
        driver = driver_of(read_lease(self._experiment.bucket, self._experiment.root), None)
        return find_launch(self._place, None if driver is None else driver.owner.get("job"))

    def _refuse_another(self, job: JobState | None) -> None:
        driver = driver_of(read_lease(self._experiment.bucket, self._experiment.root), job)
        if driver is not None and (name := driver.owner.get("job")):
            if JobEnded(self._training.aws)(name):
                return  # it has died since its last sign of life
            raise ExperimentLocked(
                f"experiment '{self._experiment.name}' is driven by {driver.describe()}, and there is no such job in "
                f"{self._training.aws.region}: name its region with --region"
            )
        if driver is not None:
            raise ExperimentLocked(
                f"experiment '{self._experiment.name}' is driven by {driver.describe()}, which is no training job: "
                "end it there with Ctrl-C, or if it has died try again in two minutes"
            )

    def _running(self) -> set[str]:
        """Names of jobs of trials that have not ended."""
        return set() if self._trials is None else self._trials.running()

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
        trials = self._trials
        if trials is None or not trials.running():
            return
        # By their names: their files may lie elsewhere than the experiment's log.
        ours = [job for job in find_our_jobs(trials.aws).jobs if trials.are_ours(job)]
        if not ours:
            return
        signs = signs_of(trials.aws, ours)
        result.failed = reap(trials.aws, ours, signs, grace=self._grace, tell=self._tell).failed

    def _await_trials(self) -> None:
        until = time.monotonic() + _LONGEST_END
        while self._running() and time.monotonic() < until:
            self._pause()

    def _pause(self) -> None:
        threading.Event().wait(self._interval)
