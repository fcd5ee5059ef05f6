"""Brings what names stand for from S3 to this machine, and the copies that are here up to date."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path

from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3_folders import folders
from cloudtune.errors import CloudtuneError, ExperimentNotFound
from cloudtune.experiments.copied import Copied
from cloudtune.experiments.gathering import gather
from cloudtune.experiments.s3_finding import aws_in_reach, find_in_s3, find_study
from cloudtune.experiments.study_copy import StudyCopy
from cloudtune.store.places import is_suffix
from cloudtune.store.study_place import StudyPlace

logger = logging.getLogger(__name__)


def bring_here(wanted: str, root: Path, s3_path: str | None) -> str:
    """Copies what a name stands for from S3.

    Args:
        wanted: See :func:`~cloudtune.experiments.copied.fitting`.
        root: Folder of the experiments of this machine.
        s3_path: Where to look; see :func:`~cloudtune.experiments.load_experiments`.

    Returns:
        Where it was found, ``s3://bucket[/prefix]``.

    Raises:
        ExperimentNotFound: There is no such experiment.
        AwsError: S3 does not answer, or AWS not within seconds.
    """
    aws = aws_in_reach()
    tag, slash, _ = wanted.rpartition("/")
    place = find_study(tag if slash else wanted, s3_path, aws)
    try:
        return _bring(place, root)
    except ExperimentNotFound as error:
        if slash:
            raise
        not_found = error
    above = place.root.removesuffix(f"{wanted}/")
    # Single experiments lie below a tag that is their own name.
    runs = [one for one in folders(place.bucket, above) if one.startswith(wanted) and is_suffix(one[len(wanted) :])]
    if not runs:
        try:
            found = find_in_s3(wanted, s3_path, aws)
        except ExperimentNotFound:
            raise not_found from None
        runs = [found.tag or found.name]
    for one in runs:
        _bring(find_study(one, s3_path, aws), root)
    return _s3_path(place)


def refresh(found: Iterable[Copied], root: Path) -> set[Path]:
    """Brings copies up to date, each with one listing where nothing has changed; warns of those that stay as they are.

    Where there is no network, that is known after one call.

    Args:
        found: Experiments in these copies.
        root: Folder of the experiments of this machine.

    Returns:
        Folders of the copies that are fresh now.
    """
    fresh = set()
    for copy in {one.copy.path: one.copy for one in found}.values():
        try:
            aws_for().identify(patience=0.0)
            _bring(find_study(copy.tag, copy.s3_path), root)
        except CloudtuneError as error:
            logger.warning(
                "what is read of study %r is as old as its copy, %s, since that could not be brought up to date: %s",
                copy.tag,
                _age(copy.age),
                " ".join(str(error).split()),
            )
        else:
            fresh.add(copy.path)
    return fresh


def _bring(place: StudyPlace, root: Path) -> str:
    gathered = gather(place, root)
    if not gathered.passed_over:
        return _s3_path(place)
    known = StudyCopy(root, place.bucket.name, place.prefix, place.tag).known()
    for name, why in gathered.passed_over.items():
        if name not in known:
            logger.warning("experiment %r is passed over: %s", name, why)
        elif not known[name].unreadable:  # those of which the copy says so are warned of where they are loaded
            logger.warning("what is read of experiment %r is an older copy: %s", name, why)
    return _s3_path(place)


def _s3_path(place: StudyPlace) -> str:
    return f"s3://{place.bucket.name}/{place.prefix}".rstrip("/")


def _age(seconds: float) -> str:
    if math.isinf(seconds):
        return "of which the age is not known"
    for length, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
