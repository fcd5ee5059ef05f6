"""TaskSet: tiny files in both published forms, and the six tasks themselves where they lie beside the repository."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune.blackbox.converters import converter
from cloudtune.blackbox.converters.published import NoPublishedFile, UnknownForm
from cloudtune.blackbox.converters.taskset import CONFIG_SPACE
from cloudtune.blackbox.table import TabularBlackbox

DATA = Path(__file__).parents[4] / "shared" / "data" / "taskset"
convert = converter("taskset").convert


def run(number: int, valid: list[float]) -> dict[str, Any]:
    """An entry of a published file: one training."""
    hp = {
        "learning_rate": 10.0 ** -(number + 1),
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "l1": 1e-4,
        "l2": 1e-5,
        "linear_decay": 1e-6,
        "exponential_decay": 1e-5,
    }
    curves = {"train": {"loss": valid}, "valid": {"loss": valid}, "test": {"loss": [2 * loss for loss in valid]}}
    return {"hp": hp, **curves}


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task of two trainings with a point before and three during training; the second diverges."""
    file = tmp_path / "rnn.json"
    file.write_text(json.dumps([run(0, [0.7, 0.5, 0.25, 0.125]), run(1, [0.7, 1e18, math.inf, math.nan])]))
    return file


def test_file_becomes_a_table(task: Path) -> None:
    """The point before training is left out, what diverges stays, and the assumed times are those asked for."""
    ((name, table),) = convert(task, seconds_per_step=30.0)
    assert name == "rnn"
    assert table.metrics == ("valid_loss", "test_loss")
    assert table.resource_attr == "step"
    curve = table.curve(run(0, [])["hp"])
    assert curve.resources == [1, 2, 3]
    assert curve.metrics == {"valid_loss": [0.5, 0.25, 0.125], "test_loss": [1.0, 0.5, 0.25]}
    assert curve.elapsed == [30.0, 60.0, 90.0]
    diverged = table.curve(run(1, [])["hp"]).metrics["valid_loss"]
    assert diverged[:2] == [1e18, math.inf]
    assert math.isnan(diverged[2])
    assert "Times are assumed: 30 s per step" in table.about


def test_both_forms_say_the_same(task: Path, tmp_path: Path) -> None:
    """The arrays give the table that the JSON gives, whatever the order of their columns; without a word, a minute."""
    runs = json.loads(task.read_text())
    names = list(reversed(CONFIG_SPACE))
    arrays = {
        "names": np.array(names),
        "configs": np.array([[each["hp"][name] for name in names] for each in runs]),
        "valid": np.array([each["valid"]["loss"] for each in runs], dtype=np.float32),
        "test": np.array([each["test"]["loss"] for each in runs], dtype=np.float32),
    }
    np.savez(tmp_path / "same.npz", **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for flags
    tables = dict(convert(tmp_path))
    assert list(tables) == ["rnn", "same"]
    assert tables["rnn"].columns == tables["same"].columns
    np.testing.assert_allclose(tables["rnn"].values, tables["same"].values, rtol=1e-6)
    assert tables["same"].curve_at(0).elapsed == [60.0, 120.0, 180.0]
    assert [name for name, _ in convert(tmp_path, ["same"])] == ["same"]


def test_wrong_files_are_named(task: Path, tmp_path: Path) -> None:
    """A missing file is named with the place where it is published; so is one that holds something else."""
    with pytest.raises(NoPublishedFile, match=r"nothing at .*absent\.json; download the JSON .*github.*DyHPO"):
        next(convert(tmp_path / "absent.json"))
    with pytest.raises(ValueError, match="no data set 'lstm'; these files have rnn"):
        next(convert(task, ["lstm"]))
    runs = json.loads(task.read_text())
    del runs[1]["hp"]["beta2"]
    task.write_text(json.dumps(runs))
    with pytest.raises(UnknownForm, match=r"rnn\.json is not in the published form \('beta2'\)"):
        next(convert(task))
    task.write_text("{")
    with pytest.raises(UnknownForm, match="not in the published form"):
        next(convert(task))


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 0, "30"])
def test_a_wrong_number_of_seconds_is_not_the_files_fault(task: Path, seconds: Any) -> None:
    """It is named itself: downloading the file again would not help."""
    with pytest.raises(ValueError, match="seconds_per_resource must be a number of seconds over 0, got "):
        next(convert(task, seconds_per_step=seconds))


def test_arrays_are_not_unpickled(tmp_path: Path) -> None:
    """A file of arrays that hides Python objects is refused."""
    names = np.array(list(CONFIG_SPACE), dtype=object)
    np.savez(tmp_path / "objects.npz", names=names)
    with pytest.raises(UnknownForm, match="allow_pickle=False"):
        next(convert(tmp_path / "objects.npz"))


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded tasks do not lie beside the repository")
@pytest.mark.parametrize(
    ("task_name", "not_finite"),
    [
        ("imdb_patch128_LSTM128_avg_bs64", 84),
        ("imdb_patch128_LSTM128_embed128_bs64", 78),
        ("imdb_patch32_GRU64_avg_bs128", 0),
        ("imdb_patch32_IRNN64_relu_last_bs128", 245),
        ("imdb_patch32_LSTM128_bs128", 3),
        ("imdb_patch32_VRNN64_relu_avg_bs128", 171),
    ],
)
def test_recorded_tasks(task_name: str, not_finite: int, tmp_path: Path) -> None:
    """All thousand configurations of each task are in its table, those with NaN and infinite losses too."""
    ((name, table),) = convert(DATA, [task_name])
    assert name == task_name
    assert table.num_configs == 1000
    assert table.max_resource == 50
    with np.load(DATA / f"{task_name}.npz", allow_pickle=False) as recorded:
        valid, configs, names = recorded["valid"], recorded["configs"], recorded["names"].tolist()
    np.testing.assert_array_equal(table.values[:, 0, :, 0], valid[:, 1:])
    assert int((~np.isfinite(table.values[..., 0])).any(axis=(1, 2)).sum()) == not_finite
    row = 123
    asked = dict(zip(names, configs[row].tolist(), strict=True))
    np.testing.assert_array_equal(table.curve(asked).metrics["valid_loss"], valid[row, 1:])
    table.save(tmp_path / "task.npz")
    np.testing.assert_array_equal(TabularBlackbox.load(tmp_path / "task.npz").values, table.values)
