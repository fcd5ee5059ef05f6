"""What a line of a training job's log says: a report, the end of a run, or something that only looks like it."""

from __future__ import annotations

import json
import re

from cloudtune.agent.log_lines import EndLine, ReportLine, parse_line
from cloudtune.agent.protocol import LOG_END, LOG_REPORT
from cloudtune.constants import MAX_REPORT_DEPTH, ST_WORKER_ITER, TUNE_METRIC_TAG
from cloudtune.report import depth

#: What launchers of several processes put before each line: mpirun ``[1,mpirank:0,algo-1]<stdout>:`` or
#: ``[1,0]<stdout>:``, torchrun ``[default0]:``.
_RANK = re.compile(r"\[(?:1,(?:mpirank:)?|default)(?P<rank>\d+)(?:,[^\]]*)?\](?:<std(?:out|err)>)?:\s*")

#: Numbers of reports lie below this: what claims more is garbage.
_MOST_REPORTS = 10**9


class NoReport(ValueError):
    """A line that looks like a report, or like the end of a run, and is none."""


def agent_line(message: str) -> ReportLine | EndLine | None:
    """What the agent says in a line; None for the lines of others.

    Raises:
        NoReport: The line is torn, or it has the agent's tag in the middle.
    """
    if LOG_REPORT not in message and LOG_END not in message:
        return None
    line = parse_line(message)
    if line is None or (isinstance(line, ReportLine) and not _is_sound(line.number, message, line.metrics)):
        raise NoReport
    return line


def reporter_line(message: str) -> ReportLine | None:
    """The report that a script's own Reporter has printed; None for other lines, and those of ranks other than 0.

    Its number is ``st_worker_iter``: how many reports this Reporter had made before.

    Raises:
        NoReport: The line is torn, has the tag in the middle, or comes from something else than the Reporter.
    """
    if TUNE_METRIC_TAG not in message:
        return None
    text = message.lstrip()
    rank = _RANK.match(text)
    if rank is not None:
        if int(rank["rank"]) > 0:
            return None
        text = text[rank.end() :]
    if not text.startswith(TUNE_METRIC_TAG):
        raise NoReport
    try:
        metrics = json.loads(text[len(TUNE_METRIC_TAG) :])
    except (ValueError, RecursionError):
        raise NoReport from None
    number = metrics.get(ST_WORKER_ITER) if isinstance(metrics, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not _is_sound(number, text, metrics):
        raise NoReport
    return ReportLine("", number, metrics)


def _is_sound(number: int, text: str, metrics: object) -> bool:
    """Whether the number may be one, and the tuner's log can hold the report."""
    if not 0 <= number < _MOST_REPORTS:
        return False
    return text.count("[") + text.count("{") <= MAX_REPORT_DEPTH or depth(metrics) <= MAX_REPORT_DEPTH + 1
