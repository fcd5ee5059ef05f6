"""Gathers the results of a study from S3 into a copy on this machine: in parallel, and only what has changed.

One listing of what tuners write beside the experiments (``cloudtune.store.results_object``) tells what is new; a
second one, of their folders, is made where something is, and every few minutes. The
results of an experiment that has ended are one object. An experiment that still runs, whose tuner has died, or that an
older version of cloudtune wrote, is read from its log, if that has grown. Nothing else is looked at: no checkpoints, no
files of trials.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from cloudtune import __version__
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import PASSING, AwsError, InvalidRequest
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.s3 import Listed
from cloudtune.aws.s3_folders import folders
from cloudtune.errors import DamagedLog, NewerFormat
from cloudtune.experiments.known_metadata import metadata_in_s3, metadata_of_log
from cloudtune.experiments.s3_finding import find_study, study_not_found
from cloudtune.experiments.study_copy import CopyOf, StudyCopy
from cloudtune.store.entries import FINISH, FINISHED
from cloudtune.store.places import experiments_root
from cloudtune.store.results import read_results
from cloudtune.store.results_object import (
    RUNNING,
    DamagedResults,
    Heading,
    PackedTable,
    ResultsObject,
    table_object,
)
from cloudtune.store.s3_log import S3LogView, newest_segment
from cloudtune.store.study_place import STUDY_FOLDER, StudyPlace

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Logs that are read at once; the objects of each are read in parallel as well.
_LOGS = 8
#: So many results objects are fetched before they are written.
_WINDOW = 256

#: Seconds in which folders are not looked at again if nothing else has changed; what comes in between is found later.
_LOOKED_JUST_NOW = 300.0

FETCHED, READ, UNCHANGED = "fetched", "read", "unchanged"
_LOG_COUNTS = "log counts"
_NOT_BEGUN = "its tuner has not begun, or never came to begin; `cloudtune status` tells more"


@dataclass(frozen=True)
class Gathered:
    """What :func:`sync` has done.

    Args:
        tag: Of the study.
        place: ``s3://bucket/prefix`` of its experiments, with a slash at its end.
        path: Folder of the copy.
        fetched: Names of experiments whose results were fetched.
        read: Names of those that were read from their logs, since they still run or their tuner has died.
        unchanged: Names of those that are as they were.
        passed_over: Experiments that cannot be read, and why.
    """

    tag: str
    place: str
    path: Path
    fetched: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    passed_over: Mapping[str, str] = field(default_factory=dict)


def sync(
    tag: str,
    s3_path: str | None = None,
    aws: Aws | None = None,
    local_path: str | os.PathLike[str] | None = None,
) -> Gathered:
    """Brings the copy of a study's results on this machine up to date.

    From then on :func:`load_experiments` and :func:`load_experiment` read the copy, and need no network: where there is
    one, they bring it up to date themselves. Experiments that cannot be read are passed over with a warning.

    Args:
        tag: What the experiments have in common.
        s3_path: Where to look, ``s3://bucket[/prefix]``. Default: ``$CLOUDTUNE_S3_PATH``, else the account's bucket.
        aws: Account and region; by default those of the environment.
        local_path: Folder of the experiments of this machine, instead of ``$CLOUDTUNE_FOLDER`` or ``~/cloudtune``.

    Raises:
        ExperimentNotFound: There is no such study.
        AwsError: S3 does not answer; what was fetched until then is kept.
        OSError: The copy cannot be written.
    """
    root = experiments_root() if local_path is None else Path(local_path).expanduser().absolute()
    gathered = gather(find_study(tag, s3_path, aws), root)
    for name, why in gathered.passed_over.items():
        logger.warning("experiment %r is passed over: %s", name, why)
    return gathered


def gather(place: StudyPlace, root: Path) -> Gathered:
    """Brings the copy of a study up to date, see :func:`sync`; the caller tells what is passed over.

    Args:
        place: Of the study.
        root: Folder of the experiments of this machine.

    Raises:
        ExperimentNotFound: There is no experiment.
        AwsError: S3 does not answer.
        OSError: The copy cannot be written.
    """
    copy = StudyCopy(root, place.bucket.name, place.prefix, place.tag)
    known = copy.known()
    work = _Gathering(place, copy, known)
    listed = work.listed()
    # Whatever this version writes is in the listing, once its tuner has come to write it. What older versions wrote is
    # a folder only. So folders are looked at too, unless all is known, nothing has changed, and they just were.
    looks = (
        copy.age > _LOOKED_JUST_NOW
        or not known.keys() <= listed.keys()
        or any(not one.etag for one in known.values())
        or any(work.sort(listed, listed))
    )
    if looks:
        names = dict.fromkeys([*listed, *work.in_folders()])
        for name in known.keys() - names.keys():
            if known[name].unreadable:
                copy.drop(name)
            else:
                names[name] = None
    else:
        names = dict.fromkeys(listed)
    if not names and not work.passed_over:
        raise study_not_found(place)
    copy.begin()
    ended, running = work.sort(names, listed)
    for start in range(0, len(ended), _WINDOW):
        window = ended[start : start + _WINDOW]
        done = in_parallel(place.bucket.aws.threads, [partial(work.fetch, name) for name in window])
        running += [name for name, how in zip(window, done, strict=True) if how == _LOG_COUNTS]
        work.save_fetched()
    with ThreadPoolExecutor(_LOGS, "cloudtune-gather") as threads:
        in_parallel(threads, [partial(work.read_log, name) for name in running])
    if looks:
        copy.complete()
    return Gathered(
        place.tag,
        place.bucket.uri(place.root),
        copy.path,
        work.names(FETCHED),
        work.names(READ),
        work.names(UNCHANGED),
        dict(sorted(work.passed_over.items())),
    )


class _Gathering:
    """One run. Its methods may be called from many threads, each for another experiment."""

    def __init__(self, place: StudyPlace, copy: StudyCopy, known: Mapping[str, CopyOf]) -> None:
        self.place = place
        self.bucket = place.bucket
        self.copy = copy
        self.known = known
        self.passed_over: dict[str, str] = {}
        self._fetched: list[tuple[CopyOf, bytes]] = []
        self._done: dict[str, str] = {}
        self._etags: dict[str, str] = {}

    def names(self, how: str) -> list[str]:
        """Experiments with which this was done."""
        return sorted(name for name, done in self._done.items() if done == how and name not in self.passed_over)

    # ------------------------------------------------------------------ what there is

    def listed(self) -> dict[str, Listed]:
        """The results objects: one listing."""
        suffix = self.place.results_of("").removeprefix(self.place.results)
        found = {}
        for one in self.bucket.list(self.place.results):
            name = one.key.removeprefix(self.place.results).removesuffix(suffix)
            if one.key.endswith(suffix) and self._is_name(name, one.key):
                found[name] = one
        return found

    def in_folders(self) -> list[str]:
        """The experiments that have a folder: one listing for every thousand."""
        names = [name for name in folders(self.bucket, self.place.root) if name != STUDY_FOLDER]
        return [name for name in names if self._is_name(name, f"{self.place.root}{name}/")]

    def _is_name(self, name: str, key: str) -> bool:
        try:
            self.place.experiment(name)
        except InvalidRequest:
            self.passed_over[name] = f"no experiment is called so; delete or rename {self.bucket.uri(key)}"
            return False
        return True

    def sort(self, names: Iterable[str], listed: Mapping[str, Listed]) -> tuple[list[str], list[str]]:
        """Experiments whose results object is to be fetched, and those whose log is to be looked at."""
        fetch, look = [], []
        for name in names:
            known = self.known.get(name)
            etag = listed[name].etag if name in listed else ""
            self._etags[name] = etag
            if etag and (known is None or known.etag != etag or self._may_be_readable_now(known)):
                fetch.append(name)
            elif known is not None and etag and known.last_segment is None:
                self._done[name] = UNCHANGED
            else:
                look.append(name)
        return fetch, look

    @staticmethod
    def _may_be_readable_now(known: CopyOf) -> bool:
        return known.unreadable != "" and known.version != __version__

    # ------------------------------------------------------------------ experiments that have ended

    def fetch(self, name: str) -> str:
        """Fetches the results of an experiment, or tells that its log is what counts."""
        key = self.place.results_of(name)
        got = self._tried(name, lambda: self.bucket.get(key))
        if got is None:
            return _LOG_COUNTS if name not in self.passed_over else UNCHANGED
        self._etags[name] = got.etag
        try:
            results = ResultsObject(got.body, name, self.bucket.uri(key))
            if results.is_whole:
                results.check()
        except DamagedResults as error:
            logger.warning("%s %s: the event log of the experiment is read instead", self.bucket.uri(key), error)
            return _LOG_COUNTS
        except NewerFormat as error:
            logger.info("%s; the event log of the experiment is read instead", error)
            return _LOG_COUNTS
        if not results.is_whole:
            return _LOG_COUNTS
        self._fetched.append((CopyOf(name, got.etag, None, "", __version__, len(got.body)), got.body))
        self._done[name] = FETCHED
        return FETCHED

    def save_fetched(self) -> None:
        """Writes what was fetched: in one thread, for many that do so beside their requests hold each other up."""
        for copy_of, data in self._fetched:
            self.copy.save(copy_of, data)
        self._fetched.clear()

    # ------------------------------------------------------------------ experiments that have not

    def read_log(self, name: str) -> None:
        """Copies what the log of an experiment says, if it has grown."""
        self._tried(name, lambda: self._read_log(name))

    def _read_log(self, name: str) -> None:
        root, known = self.place.experiment(name), self.known.get(name)
        if (
            known is not None
            and known.last_segment is not None
            and known.etag == self._etags[name]
            and not self._may_be_readable_now(known)
            and newest_segment(self.bucket, root, known.last_segment) == known.last_segment
        ):
            self._done[name] = UNCHANGED
            if known.unreadable:
                self.passed_over[name] = known.unreadable
            return
        try:
            view = S3LogView(self.bucket, root)
            if view.length() == 0:
                self._pass_over(name, view.last_segment, self._why_empty(name, view))
                return
            data = self._table_of(name, root, view)
            if data is None:
                self._pass_over(name, view.last_segment, _NOT_BEGUN)
                return
        except (NewerFormat, DamagedLog) as error:
            self._pass_over(name, newest_segment(self.bucket, root), " ".join(str(error).split()))
            return
        self.copy.save(CopyOf(name, self._etags[name], view.last_segment, "", __version__, len(data)), data)
        self._done[name] = READ

    def _table_of(self, name: str, root: str, view: S3LogView) -> bytes | None:
        """What the log says; None if it does not even say what is tuned."""
        metadata = metadata_in_s3(self.bucket, root)
        if metadata is None:
            metadata = metadata_of_log(view.entries())
        if not metadata:
            return None
        table = PackedTable.of(read_results(view.blocks()))
        last = view.last_entry() or {}
        state = last.get("state", FINISHED) if last.get("event") == FINISH else RUNNING
        heading = Heading(name, state, 0, view.length(), table.rows)
        return table_object(heading, table, metadata)

    def _why_empty(self, name: str, view: S3LogView) -> str:
        if view.damage:
            return f"its event log is damaged from its beginning on: {view.damage}"
        if name in self.known and not self.known[name].unreadable:
            return (
                f"it is gone from S3; what was copied before is kept: delete {self.copy.file(name)} if it is not "
                "wanted any more"
            )
        return f"it has no event log: {_NOT_BEGUN}"

    def _pass_over(self, name: str, last_segment: int, why: str) -> None:
        self.passed_over[name] = why
        known = self.known.get(name)
        if known is None or known.unreadable:
            self.copy.save(CopyOf(name, self._etags[name], last_segment, why, __version__, 0), b"")

    def _tried(self, name: str, do: Callable[[], T]) -> T | None:
        """Does something with one experiment. That S3 refuses it, and only it, does not keep us from the others."""
        try:
            return do()
        except PASSING:
            raise
        except AwsError as error:
            self.passed_over[name] = " ".join(str(error).split())
            return None
