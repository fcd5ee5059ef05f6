"""What ``cloudtune launch`` says, where that depends on how things went."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from cloudtune.errors import ExperimentNotFound
from cloudtune.studies.expected_costs import TRIALS, Costs, Item
from cloudtune.studies.options import study_request
from cloudtune.studies.preview import preview
from cloudtune.studies.preview_text import preview_lines
from tests.cli.study_launch import CATALOGUE

launching = importlib.import_module("cloudtune.cli.launch")


def test_a_local_cloud_that_ends_without_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is said to have been fetched."""

    def nothing(*_: Any) -> None:
        raise ExperimentNotFound("there is no study")

    monkeypatch.setattr(launching, "_launch_study", lambda *_, **__: "done")
    monkeypatch.setattr("cloudtune.experiments.gathering.sync", nothing)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    request = study_request(CATALOGUE, {"experiment_tag": "study", "benchmark": ("digits_mlp",), "method": ("RS",)})
    assert launching._launch_and_fetch(CATALOGUE, request) == ("done", "none")
    said = capsys.readouterr().err
    assert "no experiment has begun" in said
    assert "were fetched" not in said


@pytest.mark.parametrize(("what", "bound"), [(TRIALS, "each worker began a trial"), ("tuners", "each tuner's job")])
def test_what_the_cost_at_most_counts(what: str, bound: str) -> None:
    """Jobs of trials, where there are any; else those of tuners with their trials beside them."""
    request = study_request(
        CATALOGUE, {"experiment_tag": "study", "benchmark": ("digits_mlp",), "method": ("RS",), "backend": "local"}
    )
    found = preview(CATALOGUE, request.plan, None)
    item = Item(what, "ml.m5.large", 1.0, "a list", 1.0, 1.0, 1.0)
    object.__setattr__(found, "costs", Costs([item], "by guess"))
    (line,) = [line for line in preview_lines(found) if line.startswith("cost at most")]
    assert bound in line
