"""The local demo, short: it tunes for real, says what came out, and draws its pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarking.definitions import benchmark
from benchmarking.demo_local import summary
from cloudtune.experiments import load_experiments

ROOT = Path(__file__).parents[2]


def start_demo(experiments: Path, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "benchmarking" / "demo_local.py"),
            "--trials",
            "4",
            "--seconds",
            "200",
            "--workers",
            "2",
            "--seed",
            str(seed),
        ],
        env={**os.environ, "CLOUDTUNE_FOLDER": str(experiments)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_demos_at_once_each_end_with_a_best_configuration_and_two_pictures(tmp_path: Path) -> None:
    """Neither gets in the way of the other: two experiments, each with its own results and pictures, both exit 0."""
    demos = [start_demo(tmp_path, seed) for seed in (1, 2)]
    outputs = [demo.communicate(timeout=280) for demo in demos]
    for demo, (_, errors) in zip(demos, outputs, strict=True):
        assert demo.returncode == 0, errors[-2000:]
    experiments = load_experiments("demo", local_path=tmp_path)
    assert sorted(experiment.metadata["random_seed"] for experiment in experiments) == [1, 2]
    for experiment in experiments:
        assert len(experiment.results) > 0
        (output,) = [out for out, _ in outputs if str(experiment.path / "best-so-far.png") in out]
        best = experiment.best_config()
        assert f"Best: validation error {best['validation_error']:.2%}, trial {best['trial_id']}, with" in output
        for name in ("best-so-far.png", "learning-curves.png"):
            assert (experiment.path / name).read_bytes().startswith(b"\x89PNG")
            assert str(experiment.path / name) in output


def test_the_summary_ranks_trials_and_tells_how_they_ended() -> None:
    """A trial counts with its lowest error; full, stopped and cut-off trials are told apart."""
    rows = [
        (0, 1, 0.5, "CONTINUE"),
        (0, 2, 0.1, "CONTINUE"),
        (0, 27, 0.2, "CONTINUE"),
        (1, 1, 0.9, "STOP"),
        (2, 1, 0.3, "CONTINUE"),
    ]
    results = pd.DataFrame(rows, columns=["trial_id", "epoch", "validation_error", "st_decision"])
    table = summary(results, benchmark("digits_mlp"))
    assert table.index.tolist() == [0, 2, 1]
    assert table["validation_error"].tolist() == [0.1, 0.3, 0.9]
    assert table["epochs"].tolist() == [27, 1, 1]
    assert table["end"].tolist() == ["trained fully", "time was up", "stopped early"]


def test_of_equally_good_trials_the_earliest_is_the_best() -> None:
    """The summary agrees with ``best_config``, which takes the earliest report, whatever the trials' numbers are."""
    rows = [(0, 1, 0.5, "CONTINUE"), (1, 1, 0.1, "CONTINUE"), (0, 2, 0.1, "CONTINUE"), (2, 1, float("nan"), "STOP")]
    results = pd.DataFrame(rows, columns=["trial_id", "epoch", "validation_error", "st_decision"])
    assert summary(results, benchmark("digits_mlp")).index.tolist() == [1, 0, 2]
