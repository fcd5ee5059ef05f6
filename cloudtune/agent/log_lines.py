"""Reports and the end mark as lines of the job's log, for tuners and jobs that do not meet in S3.

A line is ``[cloudtune-report]: {"run_id": ..., "n": ..., "m": {...}}``: the n-th report, from 0, of the run that has
drawn this id. The last line is ``[cloudtune-end]: {...}``: the members of forms.EndForm, the run id, and how many
reports there were.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from cloudtune.agent.protocol import COMPLETED, FAILED, LOG_END, LOG_REPORT, PAUSED, STOPPED, TERMINATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.forms import EndForm

_OUTCOMES = (COMPLETED, FAILED, STOPPED, PAUSED, TERMINATED)


class ReportLine(NamedTuple):
    """A report in the log."""

    run_id: str
    number: int
    metrics: dict[str, Any]


class EndLine(NamedTuple):
    """The end mark of a run in the log."""

    run_id: str
    end: EndForm
    reports: int


def report_line(run_id: str, number: int, report: str) -> str:
    """The line for a report that is JSON already."""
    return f'{LOG_REPORT}{{"run_id":{json.dumps(run_id)},"n":{number},"m":{report}}}'


def end_line(run_id: str, end: EndForm, reports: int) -> str:
    """The line for the end of a run."""
    return LOG_END + json.dumps({"run_id": run_id, **end, "reports": reports})


def parse_line(text: str) -> ReportLine | EndLine | None:
    """What a line of the log says; None if it is none of ours, or torn."""
    for tag, parse in ((LOG_REPORT, _report), (LOG_END, _end)):
        before, found, rest = text.partition(tag)
        if found and not before.strip():
            try:
                value = json.loads(rest)
            except (ValueError, RecursionError):
                return None
            return parse(value) if isinstance(value, dict) and isinstance(value.get("run_id"), str) else None
    return None


def _report(value: dict[str, Any]) -> ReportLine | EndLine | None:
    number, metrics = value.get("n"), value.get("m")
    if not _is_count(number) or not isinstance(metrics, dict):
        return None
    return ReportLine(value["run_id"], int(number or 0), metrics)


def _end(value: dict[str, Any]) -> ReportLine | EndLine | None:
    reports = value.get("reports")
    if not _is_count(reports) or value.get("outcome") not in _OUTCOMES:
        return None
    end: EndForm = {
        "outcome": value["outcome"],
        "exit_code": _number(value.get("exit_code")),
        "signal": _number(value.get("signal")),
        "reason": _text(value.get("reason")),
        "output": _text(value.get("output")),
    }
    return EndLine(value["run_id"], end, int(reports or 0))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
