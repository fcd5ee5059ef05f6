"""The table of results, derived from the event log: one row for each report that counts.

Columns: ``trial_id``, ``st_decision``, ``st_status``, ``st_tuner_time`` (active seconds of the experiment), the metrics
as they were reported (``st_worker_*`` among them), and ``config_<name>`` for the configuration that the reporting
attempt ran with.
A metric that bears the name of one of the other columns stays in the log only.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from cloudtune.constants import CONFIG_PREFIX, ST_DECISION, ST_STATUS, ST_TUNER_TIME, TRIAL_ID
from cloudtune.store.entries import COUNTED, REPORT, SUGGEST
from cloudtune.store.store import Entry

#: Columns that every table of results has, first.
STANDARD_COLUMNS = (TRIAL_ID, ST_DECISION, ST_STATUS, ST_TUNER_TIME)
_STANDARD_FIELDS = ("trial", "decision", "status", "time")
_REPORTS = (REPORT, COUNTED)

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


def write_results(read: Callable[[], Blocks], file: BinaryIO, columns: Columns) -> int:
    """Writes the table as a zip archive that holds ``results.csv``; returns the number of rows.

    Rows are written as they are read: memory does not grow with them.

    Args:
        read: Yields the blocks of the log from its beginning; called twice if there are columns not known yet.
        file: Where the archive goes.
        columns: What is known of the columns, from an earlier call or nothing; brought up to date.
    """
    while True:
        file.seek(0)
        file.truncate()
        with (
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("results.csv", "w", force_zip64=True) as member,
        ):
            text = io.TextIOWrapper(member, encoding="utf-8", errors="backslashreplace", newline="")
            rows = _write_csv(read(), text, columns)
            text.flush()
            text.detach()
        if rows is not None:
            return rows
        columns.learn(read())


def _write_csv(blocks: Blocks, text: io.TextIOWrapper, columns: Columns) -> int | None:
    """Writes all rows, or gives up and returns None when a column turns up that is not known."""
    text.write(_cells(columns.names())[1:] + "\n")
    metrics, config_keys = columns.shown_metrics(), list(columns.config)
    known_metrics, known_config = columns.metrics.keys(), columns.config.keys()
    #: The end of a row, for each trial.
    configs: dict[int, str] = {}
    no_config = _cells([None] * len(config_keys))
    count = 0
    for block in blocks:
        lines: list[str] = []
        for entry in block:
            if entry["event"] == SUGGEST:
                config = entry["config"]
                if not known_config >= config.keys():
                    return None
                configs[entry["trial"]] = _cells([config.get(key) for key in config_keys])
            elif is_result(entry):
                reported = entry["metrics"]
                values: Iterable[Any] = reported.values()
                if list(reported) != metrics:
                    if not known_metrics >= reported.keys():
                        return None
                    values = [reported.get(key) for key in metrics]
                if _NUMBERS.issuperset(map(type, values)):
                    # What the csv module would make of them, in half the time.
                    shown = "".join([f",{value!r}" for value in values])
                else:
                    shown = _cells(values)
                trial = entry["trial"]
                begin = f"{trial},{entry['decision']},{entry['status']},{entry['time']!r}"
                lines.append(f"{begin}{shown}{configs.get(trial, no_config)}\n")
        text.write("".join(lines))
        count += len(lines)
    return count


_NUMBERS = frozenset({bool, float, int})


def _cells(values: Iterable[Any]) -> str:
    """Cells of a row, each behind its comma: as csv writes them, but lists and dicts as JSON.

    Floats are in full, ``nan`` or ``inf``; None is nothing.
    """
    row = io.StringIO()
    plain = [json.dumps(value) if isinstance(value, (list, dict)) else value for value in values]
    # The first cell, which is no part of the row, keeps csv from quoting a single empty one.
    csv.writer(row, lineterminator="").writerow([0, *plain])
    return row.getvalue()[1:]


@dataclass
class ResultsTable:
    """The table of results by column; what a row does not have is None.

    Args:
        columns: Values of the columns that come from the reports, one for each row.
        config: For each ``config_<name>``, its value in each configuration that occurred.
        config_of_row: For each row, which of those configurations it belongs to.
    """

    columns: dict[str, list[Any]]
    config: dict[str, list[Any]]
    config_of_row: list[int]


def read_results(blocks: Blocks) -> ResultsTable:
    """Reads the table of results.

    Args:
        blocks: The log from its beginning, as :meth:`cloudtune.store.log.LogView.blocks` yields it.
    """
    known = Columns()
    standard: dict[str, list[Any]] = {name: [] for name in STANDARD_COLUMNS}
    metrics: dict[str, list[Any]] = {}
    configs: list[dict[str, Any]] = []
    newest_config: dict[int, int] = {}
    config_of_row: list[int] = []
    for block in blocks:
        rows = []
        for entry in block:
            if entry["event"] in _REPORTS:
                if not entry.get("replay") and not entry.get("late"):
                    rows.append(entry)
                    config = newest_config.get(entry["trial"])
                    if config is None:
                        config = newest_config[entry["trial"]] = len(configs)
                        configs.append({})
                    config_of_row.append(config)
            elif entry["event"] == SUGGEST:
                newest_config[entry["trial"]] = len(configs)
                configs.append(entry["config"])
        reported = [row["metrics"] for row in rows]
        if not metrics.keys() >= set().union(*reported):
            known.metrics.update(dict.fromkeys([key for of_row in reported for key in of_row]))
            count = len(standard[TRIAL_ID])
            metrics = {key: metrics.get(key) or [None] * count for key in known.metrics}
        for name, field in zip(STANDARD_COLUMNS, _STANDARD_FIELDS, strict=True):
            standard[name] += [row[field] for row in rows]
        for key, values in metrics.items():
            values += [of_row.get(key) for of_row in reported]
    known.config.update(dict.fromkeys([key for of_trial in configs for key in of_trial]))
    return ResultsTable(
        columns=standard | {key: metrics[key] for key in known.shown_metrics()},
        config={CONFIG_PREFIX + key: [of_trial.get(key) for of_trial in configs] for key in known.config},
        config_of_row=config_of_row,
    )
