"""One experiment with metadata of another form than usual, among others: these are compared all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli import main
from cloudtune.experiments import ComparativeResults, PlotParameters, TrialsOfExperimentResults
from cloudtune.experiments.experiment_result import ExperimentResult
from cloudtune.experiments.frames import LazyFrame
from cloudtune.store.results_object import DamagedResults, PackedTable
from tests.experiments.comparison.made import made
from tests.experiments.recorded import recorded, row, trial


def write(number: int, **metadata: Any) -> None:
    usual = {"tag": "odd", "method": "RS", "benchmark": "b", "n_workers": 2, "seed": number, "resource_attr": "epoch"}
    reports = [row(0, 1.0, loss=0.5, epoch=1), row(0, 2.0, loss=0.4, epoch=2)]
    recorded(f"odd-{number}", trial(0, lr=0.1), *reports, **{**usual, "st_finished_state": "finished", **metadata})


@pytest.mark.parametrize(
    ("metadata", "is_compared"),
    [
        ({"metric_mode": None}, False),
        ({"metric_mode": "maximize"}, False),
        ({"metric_names": ["loss", "x"], "metric_mode": ["min"]}, False),
        ({"metric_names": [1]}, False),
        ({"metric_names": "loss"}, True),
        ({"st_tuner_creation_timestamp": None}, True),
        ({"st_finished_state": ["x"]}, True),
        ({"st_finished_state": None, "st_finished_why": ["x"]}, True),
        ({"resource_attr": ["epoch"]}, True),
        ({"rung_levels": {"a": [1]}}, True),
    ],
)
@pytest.mark.parametrize("over", ["time", "resource"])
def test_the_others_are_compared(
    metadata: dict[str, Any], is_compared: bool, over: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be read of it counts, what cannot is named; in comparisons, learning curves and on the command line."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for number in range(3):
        write(number, **(metadata if number == 0 else {}))
    comparison = ComparativeResults("odd", plot_params=PlotParameters(over=over)).curves()
    (curve,) = comparison.subplots[0].curves
    assert curve.runs == (("odd-0",) if is_compared else ()) + ("odd-1", "odd-2")
    is_named = "do not say what was optimised" in "".join(comparison.notes) and "'odd-0'" in "".join(comparison.notes)
    assert is_named != is_compared
    TrialsOfExperimentResults("odd").plot(seed=1, plot_params=PlotParameters(over=over))
    for command, file in (("report", "odd.html"), ("plot", "odd.png")):
        result = CliRunner().invoke(main, [command, "odd", "-o", str(tmp_path / file)])
        assert result.exit_code == 0, result.output


def test_seeds_that_are_lists() -> None:
    """They may be the same in several runs, which is told."""
    comparison = ComparativeResults([made(name, [(1, 1)], seed=[1, 2]) for name in ("a", "b")]).curves()
    assert any("several runs with the same seed: 'a', 'b'" in note for note in comparison.notes)


def test_results_that_turn_out_to_be_damaged() -> None:
    """They are unpacked when they are first looked at; the experiment is named with the reason then."""

    def damaged() -> PackedTable:
        raise DamagedResults("the file x does not fit; delete it")

    good = made("good", [(1, 1)])
    bad = ExperimentResult("bad", LazyFrame(damaged), good.metadata, Path("bad"))
    comparison = ComparativeResults([good, bad]).curves()
    assert comparison.subplots[0].curves[0].runs == ("good",)
    assert "passed over, because their results cannot be read (the file x does not fit; delete it): 'bad'" in (
        comparison.notes
    )
