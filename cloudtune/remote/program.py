"""The program that runs a shipped tuner in its training job; the agent starts it like any training script."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cloudtune import constants
from cloudtune.agent import protocol
from cloudtune.agent.forms import Task
from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.callbacks.console_metrics import ConsoleMetrics
from cloudtune.errors import CloudtuneError, ExperimentLocked
from cloudtune.interruption import SignalWatch, TuningInterrupted
from cloudtune.remote.changes import change
from cloudtune.remote.early_end import EarlyEnd
from cloudtune.remote.hand_over import HandOver
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.overview import TellsOverview
from cloudtune.remote.own_job import OwnJob
from cloudtune.remote.stand_in import StandIn
from cloudtune.remote.tuner_job import (
    ENV_LAUNCH,
    MANIFEST,
    PICKLE,
    TIME_TO_END,
    Settings,
    TunerPlace,
    launch_digest,
)
from cloudtune.remote.unpacking import CannotLoad, load
from cloudtune.store.s3_lease import read_lease
from cloudtune.store.s3_store import S3Store
from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

#: Without a sign of life of a remote tuner for so long, in seconds, its trials save their checkpoints and pause.
_LIFE_TIMEOUT = 900.0
#: Between two looks whether a tuner that seems to drive the experiment is alive, in seconds.
_WATCH_INTERVAL = 5.0
#: Variables that the agent sets for a script that reports.
_OF_A_TRIAL = (constants.ENV_REPORT_FILE, constants.ENV_WAKE_FIFO, constants.ENV_TRIAL, constants.ENV_ATTEMPT)


def main(signals: SignalWatch) -> None:
    """Runs the tuner that was shipped with this job.

    Args:
        signals: Entered since the process began.
    """
    arguments = argparse.ArgumentParser()
    arguments.add_argument(f"--{constants.ST_CONFIG_JSON_FILENAME}", type=Path, required=True)
    arguments.add_argument(f"--{constants.ST_CHECKPOINT_DIR}", type=Path, required=True)
    given = arguments.parse_args()
    told = json.loads(getattr(given, constants.ST_CONFIG_JSON_FILENAME).read_text(encoding="utf-8"))
    settings = Settings(**{one.name: told[one.name] for one in fields(Settings) if one.name in told})
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    for talkative in ("botocore", "boto3", "urllib3"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    for name in _OF_A_TRIAL:
        os.environ.pop(name, None)
    try:
        Run(settings, getattr(given, constants.ST_CHECKPOINT_DIR), signals).run()
    except CloudtuneError as error:
        # One line, the last of the output: the job's failure reason shows it.
        sys.exit(str(error))


class Run:
    """One run of the program.

    Args:
        settings: What the launcher has said.
        checkpoints: Folder that the agent keeps in S3.
        signals: Received so far, and from now on.
    """

    def __init__(self, settings: Settings, checkpoints: Path, signals: SignalWatch) -> None:
        self._settings = settings
        self._signals = signals
        self._checkpoints = checkpoints
        self._base = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
        task: Task = json.loads((self._channel / protocol.TASK).read_text(encoding="utf-8"))
        self._aws: Aws = aws_for(task["region"])
        bucket = Bucket(self._aws, task["bucket"], task["owner"] or None, task["kms_key"])
        self._place = TunerPlace(bucket, settings.root)
        self._job = OwnJob(self._aws, self._place, task["attempt"], os.environ.get("TRAINING_JOB_NAME", ""))
        self._hand_over = HandOver(self._job, settings, signals)
        self._overview: TellsOverview | None = None
        self._trials_are_elsewhere = False

    @property
    def _channel(self) -> Path:
        return self._base / "input" / "data" / protocol.CHANNEL_TASK

    def run(self) -> None:
        """Runs the tuner to its end, and hands the experiment over if the job's time is over first.

        Raises:
            CloudtuneError: The message says what is wrong.
            TuningInterrupted: The job is being stopped; everything is stored.
        """
        tuner = self._tuner()
        try:
            self._run(tuner)
        except Exception as error:
            if self._overview is not None:
                self._overview.tuner_failed(error)
            raise

    def _run(self, tuner: Tuner) -> None:
        try:
            self._drive(tuner)
        except TuningInterrupted:
            was_due = self._hand_over.is_due
            self._hand_over.is_due = self._job.ends_for_good() and self._job.time_is_over
            if not self._hand_over.is_due:
                if was_due:  # told to end when it was about to hand over, and had left its trials to the successor
                    self._drive(tuner)
                raise
        try:
            with StandIn(self._job, tuner.trial_backend.sign_interval if self._hand_over.is_due else None):
                self._hand_over.complete(self._channel)
        except TuningInterrupted:
            # While a successor was tried for. Trials that are not to go on without one are ended by the tuner.
            self._drive(tuner)
            raise

    def _tuner(self) -> Tuner:
        """The tuner that was shipped, told where it is now."""
        os.environ[constants.ENV_FOLDER] = str(self._base / "cloudtune" / "experiments")
        manifest = self._manifest()
        archive = self._base / "input" / "data" / protocol.CHANNEL_CODE / protocol.BUNDLE
        tuner = load(self._base / "code", manifest, self._shipped(PICKLE), archive)
        change(tuner, self._settings.changes)
        backend = tuner.trial_backend
        self._trials_are_elsewhere = backend.trials_outlive_tuner
        if self._settings.store_logs and not self._trials_are_elsewhere:
            tuner.trial_backend_path = self._checkpoints
        tuner.keep_in(self._store(tuner), self._settings.tag)
        tuner.save_tuner = False
        tuner.decide_leaving = self._leaves_running
        tuner.signals = self._signals
        tuner.time_to_end = TIME_TO_END if tuner.time_to_end is None else min(tuner.time_to_end, TIME_TO_END)
        if self._settings.publish_metrics:
            tuner.callbacks.append(ConsoleMetrics())
        self._overview = TellsOverview(tuner, self._place.bucket, self._settings.root, self._job.name, self._signals)
        tuner.callbacks += [self._hand_over, self._overview]
        if self._trials_are_elsewhere:
            key = getattr(backend, "kms_key", None) or self._place.bucket.kms_key
            early_end = EarlyEnd(self._job, self._signals, self._leaves_running, key)
            tuner.callbacks.append(early_end)
            early_end.start()
        backend.end_when_silent(_LIFE_TIMEOUT)
        return tuner

    def _manifest(self) -> Mapping[str, Any]:
        """Of the shipment, if it and the task are those that this job was created for."""
        manifest = self._shipped(MANIFEST)
        launched = launch_digest(self._shipped(protocol.TASK), manifest)
        if os.environ.get(ENV_LAUNCH, launched) != launched:
            raise CannotLoad(
                "what lies in the job's input channel is not what it was launched with: another launch, or somebody "
                "else, has changed it; launch again"
            )
        said: dict[str, Any] = json.loads(manifest)
        return said

    def _shipped(self, name: str) -> bytes:
        """A file of the job's input channel. Raises CannotLoad."""
        try:
            return (self._channel / name).read_bytes()
        except FileNotFoundError as error:
            raise CannotLoad(
                f"{name} is missing in the job's input channel: somebody, or a lifecycle rule of the bucket, has "
                f"deleted it from {self._place.uri}; launch again"
            ) from error

    def _store(self, tuner: Tuner) -> S3Store:
        return S3Store(
            self._place.bucket,
            self._settings.root,
            results_update_interval=tuner.results_update_interval,
            job_is_over=JobEnded(self._aws),
        )

    def _drive(self, tuner: Tuner) -> None:
        """Runs the tuner, once nobody else does: one that was killed a moment ago still looks alive.

        A tuner that is told to end before it has begun ends what an earlier one has left running; it does not begin
        where that is to go on.

        Raises:
            TuningInterrupted: The job is being stopped.
        """
        age = None
        while True:
            if self._signals.received is not None and self._leaves_running():
                raise self._signals.error()
            try:
                tuner.run(takeover=self._takes_over())
            except ExperimentLocked as locked:
                lease = read_lease(self._place.bucket, self._settings.root)
                # One that was given back since, or deleted, is free.
                if lease is not None and not lease.released and _is_renewed(lease.age, age):
                    raise
                if self._signals.time_left(tuner.time_to_end) < 2 * _WATCH_INTERVAL:
                    # There is no telling whose the trials are: if that one is dead, they end without a sign of life.
                    raise self._signals.error() from locked
                age = lease.age if lease is not None else None
                logger.info("somebody else seems to drive the experiment; watching for a sign of life")
                threading.Event().wait(_WATCH_INTERVAL)
            else:
                return

    def _takes_over(self) -> bool:
        """Whether whoever launched this has said to take the experiment from the very one that drives it now."""
        if not self._settings.takeover_from:
            return False
        lease = read_lease(self._place.bucket, self._settings.root)
        return lease is not None and lease.nonce == self._settings.takeover_from

    def _leaves_running(self) -> bool:
        """Whether jobs of trials go on when this one ends before the experiment, for the next tuner to take over."""
        if not self._trials_are_elsewhere:
            return False
        if self._hand_over.is_due or not self._job.ends_for_good() or self._job.time_is_over:
            return True
        # Of a tuner, to be paused means that its trials go on.
        return self._job.wish == protocol.WISH_PAUSE or (self._settings.leave_trials and self._job.wish is None)


def _is_renewed(age: float | None, before: float | None) -> bool:
    """Whether a lease was renewed since the look before, by its ages; where S3 does not tell them, it may have been."""
    return age is None or (before is not None and age < before)
