"""Tables of learning curves: what they give back, what they refuse, and how they are kept in a file."""

from __future__ import annotations

import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cloudtune.blackbox.blackbox import NotInTable
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.blackbox.table_file import DamagedTable
from cloudtune.blackbox.time_model import ConstantTime
from cloudtune.config_space import ConfigSpaceError, choice, uniform
from cloudtune.errors import NewerFormat
from cloudtune.optimizer.searchers import RandomSearcher
from tests.blackbox.small_tables import SPACE, small_table, table_arguments


def test_curve_is_the_row_of_its_configuration() -> None:
    """A configuration gets its own row and the seed asked for, modulo the seeds there are; constants do not matter."""
    table, arguments = small_table(), table_arguments()
    for row in range(table.num_configs):
        curve = table.curve({**table.config_at(row), "epochs": 27}, seed=3)
        assert curve.resources == [1, 2, 3, 4, 5]
        assert curve.metrics["loss"] == arguments["values"][row, 1, :, 0].tolist()
        assert curve.metrics["accuracy"] == arguments["values"][row, 1, :, 1].tolist()
        assert curve.elapsed == arguments["elapsed"][row, 1].tolist()


def test_data_frame_does_as_well_as_a_dictionary() -> None:
    """Configurations may come as a data frame, in any order of columns, with numpy's numbers in it."""
    frame = pd.DataFrame(table_arguments()["configs"])[["kind", "x", "width"]]
    table = small_table(configs=frame)
    assert [table.config_at(row) for row in range(6)] == [small_table().config_at(row) for row in range(6)]
    assert type(table.config_at(0)["width"]) is int
    assert table.configs.to_dict("list") == table_arguments()["configs"]


def test_not_finite_values_stay() -> None:
    """NaN and infinite metric values are given back as they are."""
    values = table_arguments()["values"]
    values[2, 0, 1, 0], values[2, 0, 3, 0] = math.nan, math.inf
    losses = np.array(small_table(values=values).curve_at(2).metrics["loss"], dtype=np.float64)
    assert np.isnan(losses).tolist() == [False, True, False, False, False]
    assert np.isinf(losses).tolist() == [False, False, False, True, False]


def test_configuration_outside_is_named() -> None:
    """A configuration that the table lacks is refused with the way to a surrogate; so is one without a parameter."""
    table = small_table()
    with pytest.raises(NotInTable, match=r"'x': 0\.123.* not among the 6 .*add_surrogate"):
        table.curve({"x": 0.123, "width": 1, "kind": "a"})
    with pytest.raises(NotInTable, match="no parameter 'kind'"):
        table.curve({"x": 0.123, "width": 1})


def test_constant_time() -> None:
    """Where no times were recorded, a stated model gives them: start-up and so many seconds for each resource."""
    table = small_table(elapsed=None, time_model=ConstantTime(30, startup_seconds=5), resources=[2, 4, 6, 8, 10])
    assert table.curve_at(0).elapsed == [65, 125, 185, 245, 305]
    assert table.elapsed.shape == (6, 2, 5)


def test_a_table_vouches_for_its_curves() -> None:
    """They were checked as a whole, and are not one by one."""
    assert small_table().curve_at(0).is_sound
    assert small_table(elapsed=None, time_model=ConstantTime(30)).curve_at(0).is_sound


def test_a_copy_finds_its_rows() -> None:
    """What a pickled table leaves out is there again in the copy."""
    table = pickle.loads(pickle.dumps(small_table()))
    assert [table.row_of(table.config_at(row)) for row in range(6)] == list(range(6))


def _changed(name: str, place: Any, value: Any) -> dict[str, Any]:
    array = np.array(table_arguments()[name])
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (_changed("elapsed", (1, 0, 2), math.nan), "time nan at row 1, seed 0, report 2 is not finite"),
        (_changed("elapsed", (1, 0, 2), 1.0), "row 1, seed 0, report 2 is not later"),
        (_changed("elapsed", (1, 0, 0), -1.0), "row 1, seed 0, report 0 is negative"),
        ({"elapsed": np.ones((6, 5))}, r"elapsed must have shape \(n_configs=6, n_seeds=2, n_resources=5\)"),
        ({"values": np.ones((6, 2, 5))}, r"values must have shape .*n_metrics=2\), got \(6, 2, 5\)"),
        ({"values": np.ones((6, 0, 5, 2))}, "no seed"),
        ({"elapsed": None}, "either elapsed"),
        ({"time_model": ConstantTime(1)}, "either elapsed"),
        ({"resources": [1, 2, 2, 3, 4]}, "resources must increase, but 2 at position 2 follows 2"),
        ({"resources": [5, 4, 3, 2, 1]}, "resources must increase"),
        ({"resources": [0, 1, 2, 3, 4]}, "begin at 1"),
        ({"resources": [1, 1.5, 2, 3, 4]}, "whole numbers"),
        ({"resources": [1, 2, 3, 4, math.inf]}, r"resources must be finite and below 2\*\*53, got inf"),
        ({"resources": [1, 2, 3, 4, math.nan]}, "resources must be whole numbers"),
        ({"resources": [1, 2, 3, 4, 2.0**60]}, "resources must be finite and below"),
        ({"resources": np.array([5, 4, 3, 2, 1], dtype=np.uint8)}, "resources must increase, but 4 .* follows 5"),
        ({"resources": [1, 2, 3, 4, 5j]}, "resources must be real numbers, got complex ones"),
        ({"values": np.zeros((6, 2, 5, 2), dtype=complex)}, "values must be real numbers, got complex ones"),
        ({"elapsed": np.zeros((6, 2, 5), dtype=complex)}, "elapsed must be real numbers, got complex ones"),
        ({"elapsed": None, "time_model": ConstantTime(1e308)}, "time_model: the time inf at 2 by .* is not finite; "),
        (
            {"elapsed": None, "time_model": ConstantTime(1e-3, 1e16)},
            r"the time 1e\+16 at 2 by .* is not later than the one before; give it a shorter start-up",
        ),
        ({"resources": []}, "at least one"),
        ({"metrics": []}, "metrics are empty"),
        ({"metrics": ["loss", "epoch"]}, "'epoch' stands twice"),
        ({"metrics": ["loss", "st_loss"]}, "'st_loss' is reserved"),
    ],
)
def test_bad_tables_are_refused(changes: dict[str, Any], message: str) -> None:
    """What cannot be a table of curves is refused in a sentence that names the place."""
    with pytest.raises(ValueError, match=message):
        small_table(**changes)


def test_bad_configurations_are_refused() -> None:
    """Duplicates, values outside their domain, and columns that do not fit the space are named."""
    configs = table_arguments()["configs"]
    twice = {name: [column[0], *column[:1], *column[2:]] for name, column in configs.items()}
    with pytest.raises(ValueError, match=r"rows 0 and 1 are the same configuration.*as seeds"):
        small_table(configs=twice)
    with pytest.raises(ConfigSpaceError, match="row 4, parameter 'x': 7 is not in"):
        small_table(configs={**configs, "x": [*configs["x"][:4], 7, 0.5]})
    with pytest.raises(ConfigSpaceError, match="row 1, parameter 'width': True"):
        small_table(configs={**configs, "width": [1, True, 3, 4, 1, 2]})
    with pytest.raises(ValueError, match="no column for parameter 'kind'"):
        small_table(configs={"x": configs["x"], "width": configs["width"]})
    with pytest.raises(ValueError, match="column 'depth' that is not in the config space"):
        small_table(configs={**configs, "depth": [1] * 6})
    with pytest.raises(ValueError, match="same length"):
        small_table(configs={**configs, "x": configs["x"][:3]})
    with pytest.raises(ConfigSpaceError, match="constant 27"):
        small_table(config_space={**SPACE, "epochs": 27})
    with pytest.raises(ValueError, match="empty"):
        small_table(configs={name: [] for name in configs}, values=np.ones((0, 2, 5, 2)), elapsed=np.ones((0, 2, 5)))


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, "3", None, True, 10**400])
def test_constant_time_is_checked(seconds: Any) -> None:
    """A unit of the resource takes a finite time over 0; the start-up none at the least."""
    with pytest.raises(ValueError, match="seconds_per_resource"):
        ConstantTime(seconds)
    if seconds is True or seconds != 0:
        with pytest.raises(ValueError, match="startup_seconds"):
            ConstantTime(1, seconds)


def test_file_gives_the_table_back(tmp_path: Path) -> None:
    """A saved table is loaded with the same space, configurations, values to the bit, NaN included, and times."""
    values = table_arguments()["values"].astype(np.float32)
    values[2, 0, 1, 0], values[2, 0, 3, 0] = math.nan, -math.inf
    nested = choice([[1, 2], {"a": "ü"}, True, "1"])
    configs = {**table_arguments()["configs"], "kind": [[1, 2], {"a": "ü"}, True, "1", [1, 2], {"a": "ü"}]}
    space = {**SPACE, "kind": nested}
    table = small_table(values=values, config_space=space, configs=configs, about="ours, CC0")
    table.save(tmp_path / "new" / "table.npz")
    loaded = TabularBlackbox.load(tmp_path / "new" / "table.npz")
    assert str(loaded.config_space) == str(table.config_space)
    assert [loaded.config_at(row) for row in range(6)] == [table.config_at(row) for row in range(6)]
    assert [type(value) for value in loaded.columns["kind"]] == [list, dict, bool, str, list, dict]
    np.testing.assert_array_equal(loaded.values, values)
    assert loaded.values.dtype == np.float32
    np.testing.assert_array_equal(loaded.elapsed, table.elapsed)
    assert (loaded.metrics, loaded.resource_attr, loaded.about) == (table.metrics, "epoch", "ours, CC0")
    assert (loaded.max_resource, loaded.num_seeds) == (5, 2)


def test_file_keeps_the_time_model(tmp_path: Path) -> None:
    """A model of the time is kept as such; and the same table gives the same bytes."""
    table = small_table(elapsed=None, time_model=ConstantTime(30, startup_seconds=5))
    table.save(tmp_path / "a.npz")
    TabularBlackbox.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert TabularBlackbox.load(tmp_path / "b.npz").time_model == ConstantTime(30, startup_seconds=5)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_pickled_table_gives_the_same_curves() -> None:
    """A table can go into a tuner's snapshot."""
    table = small_table()
    again = pickle.loads(pickle.dumps(table))
    assert again.curve(table.config_at(3), 1) == table.curve(table.config_at(3), 1)


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("was-executed"),))


def test_loading_never_executes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with pickled objects is refused, and nothing of it runs."""
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "evil.npz", description=np.array([_Attack()], dtype=object))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(_Attack()))
    for name in ("evil.npz", "plain.npz"):
        with pytest.raises(DamagedTable, match=name):
            TabularBlackbox.load(tmp_path / name)
    assert not Path("was-executed").exists()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """A missing, cut, foreign or newer file is told apart in one sentence."""
    with pytest.raises(FileNotFoundError, match="there is no table"):
        TabularBlackbox.load(tmp_path / "absent.npz")
    table = small_table()
    path = tmp_path / "table.npz"
    table.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedTable, match=r"table\.npz"):
        TabularBlackbox.load(path)
    path.write_bytes(b"")
    with pytest.raises(DamagedTable, match=r"table\.npz"):
        TabularBlackbox.load(path)
    np.savez(path, values=np.ones(3))
    with pytest.raises(DamagedTable, match=r"table\.npz"):
        TabularBlackbox.load(path)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data.replace(b'{"format":1', b'{"format":2'))
    with pytest.raises(NewerFormat, match="table format 2"):
        TabularBlackbox.load(path)


def test_table_over_one_parameter_of_one_value() -> None:
    """The smallest table: one configuration, one report."""
    table = TabularBlackbox(
        {"x": uniform(0, 1)}, {"x": [0.5]}, [[[[1.0]]]], ["loss"], [1], "epoch", time_model=ConstantTime(1)
    )
    assert table.curve({"x": 0.5}).metrics == {"loss": [1.0]}


def test_configurations_are_a_plain_list_to_choose_among() -> None:
    """In the order of the table, and as a method takes them: none but these is then asked for, without a surrogate."""
    table = small_table()
    configs = table.configurations()
    assert configs == [table.config_at(row) for row in range(table.num_configs)]
    searcher = RandomSearcher(
        {**table.config_space, "epochs": 5}, random_seed=1, restrict_configurations=table.configurations()
    )
    proposed = list(iter(searcher.next_config, None))
    assert sorted(table.row_of(config) or 0 for config in proposed) == list(range(table.num_configs))
    assert all(table.curve(config).resources == [1, 2, 3, 4, 5] for config in proposed)
