"""``launchers/plot_results.py``: the figure of a study, from results that were fetched or lie in S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarking.definitions.digits_mlp import digits_mlp
from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import PythonBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import CellTuners
from cloudtune.studies.settings import CellSettings
from tests.launchers.scripts import run


def _train(x: float) -> None:
    from cloudtune import Reporter

    report = Reporter()
    for epoch in (1, 2):
        report(epoch=epoch, error=x / epoch)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three methods with one and with two workers on this machine, as cells are described."""
    for method in ("RS", "ASHA-STOP", "ASHA"):
        for workers in (1, 2):
            cell = Cell("drawn", "digits_mlp", method, workers, 0)
            space = {"x": uniform(0, 1)}
            Tuner(
                trial_backend=PythonBackend(_train, config_space=space),
                scheduler=RandomSearch(space, metric="error", mode="min"),
                stop_criterion=StoppingCriterion(max_num_trials_started=2),
                n_workers=workers,
                tuner_name=cell.name,
                suffix_tuner_name=False,
                metadata=CellTuners(Catalogue({"digits_mlp": digits_mlp}), CellSettings()).metadata(cell),
            ).run()
    return tmp_path


def test_formats(study: Path) -> None:
    """By the name of the file; the script says where it is. A subplot for each method, a curve for each number."""
    for suffix, beginning in {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}.items():
        words = ["--experiment_tag", "drawn", "--benchmark", "digits_mlp", "--file_name", f"figure.{suffix}"]
        done = run("plot_results.py", *words, "--download_from_s3", "0", folder=study)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"plot: {study}/figure.{suffix}\n"
        assert (study / f"figure.{suffix}").read_bytes().startswith(beginning)
    text = (study / "figure.svg").read_text()
    places = [text.index(f"<!-- {told} -->") for told in ("RS", "ASHA", "ASHA-STOP", "1 workers")]
    assert "<!-- 2 workers -->" in text
    assert places[:3] == sorted(places[:3]), "usual methods come first, and none is left out"


def test_its_name_where_none_is_given(study: Path) -> None:
    """Tag and benchmark tell one figure of a study from another; both spellings of flags do."""
    done = run(
        "plot_results.py",
        "--experiment-tag",
        "drawn",
        "--benchmark",
        "digits_mlp",
        "--download-from-s3",
        "0",
        folder=study,
    )
    assert done.returncode == 0, done.stderr
    assert (study / "drawn-digits_mlp.png").is_file()


def test_nothing_to_draw(tmp_path: Path) -> None:
    """One plain line, and no file."""
    done = run(
        "plot_results.py",
        "--experiment_tag",
        "absent",
        "--benchmark",
        "digits_mlp",
        "--download_from_s3",
        "0",
        folder=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "absent" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.glob("*.png")) == []
