"""The table of results, derived from the event log: one row for each report that counts.

Columns: ``trial_id``, ``st_decision``, ``st_status``, ``st_tuner_time`` (active seconds of the experiment), the metrics
as they were reported (``st_worker_*`` among them), and ``config_<name>`` for the configuration that the reporting
attempt ran with.
A metric that bears the name of one of the other columns stays in the log only.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from cloudtune.constants import CONFIG_PREFIX, TRIAL_ID
from cloudtune.store.entries import COUNTED, REPORT, SUGGEST
from cloudtune.store.results_rows import STANDARD_COLUMNS, Blocks, Columns, ResultRows, header

_STANDARD_FIELDS = ("trial", "decision", "status", "time")
_REPORTS = (REPORT, COUNTED)


def write_results(read: Callable[[], Blocks], file: BinaryIO, columns: Columns) -> int:
    """Writes the table as a zip archive that holds ``results.csv``; returns the number of rows.

    Rows are written as they are read: memory does not grow with them.

    Args:
        read: Yields the blocks of the log from its beginning; called twice if there are columns not known yet.
        file: Where the archive goes.
        columns: What is known of the columns, from an earlier call or nothing; brought up to date.
    """
    while True:
        with table_file(file) as text:
            rows = write_rows(read(), text, columns)
        if rows is not None:
            return rows
        columns.learn(read())


@contextmanager
def table_file(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """A zip archive whose ``results.csv`` is written in the block, in place of whatever the file held."""
    file.seek(0)
    file.truncate()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("results.csv", "w", force_zip64=True) as member,
    ):
        text = io.TextIOWrapper(member, encoding="utf-8", errors="backslashreplace", newline="")
        yield text
        text.flush()
        text.detach()


def write_rows(blocks: Blocks, text: io.TextIOWrapper, columns: Columns) -> int | None:
    """Writes the names of the columns and all rows, or gives up and returns None when an unknown column turns up."""
    text.write(header(columns))
    rows = ResultRows(columns)
    count = 0
    for block in blocks:
        lines: list[str] = []
        if rows.make(block, lines) < len(block):
            return None
        text.write("".join(lines))
        count += len(lines)
    return count


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
