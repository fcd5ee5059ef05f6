"""Ends all experiments of a study, from any machine: launchers first, then tuners, then what tuners have left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cloudtune.agent import protocol
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError, NotFound
from cloudtune.aws.job_place import lies_below
from cloudtune.aws.our_jobs import OurJob, find_our_jobs
from cloudtune.aws.reaping import reap
from cloudtune.aws.signs_of_life import signs_of
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.launches import newest_launch, writable
from cloudtune.remote.stopping import ask_to_end
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell_standing import WAITING
from cloudtune.studies.status import StudyWatch
from cloudtune.studies.stop_mark import put_stop_mark
from cloudtune.studies.tuner_jobs import statuses_of

logger = logging.getLogger(__name__)

#: Seconds between two looks at jobs that are to end.
_INTERVAL = 3.0
#: A job that was told to stop is killed after 120 seconds; AWS takes a while to say so.
_LONGEST_END = 600.0
#: Tuners that are asked at once.
_THREADS = 16
#: So often it is looked for tuners that were launched while others were asked.
_ROUNDS = 5
#: Statuses of a job that has not ended.
_RUNNING = ("InProgress", "Stopping")


@dataclass
class StudyStopped:
    """What became of a study that was to end. Experiments and jobs by their names.

    Args:
        asked: Experiment -> training job of its tuner, which was asked to end.
        waiting: Experiments that wait to be launched, and do not begin.
        job_status: Job of a tuner -> how it stands now.
        ended: Jobs of trials that ran after their tuner had ended, and have ended.
        running: Jobs of trials that still run.
        failed: Experiment or job that could not be ended -> why.
    """

    asked: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    job_status: dict[str, str] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class StudyStopping:
    """Ends the experiments of one study that run.

    Args:
        place: Of the study.
        leave_trials: Jobs of trials go on; tuners that continue the experiments take them over.
        grace: Seconds that tuners have to end their trials and themselves, before StopTrainingJob.
        tell: Told in a line what happens.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        place: StudyPlace,
        leave_trials: bool,
        grace: float,
        tell: Callable[[str], None],
        interval: float = _INTERVAL,
    ) -> None:
        self._place = place
        self._aws: Aws = place.bucket.aws
        self._training = TrainingJobs(self._aws)
        self._leave_trials = leave_trials
        self._grace = grace
        self._tell = tell
        self._interval = interval

    def run(self, wait: bool = True) -> StudyStopped:
        """Asks all tuners to end.

        Args:
            wait: Until they, and the jobs of their trials, have ended.

        Raises:
            AwsError: AWS does not answer.
        """
        result = StudyStopped()
        watch = StudyWatch(self._place)
        standing = watch.look()
        # The key that the bucket wants is known of those that were launched.
        self._mark([one.name for one in sorted(standing.cells, key=lambda one: not one.is_driven)])
        for _ in range(_ROUNDS):
            driven = [one.name for one in standing.cells if one.is_driven and one.name not in result.asked]
            driven = [name for name in driven if name not in result.failed]
            if not driven:
                break
            self._ask(driven, result)
            # One may have been launched meanwhile, by a launcher that had not seen the mark yet.
            standing = watch.look()
        result.waiting = [one.name for one in standing.cells if one.state == WAITING]
        if not result.asked:
            self._tell(f"no tuner of {self._place.tag} lives")
        if wait:
            self._await_tuners(result)
            if not self._leave_trials:
                self._end_trials([one.name for one in standing.cells], result)
        return result

    def _mark(self, names: Collection[str]) -> None:
        """Tells launchers to launch nothing more.

        Args:
            names: Of experiments; of the first of them that can be read the key is taken that the bucket may want.
        """
        bucket = self._place.bucket
        for name in names:
            try:
                bucket = writable(self._experiment(name)).bucket
            except AwsError as error:
                logger.debug("%s does not tell what is to be encrypted with: %s", name, error)
            else:
                break
        put_stop_mark(self._place, bucket)

    def _experiment(self, name: str) -> S3Experiment:
        place = self._place
        return S3Experiment(place.bucket, place.prefix, name, "" if name == place.tag else place.tag)

    def _root(self, name: str) -> str:
        return self._experiment(name).root

    # ------------------------------------------------------------------ tuners

    def _ask(self, names: Collection[str], result: StudyStopped) -> None:
        # Not in the threads of Aws: what is asked here uses these itself.
        with ThreadPoolExecutor(_THREADS, "cloudtune stop") as threads:
            for name, (job, why) in zip(names, threads.map(self._ask_one, names), strict=True):
                if why:
                    result.failed[name] = why
                    self._tell(f"{name}: could not be asked to end: {why}")
                else:
                    result.asked[name] = job
                    self._tell(f"{name}: training job {job}, which runs the tuner, is asked to end")

    def _ask_one(self, name: str) -> tuple[str, str]:
        """Name of the tuner's job, and why it could not be asked."""
        try:
            experiment = writable(self._experiment(name))
            place = TunerPlace(experiment.bucket, experiment.root)
            newest = newest_launch(place)
            if newest is None:
                return "", "it is driven, and not by a training job of this account and region"
            if not newest[1].is_terminal:
                ask_to_end(place, *newest, self._leave_trials)
            return newest[1].name, ""
        except CloudtuneError as error:
            return "", " ".join(str(error).split())

    def _await_tuners(self, result: StudyStopped) -> None:
        """Returns when the tuners' jobs have ended; those that do not heed are stopped."""
        begun, told, stopped = time.monotonic(), "", False
        while result.asked:
            # By their own names: the tuners of a study elsewhere may have jobs that are called alike.
            going_on = [job for job in result.asked.values() if result.job_status.get(job) in (None, *_RUNNING)]
            result.job_status.update(statuses_of(self._aws, going_on))
            left = [name for name, job in result.asked.items() if result.job_status[job] in _RUNNING]
            waited = time.monotonic() - begun
            if not left or waited > self._grace + _LONGEST_END:
                return
            if (line := f"{len(left)} of {len(result.asked)} tuners have not ended yet") != told:
                told = line
                self._tell(line)
            if waited > self._grace and not stopped:
                stopped = True
                for name in left:
                    self._stop(name, result)
            self._pause()

    def _stop(self, name: str, result: StudyStopped) -> None:
        """Has SageMaker stop the job of an experiment's tuner."""
        job = result.asked[name]
        try:
            state = self._training.describe(job)
            if state.environment.get(protocol.ENV_PLACE) != TunerPlace(self._place.bucket, self._root(name)).uri:
                result.failed[job] = "it belongs to an experiment at another place"
            elif state.status == "InProgress":
                self._tell(f"{job}: it does not end; stopping it")
                self._training.stop(job)
        except NotFound:
            return  # deleted, so it has ended
        except AwsError as error:
            result.failed[job] = " ".join(str(error).split())

    # ------------------------------------------------------------------ trials

    def _end_trials(self, names: Collection[str], result: StudyStopped) -> None:
        """Ends the jobs that tuners have left, of experiments whose tuner was gone before as well."""
        ours = self._trials(names)
        if not ours:
            return
        reaped = reap(self._aws, ours, signs_of(self._aws, ours), grace=self._grace, tell=self._tell)
        result.failed.update(reaped.failed)
        until = time.monotonic() + _LONGEST_END
        while (left := self._trials(names)) and time.monotonic() < until:
            self._pause()
        result.running = sorted(job.name for job in left)
        result.ended = sorted({job.name for job in ours} - {job.name for job in left})

    def _trials(self, names: Collection[str]) -> list[OurJob]:
        """Jobs of trials of the study that run, or whose machines are kept."""
        wanted, below = set(names), self._place.bucket.uri(self._place.root)
        return [
            job
            for job in find_our_jobs(self._aws).jobs
            if not job.is_tuner
            and not job.is_warm_pool
            and job.tag == self._place.tag
            and job.experiment in wanted
            and lies_below(job, below)
        ]

    def _pause(self) -> None:
        threading.Event().wait(self._interval)
