"""What the library says in Python's words, said again in those of the command line."""

from __future__ import annotations

import logging
import re

#: Options of the commands, by the names that the library has for what they set.
_OPTIONS = {
    "grace_period": "--grace-period",
    "grace_time": "--grace-period",
    "max_failures": "--max-failures",
    "max_resource_attr": "--max-resource-attr",
    "metric_mode": "--mode",
    "metric_names": "--metric",
    "n_workers": "--n-workers",
    "random_seed": "--seed",
    "reduction_factor": "--reduction-factor",
    "resource_attr": "--resource-attr",
    "scheduler_name": "--method",
    "searcher_name": "--method",
    "type": "--method",
}

#: Where one of these names stands for the option. Whole phrases, never the word alone: a message may quote what a
#: training script has printed.
_OPTION_PLACES = [
    re.compile(place.format("(" + "|".join(_OPTIONS) + ")"))
    for place in (
        r"(?<=' began with ){}(?= = )",
        r"^{}(?=[ =])",
        r"(?<=; choose a ){}(?= of )",
    )
]

_PHRASES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"more than max_failures=(\d+) allows", r"more than --max-failures \1 allows"),
        (
            r"then continue with a higher max_failures, or begin",
            "then continue with `cloudtune resume {name}` and a higher --max-failures, or begin",
        ),
        (
            r"pass max_resource_attr, for instance 'max_epochs': 27 .*max_t=27",
            'add it to the config space, for instance "max_epochs": 27 (or another, named by --max-resource-attr)',
        ),
        (
            r"(; add it as a constant, for instance |; for instance )'(\w+)': 27( in the config space and .*)?$",
            r'\1"\2": 27',
        ),
        (r"config_space\['(\w+)'\] \(max_resource_attr\)", r"'\1' in the config space (--max-resource-attr)"),
        (r"pass the right name to the scheduler", "name what it reports with --metric and --resource-attr"),
        (r"pass the right metric to the scheduler", "name what it reports with --metric"),
        (r"pass the right resource_attr to the scheduler", "name what it reports with --resource-attr"),
        (r" \(the scheduler's resource_attr\)", " (--resource-attr)"),
        (r"use shuffle=False, fewer num_samples, or random search", "list fewer values, or use --method random"),
        (r"choose another tuner_name", "choose another --name"),
        (r"use tuner_name='([\w-]+)', suffix_tuner_name=False", r"begin with --name \1 --no-suffix"),
        (r", with the same tuner_name$", ", under the same name"),
        (r" \(Tuner\.run\(takeover=True\)\)", ""),
        (r", or raise the backend's stop_grace", ""),
        (r"^entry_point: ", ""),
        (
            r"name it with PlotParameters\(resource_attr=\.\.\.\), or choose over='trials'",
            "name it with --resource-attr, or choose --over trials",
        ),
    )
]


def in_options(text: str, experiment: str | None = None) -> str:
    """A message of the library with the options of the command in place of the library's names for them.

    Args:
        text: One line.
        experiment: Name of the experiment that the command drives, for the line that continues it.
    """
    for pattern, replacement in _PHRASES:
        text = pattern.sub(replacement.replace("{name}", experiment or "NAME"), text)
    for place in _OPTION_PLACES:
        text = place.sub(lambda found: _OPTIONS[found[0]], text)
    return text


class OptionsFormatter(logging.Formatter):
    """Formats log records in the words of the command line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """See :meth:`logging.Formatter.formatMessage`."""
        record.message = in_options(record.message)
        return super().formatMessage(record)
