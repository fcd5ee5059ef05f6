"""Reports and the end mark as lines of the job's log, for tuners and jobs that do not meet in S3.

A line is ``[cloudtune-report]: {"run_id": ..., "n": ..., "m": {...}}``: the n-th report, from 0, of the run that has
drawn this id. The last line is ``[cloudtune-end]: {...}``: the members of forms.EndForm, the run id, and how many
reports there were.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from cloudtune.agent.protocol import COMPLETED, FAILED, LOG_END, LOG_REPORT, PAUSED, STOPPED, TERMINATED
from cloudtune.constants import TUNE_METRIC_TAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.forms import EndForm

#: What stands before reports and end marks, without the blank behind it, which may be cut off.
_TAGS = tuple(tag.rstrip() for tag in (TUNE_METRIC_TAG, LOG_REPORT, LOG_END))
_DECODER = json.JSONDecoder()

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


def without_reports(text: str) -> str:
    """Output without reports and end marks, and without the lines that hold nothing else: they tell of no failure."""
    lines = ((line, _without_reports(line)) for line in text.splitlines())
    return "\n".join(rest for line, rest in lines if rest == line or rest.strip())


def _without_reports(line: str) -> str:
    for tag in _TAGS:
        before, found, rest = line.partition(tag)
        while found:
            line = before + rest[_end_of_json(rest) :]
            before, found, rest = line.partition(tag)
    return line


def _end_of_json(text: str) -> int:
    """Where the JSON ends with which a text begins; the text's own end where it is torn."""
    begin = len(text) - len(text.lstrip())
    try:
        return _DECODER.raw_decode(text, begin)[1]
    except (ValueError, RecursionError):
        return len(text)


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
