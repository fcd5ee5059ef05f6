"""The top of the page, and the table of experiments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cloudtune.experiments.quantities import NOTHING, dollars, duration, moment, number
from cloudtune.experiments.report.configurations import config_text
from cloudtune.experiments.report.markup import Html, joined, tag
from cloudtune.experiments.report.study import Best, ReportedExperiment, ReportedStudy
from cloudtune.experiments.report.table import Cell, count, quantity, table
from cloudtune.experiments.values import as_number

_COLUMNS = (
    "experiment",
    "benchmark",
    "method",
    "workers",
    "seed",
    "state",
    "best value",
    "its configuration",
    "time",
    "cost",
    "done",
    "stopped",
    "failed",
    "others",
    "reports",
    "begun",
)
#: Shown only where it tells something.
_OPTIONAL = frozenset({"workers", "seed", "cost", "stopped", "failed", "others"})
_NUMBERS = frozenset(
    {"workers", "seed", "done", "stopped", "failed", "others", "reports", "best value", "time", "cost", "begun"}
)
_DONE, _STOPPED, _FAILED = "Completed", "Stopped", "Failed"


def tiles(study: ReportedStudy) -> Html:
    """The study in a few numbers."""
    experiments = study.experiments
    states = Counter([one.state for one in experiments] + list(study.waiting.values()))
    trials = sum(len(one.trials) for one in experiments)
    failed = sum(one.count(_FAILED) for one in experiments)
    costs = [one.total_cost for one in experiments if one.total_cost is not None]
    shown = [
        (f"{len(experiments) + len(study.waiting):,}", "experiments", ", ".join(f"{n} {s}" for s, n in states.items())),
        (f"{trials:,}", "trials", f"{failed:,} failed" if failed else "none failed"),
        (f"{sum(len(one.result.results) for one in experiments):,}", "reports", "that count"),
        (duration(sum(one.seconds for one in experiments)), "of tuning", "all experiments together"),
        (dollars(sum(costs) if costs else None), "cost", "as far as known" if costs else "not known"),
    ]
    return tag(
        "div", *(tag("div", tag("b", big), tag("span", what), tag("small", more)) for big, what, more in shown),
        class_="tiles",
    )  # fmt: skip


def best_values(experiments: Sequence[ReportedExperiment]) -> Html | None:
    """The best value of each benchmark, and what has reached it."""
    best: dict[tuple[str, str, str], tuple[float, ReportedExperiment, Best]] = {}
    for experiment in experiments:
        # What was run again was chosen because it is good.
        for metric in [] if experiment.repeats else experiment.metrics:
            found = experiment.best(metric)
            if found is None:
                continue
            key = (experiment.benchmark, *metric)
            if key not in best or metric.sign * found.value < best[key][0]:
                best[key] = (metric.sign * found.value, experiment, found)
    if not best:
        return None
    numbers = {id(experiment): index for index, experiment in enumerate(experiments)}
    rows = [
        [
            benchmark or NOTHING,
            f"{name} ({mode})",
            quantity(found.value, number(found.value)),
            link(experiment, numbers[id(experiment)]),
            quantity(found.trial_id, str(found.trial_id)),
            Cell(config_of(experiment, found.trial_id), is_long=True),
        ]
        for (benchmark, name, mode), (_, experiment, found) in best.items()
    ]
    return table("Best values", ("benchmark", "metric", "value", "experiment", "trial", "configuration"), rows)


def table_of_experiments(study: ReportedStudy) -> Html:
    """A row for each experiment."""
    cells = [_cells(experiment, index) for index, experiment in enumerate(study.experiments)]
    cells += [{"experiment": Cell(name), "state": Cell(chip(state), state)} for name, state in study.waiting.items()]
    columns = [name for name in _COLUMNS if name not in _OPTIONAL or any(_tells(of.get(name)) for of in cells)]
    rows = [[of.get(name, Cell(NOTHING, None, name in _NUMBERS)) for name in columns] for of in cells]
    if not rows:
        return tag("p", "There are no experiments yet.")
    return joined(
        tag("p", "Done: trained to the end. Stopped: by the method. Others: running, paused or interrupted."),
        table("Experiments", columns, rows, sortable=True, name="table-of-experiments"),
    )


def link(experiment: ReportedExperiment, number: int) -> Html:
    """The experiment's name, which leads to its curves."""
    return tag("a", experiment.name, href=f"#experiment-{number}")


def chip(state: str) -> Html:
    """A state, in its colour."""
    known = state if state in ("running", "finished", "failed", "interrupted", "unfinished") else "waiting"
    return tag("span", state, class_=f"chip {known}")


def config_of(experiment: ReportedExperiment, trial_id: int) -> str:
    """The configuration of a trial, in words."""
    return next((config_text(trial.config) for trial in experiment.trials if trial.trial_id == trial_id), NOTHING)


def _tells(cell: Cell | None) -> bool:
    return cell is not None and cell.shown != NOTHING


def _cells(experiment: ReportedExperiment, index: int) -> dict[str, Cell]:
    best = experiment.best(experiment.metrics[0]) if experiment.metrics else None
    done, stopped, failed = (experiment.count(status) for status in (_DONE, _STOPPED, _FAILED))
    cells = {
        "experiment": Cell(link(experiment, index), experiment.name),
        "benchmark": Cell(experiment.benchmark or NOTHING),
        "method": Cell(experiment.method or NOTHING),
        "state": Cell(chip(experiment.state), experiment.state),
        "done": count(done),
        "stopped": count(stopped),
        "failed": count(failed),
        "others": count(len(experiment.trials) - done - stopped - failed),
        "reports": count(len(experiment.result.results)),
        "time": quantity(experiment.seconds, duration(experiment.seconds)),
        "cost": quantity(experiment.total_cost, dollars(experiment.total_cost)),
        "begun": quantity(experiment.created, moment(experiment.created)),
    }
    if experiment.n_workers is not None:
        cells["workers"] = quantity(experiment.n_workers, str(experiment.n_workers))
    if experiment.seed is not None:
        cells["seed"] = Cell(str(experiment.seed), as_number(experiment.seed), is_number=True)
    if best is not None:
        cells["best value"] = quantity(best.value, f"{best.metric.name} {number(best.value)}")
        cells["its configuration"] = Cell(config_of(experiment, best.trial_id), is_long=True)
    return cells
