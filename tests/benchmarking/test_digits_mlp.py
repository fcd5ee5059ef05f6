"""The training script ``digits_mlp``: what it reports, and that it goes on exactly where it was."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarking.definitions import BENCHMARKS, benchmark
from benchmarking.definitions.digits_mlp import SCRIPT
from cloudtune.config_space import Domain, validate_config_space
from cloudtune.constants import TUNE_METRIC_TAG

GOOD = {"learning_rate": 0.005, "batch_size": 32, "width": 32, "alpha": 1e-4}


def arguments(max_epochs: int, checkpoints: Path | None = None, **changed: float) -> list[str]:
    options = {**GOOD, "max_epochs": max_epochs, **changed}
    if checkpoints is not None:
        return [*(f"--{name}={value}" for name, value in options.items()), f"--st_checkpoint_dir={checkpoints}"]
    return [f"--{name}={value}" for name, value in options.items()]


def reports_in(output: str) -> list[dict[str, Any]]:
    lines = [line for line in output.splitlines() if line.startswith(TUNE_METRIC_TAG)]
    reports = [json.loads(line[len(TUNE_METRIC_TAG) :]) for line in lines]
    return [{name: value for name, value in report.items() if not name.startswith("st_")} for report in reports]


def train(options: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), *options], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return reports_in(done.stdout)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_mlp_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def uninterrupted() -> list[dict[str, Any]]:
    """What eight epochs in one go report."""
    return train(arguments(8))


def test_it_learns_to_read(uninterrupted: list[dict[str, Any]]) -> None:
    """A sensible configuration is reported once an epoch and reads nearly all digits after a few of them."""
    assert [report["epoch"] for report in uninterrupted] == list(range(1, 9))
    assert uninterrupted[-1]["validation_error"] < 0.08
    assert uninterrupted[-1]["train_loss"] < uninterrupted[0]["train_loss"]


def test_the_error_depends_on_the_configuration(uninterrupted: list[dict[str, Any]]) -> None:
    """With a learning rate far too small the network has hardly learned anything by then."""
    slow = train(arguments(8, learning_rate=1e-4, batch_size=256))
    assert slow[-1]["validation_error"] > 5 * uninterrupted[-1]["validation_error"]


def test_the_same_seed_gives_the_same_numbers(uninterrupted: list[dict[str, Any]]) -> None:
    """A run is reproducible, and another seed is another run."""
    assert train(arguments(3)) == uninterrupted[:3]
    assert train(arguments(3, random_seed=7)) != uninterrupted[:3]


def test_it_goes_on_from_its_checkpoint(tmp_path: Path, uninterrupted: list[dict[str, Any]]) -> None:
    """Paused after three epochs and resumed to eight, it reports what a run in one go reports, no epoch twice."""
    first = train(arguments(3, tmp_path / "saved"))
    rest = train(arguments(8, tmp_path / "saved"))
    assert first + rest == uninterrupted
    assert train(arguments(8, tmp_path / "saved")) == []


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, uninterrupted: list[dict[str, Any]]) -> None:
    """SIGKILL in the middle costs at most the report of the epoch that was saved last; the numbers stay the same."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments(8, tmp_path / "saved")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        before = [process.stdout.readline(), process.stdout.readline()]
        os.kill(process.pid, signal.SIGKILL)
        seen = reports_in("".join(before) + process.stdout.read())
    rest = train(arguments(8, tmp_path / "saved"))
    assert seen == uninterrupted[: len(seen)]
    assert rest == uninterrupted[8 - len(rest) :]
    assert 8 - len(rest) - len(seen) in (0, 1)
    assert len(seen) >= 2


def test_the_split_is_fixed_and_stratified(script: ModuleType) -> None:
    """Every trial validates on the same third of each class, so their errors can be compared."""
    images, labels, held_out = script.split_digits()
    assert images.shape == (1797, 64)
    assert images.min() == 0.0
    assert images.max() == 1.0
    assert np.array_equal(held_out, script.split_digits()[2])
    for digit in range(10):
        assert abs(held_out[labels == digit].mean() - 1 / 3) < 0.01


def test_every_benchmark_can_be_tuned() -> None:
    """Each definition has a valid config space, something to tune, a script, and its own name."""
    for name in BENCHMARKS:
        definition = benchmark(name)
        validate_config_space(dict(definition.config_space))
        assert definition.name == name
        assert definition.max_resource_level >= definition.reduction_factor
        assert any(isinstance(value, Domain) for value in definition.config_space.values())


def test_an_unknown_benchmark_is_answered_with_those_there_are() -> None:
    """A misspelt name is told with the names to choose from."""
    with pytest.raises(KeyError, match="digits_mlp"):
        benchmark("digits_mpl")


def test_a_definition_refuses_what_cannot_work(tmp_path: Path) -> None:
    """A missing constant, an unknown mode and a missing script are refused when the definition is made."""
    definition = benchmark("digits_mlp")
    with pytest.raises(ValueError, match="'epochs' is not in the config space"):
        replace(definition, max_resource_attr="epochs")
    with pytest.raises(ValueError, match="'least'"):
        replace(definition, mode="least")
    with pytest.raises(FileNotFoundError, match=r"absent\.py"):
        replace(definition, script=tmp_path / "absent.py")
    assert definition.with_constants(max_epochs=9).max_resource_level == 9
