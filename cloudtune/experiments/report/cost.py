"""What the study has cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cloudtune.experiments.quantities import NOTHING, dollars
from cloudtune.experiments.report.markup import Html, joined, tag
from cloudtune.experiments.report.overview import link
from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy
from cloudtune.experiments.report.table import count, quantity, table


def cost_section(study: ReportedStudy) -> Html:
    """Cost of each method, and of each experiment."""
    experiments = study.experiments
    if all(one.total_cost is None for one in experiments):
        return tag(
            "p",
            "No cost is known: trials ran on this machine, or there is no price for their instance type.",
        )
    return joined(
        tag(
            "p",
            "US dollars: what was billed, and estimates for what has no bill yet. A tuner's cost is shown where its "
            "training job is known.",
        ),
        _by_method(experiments),
        tag("details", tag("summary", "Cost of each experiment"), _by_experiment(experiments)),
    )


def _by_method(experiments: Sequence[ReportedExperiment]) -> Html:
    groups: dict[tuple[str, str], list[ReportedExperiment]] = {}
    for one in experiments:
        groups.setdefault((one.benchmark, one.method), []).append(one)
    rows = [[benchmark or NOTHING, method or NOTHING, *_sums(of)] for (benchmark, method), of in groups.items()]
    if len(rows) > 1:
        rows.append([tag("b", "all"), "", *_sums(experiments)])
    columns = ("benchmark", "method", "experiments", "trials started", "trials' cost", "tuners' cost", "total", "each")
    return table("Cost of each method", columns, rows)


def _sums(experiments: Sequence[ReportedExperiment]) -> list[object]:
    total = _known(one.total_cost for one in experiments)
    amounts = [
        _known(one.cost for one in experiments),
        _known(one.tuner_cost for one in experiments),
        total,
        None if total is None else total / len(experiments),
    ]
    return [
        count(len(experiments)),
        count(sum(len(one.trials) for one in experiments)),
        *(quantity(amount, dollars(amount)) for amount in amounts),
    ]


def _by_experiment(experiments: Sequence[ReportedExperiment]) -> Html:
    rows = [
        [
            link(one, number),
            *(quantity(amount, dollars(amount)) for amount in (one.cost, one.tuner_cost, one.total_cost)),
            _costliest(one),
        ]
        for number, one in enumerate(experiments)
    ]
    columns = ("experiment", "trials' cost", "tuner's cost", "total", "costliest trial")
    return table("Cost of each experiment", columns, rows, sortable=True)


def _costliest(experiment: ReportedExperiment) -> str:
    trial = max(experiment.trials, key=lambda one: one.cost, default=None)
    return NOTHING if trial is None or not trial.cost else f"trial {trial.trial_id}: {dollars(trial.cost)}"


def _known(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
