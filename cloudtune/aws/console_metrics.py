"""Metric definitions: what SageMaker's console shows of the metrics that a trial reports.

AWS reads them from the job's log by `regular expressions
<https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html>`_, whose first group is the value. Nothing
in cloudtune depends on it: the tuner gets reports on its own channel.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence

from cloudtune.aws.request_limits import LONGEST_METRIC_NAME, LONGEST_METRIC_REGEX, MOST_METRICS
from cloudtune.constants import TUNE_METRIC_TAG

_log = logging.getLogger(__name__)

#: Every number as the Reporter writes it: Python's JSON, with NaN and infinities.
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|-?Infinity|NaN)"


def with_console_metrics(users: Sequence[Mapping[str, str]], names: Iterable[str]) -> list[dict[str, str]]:
    """The user's definitions, and behind them ours, which read the named metrics from the lines a Reporter prints.

    Args:
        users: Mappings with ``Name`` and ``Regex``, as the result.
        names: Of metrics, the most important first. Doubles, and those that the user has defined, count once; beyond
            AWS's limits (40 metrics, names of 255 characters) they are left out, which is logged.
    """
    found = {definition["Name"]: dict(definition) for definition in users}
    left_out = []
    for name in names:
        if name in found:
            continue
        regex = regex_of(name)
        if len(found) >= MOST_METRICS or len(name) > LONGEST_METRIC_NAME or len(regex) > LONGEST_METRIC_REGEX:
            left_out.append(name)
        else:
            found[name] = {"Name": name, "Regex": regex}
    if left_out:
        _log.info("SageMaker's console shows %d metrics at most; it will not show %s.", MOST_METRICS, left_out)
    return list(found.values())


def regex_of(name: str) -> str:
    """Matches the line of a report that has the metric, its value in the first group; for Python and for Java."""
    key = re.escape(json.dumps(name))
    return rf"{re.escape(TUNE_METRIC_TAG.rstrip())} \{{(?:.*,)?{key}:{_NUMBER}[,}}]"
