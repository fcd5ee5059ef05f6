"""``cloudtune plot``: the comparison of a study as a figure."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_record import CellRecord
from cloudtune.studies.settings import CellSettings
from tests.experiments.in_s3 import account, header
from tests.experiments.recorded import recorded, row, trial
from tests.experiments.studies_in_s3 import ended, place

__all__ = ["account"]

FINISHED = {"event": "finish", "why": "enough", "state": "finished", "time": 9.0}


def run(*arguments: str) -> Result:
    """Runs the command."""
    return CliRunner().invoke(main, ["plot", *arguments])


def reports() -> list[dict[str, Any]]:
    """Of one trial, which tell what it has cost."""
    return [
        trial(0, lr=0.5),
        *(row(0, float(number), loss=1 / number, epoch=number, st_worker_cost=number / 10) for number in (1, 2, 3)),
    ]


def recorded_study(*benchmarks: str) -> None:
    """Two methods with two seeds on each benchmark."""
    for benchmark in benchmarks:
        for method in ("RS", "ASHA"):
            for seed in (0, 1):
                name = Cell("study", benchmark, method, 4, seed).name
                said = {"tag": "study", "benchmark": benchmark, "method": method, "n_workers": 4, "seed": seed}
                recorded(name, header(name), *reports(), FINISHED, **said, st_finished_why="enough")


def test_the_command_explains_itself() -> None:
    """``--help`` shows how the command is typed, and needs nothing that is slow to import."""
    program = (
        "import sys; from cloudtune.cli import main; main(['plot', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'matplotlib', 'boto3', 'botocore'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cloudtune plot tmlr-10" in done.stdout.partition("Example:")[2]


@pytest.mark.parametrize(
    ("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")], ids=["png", "svg", "pdf"]
)
def test_a_figure_in_each_format(suffix: str, begins: bytes, tmp_path: Path) -> None:
    """By the suffix of the file's name."""
    recorded_study("digits")
    path = tmp_path / f"figure.{suffix}"
    done = run("study", "-o", str(path))
    assert done.exit_code == 0, done.output
    assert done.stdout == f"wrote {path}\n"
    assert path.read_bytes().startswith(begins)


@pytest.mark.parametrize("over", ["time", "cost", "resource", "trials"])
def test_a_figure_over_each_axis(over: str, tmp_path: Path) -> None:
    """What is chosen is what the axis is called after. Where nothing tells the resource, the option that names it."""
    recorded_study("digits")
    path = tmp_path / "figure.svg"
    options = ("--over", over, "--aggregate", "mean_and_ci", "--metric", "loss", "-o", str(path))
    if over == "resource":
        refused = run("study", *options)
        assert refused.exit_code == 1
        assert "name it with --resource-attr, or choose --over trials" in refused.stderr.splitlines()[-1]
    done = run("study", *options, "--resource-attr", "epoch")
    assert done.exit_code == 0, done.output
    said = {"time": "wall-clock time", "cost": "cost", "resource": "epoch", "trials": "trials"}[over]
    assert f"<!-- {said}" in path.read_text(encoding="utf-8")


def test_a_figure_for_each_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``--benchmark`` each has a file of its own, whose name holds nothing that leads elsewhere."""
    monkeypatch.chdir(tmp_path)
    recorded_study("digits", "a/../b")
    done = run("study")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["study-a-..-b.png", "study-digits.png"]
    done = run("study", "--benchmark", "digits")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "study.png").is_file()


def test_a_benchmark_without_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and the others are drawn. Where no figure is left, the command fails, and each reason is told."""
    monkeypatch.chdir(tmp_path)
    recorded_study("digits", "words")
    said = {"tag": "study", "method": "RS", "n_workers": 4, "seed": 0}
    lost = [trial(0, lr=0.5), row(0, 1.0, loss=math.nan)]
    for study, benchmark in (("study", "broken"), ("bad", "one"), ("bad", "two")):
        name = Cell(study, benchmark, "RS", 4, 0).name
        recorded(name, header(name), *lost, FINISHED, **{**said, "tag": study, "benchmark": benchmark})
    done = run("study")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["study-digits.png", "study-words.png"]
    assert "no figure of benchmark 'broken': no experiment is left to compare" in done.stderr
    failed = run("bad")
    assert failed.exit_code == 1
    assert "no figure of benchmark 'two'" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("Error: none of the 2 benchmarks has a figure")
    # The only one that is asked for: one line, as ever.
    assert run("study", "--benchmark", "broken").stderr.splitlines()[-1].startswith("Error: no experiment is left")


def test_benchmarks_that_file_names_do_not_tell_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None overwrites another's figure."""
    monkeypatch.chdir(tmp_path)
    for number, benchmark in enumerate(("a/b", "a b", "A-b", "a-b-2")):
        said = {"tag": "study", "benchmark": benchmark, "method": "RS", "n_workers": 4, "seed": 0}
        recorded(f"study-{number}", header(f"study-{number}"), *reports(), FINISHED, **said)
    done = run("study", "-o", "figure.svg")
    assert done.exit_code == 0, done.output
    files = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert len({name.lower() for name in files}) == 4
    assert {f"wrote {name}" for name in files} == set(done.stdout.splitlines())


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    """A benchmark that there is not, a format that there is not, a study that there is not: one line, no file."""
    recorded_study("digits")
    for arguments, said in (
        (("study", "--benchmark", "words"), "no experiment is of benchmark 'words'"),
        (("study", "-o", str(tmp_path / "figure.gif")), "must end with .png, .svg, .pdf"),
        (("nothing",), "there is no study or experiment 'nothing' on this machine"),
    ):
        done = run(*arguments, *(() if "-o" in arguments else ("-o", str(tmp_path / "figure.png"))))
        assert done.exit_code == 1
        assert said in done.stderr.splitlines()[-1]
    assert list(tmp_path.glob("figure.*")) == []


def test_a_study_in_s3(account: LocalCloud, tmp_path: Path) -> None:
    """Results are fetched, and drawn."""
    for seed in (0, 1):
        name = Cell("study", "digits", "RS", 4, seed).name
        place().bucket.put(place().status_of(name), b"{}")
        ended(name, *reports(), benchmark="digits", method="RS", seed=seed, n_workers=4)
    done = run("study", "-o", str(tmp_path / "figure.svg"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "figure.svg").is_file()


def test_experiments_without_results_are_named(account: LocalCloud, tmp_path: Path) -> None:
    """What was launched and has no results is no part of the figure, and nobody would miss it."""
    for benchmark, method, seed in (
        ("digits", "RS", 0),
        ("digits", "RS", 1),
        ("digits", "ASHA", 0),
        ("words", "RS", 0),
    ):
        cell = Cell("study", benchmark, method, 4, seed)
        place().bucket.put(place().cell(cell.name), CellRecord(cell, CellSettings(), {}, ()).to_json())
        if (method, seed) == ("RS", 0):
            ended(cell.name, *reports(), benchmark=benchmark, method=method, seed=seed, n_workers=4)
    done = run("study", "--benchmark", "digits", "-o", str(tmp_path / "figure.svg"))
    assert done.exit_code == 0, done.output
    told = next(line for line in done.stderr.splitlines() if "no results" in line)
    assert told == (
        "Of 2 experiments there are no results: 'study-digits-ASHA-w4-0' (waiting), 'study-digits-RS-w4-1' (waiting)"
    )
    every = run("study", "-o", str(tmp_path / "figure.svg"))
    assert "Of 2 experiments there are no results" in every.stderr
