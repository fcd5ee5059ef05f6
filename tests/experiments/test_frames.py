"""Tables of results as data frames, of one experiment and of many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.frames import Part, results_frame, stacked_frame
from cloudtune.store.results import ResultsTable
from cloudtune.store.results_object import Heading, PackedTable, ResultsObject, table_object
from tests.store.tables import tables


@given(tables())
def test_a_frame_has_what_pandas_makes_of_the_values(table: ResultsTable) -> None:
    """Columns, types and values are those that pandas infers; what is None in a configuration stays None."""
    frame = results_frame(table)
    expected = {name: pd.Series(values) for name, values in table.columns.items()}
    for name, values in table.config.items():
        of_rows = pd.Series(values, dtype=object if None in values else None).take(np.array(table.config_of_row, int))
        expected[name] = of_rows.reset_index(drop=True)
    for name, series in expected.items():
        pd.testing.assert_series_equal(frame[name], series, check_names=False)
    assert list(frame.columns) == list(expected)


_COLUMN_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "loss": st.floats(),
    "epoch": st.integers(-5, 5),
    "score": st.floats() | st.integers(-5, 5),
    "ok": st.booleans(),
    "decision": st.sampled_from(["STOP", "CONTINUE"]),
    "note": st.text(st.characters(codec="utf-8"), max_size=3),
    "some": st.none() | st.floats(allow_nan=False),
}
_CONFIG_KINDS = {f"config_{name}": kind for name, kind in _COLUMN_KINDS.items()}
_ADDED: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 5),
    "method": st.sampled_from(["a", "b"]),
    "rate": st.floats(0, 1),
    "loss": st.just(7.0),
}


@st.composite
def parts(draw: st.DrawFn) -> Part:
    """The rows of an experiment, with some columns of each kind, and what is added to them."""
    configs = draw(st.integers(1, 3))
    rows = draw(st.lists(st.integers(0, configs - 1), min_size=1, max_size=4))

    def some(kinds: dict[str, st.SearchStrategy[Any]], count: int) -> dict[str, list[Any]]:
        names = draw(st.lists(st.sampled_from(sorted(kinds)), unique=True))
        return {name: draw(st.lists(kinds[name], min_size=count, max_size=count)) for name in names}

    table = ResultsTable({"trial_id": rows, **some(_COLUMN_KINDS, len(rows))}, some(_CONFIG_KINDS, configs), rows)
    added = {name: draw(_ADDED[name]) for name in draw(st.lists(st.sampled_from(sorted(_ADDED)), unique=True))}
    return Part(PackedTable.of(table), added)


def one_by_one(given_parts: list[Part]) -> pd.DataFrame:
    """What pandas makes of the frames of the experiments, put together."""
    frames = []
    for part in given_parts:
        frame = results_frame(part.table)
        new = {key: value for key, value in part.added.items() if key not in frame.columns}
        frames.append(pd.concat([frame, pd.DataFrame(new, index=frame.index)], axis=1))
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return whole


@given(st.lists(parts(), min_size=1, max_size=4))
def test_many_in_one_are_what_pandas_makes_of_them_one_by_one(given_parts: list[Part]) -> None:
    """The same columns in the same order, the same rows, and NaN where an experiment has no such column."""
    found, expected = stacked_frame(given_parts), one_by_one(given_parts)
    assert list(found.columns) == list(expected.columns)
    for name in found.columns:
        # Of a column that is text here and numbers there, pandas may make this or that type: its values count.
        of_one_type = found[name].dtype == expected[name].dtype
        left, right = (
            (found[name], expected[name])
            if of_one_type
            else (found[name].astype(object), expected[name].astype(object))
        )
        pd.testing.assert_series_equal(left, right, check_names=False)
        if name in ("trial_id", "loss", "epoch", "config_loss", "config_epoch", "config_decision", "method", "ok"):
            assert of_one_type, name


def read_back(table: PackedTable) -> PackedTable:
    """The table as it is read back from bytes, which nobody can change."""
    heading = Heading("demo", "finished", 1, 5, table.rows)
    return ResultsObject(table_object(heading, table, {}), "demo", "demo.table").table()


def test_empty_experiments_among_others() -> None:
    """They cost the others' columns no types; alone they give a table without rows."""
    empty = Part(PackedTable.of(ResultsTable({"trial_id": [], "loss": []}, {"config_x": []}, [])), {"seed": 1})
    full = Part(PackedTable.of(ResultsTable({"trial_id": [0], "loss": [0.5]}, {"config_x": [3]}, [0])), {"seed": 2})
    both = stacked_frame([empty, full])
    assert dict(both.iloc[0]) == {"trial_id": 0, "loss": 0.5, "config_x": 3, "seed": 2}
    assert [str(both[name].dtype) for name in ("loss", "config_x")] == ["float64", "int64"]
    alone = stacked_frame([empty])
    assert (list(alone.columns), len(alone)) == (["trial_id", "loss", "config_x", "seed"], 0)


def test_a_frame_may_be_changed() -> None:
    """What is read of packed bytes belongs to the frame: writing to it works, and changes no other."""
    table = PackedTable.of(ResultsTable({"trial_id": [0, 1], "loss": [0.5, 1.5]}, {"config_x": [1.0, 2.0]}, [0, 1]))
    packed = read_back(table)
    for frame in (results_frame(packed), stacked_frame([Part(packed, {})])):
        for name in frame.columns:
            frame.loc[0, name] = 9
    for frame in (results_frame(packed), stacked_frame([Part(packed, {})])):
        assert list(frame["loss"]) == [0.5, 1.5]
        assert list(frame["config_x"]) == [1.0, 2.0]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**63, 10**30])
def test_whole_numbers_of_any_size(value: int) -> None:
    """None is rounded or wrapped around."""
    table = PackedTable.of(ResultsTable({"trial_id": [0, 1], "n": [value, 1]}, {}, [0, 0]))
    assert list(results_frame(table)["n"]) == [value, 1]
    assert list(stacked_frame([Part(table, {}), Part(table, {})])["n"]) == [value, 1] * 2
