"""The experiments that a tag, or a name, stands for: those of this machine, and those of S3 as they are now."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.status_table import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudtune.aws.clients import Aws
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.finding import Study

logger = logging.getLogger(__name__)

_AS_COPIED = "What is shown is as it was synced last, since S3 cannot be read"
_AS_KEPT = "What is shown was synced before; S3 has it no more"
#: Experiments that a sentence names.
_MOST_NAMES = 10


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
        if not here and (copied := _copied(name, s3_path)):
            why = _AS_KEPT if isinstance(error, ExperimentNotFound) else _AS_COPIED
            return StudyResults(name, copied, notes=(f"{why}: {' '.join(str(error).split())}",))
        if s3_path is None and not here and not isinstance(error, ExperimentNotFound):
            raise ExperimentNotFound(
                f"there is no study or experiment {name!r} on this machine, nor can one be read from S3 "
                f"({' '.join(str(error).split())})"
            ) from error
        if not here:
            raise
    return StudyResults(name, [one for one in load_experiments(name, download_from_s3=False) if not one.place])


def without_results(found: StudyResults, benchmark: str | None = None) -> str:
    """A sentence that names the experiments of a study in S3 of which there are no results; "" if there are none.

    Args:
        found: What there is.
        benchmark: Only those of this one.
    """
    from cloudtune.errors import CloudtuneError
    from cloudtune.experiments.quantities import plural

    if found.study is None:
        return ""
    try:
        cells = found.study.standing_in_s3().cells
    except CloudtuneError as error:
        return f"Whether experiments are missing is not known: {' '.join(str(error).split())}"
    there = {one.name for one in found.experiments}
    missing = [
        f"{one.name!r} ({one.state})"
        for one in cells
        if one.name not in there and (benchmark is None or one.cell is None or one.cell.benchmark == benchmark)
    ]
    return f"Of {plural(len(missing), 'experiment')} there are no results: {_some(missing)}" if missing else ""


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

    passed_over: tuple[str, ...] = ()
    if study.place is not None:
        there, passed_over = _gathered(study.place)
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
    notes = ((study.note,) if study.note else ()) + passed_over
    return StudyResults(study.tag, _oldest_first(there), study, study.place, notes)


def _in_s3(name: str, s3_path: str | None, aws: Aws) -> StudyResults:
    """A study of an older version, or a single experiment."""
    from cloudtune.errors import ExperimentNotFound
    from cloudtune.experiments.s3_finding import find_in_s3, find_study, study_not_found
    from cloudtune.store.study_place import StudyPlace

    try:
        place = find_study(name, s3_path, aws)
        there, passed_over = _gathered(place)
        if not there:  # all that is known of it has gone from S3
            raise study_not_found(place)
        return StudyResults(name, _oldest_first(there), place=place, notes=passed_over)
    except ExperimentNotFound:
        found = find_in_s3(name, s3_path, aws)
    place = StudyPlace.of_experiment(found.bucket, found.root)
    there, _ = _gathered(place)
    return StudyResults(found.label, [one for one in there if one.name == found.name], place=place)


def _gathered(place: StudyPlace) -> tuple[list[ExperimentResult], tuple[str, ...]]:
    """The experiments in S3, by way of the copy on this machine; and which of them are passed over.

    What the copy has besides is of no use here: it has gone from S3 since, or was never in this one.
    """
    from cloudtune.experiments.copied import Copied
    from cloudtune.experiments.gathering import gather
    from cloudtune.experiments.study_copy import StudyCopy
    from cloudtune.store.places import experiments_root

    root = experiments_root()
    gathered = gather(place, root)
    copy = StudyCopy(root, place.bucket.name, place.prefix, place.tag)
    loaded = [Copied(copy, name).load() for name in sorted({*gathered.fetched, *gathered.read, *gathered.unchanged})]
    return [one for one in loaded if one is not None], _passed_over(gathered.passed_over)


def _passed_over(why: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each reason."""
    names: dict[str, list[str]] = {}
    for name, reason in why.items():
        names.setdefault(reason, []).append(repr(name))
    return tuple(
        f"Passed over {'is' if len(of_reason) == 1 else 'are'} {_some(of_reason)}: {printable(reason)}"
        for reason, of_reason in names.items()
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


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
