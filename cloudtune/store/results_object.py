"""All results of an experiment in one object that is read fast: ``_study/results/<name>.table`` beside the experiments.

The object is there from the experiment's beginning on. While a tuner is at work, also one that continues it, the object
says only that (``state`` is ``running``): what counts then is the log. When the tuner has ended in order it is replaced
by the whole table and the metadata. A tuner that was killed leaves it as it is, so the log goes on counting.

Its first line is JSON: the number of this format, name and state of the experiment, by which epoch and from how many
entries of the log it was made, the sizes of the two parts that follow, and their digest. The parts are compressed:
first JSON (the metadata, what the columns are called and how they are packed), then the columns, see
:mod:`cloudtune.store.typed_columns`. Values come back as they stand in the log, with their types. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cloudtune import __version__
from cloudtune.errors import CloudtuneError, NewerFormat
from cloudtune.store.encoding import plain_number
from cloudtune.store.results import ResultsTable
from cloudtune.store.results_rows import STANDARD_COLUMNS
from cloudtune.store.typed_columns import INT, Column, NotPacked

#: Version of this format. A reader refuses a higher one.
RESULTS_FORMAT = 1
#: State of an experiment that a tuner drives, or has left without a word.
RUNNING = "running"

_LEVEL = 1
#: More than this no table has; guards against objects that are made to fill the memory.
_LARGEST = 1 << 32


class DamagedResults(CloudtuneError):
    """An object is no table of results; the message says how, as a phrase that follows its name."""


@dataclass(frozen=True)
class PackedTable:
    """The table of results, see :class:`~cloudtune.store.results.ResultsTable`, with packed columns."""

    columns: dict[str, Column]
    config: dict[str, Column]
    config_of_row: Column

    @classmethod
    def of(cls, table: ResultsTable) -> PackedTable:
        """Packs a table."""
        return cls(
            {name: Column.of(values) for name, values in table.columns.items()},
            {name: Column.of(values) for name, values in table.config.items()},
            Column.of(table.config_of_row),
        )

    @property
    def rows(self) -> int:
        """How many it has."""
        return len(self.config_of_row)

    def unpacked(self) -> ResultsTable:
        """The table with plain lists."""
        return ResultsTable(
            {name: column.tolist() for name, column in self.columns.items()},
            {name: column.tolist() for name, column in self.config.items()},
            self.config_of_row.tolist(),
        )


@dataclass(frozen=True)
class Heading:
    """What the first line says.

    Args:
        name: Of the experiment.
        state: ``running``, or how it ended: ``finished``, ``failed``, ``interrupted``.
        epoch: Of the owner that wrote it.
        entries: Of how many entries of the log the table was made.
        rows: How many the table has; None: there is no table.
    """

    name: str
    state: str
    epoch: int
    entries: int
    rows: int | None


class ResultsObject:
    """The content of an object, checked. Metadata and table are unpacked when they are first asked for.

    Args:
        data: All bytes.
        name: Of the experiment whose results they are to be.
        where: What the bytes were read from, for messages.

    Raises:
        DamagedResults: They are not what was written.
        NewerFormat: They were written by a newer cloudtune.
    """

    def __init__(self, data: bytes, name: str, where: str) -> None:
        line, _, body = data.partition(b"\n")
        first = _first_line(line, where)
        try:
            sizes = first["sizes"]
            self.heading = Heading(first["name"], first["state"], first["epoch"], first["entries"], first["rows"])
            if self.heading.name != name:
                raise DamagedResults(f"holds the results of experiment {self.heading.name!r}")
            if sum(sizes) != len(body) or hashlib.sha256(body).hexdigest() != first["sha256"]:
                raise DamagedResults("was cut off or changed")
            self._head, self._body = body[: sizes[0]], body[sizes[0] :]
        except (KeyError, TypeError, IndexError) as error:
            raise DamagedResults(f"has a first line that does not fit ({error})") from error
        self.where = where

    @property
    def is_whole(self) -> bool:
        """Whether it has a table; else the log is what counts."""
        return self.heading.rows is not None

    @property
    def metadata(self) -> dict[str, Any]:
        """As in ``metadata.json``."""
        metadata: dict[str, Any] = self._described["metadata"]
        return metadata

    def check_metadata(self) -> None:
        """Raises DamagedResults if the metadata cannot be read: then nothing can."""
        assert isinstance(self.metadata, dict)

    def check(self) -> None:
        """Unpacks everything once.

        Raises:
            DamagedResults: That is not possible, or what comes out of it is no table of results.
        """
        table = self.table()
        names = [*table.columns, *table.config]
        if not all(isinstance(name, str) for name in names) or not set(STANDARD_COLUMNS) <= table.columns.keys():
            raise DamagedResults("does not have the columns of a table of results")

    def table(self) -> PackedTable:
        """The rows.

        Raises:
            DamagedResults: They cannot be unpacked.
        """
        described, rows = self._described, self.heading.rows or 0
        take = _taker(_inflated(self._body))
        try:
            table = PackedTable(
                {name: Column.unpack(rows, how, take) for name, how in described["columns"]},
                {name: Column.unpack(described["configs"], how, take) for name, how in described["config"]},
                Column.unpack(rows, described["config_of_row"], take),
            )
        except NotPacked as error:
            raise DamagedResults(str(error)) from error
        except (KeyError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
            raise DamagedResults(f"describes its table in a way that does not fit ({error})") from error
        if table.config and not _within(table.config_of_row, described["configs"]):
            raise DamagedResults("has rows of configurations that it does not have")
        return table

    @cached_property
    def _described(self) -> dict[str, Any]:
        try:
            described = json.loads(_inflated(self._head)) if self.is_whole else {"metadata": {}}
        except (ValueError, RecursionError) as error:
            raise DamagedResults(f"does not describe its table ({error})") from error
        if not isinstance(described, dict) or not isinstance(described.get("metadata"), dict):
            raise DamagedResults("has no metadata")
        return described


def running_object(name: str, epoch: int, entries: int) -> bytes:
    """Says that a tuner is at work.

    Args:
        name: Of the experiment.
        epoch: Of the tuner.
        entries: How many the log has.
    """
    return _line(Heading(name, RUNNING, epoch, entries, None), b"", b"")


def table_object(heading: Heading, table: PackedTable, metadata: dict[str, Any]) -> bytes:
    """All results of an experiment.

    Args:
        heading: What they are the results of.
        table: The rows.
        metadata: As in ``metadata.json``.
    """
    parts: list[bytes] = []

    def packed(column: Column) -> list[Any]:
        how, bytes_of = column.pack()
        parts.extend(bytes_of)
        return how

    described = {
        "metadata": metadata,
        "columns": [(name, packed(column)) for name, column in table.columns.items()],
        "configs": max(map(len, table.config.values()), default=0),
        "config": [(name, packed(column)) for name, column in table.config.items()],
        "config_of_row": packed(table.config_of_row),
    }
    head = zlib.compress(json.dumps(described, separators=(",", ":"), default=plain_number).encode(), _LEVEL)
    return _line(heading, head, zlib.compress(b"".join(parts), _LEVEL))


def _line(heading: Heading, head: bytes, body: bytes) -> bytes:
    first = {
        "results_format": RESULTS_FORMAT,
        "version": __version__,
        "name": heading.name,
        "state": heading.state,
        "epoch": heading.epoch,
        "entries": heading.entries,
        "rows": heading.rows,
        "sizes": [len(head), len(body)],
        "sha256": hashlib.sha256(head + body).hexdigest(),
    }
    return json.dumps(first, separators=(",", ":")).encode() + b"\n" + head + body


def _first_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        first = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedResults("is empty, was cut off or changed") from error
    if not isinstance(first, dict) or not isinstance(first.get("results_format"), int):
        raise DamagedResults("is no table of results")
    if first["results_format"] > RESULTS_FORMAT:
        raise NewerFormat(
            f"{where} was written by cloudtune {first.get('version')} (format {first['results_format']} of results), "
            f"and this is cloudtune {__version__} (format {RESULTS_FORMAT}): upgrade with "
            "`pip install --upgrade cloudtune`"
        )
    return first


def _inflated(data: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(data, _LARGEST)
    except zlib.error as error:
        raise DamagedResults(f"cannot be decompressed ({error})") from error
    if not inflater.eof:
        raise DamagedResults("was cut off, or is larger than any table of results")
    return plain


def _within(column: Column, count: int) -> bool:
    """Whether a column is of numbers from 0 on and below another."""
    if len(column) == 0:
        return True
    values = np.asarray(column.values)
    return column.kind == INT and column.present is None and bool(values.min() >= 0 and values.max() < count)


def _taker(data: bytes) -> Callable[[int], memoryview]:
    """Gives one part after the other."""
    view = memoryview(data)
    position = 0

    def take(size: int) -> memoryview:
        nonlocal position
        if not isinstance(size, int) or size < 0 or position + size > len(view):
            raise NotPacked("is shorter than it says")
        position += size
        return view[position - size : position]

    return take
