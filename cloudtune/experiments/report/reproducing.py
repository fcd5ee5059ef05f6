"""How to get the study again: commands, versions, seeds."""

from __future__ import annotations

import shlex

from cloudtune import __version__
from cloudtune.experiments.quantities import NOTHING
from cloudtune.experiments.report.markup import Html, block, joined, tag
from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy
from cloudtune.experiments.report.table import table


def reproducing_section(study: ReportedStudy) -> Html:
    """What launches the study again, and what its experiments were made with."""
    return joined(
        joined(
            tag(
                "p",
                "These commands launch the study, where the catalogue of its benchmarks is or with --catalogue; run "
                "again, they launch what is missing.",
            ),
            block("\n".join(study.commands)),
        )
        if study.commands
        else tag("p", "The experiments were begun by scripts of their own: these are what each was made with."),
        table(
            "What experiments were made with",
            ("experiment", "cloudtune", "backend", "runs", "method's random seed", "limits"),
            [_made_with(one) for one in study.experiments],
        )
        if study.experiments
        else None,
        tag("p", "The results as one table:"),
        block(_loading(study)),
        tag("p", "This page again:"),
        block(shlex.join(["cloudtune", "report", study.name, *_place_words(study)])),
        tag("p", f"This page was written by cloudtune {__version__}."),
    )


def _loading(study: ReportedStudy) -> str:
    s3_path = study.place_flags.get("s3_path")
    where = "" if s3_path is None else f", s3_path={s3_path!r}"
    return (
        f"from cloudtune.experiments import load_experiments_df\nresults = load_experiments_df({study.name!r}{where})"
    )


def _place_words(study: ReportedStudy) -> list[str]:
    return [word for name, value in study.place_flags.items() for word in (f"--{name.replace('_', '-')}", value)]


def _made_with(experiment: ReportedExperiment) -> list[object]:
    metadata = experiment.result.metadata
    limits = metadata.get("st_limits")
    return [
        experiment.name,
        metadata.get("cloudtune_version", NOTHING),
        metadata.get("backend", NOTHING),
        metadata.get("entrypoint", NOTHING),
        metadata.get("random_seed", NOTHING),
        ", ".join(f"{limit} {name}" for name, limit in limits.items()) if isinstance(limits, dict) else NOTHING,
    ]
