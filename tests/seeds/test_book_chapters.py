"""The book's chapters on tuning run as they stand, with nothing but the library's name replaced.

The chapters are not part of this repository. They are read from the folder ``shared/seeds`` beside it, or from the one
that CLOUDTUNE_SEEDS names. Their cells run as one script, as a notebook would run them: without a ``__main__`` guard.
Only lines that Python does not understand are left out (``%load_ext``) and the book's own switch between frameworks
(``tab.interact_select``). The ``d2l`` package they import is the one in ``stand_in``, which trains small real models.
Their limit of twelve minutes is replaced while they run, see ``stand_in/sitecustomize.py``.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cloudtune.experiments import load_experiment
from tests.seeds.cells import cells_of_markdown, cells_of_page, script_of

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_SEEDS = Path(os.environ.get("CLOUDTUNE_SEEDS") or _ROOT.parent / "shared" / "seeds")


@dataclass
class Chapter:
    """What a chapter left behind when its script had ended."""

    experiment: Any
    lines_drawn: list[list[int]]
    output: str

    @property
    def results(self) -> pd.DataFrame:
        frame: pd.DataFrame = self.experiment.results
        return frame


def _seed(prefix: str) -> str:
    found = sorted(_SEEDS.glob(f"{prefix}_*.txt"))
    if not found:
        pytest.skip(f"the book's chapter {prefix} is not in {_SEEDS}; set CLOUDTUNE_SEEDS to the folder that holds it")
    return found[0].read_text(encoding="utf-8")


def _run(script: str, limits: dict[str, float], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Chapter:
    path = folder / "chapter.py"
    path.write_text(script, encoding="utf-8")
    experiments = folder / "experiments"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_HERE / "stand_in"), str(_ROOT)]),
        "CLOUDTUNE_FOLDER": str(experiments),
        "CLOUDTUNE_CHAPTER": str(path),
        "CLOUDTUNE_CHAPTER_LIMITS": json.dumps(limits),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(path)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(experiments))
    (name,) = [entry.name for entry in experiments.iterdir() if entry.is_dir()]
    lines_drawn = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    return Chapter(load_experiment(name), lines_drawn, done.stdout + done.stderr)


def _assert_results_as_the_book_reads_them(results: pd.DataFrame) -> None:
    assert len(results) > 0
    assert {"st_tuner_time", "trial_id", "validation_error", "epoch"} <= set(results.columns)
    assert {"config_learning_rate", "config_batch_size", "st_decision", "st_status"} <= set(results.columns)
    for _, rows in results.groupby("trial_id"):
        assert rows["epoch"].tolist() == list(range(1, len(rows) + 1)), "an epoch is missing or doubled"
        assert rows["st_tuner_time"].is_monotonic_increasing


def _assert_two_trials_ran_at_the_same_time(results: pd.DataFrame) -> None:
    end = results.groupby("trial_id")["st_worker_timestamp"].max()
    begin = (results["st_worker_timestamp"] - results["st_worker_time"]).groupby(results["trial_id"]).min()
    spans = sorted(zip(begin, end, strict=True))
    overlaps = [first_end > second_begin for (_, first_end), (second_begin, _) in itertools.pairwise(spans)]
    assert any(overlaps), f"no two trials overlap: {spans}"


def _assert_plot_drawn(chapter: Chapter) -> None:
    trials = chapter.results.groupby("trial_id").size().tolist()
    drawn = [points for figure in chapter.lines_drawn for points in figure]
    for size in trials:
        assert size in drawn, f"no curve with {size} points among {drawn}"
        drawn.remove(size)
    assert len(drawn) >= 1, "the curve of the best value so far was not drawn"


def _errors_by_learning_rate(results: pd.DataFrame) -> tuple[float, float]:
    """Mean of the first reported errors: of the trials with the lower half of learning rates, and of the others."""
    first = results.groupby("trial_id").first().sort_values("config_learning_rate")["validation_error"]
    half = len(first) // 2
    return float(first.iloc[:half].mean()), float(first.iloc[-half:].mean())


def test_random_search_chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chapter on asynchronous random search runs until its limit and plots what it found."""
    script = script_of(cells_of_markdown(_seed("000")))
    chapter = _run(script, {"max_wallclock_time": 200, "max_num_trials_finished": 14}, tmp_path, monkeypatch)
    results = chapter.results
    _assert_results_as_the_book_reads_them(results)
    assert results["trial_id"].nunique() >= 4
    assert results["config_learning_rate"].between(1e-5, 1e-1).all()
    _assert_two_trials_ran_at_the_same_time(results)
    _assert_plot_drawn(chapter)
    low, high = _errors_by_learning_rate(results)
    assert low > high


def test_translated_random_search_chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The translated chapter, with an initial configuration and logging switched on, runs with the bigger network."""
    script = script_of(cells_of_markdown(_seed("001")))
    chapter = _run(script, {"max_wallclock_time": 200, "max_num_trials_finished": 14}, tmp_path, monkeypatch)
    results = chapter.results
    _assert_results_as_the_book_reads_them(results)
    assert results["trial_id"].nunique() >= 4
    initial = results[results["trial_id"] == 0].iloc[0]
    assert (initial["config_learning_rate"], initial["config_batch_size"]) == (0.1, 128)
    _assert_two_trials_ran_at_the_same_time(results)
    _assert_plot_drawn(chapter)
    low, high = _errors_by_learning_rate(results)
    assert low > high


def test_successive_halving_chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chapter on ASHA runs: some trials reach the last epoch, and others are stopped early."""
    script = script_of(cells_of_page(_seed("002")))
    chapter = _run(script, {"max_wallclock_time": 200, "max_num_trials_finished": 16}, tmp_path, monkeypatch)
    results = chapter.results
    _assert_results_as_the_book_reads_them(results)
    reached = results.groupby("trial_id")["epoch"].max()
    # A trial may report once more before it ends, so the first of its decisions to stop is the one that counts.
    stopped_at = results[results["st_decision"] == "STOP"].groupby("trial_id")["epoch"].first()
    assert set(stopped_at) <= {2, 4, 8, 10}, "ASHA decides at its rung levels only"
    assert (stopped_at < 10).any()
    assert reached.max() == 10
    _assert_two_trials_ran_at_the_same_time(results)
    _assert_plot_drawn(chapter)
