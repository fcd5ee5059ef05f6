"""Continuing here what runs, or ran, as a training job: from what its launcher has left in S3."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.agent.protocol import BUNDLE
from cloudtune.agent.unpack import unpack
from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.clients import aws_for
from cloudtune.aws.errors import NotFound
from cloudtune.aws.s3 import Seen
from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments.s3_finding import S3Experiment, find_in_s3
from cloudtune.remote.changes import change
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.kept_changes import kept_changes
from cloudtune.remote.launches import writable
from cloudtune.remote.shipped import newest_shipped
from cloudtune.remote.tuner_job import PICKLE, TRIAL, TunerPlace
from cloudtune.remote.unpacking import check, load
from cloudtune.store.places import experiment_path
from cloudtune.store.s3_store import S3Store
from cloudtune.tuner import Tuner, unpickled

logger = logging.getLogger(__name__)

#: In the experiment's folder on this machine: what was launched.
_FOLDER = "remote"
#: There: which checkpoints were fetched last.
_GENERATION = "generation"
#: Seconds by which the ages of two objects may differ that were written at the same time.
_ROUNDING = 2.0


def take_over(
    experiment: str, s3_path: str | None = None, region: str | None = None, profile: str | None = None
) -> Tuner:
    """See :meth:`cloudtune.tuner.Tuner.takeover`."""
    found = writable(find_in_s3(experiment, s3_path, aws_for(region, profile)))
    tuner = _kept_in_s3(_tuner_of(found), found)
    tuner.trial_backend.use_credentials(found.bucket.aws.region, profile)
    if not tuner.trial_backend.trials_outlive_tuner:
        _fetch_checkpoints(found, tuner.tuner_path)
    return tuner


def load_tuner(experiment: S3Experiment) -> Tuner:
    """The tuner of an experiment as it is now: what was launched, or stored, brought up to date by the log.

    This unpickles: only load what you trust.

    Raises:
        ExperimentNotFound: There is none.
        CannotLoad: It was launched with other versions than those installed here.
    """
    tuner = _kept_in_s3(_tuner_of(experiment), experiment)
    tuner.read_log()
    return tuner


def _tuner_of(experiment: S3Experiment) -> Tuner:
    """What was launched or, of an experiment that runs in no job, what its tuner has stored; the newest of both."""
    place = TunerPlace(experiment.bucket, experiment.root)
    attempts = place.attempts()
    snapshot = experiment.bucket.look(experiment.root + PICKLE)
    task = experiment.bucket.look(place.keys.task(TRIAL, attempts[-1])) if attempts else None
    if snapshot is None:
        return shipped_tuner(experiment)
    if task is not None and not _is_newer(snapshot, task):
        try:
            return shipped_tuner(experiment)
        except ExperimentNotFound as error:
            logger.warning("%s; what a tuner has stored is taken instead", error)
    try:
        return _stored_tuner(experiment, snapshot.body)
    except ExperimentNotFound as error:
        if not attempts:
            raise
        logger.warning("%s; what was launched is taken instead", error)
        return shipped_tuner(experiment)


def _stored_tuner(experiment: S3Experiment, snapshot: bytes) -> Tuner:
    tuner = unpickled(snapshot, f"{experiment.uri}{PICKLE}")
    tuner.tuner_path = experiment_path(experiment.name)
    if tuner.trial_backend_path is not None and not tuner.trial_backend_path.is_dir():
        tuner.trial_backend_path = None  # of another machine
    return tuner


def _is_newer(one: Seen, other: Seen) -> bool:
    """Whether an object was certainly written after another one: S3 tells times in whole seconds."""
    if one.age_seconds is None or other.age_seconds is None:
        return False
    return one.age_seconds + _ROUNDING < other.age_seconds


def _kept_in_s3(tuner: Tuner, experiment: S3Experiment) -> Tuner:
    interval = tuner.results_update_interval
    store = S3Store(experiment.bucket, experiment.root, interval, job_is_over=JobEnded(experiment.bucket.aws))
    tuner.keep_in(store, experiment.tag)
    tuner.save_tuner = False  # what was launched is what continues it
    return tuner


def shipped_tuner(experiment: S3Experiment) -> Tuner:
    """The tuner of the newest launch, as its job began with it; its source lies in the experiment's folder then.

    This unpickles.

    Raises:
        ExperimentNotFound: It was not launched remotely, or what was launched is gone.
        CannotLoad: It was launched with other versions than those installed here, or changed.
    """
    place = TunerPlace(experiment.bucket, experiment.root)
    shipped = newest_shipped(place)
    manifest, pickle = shipped.manifest, shipped.pickle
    check(manifest, pickle)  # before anything is downloaded
    folder = experiment_path(experiment.name) / _FOLDER / str(manifest["archive"])[:16]
    if not folder.is_dir():
        _fetch_source(experiment, manifest, pickle, folder)
    tuner = load(folder / "source", manifest, pickle, folder / BUNDLE)
    if tuner.name != experiment.name:
        raise ExperimentNotFound(
            f"what was launched as {experiment.name!r} is a tuner of {tuner.name!r}; launch it again by its script"
        )
    settings = place.settings_of(shipped.newest)
    if settings is None:
        logger.warning(
            "%s is gone, or damaged: limits that a `cloudtune resume` has changed are what they were before",
            experiment.bucket.uri(place.keys.task(TRIAL, shipped.newest)),
        )
        settings = place.settings_of(shipped.attempt)
    if settings is not None:
        change(tuner, settings.changes)
    change(tuner, kept_changes(place, shipped.newest))
    return tuner


def _fetch_source(experiment: S3Experiment, manifest: Mapping[str, Any], pickle: bytes, folder: Path) -> None:
    """Downloads an archive, checks and unpacks it; the folder appears when all is there."""
    key = f"{experiment.code}{str(manifest['archive'])[:32]}/{BUNDLE}"  # see upload_bundle
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".fetching-"))
    try:
        try:
            experiment.bucket.download_files([(key, fresh / BUNDLE)])
        except NotFound as error:
            raise ExperimentNotFound(
                f"the source of experiment {experiment.name!r} is gone from {experiment.bucket.uri(key)}; launch it "
                "again by its script"
            ) from error
        check(manifest, pickle, fresh / BUNDLE)
        (fresh / "source").mkdir()
        unpack(os.fspath(fresh / BUNDLE), os.fspath(fresh / "source"), os.fspath(fresh / "package"))
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            logger.debug("%s was just made by somebody else", folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _fetch_checkpoints(experiment: S3Experiment, folder: Path) -> None:
    """Brings logs and checkpoints of trials that ran on the tuner's machine here, where they were kept.

    They replace what an earlier tuner has left here, unless that one had fetched the same: then it has gone on since.
    """
    place = TunerPlace(experiment.bucket, experiment.root)
    manifest = TrialCheckpoints(experiment.bucket, place.keys).newest(TRIAL)
    if manifest is None:
        return
    mark = folder / _FOLDER / _GENERATION
    if mark.is_file() and mark.read_text(encoding="utf-8") == manifest["generation"]:
        return
    logger.info("fetching %d files of trials that ran remotely to %s", len(manifest["files"]), folder)
    for name in {path.partition("/")[0] for path in (file["path"] for file in manifest["files"])}:
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in manifest["folders"]:
        folder.joinpath(*path.split("/")).mkdir(parents=True, exist_ok=True)
    experiment.bucket.download_files([(file["key"], file["path"]) for file in manifest["files"]], folder)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(manifest["generation"], encoding="utf-8")
