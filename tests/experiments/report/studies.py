"""Studies for these tests: experiments as a log would tell them, and what a reader of the page finds on it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd

from cloudtune.experiments.experiment_result import ExperimentResult
from cloudtune.experiments.report.page import render_page
from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy, ReportedTrial

#: What must never become markup.
HOSTILE = "</script><b onload=x>\"'&lt;<!--"
MADE = 1_790_000_000.0

_VOID = {"meta", "br", "input", "col"}


def metadata(**more: Any) -> dict[str, Any]:
    """Of an experiment of the study ``demo``."""
    return {
        "st_tuner_creation_timestamp": 1_780_000_000.0,
        "st_finished_why": "stopping criterion reached",
        "tag": "demo",
        "benchmark": "digits",
        "method": "ASHA",
        "n_workers": 4,
        "seed": 0,
        "metric_names": ["loss"],
        "metric_mode": "min",
        "resource_attr": "epoch",
        "rung_levels": [1, 3],
        "config_space": {"lr": {"type": "loguniform", "lower": 0.001, "upper": 1.0}, "epochs": 3},
        "random_seed": 7,
        "cloudtune_version": "0.1.0",
        "backend": "SageMakerBackend",
        "entrypoint": "train.py",
        "st_limits": {"wallclock time": 600},
        **more,
    }


def row(trial: int, time: float, decision: str = "CONTINUE", **metrics: Any) -> dict[str, Any]:
    """A row of results."""
    return {"trial_id": trial, "st_decision": decision, "st_status": "InProgress", "st_tuner_time": time, **metrics}


ROWS = [
    row(0, 1.0, loss=0.9, epoch=1),
    row(1, 1.5, "STOP", loss=0.95, epoch=1),
    row(0, 2.0, loss=0.5, epoch=2),
    row(0, 3.0, loss=0.25, epoch=3),
]
TRIALS = [
    ReportedTrial(0, "Completed", {"lr": 0.5, "epochs": 3}, cost=0.25),
    ReportedTrial(1, "Stopped", {"lr": 0.125, "epochs": 3}, cost=0.5),
    ReportedTrial(2, "Failed", {"lr": 0.75, "epochs": 3}, reason="exit code 1\nlast lines:\nRuntimeError: too hot"),
]


def experiment(
    name: str = "demo-digits-ASHA-w4-0",
    rows: Sequence[Mapping[str, Any]] = ROWS,
    trials: Sequence[ReportedTrial] = TRIALS,
    said: Mapping[str, Any] | None = None,
    **more: Any,
) -> ReportedExperiment:
    """An experiment of three trials, of which one was stopped and one has failed."""
    columns = ["trial_id", "st_decision", "st_status", "st_tuner_time"]
    results = pd.DataFrame(list(rows)) if rows else pd.DataFrame(columns=columns)
    result = ExperimentResult(name, results, dict(metadata() if said is None else said), Path("/nowhere") / name)
    return ReportedExperiment(
        result,
        **{"state": "finished", "why": "met", "trials": trials, "seconds": 4.0, "cost": 0.75, **more},
    )


def curve(count: int, trial: int = 0) -> list[dict[str, Any]]:
    """Reports of one trial, the best of which is the one before the last."""
    return [
        row(trial, float(number), loss=1.0 if number != count - 2 else 0.0, epoch=number) for number in range(count)
    ]


def study(*experiments: ReportedExperiment, **more: Any) -> ReportedStudy:
    """A study of these experiments."""
    return ReportedStudy(**{"name": "demo", "experiments": experiments, "made": MADE, **more})


class Page(HTMLParser):
    """A page as a browser takes it: what is wrong with it, its texts, tables and data.

    Args:
        html: The document.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.data: dict[str, Any] = {}
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self.html = html
        self.feed(html)
        self.close()
        self.wrong += [f"<{name}> is not closed" for name in self._open]

    @classmethod
    def of(cls, of_study: ReportedStudy) -> Page:
        """The page of a study."""
        return cls(render_page(of_study))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.wrong.append(f"<{tag}> has an attribute twice")
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> ends what was not open")

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            attributes = self.elements[-1][1]
            if attributes.get("type") == "application/json":
                self.data[str(attributes["id"])] = json.loads(data, parse_constant=_no_constant)
            else:
                self.scripts.append(data)
        elif inside != "style":
            self.texts.append(data)
            if "td" in self._open or "th" in self._open:
                self.tables[-1][-1][-1] += data

    @property
    def text(self) -> str:
        """All that is to be read."""
        return " ".join("".join(self.texts).split())

    def table(self, first: str) -> list[dict[str, str]]:
        """The table whose first heading this is, by headings."""
        found = next(table for table in self.tables if table and table[0][0] == first)
        return [dict(zip(found[0], one, strict=True)) for one in found[1:]]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def check(page: Page) -> None:
    """What holds for every page: valid, whole, and nothing from elsewhere."""
    assert page.wrong == []
    assert page.html.startswith('<!DOCTYPE html>\n<html lang="en">')
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    targets = [attributes["href"] for attributes in page.attributes("a")]
    assert all(target is not None and target[0] == "#" and target[1:] in identifiers for target in targets)
    sources = [attributes["data-from"] for _, attributes in page.elements if "data-from" in attributes]
    assert set(sources) == set(page.data)
    for _, attributes in page.elements:
        assert not {"src", "srcset", "style"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
    # Without what names the SVG namespace, which is no address that anything is fetched from.
    rest = page.html.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(
        r"https?:|@import|url\((?!#)|(?<![\w.])(?:fetch|XMLHttpRequest|WebSocket|sendBeacon)\b", _no_data(rest)
    )
    assert all(_is_finite(one) for data in page.data.values() for one in _leaves(data))


def _no_data(html: str) -> str:
    """The page without what it shows: only its own markup, style and script."""
    return "".join(
        re.findall(r"<style>.*?</style>|<script>.*?</script>|<(?:link|base|iframe|form|img)[^>]*>", html, re.S)
    )


def _leaves(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return [leaf for value in data.values() for leaf in _leaves(value)]
    return [leaf for value in data for leaf in _leaves(value)] if isinstance(data, list) else [data]


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _no_constant(text: str) -> Any:
    raise AssertionError(f"{text} is no JSON")
