"""The experiments that a tag, or a name, stands for: those of this machine, and those of S3 as they are now."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.finding import Study

logger = logging.getLogger(__name__)

_AS_COPIED = "What is shown is as it was synced last, since S3 cannot be read"


@dataclass(frozen=True)
class StudyResults:
    """What is known of a study.

    Args:
        name: Its tag, or what commands know a single experiment by.
        experiments: Oldest first. Those of S3 have a ``place``.
        study: How to learn more of it; None if nothing is recorded of it as a study.
        place: Where it lies in S3; None if it does not.
        notes: What could not be looked at, in sentences.
    """

    name: str
    experiments: list[ExperimentResult]
    study: Study | None = None
    place: StudyPlace | None = None
    notes: tuple[str, ...] = ()


def study_results(name: str, s3_path: str | None, region: str | None, profile: str | None) -> StudyResults:
    """Finds and reads experiments. Of those in S3, only what has changed since the last time is fetched.

    Args:
        name: A tag, the name of an experiment, or what the names of several begin with; in S3 also ``TAG/NAME``.
        s3_path: Where to look in S3; given, this machine is not looked at.
        region: Of AWS.
        profile: Of the AWS configuration.

    Raises:
        ExperimentNotFound: There is nothing of that name.
        CloudtuneError: S3 cannot be read, and there is nothing on this machine, not even a copy.
    """
    from cloudtune.aws.clients import aws_for
    from cloudtune.errors import CloudtuneError, ExperimentNotFound
    from cloudtune.experiments import load_experiments
    from cloudtune.studies.finding import find_study

    def make_aws() -> Aws:
        return aws_for(region, profile)

    here = [] if s3_path is not None else _here(name)
    try:
        study = None if "/" in name or name in here else find_study(name, s3_path, make_aws)
        if study is not None:
            return _of_study(study)
        if not here:
            return _in_s3(name, s3_path, make_aws())
    except CloudtuneError as error:
        if not here and not isinstance(error, ExperimentNotFound) and (copied := _copied(name, s3_path)):
            return StudyResults(name, copied, notes=(f"{_AS_COPIED}: {' '.join(str(error).split())}",))
        if s3_path is None and not here and not isinstance(error, ExperimentNotFound):
            raise ExperimentNotFound(
                f"there is no study or experiment {name!r} on this machine, nor can one be read from S3 "
                f"({' '.join(str(error).split())})"
            ) from error
        if not here:
            raise
    return StudyResults(name, [one for one in load_experiments(name) if not one.place])


def _here(name: str) -> list[str]:
    """Experiments on this machine that are called so, or whose names begin so."""
    from cloudtune.errors import ExperimentNotFound
    from cloudtune.experiments import list_experiments

    try:
        return list_experiments(name)
    except ExperimentNotFound:
        return []


def _of_study(study: Study) -> StudyResults:
    from cloudtune.errors import CloudtuneError
    from cloudtune.experiments import load_experiment

    if study.place is not None:
        there = _gathered(study.place)
    else:
        there = [] if study.is_s3_read else [one for one in _copied(study.tag, None) if one.name not in study.folders]
    names = {one.name for one in there}
    for name, path in study.folders.items():
        if name in names:
            continue
        try:
            there.append(load_experiment(str(path), download_if_not_found=False))
        except CloudtuneError as error:
            logger.warning("experiment %r is passed over: %s", name, error)
    notes = (study.note,) if study.note else ()
    return StudyResults(study.tag, _oldest_first(there), study, study.place, notes)


def _in_s3(name: str, s3_path: str | None, aws: Aws) -> StudyResults:
    """A study of an older version, or a single experiment."""
    from cloudtune.errors import ExperimentNotFound
    from cloudtune.experiments.s3_finding import find_in_s3, find_study
    from cloudtune.store.study_place import StudyPlace

    try:
        place = find_study(name, s3_path, aws)
        return StudyResults(name, _oldest_first(_gathered(place)), place=place)
    except ExperimentNotFound:
        found = find_in_s3(name, s3_path, aws)
    place = StudyPlace.of_experiment(found.bucket, found.root)
    return StudyResults(found.label, [one for one in _gathered(place) if one.name == found.name], place=place)


def _gathered(place: StudyPlace) -> list[ExperimentResult]:
    """The experiments in S3, by way of the copy on this machine."""
    from cloudtune.experiments.copied import fitting
    from cloudtune.experiments.gathering import gather
    from cloudtune.store.places import experiments_root

    root = experiments_root()
    gather(place, root)
    where = f"s3://{place.bucket.name}/{place.prefix}".rstrip("/")
    loaded = (one.load() for one in fitting(root, place.tag, where))
    return [one for one in loaded if one is not None]


def _copied(name: str, s3_path: str | None) -> list[ExperimentResult]:
    """The experiments in copies on this machine, as old as they are."""
    from cloudtune.constants import ENV_S3_PATH
    from cloudtune.experiments.copied import fitting, warn_of_old
    from cloudtune.store.places import experiments_root

    found = fitting(experiments_root(), name, s3_path or os.environ.get(ENV_S3_PATH))
    loaded = [one.load() for one in found]
    warn_of_old(found)
    return _oldest_first([one for one in loaded if one is not None])


def _oldest_first(experiments: list[ExperimentResult]) -> list[ExperimentResult]:
    from cloudtune.experiments.metadata_form import begun_at

    return sorted(experiments, key=lambda one: begun_at(one.metadata))
