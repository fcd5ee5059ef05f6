"""LCBench: a tiny file in the published form, 52 logged values with the first before training."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune.blackbox.converters import converter
from cloudtune.blackbox.converters.published import NoPublishedFile, UnknownForm

convert = converter("lcbench").convert


def run(number: int) -> dict[str, Any]:
    """A published training. After each epoch, the accuracy is the epoch plus the number of the run."""
    epochs = list(range(52))
    log = {
        "time": [0.5 + 2.0 * epoch for epoch in epochs],
        "epoch": epochs,
        "Train/loss": [0.0 for _ in epochs],
        "Train/train_accuracy": [0.0 for _ in epochs],
        "Train/val_accuracy": [float(epoch + number) for epoch in epochs],
        "Train/val_cross_entropy": [1.0 / (epoch + 1) for epoch in epochs],
        "Train/val_balanced_accuracy": [50.0 for _ in epochs],
        "Train/test_result": [float(epoch) for epoch in epochs],
        "Train/lr": [0.1 for _ in epochs],
    }
    config = {
        "batch_size": 16 + number,
        "imputation_strategy": "mean",
        "learning_rate_scheduler": "cosine_annealing",
        "network": "shapedmlpnet",
        "max_dropout": 0.0090,
        "optimizer": "sgd",
        "max_units": 106,
        "num_layers": 3,
        "learning_rate": 0.10000000000000002,
        "momentum": 0.46,
        "weight_decay": 0.0018,
    }
    return {"config": config, "log": log, "results": {"OpenML_task_id": 189908, "final_val_accuracy": 1.0}}


def published(*names: str) -> str:
    """The text of a published file: three runs, whose numbers do not sort as text."""
    return json.dumps({name: {str(number): run(number) for number in (10, 2, 0)} for name in names})


def test_zip_becomes_tables(tmp_path: Path) -> None:
    """Epochs 1 to 50 are kept, in the order of the runs' numbers, with the recorded times; rounded bounds are met."""
    with zipfile.ZipFile(tmp_path / "six_datasets_lw.zip", "w") as archive:
        archive.writestr("six_datasets_lw.json", published("Fashion-MNIST", "adult"))
    tables = dict(convert(tmp_path))
    assert list(tables) == ["Fashion-MNIST", "adult"]
    table = tables["adult"]
    assert table.columns["batch_size"] == (16, 18, 26)
    assert table.columns["learning_rate"] == (0.1, 0.1, 0.1)
    assert table.metrics == ("val_accuracy", "val_balanced_accuracy", "val_cross_entropy", "test_accuracy")
    curve = table.curve_at(1)
    assert curve.resources == list(range(1, 51))
    assert curve.metrics["val_accuracy"] == [float(epoch + 2) for epoch in range(1, 51)]
    assert curve.elapsed == pytest.approx([0.5 + 2.0 * epoch for epoch in range(1, 51)])
    assert "figshare" in table.about


def test_one_data_set_of_a_plain_file(tmp_path: Path) -> None:
    """The unpacked file does as well, and one data set can be had alone."""
    file = tmp_path / "data_2k_lw.json"
    file.write_text(published("higgs", "adult"))
    ((name, table),) = convert(file, ["adult"])
    assert name == "adult"
    assert table.values.shape == (3, 1, 50, 4)
    assert np.isfinite(table.values).all()
    with pytest.raises(ValueError, match="no data set 'iris'; these files have higgs, adult"):
        next(convert(file, ["iris"]))


def test_wrong_files_are_named(tmp_path: Path) -> None:
    """A missing file, a .zip without JSON, other JSON, and values that cannot be, are refused with their names."""
    with pytest.raises(NoPublishedFile, match=r"download six_datasets_lw\.zip .* from https://figshare"):
        next(convert(tmp_path))
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(UnknownForm, match=r"empty\.zip is not in the published form \(there is no \.json in it\)"):
        next(convert(tmp_path / "empty.zip"))
    (tmp_path / "other.json").write_text('{"adult": {"0": {"config": {}}}}')
    with pytest.raises(UnknownForm, match="data set adult: 'log'"):
        next(convert(tmp_path / "other.json"))
    wrong = json.loads(published("adult"))
    wrong["adult"]["2"]["config"]["learning_rate"] = 3.0
    (tmp_path / "other.json").write_text(json.dumps(wrong))
    with pytest.raises(UnknownForm, match="parameter 'learning_rate'"):
        next(convert(tmp_path / "other.json"))
