"""Ends all experiments of a study, from any machine: launchers first, then tuners, then what tuners have left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from cloudtune.agent import protocol
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError, NotFound
from cloudtune.aws.job_place import lies_below
from cloudtune.aws.our_jobs import OurJob, OurJobs, find_our_jobs
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.reaping import orphans, reap
from cloudtune.aws.signs_of_life import ALIVE, signs_of
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.launches import writable
from cloudtune.remote.launching import LONGEST_LAUNCH, is_under_way
from cloudtune.remote.stopping import ask_to_end, find_launch
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell_standing import FINISHED, WAITING, StudyStanding
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
#: So often it is looked again for tuners that have begun while it was waited for others.
_ROUNDS = 5
#: So often it is looked at tuners' jobs while AWS does not tell of them.
_TRIES = 3
#: A tuner that may run outside of training jobs is gone when it has given no sign of life for so many seconds.
_SILENT = ALIVE
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
        #: Among failures: what runs may not have been seen.
        self._unseen = f"what is starting of {place.tag}"

    def run(self, wait: bool = True) -> StudyStopped:
        """Asks all tuners to end.

        Args:
            wait: Until they, and the jobs of their trials, have ended.

        Raises:
            AwsError: AWS does not answer.
        """
        result = StudyStopped()
        watch = StudyWatch(self._place)
        standing = self._look(watch, result)
        # The key that the bucket wants is known of those that were launched.
        self._mark([one.name for one in sorted(standing.cells, key=lambda one: not one.is_driven)])
        standing = self._ask_all(watch, result, wait)
        if not result.asked:
            self._tell(f"no tuner of {self._place.tag} lives")
        for _ in range(_ROUNDS if wait else 0):
            self._await_tuners(result)
            # A tuner that hands over may just have created its successor.
            standing = self._look(watch, result)
            if not self._forget_ended(standing, result):
                break
            standing = self._ask_all(watch, result, wait)
        result.waiting = [one.name for one in standing.cells if one.state == WAITING]
        if wait and not self._leave_trials:
            self._end_trials([one.name for one in standing.cells if one.state != WAITING], result)
        return result

    def _look(self, watch: StudyWatch, result: StudyStopped) -> StudyStanding:
        """How the study stands, with the tuners' jobs if AWS tells of them in time; else that is a failure."""
        for number in range(1, _TRIES + 1):
            standing = watch.look()
            if not standing.notes:
                result.failed.pop(self._unseen, None)
                break
            for note in standing.notes:
                self._tell(note)
            if number < _TRIES:
                self._pause()
        else:
            result.failed[self._unseen] = "; ".join(standing.notes)
        return standing

    def _ask_all(self, watch: StudyWatch, result: StudyStopped, wait: bool) -> StudyStanding:
        """Asks all tuners to end, those as well whose jobs are just being created; how the study stands then."""
        until, told = time.monotonic() + LONGEST_LAUNCH, 0
        standing = self._look(watch, result)
        while True:
            # A launcher that has not seen the mark may be about to create a job. Whoever is not, has created it by now.
            coming = self._under_way(standing) if wait else []
            if len(coming) > told:
                told = len(coming)
                self._tell(f"{told} tuner{'s are' if told > 1 else ' is'} being launched just now: waiting for that")
            standing = self._look(watch, result)
            known = result.asked.keys() | result.failed.keys()
            driven = {one.name: one.tuner_job for one in standing.cells if one.is_driven and one.name not in known}
            self._ask(driven, result)
            if not driven and (not coming or time.monotonic() > until):
                return standing
            if coming:
                self._pause()

    def _under_way(self, standing: StudyStanding) -> list[str]:
        """Names of experiments for which somebody is about to create a tuner's job."""
        names = [one.name for one in standing.cells if not one.is_driven and one.state != FINISHED]
        bucket = self._place.bucket
        places = [TunerPlace(bucket, self._root(name)) for name in names]
        are = in_parallel(bucket.aws.threads, [partial(is_under_way, place) for place in places])
        return [name for name, is_one in zip(names, are, strict=True) if is_one]

    def _forget_ended(self, standing: StudyStanding, result: StudyStopped) -> bool:
        """Takes out those whose tuner has ended while another one drives them; whether any tuner is to be asked."""
        driven = [one.name for one in standing.cells if one.is_driven and one.name not in result.failed]
        new = [name for name in driven if result.job_status.get(result.asked.get(name, ""), "") not in _RUNNING]
        for name in new:
            result.asked.pop(name, None)
        return bool(new)

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

    def _ask(self, driven: Mapping[str, str | None], result: StudyStopped) -> None:
        """Asks the tuners of experiments, by name -> job that drives it as far as is known, to end."""
        # Not in the threads of Aws: what is asked here uses these itself.
        with ThreadPoolExecutor(_THREADS, "cloudtune stop") as threads:
            told = threads.map(self._ask_one, driven.keys(), driven.values())
            for name, (job, why) in zip(driven, told, strict=True):
                if why:
                    result.failed[name] = why
                    self._tell(f"{name}: could not be asked to end: {why}")
                else:
                    result.asked[name] = job
                    self._tell(f"{name}: training job {job}, which runs the tuner, is asked to end")

    def _ask_one(self, name: str, driving: str | None) -> tuple[str, str]:
        """Name of the tuner's job, and why it could not be asked."""
        try:
            experiment = writable(self._experiment(name))
            place = TunerPlace(experiment.bucket, experiment.root)
            found = find_launch(place, driving)
            if found is None:
                return "", "it is driven, and not by a training job of this account and region"
            if not found[1].is_terminal:
                ask_to_end(place, *found, self._leave_trials)
            return found[1].name, ""
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
        """Ends the jobs that tuners have left, and the machines that are kept for these.

        Args:
            names: Experiments whose tuners, if they live, were asked to end and awaited. Of others of the study, which
                were not launched, those jobs are ended whose tuner is gone.
            result: Is told what became of them.
        """
        found = find_our_jobs(self._aws)
        trials = self._trials(found)
        if not trials:
            return
        signs = signs_of(self._aws, trials)
        others = [job for job in trials if job.experiment not in names]
        gone, unknown = orphans(others, signs, found.now, _SILENT)
        for job in others:
            if job in unknown:
                result.failed[job.name] = f"whether its tuner lives is not known: {signs[job.place].unreadable}"
            elif job not in gone:
                result.failed[job.name] = (
                    f"the tuner of {job.experiment} lives, and is no training job: end it with Ctrl-C where it runs"
                )
        ours = [job for job in trials if job.experiment in names or job in gone]
        reaped = reap(self._aws, ours, signs, grace=self._grace, tell=self._tell)
        result.failed.update(reaped.failed)
        ran = {job.name for job in ours if not job.is_warm_pool}
        until = time.monotonic() + _LONGEST_END
        while (left := ran & self._running()) and time.monotonic() < until:
            self._pause()
        result.running = sorted(left)
        result.ended = sorted(ran - left)

    def _running(self) -> set[str]:
        """Names of the study's trials' jobs that have not ended."""
        return {job.name for job in self._trials(find_our_jobs(self._aws)) if not job.is_warm_pool}

    def _trials(self, found: OurJobs) -> list[OurJob]:
        """Jobs of trials of the study that run, or whose machines are kept."""
        below = self._place.bucket.uri(self._place.root)
        return [job for job in found.jobs if not job.is_tuner and job.tag == self._place.tag and lies_below(job, below)]

    def _pause(self) -> None:
        threading.Event().wait(self._interval)
