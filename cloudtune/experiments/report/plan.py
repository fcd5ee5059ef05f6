"""What was planned, as far as that is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cloudtune.experiments.quantities import NOTHING
from cloudtune.experiments.report.configurations import domains
from cloudtune.experiments.report.markup import Html, joined, tag
from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy
from cloudtune.experiments.report.table import table
from cloudtune.status_table import format_value

#: Of a method, in its experiments' metadata.
_OF_METHODS = (
    "scheduler_name",
    "searcher_name",
    "searcher_settings",
    "type",
    "grace_period",
    "reduction_factor",
    "max_t",
    "rung_levels",
    "brackets",
)
#: Numbers of runs of a range that are written out.
_FEW = 3


def plan_section(study: ReportedStudy) -> Html:
    """Plans, methods and config spaces."""
    experiments = study.experiments
    return joined(
        _plans(study.plans) if study.plans else _derived(experiments),
        _methods(experiments),
        *_spaces(experiments),
    )


def _plans(plans: Sequence[Mapping[str, Any]]) -> Html:
    rows = []
    for plan in plans:
        start, many = plan.get("start_seed", 0), plan.get("num_seeds", 1)
        settings = plan.get("settings")
        rows.append(
            [
                _list(plan.get("methods")),
                _list(plan.get("benchmarks")),
                _list("default" if workers is None else workers for workers in _as_list(plan.get("n_workers"))),
                _ranges(range(start, start + many)) if isinstance(start, int) and isinstance(many, int) else NOTHING,
                _settings(settings if isinstance(settings, Mapping) else {}),
            ]
        )
    return table("What was launched", ("methods", "benchmarks", "workers", "seeds", "settings"), rows)


def _derived(experiments: Sequence[ReportedExperiment]) -> Html:
    if not experiments:
        return tag("p", "No plan was recorded, and there are no experiments to derive one from.")
    groups: dict[tuple[str, str, str], list[ReportedExperiment]] = {}
    for one in experiments:
        workers = NOTHING if one.n_workers is None else str(one.n_workers)
        groups.setdefault((one.method, one.benchmark, workers), []).append(one)
    rows = [
        [
            method or NOTHING,
            benchmark or NOTHING,
            workers,
            _ranges(one.seed for one in of),
            _list(sorted({str(one.result.metadata.get("backend", NOTHING)) for one in of})),
            "; ".join(sorted({_settings(_limits(one)) for one in of})) or NOTHING,
        ]
        for (method, benchmark, workers), of in groups.items()
    ]
    return joined(
        tag("p", "No plan was recorded: this is what the experiments themselves say."),
        table("Experiments by method", ("method", "benchmark", "workers", "seeds", "backend", "limits"), rows),
    )


def _methods(experiments: Sequence[ReportedExperiment]) -> Html | None:
    rows: dict[tuple[str, ...], list[object]] = {}
    for one in experiments:
        known = {key: one.result.metadata[key] for key in _OF_METHODS if one.result.metadata.get(key) is not None}
        row = (one.benchmark or NOTHING, one.method or NOTHING, _settings(known))
        rows.setdefault(row, list(row))
    return table("Methods", ("benchmark", "method", "made with"), rows.values()) if rows else None


def _spaces(experiments: Sequence[ReportedExperiment]) -> list[Html]:
    spaces: dict[tuple[str, str], dict[str, str]] = {}
    for one in experiments:
        space = domains(one.result.metadata.get("config_space"))
        if space:
            spaces.setdefault((one.benchmark, json.dumps(space)), space)
    return [
        table(f"Config space of {benchmark}" if benchmark else "Config space", ("name", "values"), space.items())
        for (benchmark, _), space in spaces.items()
    ]


def _limits(experiment: ReportedExperiment) -> Mapping[str, Any]:
    limits = experiment.result.metadata.get("st_limits")
    return limits if isinstance(limits, Mapping) else {}


def _settings(values: Mapping[str, Any]) -> str:
    """Those that say something: no defaults that are off."""
    said = {name: value for name, value in values.items() if value is not None and value is not False}
    return ", ".join(f"{name}={_one(value)}" for name, value in said.items() if value not in ([], {}))


def _one(value: Any) -> str:
    return format_value(json.dumps(value) if isinstance(value, list | dict) else value)


def _as_list(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else []


def _list(values: Any) -> str:
    return ", ".join(map(str, values)) if isinstance(values, Iterable) and not isinstance(values, str) else NOTHING


def _ranges(values: Iterable[Any]) -> str:
    """``0 to 4, 7``."""
    every = list(values)
    whole = sorted({value for value in every if type(value) is int})
    runs: list[list[int]] = []
    for value in whole:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    shown = [f"{run[0]} to {run[-1]}" if len(run) >= _FEW else ", ".join(map(str, run)) for run in runs]
    shown += sorted({str(value) for value in every if type(value) is not int and value is not None})
    return ", ".join(shown) or NOTHING
