"""Rows of the table of results as text, made from entries of the event log one by one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from cloudtune.constants import CONFIG_PREFIX, ST_DECISION, ST_STATUS, ST_TUNER_TIME, TRIAL_ID
from cloudtune.store.encoding import Cells, plain_number
from cloudtune.store.entries import COUNTED, REPORT, SUGGEST
from cloudtune.store.store import Entry

#: Columns that every table of results has, first.
STANDARD_COLUMNS = (TRIAL_ID, ST_DECISION, ST_STATUS, ST_TUNER_TIME)

Blocks = Iterable[list[Entry]]


def is_result(entry: Entry) -> bool:
    """True if the entry is a report that counts: no replay, and not late after a decision to pause, or not for ever."""
    if entry["event"] == REPORT:
        return not entry.get("replay") and not entry.get("late")
    return bool(entry["event"] == COUNTED)


class Columns:
    """The metrics and configuration keys that have occurred so far, in order of first appearance."""

    def __init__(self) -> None:
        self.metrics: dict[str, None] = {}
        self.config: dict[str, None] = {}

    def names(self) -> list[str]:
        """Names of all columns of the table."""
        config = [CONFIG_PREFIX + key for key in self.config]
        taken = {*STANDARD_COLUMNS, *config}
        return [*STANDARD_COLUMNS, *self.shown_metrics(taken), *config]

    def shown_metrics(self, taken: set[str] | None = None) -> list[str]:
        """The metrics that have a column of their own."""
        if taken is None:
            taken = {*STANDARD_COLUMNS, *(CONFIG_PREFIX + key for key in self.config)}
        return [key for key in self.metrics if key not in taken]

    def learn(self, blocks: Blocks) -> None:
        """Takes in whatever occurs in ``blocks``."""
        for block in blocks:
            for entry in block:
                if entry["event"] == SUGGEST:
                    self.config.update(dict.fromkeys(entry["config"]))
                elif is_result(entry):
                    self.metrics.update(dict.fromkeys(entry["metrics"]))

    def copy(self) -> Columns:
        """The columns as they are now."""
        other = Columns()
        other.metrics, other.config = dict(self.metrics), dict(self.config)
        return other


def header(columns: Columns) -> str:
    """The line with the names of the columns."""
    return _cells(columns.names())[1:] + "\n"


class ResultRows:
    """Makes rows of the columns that it has learned of.

    Args:
        columns: Do not change while this is used.
        configs: The newest configuration of each trial that was suggested before the first entry.
    """

    def __init__(self, columns: Columns, configs: Mapping[int, Mapping[str, Any]] | None = None) -> None:
        self._metrics = columns.shown_metrics()
        self._config_keys = list(columns.config)
        self._known_metrics, self._known_config = columns.metrics.keys(), columns.config.keys()
        self._no_config = _cells([None] * len(self._config_keys))
        #: The end of a row, for each trial.
        self._tails: dict[int, str] = {}
        for trial_id, config in (configs or {}).items():
            self._tails[trial_id] = self._tail(config)

    def make(self, entries: Sequence[Entry], lines: list[str], cells: Sequence[Cells | None] = ()) -> int:
        """Adds the rows of entries to ``lines``, each with its newline.

        Args:
            entries: Of the log.
            lines: The rows.
            cells: What :func:`~cloudtune.store.encoding.encode_lines` has made of each of them, if it was asked before.

        Returns:
            How many entries were taken: all, or those before one with a column that is not known.
        """
        metrics, tails = self._metrics, self._tails
        known: Cells | None
        for number, (entry, known) in enumerate(zip_longest(entries, cells)):
            if known is not None and [*entry["metrics"]] == metrics:
                time, shown = known
            elif is_result(entry):
                reported = entry["metrics"]
                if [*reported] == metrics:
                    shown = _cells([*reported.values()])
                elif self._known_metrics >= reported.keys():
                    shown = _cells([reported.get(key) for key in metrics])
                else:
                    return number
                time = repr(entry["time"])
            else:
                if entry["event"] == SUGGEST:
                    config = entry["config"]
                    if not self._known_config >= config.keys():
                        return number
                    tails[entry["trial"]] = self._tail(config)
                continue
            trial = entry["trial"]
            tail = tails.get(trial, self._no_config)
            lines.append(f"{trial},{entry['decision']},{entry['status']},{time}{shown}{tail}\n")
        return len(entries)

    def _tail(self, config: Mapping[str, Any]) -> str:
        return _cells([config.get(key) for key in self._config_keys])


_END = "\r\n"
_NUMBERS = frozenset({bool, float, int})
_SCALARS = frozenset({bool, float, int, str, type(None)})


def _cells(values: Sequence[Any]) -> str:
    """Cells of a row, each behind its comma: as csv writes them, but lists and dicts as JSON.

    Floats are in full, ``nan`` or ``inf``; None is nothing. Values of other libraries are what the log makes of them.
    """
    if _NUMBERS.issuperset(map(type, values)):
        # What the csv module would make of them, in half the time.
        return "".join([f",{value!r}" for value in values])
    row = io.StringIO()
    plain = [value if type(value) in _SCALARS else _as_logged(value) for value in values]
    # The first cell, which is no part of the row, keeps csv from quoting a single empty one.
    # Texts with a character of the line's end are quoted.
    csv.writer(row, lineterminator=_END).writerow([0, *plain])
    return row.getvalue()[1 : -len(_END)]


def _as_logged(value: Any) -> Any:
    text = json.dumps(value, default=plain_number)
    return text if text[0] in "[{" else json.loads(text)
