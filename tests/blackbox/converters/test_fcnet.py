"""FCNet: a tiny HDF5 file in the published form."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cloudtune.blackbox.converters import converter
from cloudtune.blackbox.converters.published import MissingLibrary, NoPublishedFile, UnknownForm

convert = converter("fcnet").convert

CONFIG: dict[str, Any] = {
    "activation_fn_1": "tanh",
    "activation_fn_2": "relu",
    "batch_size": 8,
    "dropout_1": 0.0,
    "dropout_2": 0.6,
    "init_lr": 0.0005,
    "lr_schedule": "cosine",
    "n_units_1": 16,
    "n_units_2": 512,
}


def curves(number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Four trainings of 100 epochs."""
    return number + np.arange(4.0)[:, np.newaxis] + 1.0 / np.arange(1, 101)


def published(file: Path, error: str = "mse") -> Path:
    """Two configurations, as they are published."""
    with h5py.File(file, "w") as opened:
        for number, units in enumerate((16, 32)):
            group = opened.create_group(json.dumps({**CONFIG, "n_units_1": units}, sort_keys=True))
            group[f"valid_{error}"] = curves(number)
            group[f"train_{error}"] = 2 * curves(number)
            group["valid_loss"] = curves(number)
            group["runtime"] = 100.0 * np.arange(1, 5)
            group["final_test_error"] = np.arange(4.0)
            group["n_params"] = 4 * [1000]
    return file


def test_file_becomes_a_table(tmp_path: Path) -> None:
    """All four trainings are there, and the time of each is spread over its epochs."""
    published(tmp_path / "fcnet_protein_structure_data.hdf5")
    ((name, table),) = convert(tmp_path)
    assert name == "protein_structure"
    assert table.metrics == ("valid_mse", "train_mse")
    assert (table.num_configs, table.num_seeds, table.max_resource) == (2, 4, 100)
    curve = table.curve({**CONFIG, "n_units_1": 32}, seed=2)
    np.testing.assert_allclose(curve.metrics["valid_mse"], curves(1)[2], rtol=1e-6)
    np.testing.assert_allclose(curve.metrics["train_mse"], 2 * curves(1)[2], rtol=1e-6)
    np.testing.assert_allclose(curve.elapsed, 3.0 * np.arange(1, 101))


def test_other_error_is_found(tmp_path: Path) -> None:
    """The year prediction data have an absolute error; one problem of several can be had alone."""
    published(tmp_path / "fcnet_year_prediction_data.hdf5", "mae")
    published(tmp_path / "fcnet_naval_propulsion_data.hdf5")
    ((name, table),) = convert(tmp_path, ["year_prediction"])
    assert (name, table.metrics) == ("year_prediction", ("valid_mae", "train_mae"))
    assert [name for name, _ in convert(tmp_path)] == ["naval_propulsion", "year_prediction"]


def test_wrong_files_are_named(tmp_path: Path) -> None:
    """A missing file is named with its place; so is one that is no HDF5, or has other groups."""
    with pytest.raises(NoPublishedFile, match=r"no fcnet_\*\.hdf5 in .*; download fcnet_tabular_benchmarks\.tar\.gz"):
        next(convert(tmp_path))
    file = tmp_path / "fcnet_x_data.hdf5"
    file.write_text("nothing")
    with pytest.raises(UnknownForm, match=r"fcnet_x_data\.hdf5 is not in the published form"):
        next(convert(file))
    with h5py.File(file, "w") as opened:
        opened.create_group(json.dumps(CONFIG))["something"] = [1.0]
    with pytest.raises(UnknownForm, match="no groups with a data set valid_mse"):
        next(convert(file))


def test_library_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without h5py the message holds the line to type."""
    file = published(tmp_path / "fcnet_protein_structure_data.hdf5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingLibrary, match=r"converting FCNet needs h5py, .*: pip install h5py"):
        next(convert(file))
