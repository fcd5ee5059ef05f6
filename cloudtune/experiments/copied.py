"""Experiments in S3 as the copies on this machine have them: found by name or tag."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.aws.buckets import parse_bucket
from cloudtune.constants import ENV_S3_PATH
from cloudtune.errors import ExperimentNotFound, NewerFormat
from cloudtune.experiments.experiment_result import ExperimentResult
from cloudtune.experiments.frames import LazyFrame
from cloudtune.experiments.other_studies import is_of_other_study
from cloudtune.experiments.study_copy import StudyCopy, copies
from cloudtune.store.results_object import RUNNING, DamagedResults, PackedTable, ResultsObject

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

MetadataFilter = Callable[[dict[str, Any]], bool]


@dataclass
class Copied:
    """An experiment in a copy.

    Args:
        copy: Of its study.
        name: Its name.
        is_fresh: The copy was brought up to date just now.
        was_running: It had not ended when it was copied; known when it has been loaded.
    """

    copy: StudyCopy
    name: str
    is_fresh: bool = False
    was_running: bool = False

    def load(self, load_tuner: bool = False, metadata_filter: MetadataFilter | None = None) -> ExperimentResult | None:
        """Its results; None where the filter does not want it, or it cannot be read, which is warned of.

        Args:
            load_tuner: Fetch the tuner from S3, and unpickle it.
            metadata_filter: What it says of the metadata decides.
        """
        results = self._results()
        self.was_running = results is not None and results.heading.state == RUNNING
        if results is None or (metadata_filter is not None and not metadata_filter(results.metadata)):
            return None
        tuner: Tuner | None = None
        if load_tuner:
            from cloudtune.experiments.s3_finding import find_in_s3

            # By name at the call: what knows how a tuner was shipped stands above this.
            module = importlib.import_module("cloudtune.remote.taking_over")
            tuner = module.load_tuner(find_in_s3(self.copy.uri(self.name)))
        return ExperimentResult(
            name=self.name,
            results=LazyFrame(partial(self._table, results)),
            metadata=results.metadata,
            path=self.copy.root / self.name,
            tuner=tuner,
            place=self.copy.uri(self.name),
        )

    def _table(self, results: ResultsObject) -> PackedTable:
        try:
            return results.table()
        except DamagedResults as error:
            raise DamagedResults(self._damaged(error)) from error

    def _damaged(self, error: DamagedResults) -> str:
        return f"{self.copy.file(self.name)} {error}; delete it, and `cloudtune sync {self.copy.tag}` again"

    @property
    def is_readable(self) -> bool:
        """Whether there are results."""
        read = self.copy.read(self.name)
        return read is not None and not read[0].unreadable

    def _results(self) -> ResultsObject | None:
        read = self.copy.read(self.name)
        why = f"{self.copy.file(self.name)} cannot be read; delete it, and `cloudtune sync {self.copy.tag}` again"
        if read is not None:
            copy_of, data = read
            if not copy_of.unreadable:
                try:
                    results = ResultsObject(data, self.name, str(self.copy.file(self.name)))
                    results.check_metadata()
                    return results
                except DamagedResults as error:
                    why = self._damaged(error)
                except NewerFormat as error:
                    why = str(error)
            else:
                why = copy_of.unreadable
        logger.warning("experiment %r is passed over: %s", self.name, why)
        return None


class SeveralPlaces(ExperimentNotFound):
    """A name stands for experiments at several places in S3; the message lists them."""


def fitting(root: Path, wanted: str, s3_path: str | None = None) -> list[Copied]:
    """The experiments in copies that a name stands for.

    Args:
        root: Folder of the experiments of this machine.
        wanted: A tag, ``TAG/NAME``, or a name, which stands for all that begin with it and a dash as well, but not for
            those of a study whose tag is longer.
        s3_path: Only copies of this place. Default: of all; of several, that of ``$CLOUDTUNE_S3_PATH`` counts.

    Raises:
        SeveralPlaces: Copies of several places have experiments that it stands for: they are of several studies,
            whatever their names are.
    """
    return _of_one_place(wanted, _fitting(root, wanted, s3_path))


def _fitting(root: Path, wanted: str, s3_path: str | None) -> list[Copied]:
    """The same, of all places."""
    tag, slash, name = wanted.rpartition("/")
    there = _copies_of(root, s3_path)
    if slash:
        return [Copied(copy, name) for copy in there if copy.tag == tag and name in copy.names()]
    found = [Copied(copy, one) for copy in there if copy.tag == wanted for one in copy.names()]
    if found:
        return found
    every = [Copied(copy, one) for copy in there for one in copy.names()]
    found = [one for one in every if one.name == wanted or one.name.startswith(f"{wanted}-")]
    return [one for one in found if not is_of_other_study(wanted, one.name, one.copy.tag)]


def _of_one_place(wanted: str, found: list[Copied]) -> list[Copied]:
    """All of them where they are of one place, or those of the usual one. Raises as :func:`fitting`."""
    places = sorted({one.copy.s3_path for one in found})
    if len(places) < 2:
        return found
    usual = os.environ.get(ENV_S3_PATH, "").rstrip("/")
    if usual in places:
        return [one for one in found if one.copy.s3_path == usual]
    raise SeveralPlaces(
        f"the copies on this machine have experiments {wanted!r} of several places in S3: name the one that is "
        f"meant as s3_path (--s3-path), or set {ENV_S3_PATH}: {', '.join(places)}"
    )


def exactly(root: Path, wanted: str) -> Copied | None:
    """The experiment of that name, or ``TAG/NAME``, if a copy has results of it. Raises as :func:`fitting`."""
    name = wanted.rpartition("/")[2]
    found = [one for one in _fitting(root, wanted, None) if one.name == name and one.is_readable]
    chosen = _of_one_place(wanted, found)
    return chosen[0] if chosen else None


def warn_of_old(loaded: Sequence[Copied]) -> None:
    """Says which of the experiments that were loaded may have gone on since they were copied, and if some may lack."""
    for copy in {one.copy.path: one.copy for one in loaded if not one.is_fresh}.values():
        if not copy.is_complete:
            logger.warning(
                "the copy of study %r was never completed, and may lack experiments: run `cloudtune sync %s`",
                copy.tag,
                copy.tag,
            )
    running = [one for one in loaded if one.was_running and not one.is_fresh]
    if running:
        tags = " ".join(sorted({one.copy.tag for one in running}))
        shown = ", ".join(repr(one.name) for one in running[:3]) + (", ..." if len(running) > 3 else "")
        logger.warning(
            "what is read of %d experiments (%s) is as old as their copy, made while they ran: `cloudtune sync %s` "
            "brings it up to date",
            len(running),
            shown,
            tags,
        )


def _copies_of(root: Path, s3_path: str | None) -> list[StudyCopy]:
    if s3_path is None:
        return list(copies(root))
    bucket, prefix = parse_bucket(s3_path)
    return [copy for copy in copies(root) if (copy.bucket, copy.prefix) == (bucket, prefix)]
