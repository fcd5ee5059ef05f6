"""Cells of a study whose trials are simulated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarking.definitions.digits_mlp import digits_mlp
from cloudtune.backend import SimulatorBackend
from cloudtune.blackbox import ConstantTime, TabularBlackbox, add_blackbox
from cloudtune.cli.launch_here import make_launch_here_command
from cloudtune.config_space import uniform
from cloudtune.experiments import load_experiment
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import CellTuners
from cloudtune.studies.options import FlagsRefused, study_request
from cloudtune.studies.settings import CellSettings

SPACE = {"x": uniform(0, 1)}
LEVELS = 9


def curves() -> BenchmarkDefinition:
    """A benchmark that is nothing but recorded curves."""
    return BenchmarkDefinition(
        name="curves",
        script=None,
        config_space={**SPACE, "max_epochs": LEVELS},
        metric="loss",
        mode="min",
        resource_attr="epoch",
        max_resource_attr="max_epochs",
        max_wallclock_time=500.0,
        blackbox="recorded-curves",
    )


CATALOGUE = Catalogue({"curves": curves, "script": lambda: replace(digits_mlp(), name="script", blackbox=None)})


@pytest.fixture(autouse=True)
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table that the benchmark names: 2 repetitions of 40 configurations, 10 seconds a level."""
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path))
    rng = np.random.default_rng(1)
    x = rng.random(40)
    loss = x[:, None, None] + 1 / np.arange(1, LEVELS + 1) + np.array([0.0, 5.0])[:, None]
    table = TabularBlackbox(
        SPACE, {"x": x.tolist()}, loss[..., None], ["loss"], range(1, LEVELS + 1), "epoch", time_model=ConstantTime(10)
    )
    add_blackbox("recorded-curves", table)


@pytest.mark.parametrize("method", ["RS", "ASHA", "ASHA-STOP", "MSR"])
def test_a_simulated_cell_runs(method: str) -> None:
    """Its tuner runs to the benchmark's limit of virtual time, on curves of the repetition of its seed."""
    best = []
    for seed in (0, 1):
        tuner = CellTuners(CATALOGUE, CellSettings(backend="simulator")).tuner(Cell("tag", "curves", method, 4, seed))
        assert isinstance(tuner.trial_backend, SimulatorBackend)
        tuner.run()
        assert tuner.status.wallclock_time == 500
        assert tuner.status.incumbent is not None
        best.append(tuner.status.incumbent[0])
        metadata = load_experiment(tuner.name).metadata
        assert (metadata["benchmark"], metadata["method"], metadata["backend"]) == (
            "curves",
            method,
            "SimulatorBackend",
        )
    assert best[0] < 2
    assert best[1] > 5


def test_simulated_from_the_command_line() -> None:
    """``--backend simulator`` runs one experiment at once, and the same command continues it."""
    words = ["--experiment_tag", "here", "--benchmark", "curves", "--method", "ASHA", "--backend", "simulator"]
    command = make_launch_here_command(CATALOGUE)
    for _ in range(2):
        done = CliRunner().invoke(command, [*words, "--no-plot", "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["name"] == "here-curves-ASHA-w4-0"


def test_a_tuner_that_simulates_needs_a_small_machine() -> None:
    """Where its tuner is shipped, it is to the machine of tuners: no trial trains there."""
    tuners = CellTuners(CATALOGUE, CellSettings(backend="simulator"))
    assert tuners.tuner_machine(Cell("tag", "curves", "RS", 4, 0)) == "ml.m5.large"


def test_benchmarks_without_curves_or_script_are_refused() -> None:
    """What cannot be simulated, and what can only be simulated, say so."""
    flags = {"experiment_tag": "t", "method": ("RS",), "backend": "simulator"}
    with pytest.raises(FlagsRefused, match="'script' names no blackbox to simulate its trials with"):
        study_request(CATALOGUE, {**flags, "benchmark": ("curves", "script")})
    assert study_request(CATALOGUE, {**flags, "benchmark": ("curves",)}).plan.settings.backend == "simulator"
    with pytest.raises(ValueError, match="'script' names no blackbox"):
        CellTuners(CATALOGUE, CellSettings(backend="simulator")).tuner(Cell("tag", "script", "RS", 4, 0))
    for backend in ("local", "sagemaker"):
        with pytest.raises(ValueError, match="'curves' has no training script, only recorded learning curves"):
            CellTuners(CATALOGUE, CellSettings(backend=backend)).tuner(Cell("tag", "curves", "RS", 4, 0))
    with pytest.raises(ValueError, match="give a training script, or the name of a blackbox"):
        replace(curves(), blackbox=None)
