"""From what a store has written to the figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments import ComparativeResults, PlotParameters, SubplotParameters, load_experiment
from tests.experiments.recorded import record, recorded, row, trial


def study() -> None:
    """Two methods with two seeds each, under the tag ``abc``; one of the experiments has just begun."""
    for place, method in enumerate(("RS", "ASHA")):
        for seed in range(2):
            recorded(
                f"abc-mlp-{method}-w4-{seed}",
                trial(0, lr=0.1),
                row(0, 1.0, loss=0.9 - 0.1 * place, epoch=1),
                row(0, 2.0, loss=0.5 - 0.1 * place + 0.01 * seed, epoch=2),
                method=method,
                benchmark="mlp",
                n_workers=4,
                seed=seed,
                st_finished_state="finished",
            )
    record("abc-mlp-RS-w4-2", trial(0, lr=0.1), method="RS", benchmark="mlp", n_workers=4, seed=2).close()


def test_a_study_by_its_tag(tmp_path: Path) -> None:
    """Found by tag, grouped by metadata, aggregated, drawn; the one without results is named."""
    study()
    results = ComparativeResults(
        experiment_names=("abc",),
        setups=["ASHA", "RS"],
        num_runs=3,
        metadata_to_setup=lambda metadata: metadata["method"],
        plot_params=PlotParameters(
            xlabel="wall-clock time",
            aggregate_mode="median_percentiles",
            grid=True,
            subplots=SubplotParameters(nrows=1, ncols=1, kwargs={"sharey": "all"}, titles=["mlp"], legend_no=[0]),
        ),
        download_from_s3=False,
    )
    comparison = results.curves("mlp")
    (panel,) = comparison.subplots
    assert {curve.setup: curve.centre.tolist() for curve in panel.curves} == {
        "ASHA": pytest.approx([0.8, 0.405]),
        "RS": pytest.approx([0.9, 0.505]),
    }
    assert comparison.notes[0] == "passed over, because they have no results yet: 'abc-mlp-RS-w4-2'"
    assert comparison.xlabel == "wall-clock time"
    figure = results.plot("mlp", PlotParameters(ylim=(0, 1)), tmp_path / "figure.png")
    assert figure.axes[0].get_ylim() == (0, 1)
    assert figure.axes[0].get_xlabel() == "wall-clock time"
    assert (tmp_path / "figure.png").exists()


def test_names_filters_and_loaded_experiments() -> None:
    """One name or several, experiments that are there already, each once, and only those that a filter keeps."""
    study()
    loaded = load_experiment("abc-mlp-RS-w4-0")
    assert len(ComparativeResults("abc").experiments) == 5
    assert len(ComparativeResults([loaded, "abc"]).experiments) == 5
    assert ComparativeResults([loaded]).experiments == [loaded]
    some = ComparativeResults("abc", experiment_filter=lambda one: one.metadata["seed"] == 1)
    assert sorted(one.name for one in some.experiments) == ["abc-mlp-ASHA-w4-1", "abc-mlp-RS-w4-1"]
    with pytest.raises(ExperimentNotFound, match="'abd'"):
        ComparativeResults("abd", download_from_s3=False)
