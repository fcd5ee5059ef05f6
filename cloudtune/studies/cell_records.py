"""The records of a study's experiments in S3: read, compared with what is to be launched, written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from cloudtune.aws.errors import Conflict
from cloudtune.aws.parallel import in_parallel
from cloudtune.continuing import differences as differences_of_schedulers
from cloudtune.errors import CloudtuneError
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell_record import CellRecord

_SUFFIX = ".json"
#: So many names of experiments, and characters of a value, are shown in a message.
_NAMES_SHOWN = 3
_LONGEST_VALUE = 120

#: Key of what differs -> the value it began with, the value now.
Differences = Mapping[str, tuple[Any, Any]]


class CellConflict(CloudtuneError):
    """Experiments of the study exist with other settings; the message shows the differences.

    Args:
        message: A sentence.
        differences: Of each of these experiments, by name.
    """

    def __init__(self, message: str, differences: Mapping[str, Differences]) -> None:
        super().__init__(message)
        self.differences = differences


class CellRecords:
    """What launchers have written of the experiments of a study.

    Args:
        place: Of the study.
    """

    def __init__(self, place: StudyPlace) -> None:
        self._place = place
        #: Name -> record and its ETag, as far as read; a record does not change once its experiment has begun.
        self._read: dict[str, tuple[CellRecord, str]] = {}

    def names(self) -> list[str]:
        """Of all experiments that have one. Raises AwsError."""
        folder = self._place.cells
        keys = [one.key for one in self._place.bucket.list(folder)]
        return [key[len(folder) : -len(_SUFFIX)] for key in keys if key.endswith(_SUFFIX)]

    def read(self, names: Iterable[str]) -> dict[str, CellRecord]:
        """The records of some experiments; those that have none are left out.

        Raises:
            DamagedRecord: One cannot be read.
            AwsError: S3 does not answer.
        """
        wanted = list(names)
        self._fetch([name for name in wanted if name not in self._read])
        return {name: self._read[name][0] for name in wanted if name in self._read}

    def _fetch(self, names: Collection[str]) -> None:
        keys = {self._place.cell(name): name for name in names}
        for key, got in self._place.bucket.get_many(keys).items():
            self._read[keys[key]] = CellRecord.from_json(got.body, self._place.bucket.uri(key)), got.etag

    def write(self, records: Iterable[CellRecord]) -> None:
        """Puts records; one that was read before is replaced, unless it has changed since.

        Raises:
            CellConflict: Another launcher has just put one with other settings. Others may have been put.
            AwsError: S3 does not take one.
        """
        threads = self._place.bucket.aws.threads
        written = in_parallel(threads, [partial(self._put, record) for record in records])
        check_conflicts(self._place.tag, dict(one for one in written if one is not None))

    def note(self, record: CellRecord) -> None:
        """Puts a record where there is none; one that is there stays, whatever it says.

        Raises:
            AwsError: S3 does not take it.
        """
        try:
            self._place.bucket.put(self._place.cell(record.cell.name), record.to_json(), if_none_match=True)
        except Conflict:
            return  # what it was launched with first

    def _put(self, record: CellRecord) -> tuple[str, Differences] | None:
        """Name and differences, if another one is there."""
        name = record.cell.name
        key, body = self._place.cell(name), record.to_json()
        read = self._read.get(name)
        condition: dict[str, Any] = {"if_none_match": True} if read is None else {"if_match": read[1]}
        try:
            etag = self._place.bucket.put(key, body, **condition)
        except Conflict:
            self._read.pop(name, None)
            self._fetch([name])  # a single one is read in this thread, which is one of those that reading uses
            there = self._read.get(name)
            if there is None:
                raise
            found = differences(there[0], record)
            return (name, found) if found else None
        self._read[name] = record, etag
        return None

    def is_current(self, name: str) -> bool:
        """Whether the record in S3 is still the one that was read or written here. Raises AwsError."""
        there = self._place.bucket.head(self._place.cell(name))
        return there is not None and there.etag == self._read[name][1]


def differences(before: CellRecord, now: CellRecord) -> Differences:
    """In what two records describe other experiments.

    Args:
        before: What is there.
        now: What is wanted.
    """
    old, new = vars(before.cell), vars(now.cell)
    found: dict[str, tuple[Any, Any]] = {key: (old[key], new[key]) for key in new if old[key] != new[key]}
    found.update({key: (theirs, ours) for key, (ours, theirs) in now.settings.differences(before.settings).items()})
    if not found:  # what follows from these is not told again
        found = {key: (old, new) for key, old, new in differences_of_schedulers(before.scheduler, now.scheduler)}
    return found


def check_conflicts(tag: str, found: Mapping[str, Differences]) -> None:
    """Raises CellConflict if any experiment differs.

    Args:
        tag: Of the study.
        found: Name -> in what it differs; nothing where it does not.
    """
    groups: dict[str, list[str]] = {}
    for name, one in found.items():
        if one:
            groups.setdefault(_told(one), []).append(name)
    if not groups:
        return
    sentences = "; ".join(f"{listed(names)} began with {told}" for told, names in groups.items())
    raise CellConflict(
        f"the study '{tag}' has these experiments with other settings: {sentences}; launch with the settings that they "
        "began with, or under another tag (a limit of one of them alone is changed by `cloudtune resume "
        f"{tag}/NAME --max-wallclock-time SECONDS`)",
        {name: one for name, one in found.items() if one},
    )


def _told(found: Differences) -> str:
    return ", ".join(f"{key} = {_short(before)}, which is {_short(now)} now" for key, (before, now) in found.items())


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def listed(names: Sequence[str]) -> str:
    """Names of experiments for a message: the first ones, and how many more there are."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
