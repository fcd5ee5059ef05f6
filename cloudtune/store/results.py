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
from typing import Any, BinaryIO

from cloudtune.constants import CONFIG_PREFIX, ST_DECISION, ST_STATUS, ST_TUNER_TIME, TRIAL_ID
from cloudtune.store.entries import REPORT, SUGGEST
from cloudtune.store.store import Entry

#: Columns that every table of results has, first.
STANDARD_COLUMNS = (TRIAL_ID, ST_DECISION, ST_STATUS, ST_TUNER_TIME)

Blocks = Iterable[list[Entry]]


def is_result(entry: Entry) -> bool:
    """True if the entry is a report that counts: no replay, and not late after a decision to pause."""
    return entry["event"] == REPORT and not entry.get("replay") and not entry.get("late")


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
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns.names())
    metrics, config_keys = columns.shown_metrics(), list(columns.config)
    known_metrics, known_config = columns.metrics.keys(), columns.config.keys()
    configs: dict[int, tuple[Any, ...]] = {}
    no_config = (None,) * len(config_keys)
    count = 0
    for block in blocks:
        rows = []
        for entry in block:
            if entry["event"] == SUGGEST:
                config = entry["config"]
                if not known_config >= config.keys():
                    return None
                configs[entry["trial"]] = tuple([_cell(config.get(key)) for key in config_keys])
            elif is_result(entry):
                reported = entry["metrics"]
                if not known_metrics >= reported.keys():
                    return None
                trial = entry["trial"]
                rows.append(
                    [
                        trial,
                        entry["decision"],
                        entry["status"],
                        entry["time"],
                        *[_cell(reported.get(key)) for key in metrics],
                        *configs.get(trial, no_config),
                    ]
                )
        writer.writerows(rows)
        count += len(rows)
    return count


def _cell(value: Any) -> Any:
    """Lists and dicts as JSON; the rest as csv writes it: floats in full, ``nan``, ``inf``, None as nothing."""
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def results_columns(blocks: Blocks) -> dict[str, list[Any]]:
    """The table as a list for each column; what a row does not have is None.

    Args:
        blocks: The log from its beginning, as :meth:`cloudtune.store.log.LogView.blocks` yields it.
    """
    columns = Columns()
    standard: dict[str, list[Any]] = {name: [] for name in STANDARD_COLUMNS}
    metrics: dict[str, list[Any]] = {}
    configs: list[dict[str, Any]] = [{}]
    newest_config: dict[int, int] = {}
    config_of_row: list[int] = []
    count = 0
    for block in blocks:
        rows = []
        for entry in block:
            if entry["event"] == REPORT:
                if not entry.get("replay") and not entry.get("late"):
                    rows.append(entry)
                    config_of_row.append(newest_config.get(entry["trial"], 0))
            elif entry["event"] == SUGGEST:
                newest_config[entry["trial"]] = len(configs)
                configs.append(entry["config"])
        standard[TRIAL_ID] += [row["trial"] for row in rows]
        standard[ST_DECISION] += [row["decision"] for row in rows]
        standard[ST_STATUS] += [row["status"] for row in rows]
        standard[ST_TUNER_TIME] += [row["time"] for row in rows]
        reported = [row["metrics"] for row in rows]
        for key in dict.fromkeys([key for metrics_of_row in reported for key in metrics_of_row]):
            if key not in metrics:
                columns.metrics[key] = None
                metrics[key] = [None] * count
        for key, values in metrics.items():
            values += [metrics_of_row.get(key) for metrics_of_row in reported]
        count += len(rows)
    for config in configs:
        columns.config.update(dict.fromkeys(config))
    table = dict(standard)
    table.update((key, metrics[key]) for key in columns.shown_metrics())
    for key in columns.config:
        values = [config.get(key) for config in configs]
        table[CONFIG_PREFIX + key] = [values[index] for index in config_of_row]
    return table
