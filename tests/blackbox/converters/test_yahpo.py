"""YAHPO Gym: a surrogate asked as it is published, and a table of its answers."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune.backend.simulator_backend import SimulatorBackend
from cloudtune.blackbox.blackbox import NotInTable
from cloudtune.blackbox.converters import converter
from cloudtune.blackbox.converters.published import MissingLibrary, NoPublishedFile, UnknownForm
from cloudtune.blackbox.converters.yahpo import YahpoSurrogate
from cloudtune.blackbox.converters.yahpo_scenarios import SCENARIOS
from cloudtune.blackbox.curve_checks import WrongCurve
from cloudtune.config_space import lograndint, loguniform, sample_config, uniform
from cloudtune.trial import Trial
from tests.backend.simulator.driving import opened
from tests.blackbox.converters.tiny_onnx import linear_model

TASKS = ["3945", "7593"]


def parameter(name: str, kind: str, lower: float, upper: float, log: bool = False) -> dict[str, Any]:
    """A parameter as a file of ConfigSpace has it."""
    return {"name": name, "type": kind, "log": log, "lower": lower, "upper": upper, "default": lower}


def categorical(name: str, choices: list[str]) -> dict[str, Any]:
    """A categorical parameter as a file of ConfigSpace has it."""
    return {"name": name, "type": "categorical", "choices": choices, "default": choices[0], "probabilities": None}


def published(
    folder: Path,
    parameters: list[dict[str, Any]],
    weights: dict[str, list[float]],
    conditions: list[dict[str, Any]] | None = None,
    targets: int | None = None,
) -> Path:
    """The files of a scenario. Each target is a weighted sum of the inputs, weights given by input."""
    folder.mkdir()
    scenario = SCENARIOS[folder.name]
    space = {
        "hyperparameters": parameters,
        "conditions": conditions or [],
        "forbiddens": [],
        "python_module_version": "0.4.18",
        "json_format_version": 0.2,
    }
    (folder / "config_space.json").write_text(json.dumps(space))
    encoding = {
        each["name"]: {"#na#": 0} | {name: number for number, name in enumerate(sorted(each["choices"]), start=1)}
        for each in parameters
        if each["type"] == "categorical"
    }
    (folder / "encoding.json").write_text(json.dumps(encoding))
    nothing = [0.0] * (targets or len(scenario.targets))
    model = linear_model(
        np.array([weights.get(name, nothing) for name in scenario.categories], dtype=np.float32),
        np.array([weights.get(name, nothing) for name in scenario.numbers], dtype=np.float32),
        np.zeros(len(nothing), dtype=np.float32),
    )
    (folder / "new_model.onnx").write_bytes(model)
    return folder


@pytest.fixture
def lcbench(tmp_path: Path) -> Path:
    """LCBench's scenario with five epochs. Time is 10 s an epoch; accuracy is epochs plus the number of the task."""
    parameters = [
        categorical("OpenML_task_id", TASKS),
        parameter("batch_size", "uniform_int", 16, 512, log=True),
        parameter("epoch", "uniform_int", 1, 5),
        parameter("learning_rate", "uniform_float", 1e-4, 1e-1, log=True),
        parameter("max_dropout", "uniform_float", 0.0, 1.0),
        parameter("max_units", "uniform_float", 64.0, 1024.0, log=True),
        parameter("momentum", "uniform_float", 0.1, 0.99),
        parameter("num_layers", "uniform_int", 1, 5),
        parameter("weight_decay", "uniform_float", 1e-5, 0.1),
    ]
    weights = {
        "epoch": [10.0, 1.0, 0, 0, 0, 0],
        "OpenML_task_id": [0, 100.0, 0, 0, 0, 0],
        "max_dropout": [0, 0, 1.0, 0, 0, 0],
        "num_layers": [0, 0, 0, 1.0, 0, 0],
    }
    return published(tmp_path / "lcbench", parameters, weights)


def test_surrogate_is_asked_for_every_epoch(lcbench: Path) -> None:
    """Inputs reach the network in its own order, categories by their published codes; time is no metric."""
    surrogate = YahpoSurrogate(lcbench, "7593")
    assert surrogate.metrics == (
        "val_accuracy",
        "val_cross_entropy",
        "val_balanced_accuracy",
        "test_cross_entropy",
        "test_balanced_accuracy",
    )
    assert surrogate.max_resource == 5
    assert "epoch" not in surrogate.config_space
    assert "OpenML_task_id" not in surrogate.config_space
    assert surrogate.config_space["batch_size"] == lograndint(16, 512)
    assert surrogate.config_space["learning_rate"] == loguniform(1e-4, 1e-1)
    assert surrogate.config_space["max_dropout"] == uniform(0.0, 1.0)
    config = {**sample_config(surrogate.config_space, np.random.default_rng(0)), "max_dropout": 0.25, "num_layers": 3}
    curve = surrogate.curve({**config, "unknown": "ignored"}, seed=7)
    assert curve.resources == [1, 2, 3, 4, 5]
    assert curve.elapsed == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert curve.metrics["val_accuracy"] == [201.0, 202.0, 203.0, 204.0, 205.0]
    assert curve.metrics["val_cross_entropy"] == [0.25] * 5
    assert curve.metrics["val_balanced_accuracy"] == [3.0] * 5


def test_table_holds_the_answers(lcbench: Path) -> None:
    """Each instance becomes a table of configurations drawn at random, the same for the same seed."""
    convert = converter("yahpo").convert
    tables = dict(convert(lcbench, configurations=20))
    assert list(tables) == ["lcbench-3945", "lcbench-7593"]
    table = tables["lcbench-3945"]
    assert table.num_configs == 20
    assert "not recorded runs" in table.about
    surrogate = YahpoSurrogate(lcbench, "3945")
    for row in (0, 19):
        answer, kept = surrogate.curve(table.config_at(row)), table.curve_at(row)
        assert kept.metrics["val_accuracy"] == answer.metrics["val_accuracy"]
        assert kept.elapsed == answer.elapsed
    ((_, again),) = convert(lcbench, ["lcbench-3945"], configurations=20)
    assert again.columns == table.columns
    ((_, other),) = convert(lcbench, ["lcbench-3945"], configurations=20, random_seed=1)
    assert other.columns != table.columns


def test_predicted_times_increase(tmp_path: Path) -> None:
    """A network may predict that time runs backwards; trials of a simulator need it to go on."""
    folder = published(tmp_path / "nb301", nb301_parameters(), {"epoch": [1.0, -3.0]})
    elapsed = YahpoSurrogate(folder).curve(nb301_config()).elapsed
    assert elapsed == pytest.approx([0.001, 0.002, 0.003, 0.004])


def test_a_predicted_time_that_is_not_finite_is_found_where_it_matters(tmp_path: Path) -> None:
    """No lifting makes one of it: the simulator refuses the trial, and the converter the table, each with its words."""
    folder = published(tmp_path / "nb301", nb301_parameters(), {"epoch": [1.0, math.nan]})
    surrogate = YahpoSurrogate(folder)
    assert all(map(math.isnan, surrogate.curve(nb301_config()).elapsed))
    backend = opened(SimulatorBackend(surrogate), surrogate.config_space)
    with pytest.raises(WrongCurve, match=r"YahpoSurrogate .* the time nan at report 0 is not finite"):
        backend.start_trial(Trial(0, nb301_config()))
    with pytest.raises(ValueError, match="elapsed: the time nan at row 0, seed 0, report 0"):
        list(converter("yahpo").convert(folder, configurations=2))


def test_parameters_without_effect_are_passed_over(tmp_path: Path) -> None:
    """Where a condition is not met, the network is told that the parameter is not there, as when it was fitted."""
    child, parent = SCENARIOS["nb301"].categories[2], SCENARIOS["nb301"].categories[28]
    condition = {"child": child, "parent": parent, "type": "IN", "values": ["0_1", "0_2"]}
    folder = published(tmp_path / "nb301", nb301_parameters(), {child: [1.0, 0.0], "epoch": [0.0, 1.0]}, [condition])
    surrogate = YahpoSurrogate(folder)
    effective = surrogate.curve(nb301_config(**{parent: "0_2", child: "skip_connect"}))
    passed_over = surrogate.curve(nb301_config(**{parent: "1_2", child: "skip_connect"}))
    assert effective.metrics["val_accuracy"] == [2.0] * 4
    assert passed_over.metrics["val_accuracy"] == [0.0] * 4
    assert [name for name, _ in converter("yahpo").convert(folder, configurations=3)] == ["nb301"]


def nb301_parameters() -> list[dict[str, Any]]:
    """Of NASBench301's scenario, shortened to four epochs."""
    categories = [
        categorical(name, ["0_1", "0_2", "1_2"] if "inputs" in name else ["max_pool_3x3", "skip_connect"])
        for name in SCENARIOS["nb301"].categories
    ]
    return [*categories, parameter("epoch", "uniform_int", 1, 4), categorical("dataset", ["CIFAR10"])]


def nb301_config(**changed: str) -> dict[str, str]:
    """A configuration of it."""
    first = {name: "0_1" if "inputs" in name else "max_pool_3x3" for name in SCENARIOS["nb301"].categories}
    return {**first, **changed}


def test_configurations_that_do_not_fit_are_named(lcbench: Path) -> None:
    """A missing parameter, and a value that is no number, are refused with their names."""
    surrogate = YahpoSurrogate(lcbench, "3945")
    config = sample_config(surrogate.config_space, np.random.default_rng(0))
    with pytest.raises(NotInTable, match="no parameter 'batch_size'"):
        surrogate.curve({name: value for name, value in config.items() if name != "batch_size"})
    with pytest.raises(NotInTable, match="'many'"):
        surrogate.curve({**config, "batch_size": "many"})


def test_wrong_files_are_named(lcbench: Path, tmp_path: Path) -> None:
    """Other scenarios, unknown instances, missing files and models of another release are refused with the remedy."""
    with pytest.raises(ValueError, match=r"rbv2_svm is not .* learning curves; these are lcbench, nb301"):
        next(converter("yahpo").convert(tmp_path / "rbv2_svm"))
    with pytest.raises(ValueError, match="no data set 'lcbench-1'"):
        next(converter("yahpo").convert(lcbench, ["lcbench-1"]))
    with pytest.raises(ValueError, match="no instance '1'; choose one of 3945, 7593"):
        YahpoSurrogate(lcbench, "1")
    folder = published(tmp_path / "nb301", nb301_parameters(), {}, targets=4)
    with pytest.raises(UnknownForm, match=r"it predicts \(4,\) targets, not 2"):
        YahpoSurrogate(folder).curve(nb301_config())
    (folder / "new_model.onnx").write_text("no model")
    with pytest.raises(UnknownForm, match=r"new_model\.onnx is not in the published form"):
        YahpoSurrogate(folder)
    (folder / "new_model.onnx").unlink()
    with pytest.raises(NoPublishedFile, match=r"no new_model\.onnx in .* download .*yahpo_data/releases"):
        YahpoSurrogate(folder)


def test_library_is_asked_for(lcbench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnxruntime the message holds the line to type."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingLibrary, match="pip install onnxruntime"):
        YahpoSurrogate(lcbench, "3945")


def test_unknown_parameter_types_are_refused(lcbench: Path) -> None:
    """A space with something that the scenarios do not have is not guessed at."""
    space = json.loads((lcbench / "config_space.json").read_text())
    space["hyperparameters"][1]["type"] = "normal_float"
    (lcbench / "config_space.json").write_text(json.dumps(space))
    with pytest.raises(UnknownForm, match="'batch_size' has the unknown type 'normal_float'"):
        YahpoSurrogate(lcbench, "3945")
