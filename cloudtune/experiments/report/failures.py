"""What has gone wrong."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.experiments.quantities import plural
from cloudtune.experiments.report.configurations import config_text
from cloudtune.experiments.report.markup import Html, block, joined, tag
from cloudtune.experiments.report.overview import chip, link
from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy, ReportedTrial
from cloudtune.experiments.report.table import table

#: Failed trials that are shown, in all; and of one experiment, so that one of them leaves room for the others.
_MAX_TRIALS, _MAX_OF_ONE = 300, 20
#: Of what a trial has said last.
_MAX_LINES, _MAX_CHARACTERS = 30, 4000
#: How an experiment ended that is no reason to look at it.
_IN_ORDER = frozenset({"finished", "running"})
_FAILED = "Failed"


def failures_section(study: ReportedStudy) -> Html:
    """Experiments that did not end in order, and failed trials with the last lines they wrote."""
    broken = [
        [link(one, number), chip(one.state), one.why, one.damage]
        for number, one in enumerate(study.experiments)
        if one.state not in _IN_ORDER or one.damage
    ]
    rest = _MAX_TRIALS
    pieces = []
    for number, one in enumerate(study.experiments):
        failed = one.count(_FAILED)
        if failed:
            shown = min(rest, failed, _MAX_OF_ONE)
            rest -= shown
            pieces.append(_of_experiment(one, number, shown))
    if not broken and not pieces:
        return tag("p", "No trial has failed, and every experiment goes on or has ended in order.")
    return joined(
        table("Experiments", ("experiment", "state", "why", "damage"), broken) if broken else None,
        tag("div", tag("h3", "Failed trials"), *pieces, class_="closed-in-print") if pieces else None,
    )


def _of_experiment(experiment: ReportedExperiment, number: int, most: int) -> Html:
    trials = [trial for trial in experiment.trials if trial.status == _FAILED]
    left_out = len(trials) - most
    return tag(
        "details",
        tag("summary", experiment.name, ": ", plural(len(trials), "failed trial")),
        tag("p", tag("a", "Its curves", href=f"#experiment-{number}")),
        *(piece for trial in trials[:most] for piece in _of_trial(trial)),
        tag("p", f"{left_out} more are not shown.") if left_out > 0 else None,
        open=len(trials) <= 3,
    )


def _of_trial(trial: ReportedTrial) -> Iterator[Html]:
    first, _, more = trial.reason.partition("\n")
    yield tag("h4", f"Trial {trial.trial_id}: {first or 'no reason is known'}"[:_MAX_CHARACTERS])
    yield tag("p", config_text(trial.config))
    if more:
        yield block("\n".join(more.splitlines()[-_MAX_LINES:])[-_MAX_CHARACTERS:])
