"""Writes the page: one HTML document with all it needs inside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib import resources
from string import Template

from cloudtune import __version__
from cloudtune.experiments.quantities import moment, number
from cloudtune.experiments.report.comparisons import comparison_section
from cloudtune.experiments.report.cost import cost_section
from cloudtune.experiments.report.failures import failures_section
from cloudtune.experiments.report.markup import Html, joined, tag
from cloudtune.experiments.report.overview import best_values, chip, table_of_experiments, tiles
from cloudtune.experiments.report.plan import plan_section
from cloudtune.experiments.report.reproducing import reproducing_section
from cloudtune.experiments.report.size import data_of_experiments
from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy

#: In the order in which they need one another.
_SCRIPTS = ("dom.js", "scales.js", "chart.js", "tables.js", "comparison.js", "experiment.js", "start.js")


def render_page(study: ReportedStudy) -> str:
    """The report as one HTML document; the same for the same study.

    Browsers are told to load nothing and to run nothing but the page's own script, so that even what was not escaped
    could do no harm.
    """
    style, script = _asset("page.css"), "\n".join(map(_asset, _SCRIPTS))
    return Template(_asset("page.html")).substitute(
        title=joined(study.name, ": report"),
        generator=f"cloudtune {__version__}",
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        body=joined(*_body(study)),
    )


def _body(study: ReportedStudy) -> Iterator[Html]:
    sections = {
        "plan": ("Plan", plan_section(study)),
        "comparison": ("Comparison", comparison_section(study)),
        "experiments": ("Experiments", table_of_experiments(study)),
        "curves": ("Curves", _curves(study)),
        "cost": ("Cost", cost_section(study)),
        "failures": ("Failures", failures_section(study)),
        "again": ("How to reproduce", reproducing_section(study)),
    }
    about = f"Made {moment(study.made)} from the experiments {study.place}".rstrip() + "."
    going = any(one.state == "running" for one in study.experiments) or bool(study.waiting)
    yield tag(
        "header",
        tag("h1", study.name),
        tag("p", about, class_="soft"),
        tag("p", "Experiments are still to come or at work: this is how far they were.") if going else None,
        *(tag("p", note, class_="soft") for note in study.notes),
        tiles(study),
        tag("nav", *(tag("a", title, href=f"#{name}") for name, (title, _) in sections.items())),
        best_values(study.experiments),
        tag("noscript", tag("p", "Pictures and sorting need JavaScript; tables and texts do not.")),
    )
    for name, (title, content) in sections.items():
        yield tag("section", tag("h2", title), content, id=name)
    yield joined(*data_of_experiments(study.experiments))


def _curves(study: ReportedStudy) -> Html:
    if not study.experiments:
        return tag("p", "There are no experiments yet.")
    return joined(
        tag("p", "Open an experiment to see the learning curves of its trials."),
        *(_experiment(one, index) for index, one in enumerate(study.experiments)),
    )


def _experiment(experiment: ReportedExperiment, index: int) -> Html:
    best = experiment.best(experiment.metrics[0]) if experiment.metrics else None
    said = "" if best is None else f" best {best.metric.name} {number(best.value)} by trial {best.trial_id}"
    return tag(
        "details",
        tag("summary", experiment.name, " ", chip(experiment.state), said),
        tag("div", class_="curves", data_from=f"data-{index}"),
        class_="experiment",
        id=f"experiment-{index}",
        data_name=experiment.name,
    )


def _asset(name: str) -> str:
    return (resources.files("cloudtune.experiments.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
