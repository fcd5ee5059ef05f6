"""What tuners and trials have written, wherever they ran: the lines so far, and those that come."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.errors import NotFound
from cloudtune.aws.job_names import job_name
from cloudtune.aws.logs import JobLogs
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.backend import trial_files
from cloudtune.backend.sagemaker_backend.same_place import REGION
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.course import Course, S3Course
from cloudtune.experiments.known_metadata import metadata_in_folder, metadata_in_s3
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.launches import launches
from cloudtune.remote.standing import driver_of
from cloudtune.remote.tuner_job import TRIAL, TunerPlace
from cloudtune.store.lease import lease_holder_is_alive
from cloudtune.store.log import LogView
from cloudtune.store.s3_lease import read_lease
from cloudtune.trial_record import TrialRecord

logger = logging.getLogger(__name__)

#: Seconds between two looks at what is followed.
INTERVAL = 2.0
#: Of a backend whose trials are training jobs, in ``metadata.json``.
_JOBS = "SageMakerBackend"


class NoOutput(CloudtuneError):
    """There is nothing to show; the message says why."""


def of_tuner(experiment: S3Experiment, follow: bool) -> Iterator[str]:
    """What the tuner's jobs have written, the oldest first.

    Args:
        experiment: Which.
        follow: Go on until no job of the tuner runs.

    Raises:
        NoOutput: No training job runs, or ran, its tuner.
    """
    aws = experiment.bucket.aws
    place = TunerPlace(experiment.bucket, experiment.root)
    shown: set[str] = set()
    while True:
        jobs = [job for _, job in launches(place)][::-1]
        if not jobs:
            raise NoOutput(f"experiment '{experiment.name}' has no training job of a tuner whose log could be shown")
        new = [job for job in jobs if job.name not in shown]
        if not new:
            return
        for job in new:
            shown.add(job.name)
            if len(jobs) > 1:
                logger.info("training job %s:", job.name)
            yield from _job_lines(aws, job.name, follow)
        if not follow:
            return


def of_remote_trial(experiment: S3Experiment, trial: int, follow: bool) -> Iterator[str]:
    """What a trial of an experiment in S3 has written.

    Args:
        experiment: Which.
        trial: Its number.
        follow: Go on until the trial ends.

    Raises:
        NoOutput: There is no such trial, or its output was not kept.
    """
    read = S3Course(experiment.bucket, experiment.root).read

    def is_driven() -> bool:
        newest = next(launches(TunerPlace(experiment.bucket, experiment.root)), None)
        job = None if newest is None else newest[1]
        if job is not None and not job.is_terminal:
            return True
        return driver_of(read_lease(experiment.bucket, experiment.root), job) is not None

    metadata = metadata_in_s3(experiment.bucket, experiment.root)
    if _is_job(experiment, read(), trial) if metadata is None else _runs_as_jobs(metadata):
        yield from _attempts(experiment.bucket.aws, experiment.name, trial, read, is_driven, follow)
    else:
        yield from _kept(experiment, trial, read, is_driven, follow)


def of_local_experiment(
    path: Path, trial: int | None, follow: bool, region: str | None = None, profile: str | None = None
) -> Iterator[str]:
    """What a trial of an experiment on this machine has written.

    Args:
        path: The experiment's folder.
        trial: Its number.
        follow: Go on until the trial ends.
        region: Of AWS, for trials that are training jobs, where the log does not say it.
        profile: Of AWS, for these too.

    Raises:
        NoOutput: There is no such trial.
    """
    if trial is None:
        raise NoOutput(
            f"the tuner of '{path.name}' runs, or ran, on this machine and wrote to its own terminal; name a trial, as "
            f"`cloudtune logs {path.name} 0`"
        )

    def read() -> Course:
        course = Course()
        course.apply_all(LogView(path / "log").blocks())
        return course

    def is_driven() -> bool:
        return lease_holder_is_alive(path / "lock")

    if _runs_as_jobs(metadata_in_folder(path) or {}):
        yield from _attempts(aws_for(region, profile), path.name, trial, read, is_driven, follow)
        return
    _record(read(), path.name, trial)
    files = [Path(trial_files.trial_folder(f"{path}/{trial_files.TRIALS}", trial), name) for name in _FILES]
    yield from _growing(lambda: [_bytes(file) for file in files], lambda: _goes_on(read(), trial, is_driven), follow)


_FILES = (trial_files.STDOUT, trial_files.STDERR)


def _runs_as_jobs(metadata: Mapping[str, Any]) -> bool:
    return metadata.get("backend") == _JOBS


def _aws_of_trials(aws: Aws, course: Course) -> Aws:
    """Trials may be in another region than what is read of their experiment; the log notes theirs."""
    region = course.status.trials_at.get(REGION)
    return aws if region is None else aws_for(region, aws.profile)


def _is_job(experiment: S3Experiment, course: Course, trial: int) -> bool:
    """Whether there is, or was, a training job that a trial would have had."""
    if not course.experiment_id:
        return False
    try:
        TrainingJobs(_aws_of_trials(experiment.bucket.aws, course)).describe(
            job_name(experiment.name, course.experiment_id, trial, 0)
        )
    except NotFound:
        return False
    return True


def _record(course: Course, name: str, trial: int) -> TrialRecord:
    record = course.status.records.get(trial)
    if record is None:
        count = len(course.status.records)
        there = f"they are numbered from 0 to {count - 1}" if count else "it has none yet"
        raise NoOutput(f"experiment '{name}' has no trial {trial}; {there}")
    return record


def _goes_on(course: Course, trial: int, is_driven: Callable[[], bool]) -> bool:
    """Whether a trial may still write something."""
    record = course.status.records[trial]
    return not record.status.is_finished and course.status.finished_state is None and is_driven()


def _job_lines(aws: Aws, name: str, follow: bool) -> Iterator[str]:
    logs = JobLogs(aws)
    if not follow:
        yield from logs.text(name).splitlines()
        return

    def ended() -> bool:
        try:
            return TrainingJobs(aws).describe(name).is_terminal
        except NotFound:
            return True

    yield from logs.follow(name, ended, every=INTERVAL)


def _attempts(
    aws: Aws, name: str, trial: int, read: Callable[[], Course], is_driven: Callable[[], bool], follow: bool
) -> Iterator[str]:
    """The logs of a trial's training jobs, one for each attempt."""
    attempt = 0
    while True:
        course = read()
        newest = _record(course, name, trial).trial.attempt
        aws = _aws_of_trials(aws, course)
        for number in range(attempt, newest + 1):
            job = job_name(name, course.experiment_id, trial, number)
            if newest > 0:
                logger.info("training job %s:", job)
            # Of earlier attempts all is written.
            yield from _job_lines(aws, job, follow and number == newest)
        attempt = newest + 1
        if not follow:
            return
        while True:
            course = read()
            if course.status.records[trial].trial.attempt >= attempt:
                break
            if not _goes_on(course, trial, is_driven):
                return
            _pause()


def _kept(
    experiment: S3Experiment, trial: int, read: Callable[[], Course], is_driven: Callable[[], bool], follow: bool
) -> Iterator[str]:
    """The output of a trial on the tuner's own machine, as that machine has kept it in S3."""
    _record(read(), experiment.name, trial)
    saved = TrialCheckpoints(experiment.bucket, TunerPlace(experiment.bucket, experiment.root).keys)
    names = [trial_files.trial_folder(trial_files.TRIALS, trial) + f"/{name}" for name in _FILES]

    def look() -> list[bytes]:
        manifest = saved.newest(TRIAL)
        keys = {} if manifest is None else {file["path"]: file["key"] for file in manifest["files"]}
        got = experiment.bucket.get_many([keys[name] for name in names if name in keys])
        return [got[keys[name]].body if name in keys and keys[name] in got else b"" for name in names]

    if not any(look()) and not (follow and _goes_on(read(), trial, is_driven)):
        raise NoOutput(
            f"what trial {trial} of '{experiment.name}' wrote stayed on its tuner's machine, or is not in S3 yet; "
            "launch with store_logs_localbackend=True to have it kept"
        )
    yield from _growing(look, lambda: _goes_on(read(), trial, is_driven), follow)


def _growing(look: Callable[[], list[bytes]], goes_on: Callable[[], bool], follow: bool) -> Iterator[str]:
    """Lines of files that grow, each file after the other; when followed, as they come."""
    told = [0] * len(look())
    while True:
        last = not follow or not goes_on()
        for number, content in enumerate(look()):
            new = content[told[number] :]
            # A line that is still being written waits for its end.
            whole = new if last else new[: new.rfind(b"\n") + 1]
            told[number] += len(whole)
            yield from whole.decode("utf-8", "replace").splitlines()
        if last:
            return
        _pause()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _pause() -> None:
    threading.Event().wait(INTERVAL)
