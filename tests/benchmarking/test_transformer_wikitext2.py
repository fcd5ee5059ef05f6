"""The training script ``transformer_wikitext2``: what it learns and reports, and that it goes on where it was."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarking.definitions.transformer_wikitext2 import SCRIPT, transformer_wikitext2
from cloudtune.config_space import loguniform, randint, uniform
from cloudtune.constants import TUNE_METRIC_TAG
from cloudtune.experiments import load_experiment
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import CellTuners
from cloudtune.studies.inputs import InputMissing
from cloudtune.studies.settings import CellSettings
from tests.benchmarking.short_text import QUICK, write_text


def _started(options: dict[str, Any], **variables: str) -> subprocess.Popen[str]:
    arguments = [f"--{name}={value}" for name, value in {**QUICK, **options}.items()]
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(SCRIPT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def reports_in(output: str) -> list[dict[str, Any]]:
    """Without what a clock says."""
    lines = [line for line in output.splitlines() if line.startswith(TUNE_METRIC_TAG)]
    reports = [json.loads(line[len(TUNE_METRIC_TAG) :]) for line in lines]
    return [
        {name: value for name, value in report.items() if not name.startswith(("st_", "epoch_seconds"))}
        for report in reports
    ]


def train(options: dict[str, Any], **variables: str) -> list[dict[str, Any]]:
    with _started(options, **variables) as process:
        output, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    return reports_in(output)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "wikitext-2")


@pytest.fixture(scope="module")
def uninterrupted(text: Path) -> list[dict[str, Any]]:
    """What four epochs in one go report."""
    return train({"epochs": 4, "dataset_path": text})


def test_it_learns(uninterrupted: list[dict[str, Any]]) -> None:
    """From 18 words, of which any may come next, to the four or so that the text leaves open; all is finite."""
    assert [report["epoch"] for report in uninterrupted] == [1, 2, 3, 4]
    losses = [report["val_loss"] for report in uninterrupted]
    assert losses == sorted(losses, reverse=True)
    assert uninterrupted[-1]["val_perplexity"] < 5
    for report in uninterrupted:
        assert report["val_perplexity"] == pytest.approx(math.exp(report["val_loss"]))


def test_the_test_text_is_looked_at_once(uninterrupted: list[dict[str, Any]], text: Path, tmp_path: Path) -> None:
    """At the end, where there is one: it says how good the result is, and tunes nothing."""
    assert [("test_loss" in report) for report in uninterrupted] == [False, False, False, True]
    assert uninterrupted[-1]["test_loss"] == pytest.approx(uninterrupted[-1]["val_loss"], abs=0.2)
    for name in ("train.txt", "valid.txt"):
        (tmp_path / name).write_bytes((text / name).read_bytes())
    assert "test_loss" not in train({"epochs": 1, "dataset_path": tmp_path})[0]


def test_the_same_seed_gives_the_same_numbers(uninterrupted: list[dict[str, Any]], text: Path) -> None:
    """A run is reproducible, and another seed is another run."""
    again, other = (train({"epochs": 1, "dataset_path": text, "seed": seed})[0] for seed in (1111, 1))
    assert again["val_loss"] == uninterrupted[0]["val_loss"]
    assert other["val_loss"] != again["val_loss"]


def test_it_goes_on_from_its_checkpoint(text: Path, tmp_path: Path, uninterrupted: list[dict[str, Any]]) -> None:
    """Paused after one epoch and resumed to four, it reports what a run in one go reports, no epoch twice."""
    saved = {"dataset_path": text, "st_checkpoint_dir": tmp_path / "saved"}
    first = train({"epochs": 1, **saved})
    rest = train({"epochs": 4, **saved})
    assert first[0]["val_loss"] == uninterrupted[0]["val_loss"]
    assert rest == uninterrupted[1:]
    assert train({"epochs": 4, **saved}) == []


def test_a_killed_run_goes_on_where_it_was(text: Path, tmp_path: Path, uninterrupted: list[dict[str, Any]]) -> None:
    """SIGKILL in the middle costs at most the report of the epoch that was saved last; the numbers stay the same."""
    options = {"epochs": 4, "dataset_path": text, "st_checkpoint_dir": tmp_path / "saved"}
    with _started(options) as process:
        assert process.stdout is not None
        before = process.stdout.readline() + process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        seen = reports_in(before + process.stdout.read())
    rest = train(options)
    assert len(seen) >= 2
    assert seen == uninterrupted[: len(seen)]
    assert rest == uninterrupted[4 - len(rest) :]
    assert 4 - len(rest) - len(seen) in (0, 1)


def test_half_precision(text: Path, uninterrupted: list[dict[str, Any]]) -> None:
    """It learns as well with multiplications in half precision, and not by the same numbers."""
    half = train({"epochs": 4, "dataset_path": text, "precision": "half"})
    assert half[-1]["val_loss"] == pytest.approx(uninterrupted[-1]["val_loss"], abs=0.1)
    assert half[-1]["val_loss"] != uninterrupted[-1]["val_loss"]


def test_a_model_that_diverges(text: Path) -> None:
    """It reports what it has come to, a perplexity beyond all bounds included, and the trial does not fail."""
    wild = train({"epochs": 1, "dataset_path": text, "lr": 50, "momentum": 0.98, "clip": 1, "d_model": 64})
    assert not wild[0]["val_loss"] < 100  # NaN, too, is what such a model may come to
    assert not wild[0]["val_perplexity"] < 1e40


@pytest.mark.parametrize("variable", ["SM_CHANNEL_WIKITEXT2", "SM_CHANNEL_TRAINING"])
def test_both_names_and_both_channels(tmp_path: Path, variable: str, uninterrupted: list[dict[str, Any]]) -> None:
    """The files may be called as either publisher calls them; an input channel says where they are."""
    folder = write_text(tmp_path / "channel", "wiki.{}.tokens")
    assert train({"epochs": 1}, **{variable: str(folder)})[0]["val_loss"] == uninterrupted[0]["val_loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing says where WikiText-2 lies; get train.txt, valid.txt and test.txt from https://github.com/"),
        ({"dataset_path": "absent"}, "there is no wiki.train.tokens or train.txt in absent; get train.txt, valid.txt"),
        ({"batch_size": 5000}, "words cannot be cut into 5000 columns of at least two; give more text, or a smaller"),
    ],
)
def test_text_that_is_missing(text: Path, options: dict[str, Any], message: str) -> None:
    """One plain line says what is missing and what to do, without a traceback."""
    given = {"dataset_path": text, **options} if "batch_size" in options else options
    with _started({"epochs": 1, **given}) as process:
        _, errors = process.communicate(timeout=280)
    assert process.returncode == 1
    assert message in errors
    assert errors.count("\n") == 1


def test_words_that_training_does_not_have(text: Path, tmp_path: Path) -> None:
    """In the validation text they all count as one, so that trials can be compared whatever stands there."""
    losses = []
    for word in ("unheard", "unseen"):
        folder = tmp_path / word
        folder.mkdir()
        (folder / "train.txt").write_bytes((text / "train.txt").read_bytes())
        (folder / "valid.txt").write_text((text / "valid.txt").read_text().replace("horse", word))
        losses.append(train({"epochs": 1, "dataset_path": folder})[0]["val_loss"])
    assert losses[0] == losses[1]


def test_what_is_tuned() -> None:
    """As the tutorial has it: domains, what is fixed, 40 epochs, 5 hours, 4 workers, a machine with a GPU per trial."""
    defined = transformer_wikitext2()
    assert dict(defined.config_space) == {
        "lr": loguniform(1e-6, 1e-3),
        "dropout": uniform(0.0, 0.99),
        "batch_size": randint(16, 48),
        "momentum": uniform(0.0, 0.99),
        "clip": uniform(0.0, 1.0),
        "epochs": 40,
        "d_model": 256,
        "ffn_ratio": 1,
        "nlayers": 2,
        "nhead": 2,
        "bptt": 35,
        "optimizer_name": "sgd",
        "precision": "float",
        "seed": 1111,
    }
    assert (defined.max_resource_level, defined.max_wallclock_time, defined.n_workers) == (40, 18_000, 4)
    assert (defined.metric, defined.mode, defined.resource_attr) == ("val_loss", "min", "epoch")
    assert (defined.instance_type, defined.local_machine) == ("ml.g4dn.xlarge", "ml.g4dn.12xlarge")


def test_the_script_takes_what_is_tuned_and_what_is_fixed(text: Path) -> None:
    """And learns nothing in an epoch with steps that short; where nothing is said, it does what the benchmark fixes."""
    fixed = dict(transformer_wikitext2().with_constants(epochs=1).config_space)
    tuned = {"lr": 1e-6, "dropout": 0.1, "batch_size": 48, "momentum": 0.5, "clip": 0.0, "dataset_path": text}
    explicit = train({**fixed, **tuned})
    assert explicit == train({**tuned, "epochs": 1, "d_model": 256})
    assert math.log(18) - 0.1 < explicit[0]["val_loss"] < 5


def test_adam(text: Path) -> None:
    """The tutorial's other optimiser learns with steps that the benchmark's domain has."""
    losses = [
        row["val_loss"] for row in train({"epochs": 4, "dataset_path": text, "lr": 1e-3, "optimizer_name": "adam"})
    ]
    assert losses == sorted(losses, reverse=True)


def _short() -> Any:
    return transformer_wikitext2().with_constants(epochs=2, d_model=16)


def test_a_cell_of_a_study_here(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trials find the text in the folder that CLOUDTUNE_DATA names; the better one of two is promoted."""
    monkeypatch.setenv("CLOUDTUNE_DATA", str(text.parent))
    settings = CellSettings(backend="local", max_num_trials_started=3, extra={"reduction_factor": 2})
    tuners = CellTuners(Catalogue({"transformer_wikitext2": _short}), settings)
    tuner = tuners.tuner(Cell("short", "transformer_wikitext2", "ASHA", 1, 0))
    tuner.run()
    results = load_experiment(tuner.name).results
    assert list(zip(results["epoch"], results["trial_id"], strict=True))[:2] == [(1, 0), (1, 1)]
    assert list(results["epoch"][2:]) == [2, 1]
    assert results["val_loss"].notna().all()


def test_text_that_is_missing_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where to get it, where to put it, and how to name another place."""
    monkeypatch.setenv("CLOUDTUNE_DATA", str(tmp_path))
    tuners = CellTuners(Catalogue({"transformer_wikitext2": _short}), CellSettings(backend="local"))
    with pytest.raises(InputMissing) as raised:
        tuners.tuner(Cell("short", "transformer_wikitext2", "RS", 1, 0))
    message = str(raised.value)
    assert f"reads its data from {tmp_path / 'wikitext-2'}, which is not there; get train.txt, valid.txt" in message
    assert "or set CLOUDTUNE_DATA to the folder, or the s3:// prefix, in which" in message
