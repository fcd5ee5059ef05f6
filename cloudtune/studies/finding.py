"""Finds a study by its tag: in S3, on this machine, or in both."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloudtune.aws.buckets import find_bucket
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import InvalidRequest, is_not_set_up
from cloudtune.aws.s3 import Bucket
from cloudtune.constants import ENV_S3_PATH
from cloudtune.errors import CloudtuneError, ExperimentNotFound
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell_standing import StudyStanding
from cloudtune.studies.here import folders_of, standing_here
from cloudtune.studies.status import StudyWatch

logger = logging.getLogger(__name__)


@dataclass
class Study:
    """Where the experiments of a tag are.

    Args:
        tag: Which.
        place: In S3; None: nothing is recorded there, or S3 cannot be read.
        folders: Of experiments on this machine, by their names.
        note: Why S3 was not looked at; "" if it was, or if AWS is not set up here, so that nobody expects it.
        is_s3_read: Whether it was looked at.
    """

    tag: str
    place: StudyPlace | None
    folders: dict[str, Path] = field(default_factory=dict)
    note: str = ""
    is_s3_read: bool = True

    def __post_init__(self) -> None:
        self._watch = None if self.place is None else StudyWatch(self.place)

    def standing(self) -> StudyStanding:
        """How it stands now. Of an experiment that is in S3 and here, what S3 tells is shown. Raises AwsError."""
        there = self.standing_in_s3()
        known = there.by_name
        here = [standing_here(path) for name, path in self.folders.items() if name not in known]
        notes = [*there.notes, self.note] if self.note else there.notes
        return replace(there, cells=sorted([*there.cells, *here], key=lambda one: one.name), notes=notes)

    def standing_in_s3(self) -> StudyStanding:
        """How those of its experiments stand that were launched into S3. Raises AwsError."""
        return StudyStanding(self.tag, []) if self._watch is None else self._watch.look()

    def experiment(self, cell: str) -> Path | S3Experiment:
        """One of its experiments.

        Args:
            cell: Its name, or what stands in it behind the tag.

        Raises:
            ExperimentNotFound: There is none; the message names some.
            AwsError: S3 cannot be read.
        """
        names = [one.name for one in self.standing().cells]
        name = next((one for one in (cell, f"{self.tag}-{cell}") if one in names), None)
        if name is None:
            near = difflib.get_close_matches(cell, [short_name(self.tag, one) for one in names], n=3, cutoff=0.3)
            advice = f"did you mean {', '.join(near)}?" if near else f"`cloudtune status {self.tag}` shows those it has"
            raise ExperimentNotFound(f"the study {self.tag!r} has no experiment {cell!r}; {advice}")
        if self.place is None or name in self.folders:
            return self.folders[name]
        return S3Experiment(self.place.bucket, self.place.prefix, name, "" if name == self.tag else self.tag)


def short_name(tag: str, name: str) -> str:
    """What stands behind the tag in the name of an experiment; all of it where it begins otherwise."""
    return name.removeprefix(f"{tag}-")


def find_study(tag: str, s3_path: str | None, make_aws: Callable[[], Aws]) -> Study | None:
    """The study of a tag; None if there is none.

    Args:
        tag: Which.
        s3_path: Where to look in S3, see :func:`~cloudtune.experiments.s3_finding.find_in_s3`; given, this machine is
            not looked at.
        make_aws: Account and region.

    Raises:
        CloudtuneError: S3 cannot be read, and there is nothing on this machine.
    """
    folders = folders_of(tag) if s3_path is None else {}
    try:
        place = _place_in_s3(tag, s3_path, make_aws())
    except CloudtuneError as error:
        if not folders:
            raise
        note = f"S3 is not looked at: {' '.join(str(error).split())}"
        if is_not_set_up(error) and not os.environ.get(ENV_S3_PATH):
            logger.debug("%s", note)
            note = ""
        return Study(tag, None, folders, note, is_s3_read=False)
    return Study(tag, place, folders) if folders or place is not None else None


def _place_in_s3(tag: str, s3_path: str | None, aws: Aws) -> StudyPlace | None:
    found = find_bucket(aws, s3_path or os.environ.get(ENV_S3_PATH))
    try:
        place = StudyPlace(Bucket(aws, found.name, found.owner), found.prefix, tag)
    except InvalidRequest:  # no study can be called so
        return None
    keys = {one.key for one in place.bucket.list(place.folder)}
    # A single experiment without a tag lies below its own name.
    own = {place.cell(tag), place.status_of(tag)}
    is_study = any(key.startswith((place.cells, place.status)) and key not in own for key in keys)
    return place if is_study else None
