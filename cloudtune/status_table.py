"""The table of trials that is logged while an experiment runs and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.constants import RESERVED_PREFIX
from cloudtune.trial import TrialStatus
from cloudtune.trial_record import TrialRecord
from cloudtune.tuning_status import TuningStatus

#: A table of more trials than this is shortened to those of interest.
MAX_ROWS = 60

#: Characters of a value that are shown.
_LONGEST_VALUE = 80


def status_table(status: TuningStatus, max_rows: int = MAX_ROWS, width: int | None = None) -> str:
    """One row per trial: id, status, number of reports, configuration, last report, seconds of work, cost.

    Of more than ``max_rows`` trials it shows the running, the best, the failed and the newest, and says how many it
    leaves out. If it is wider than ``width`` characters, the metrics move to the front and lines are cut.
    """
    records = list(status.records.values())
    shown = records if len(records) <= max_rows else _of_interest(status, records, max_rows)
    rows = _rows(shown)
    lines = _format(rows)
    if width is not None and len(lines[0]) > width:
        foremost = ("trial_id", "status", "iter", *status.signs, status.resource_attr)
        lines = [_cut(line, width) for line in _format(rows, foremost)]
    if len(shown) < len(records):
        lines.append(f"({len(records) - len(shown)} more trials not shown)")
    lines.append(summary_line(status))
    return "\n".join(lines)


def summary_line(status: TuningStatus) -> str:
    """Counts, time and money in one line."""
    line = (
        f"{status.num_trials_running} trials running, {status.num_trials_finished} finished "
        f"({status.num_trials_completed} until the end"
    )
    if status.num_trials_failed:
        line += f", {status.num_trials_failed} failed"
    line += ")"
    for waiting in (TrialStatus.paused, TrialStatus.interrupted):
        if status.num_by_status[waiting]:
            line += f", {status.num_by_status[waiting]} {waiting.value.lower()}"
    line += f", {status.wallclock_time:.2f}s wallclock-time"
    if status.cost:
        line += f", ${status.cost:.2f} estimated cost"
    return line


def incumbent_line(status: TuningStatus) -> str:
    """The best value so far, the trial it comes from and its configuration; with several metrics a line for each."""
    return "\n".join(_incumbent_of(status, metric) for metric in status.signs if metric in status.incumbents) or (
        "no result yet"
    )


def _incumbent_of(status: TuningStatus, metric: str) -> str:
    value, trial_id, level = status.incumbents[metric]
    at = "" if level is None else f" at {status.resource_attr} {level:g}"
    config = ", ".join(f"{printable(k)}={format_value(v)}" for k, v in status.records[trial_id].trial.config.items())
    return f"{metric}: best {format_value(value)} for trial-id {trial_id}{at} ({config})"


def format_value(value: Any) -> str:
    """A value as it stands in the table, in one line that is not endless."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = printable(str(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def printable(text: str) -> str:
    r"""The text with line ends, escapes and the like spelled out (``\n``): they would tear a table or a display."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def own_values(record: TrialRecord) -> dict[str, Any]:
    """The newest value of everything a trial has reported, apart from what the reporter adds."""
    return {key: value for key, value in record.last_metrics.items() if not key.startswith(RESERVED_PREFIX)}


def _of_interest(status: TuningStatus, records: list[TrialRecord], max_rows: int) -> list[TrialRecord]:
    quarter = max_rows // 4
    chosen = {r.trial.trial_id for r in status.failures()[-quarter:]}
    for metric, sign in status.signs.items():
        ranked = [(sign * r.last_metrics[metric], r.trial.trial_id) for r in records if _has_number(r, metric)]
        chosen.update(trial_id for _, trial_id in sorted(ranked)[: max(1, quarter // len(status.signs))])
    chosen.update(list(status.running)[-quarter:])
    chosen.update(r.trial.trial_id for r in records[-quarter:])
    return [r for r in records if r.trial.trial_id in chosen]


def _has_number(record: TrialRecord, metric: str) -> bool:
    value = record.last_metrics.get(metric)
    return isinstance(value, (int, float)) and value == value  # NaN has no place in an order


def _rows(records: Sequence[TrialRecord]) -> list[dict[str, str]]:
    rows = []
    for record in records:
        row = {"trial_id": str(record.trial.trial_id), "status": record.status.value, "iter": str(record.num_reports)}
        for values in (record.trial.config, own_values(record)):
            row.update((printable(key), format_value(value)) for key, value in values.items())
        seconds, cost = record.worker_time + record.attempt_time, record.cost
        if seconds:
            row["worker-time"] = f"{seconds:.2f}"
        if cost:
            row["worker-cost"] = f"{cost:.4f}"
        rows.append(row)
    return rows


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _format(rows: list[dict[str, str]], foremost: Sequence[str | None] = ()) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    columns.sort(key=lambda column: foremost.index(column) if column in foremost else len(foremost))
    for last in ("worker-time", "worker-cost"):
        if last in columns:
            columns.remove(last)
            columns.append(last)
    cells = [columns, *([row.get(column, "-") for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return [" ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
