"""All results of an experiment in one object: what is written comes back, and what is damaged does not."""

from __future__ import annotations

import json
import pickle
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.errors import NewerFormat
from cloudtune.store.results import ResultsTable
from cloudtune.store.results_object import (
    DamagedResults,
    Heading,
    PackedTable,
    ResultsObject,
    running_object,
    table_object,
)
from tests.store.tables import VALUES, all_of, exactly, tables

TABLE = ResultsTable(
    {"trial_id": [0, 1, 0], "loss": [0.5, float("nan"), None], "mode": ["a", "b", "a"]},
    {"config_lr": [0.1, 0.2], "config_layers": [[1, 2], None]},
    [0, 1, 0],
)
METADATA = {"metric_names": ["loss"], "seed": 3, "nothing": None}


def heading(**more: Any) -> Heading:
    return Heading(**{"name": "demo", "state": "finished", "epoch": 2, "entries": 17, "rows": 3, **more})


def written(table: ResultsTable = TABLE, **more: Any) -> bytes:
    return table_object(heading(rows=len(table.config_of_row), **more), PackedTable.of(table), METADATA)


def read(data: bytes, name: str = "demo") -> ResultsObject:
    return ResultsObject(data, name, "s3://data/demo.table")


@given(tables())
def test_any_table_comes_back_as_it_was(table: ResultsTable) -> None:
    """Each value has its type: an int is no float, True is not 1, NaN is NaN, None is None, a list is a list."""
    back = read(written(table))
    assert all_of(back.table().unpacked()) == all_of(table)
    assert back.heading.rows == back.table().rows == len(table.config_of_row)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_any_metadata_come_back_as_they_were(metadata: dict[str, Any]) -> None:
    """They are JSON, as in metadata.json."""
    assert exactly(read(table_object(heading(), PackedTable.of(TABLE), metadata)).metadata) == exactly(metadata)


def test_what_it_says_of_itself() -> None:
    """Without unpacking anything: whose results they are, how it ended, of how many entries of the log."""
    back = read(written())
    assert back.heading == heading()
    assert back.is_whole
    assert back.metadata == METADATA


def test_while_the_experiment_runs() -> None:
    """The object says so, and has no table: whoever reads it turns to the log."""
    back = read(running_object("demo", 3, 40))
    assert not back.is_whole
    assert back.heading == Heading("demo", "running", 3, 40, None)
    assert back.metadata == {}


@given(st.data())
def test_no_damage_goes_unnoticed(data: st.DataObject) -> None:
    """Whatever is cut off or changed behind the first line, nothing wrong is read, and no error is an accident."""
    whole = written()
    start = whole.index(b"\n") + 1
    if data.draw(st.booleans()):
        bad = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        position = data.draw(st.integers(start, len(whole) - 1))
        bad = whole[:position] + bytes([whole[position] ^ data.draw(st.integers(1, 255))]) + whole[position + 1 :]
    with pytest.raises(DamagedResults):
        read(bad)


@given(st.binary(max_size=200))
def test_bytes_of_something_else(data: bytes) -> None:
    """They are refused as no results, whatever they are."""
    with pytest.raises(DamagedResults):
        read(data)


def changed(data: bytes, **first: Any) -> bytes:
    """The object with another first line."""
    line, _, body = data.partition(b"\n")
    return json.dumps({**json.loads(line), **first}).encode() + b"\n" + body


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"name": "other"}, "holds the results of experiment 'other'"),
        ({"sizes": [1]}, "cut off or changed"),
        ({"sizes": "much"}, "first line that does not fit"),
        ({"sizes": []}, "cut off or changed|does not fit"),
        ({"sha256": None}, "cut off or changed"),
        ({"results_format": "1"}, "no table of results"),
    ],
)
def test_a_first_line_that_does_not_fit(first: dict[str, Any], said: str) -> None:
    """It is told how; so is the object of another experiment under this name."""
    with pytest.raises(DamagedResults, match=said):
        read(changed(written(), **first))


def test_a_newer_format() -> None:
    """It is refused with the way out."""
    with pytest.raises(NewerFormat, match=r"s3://data/demo\.table .*cloudtune 9\.0 .*pip install --upgrade cloudtune"):
        read(changed(written(), results_format=2, version="9.0"))


def made(described: object, body: bytes, rows: int = 3) -> bytes:
    """An object whose digest is right and whose content somebody made up."""
    import hashlib

    head, packed = zlib.compress(json.dumps(described).encode()), zlib.compress(body)
    first = json.loads(written().partition(b"\n")[0])
    digest = hashlib.sha256(head + packed).hexdigest()
    sizes = [len(head), len(packed)]
    return json.dumps({**first, "rows": rows, "sizes": sizes, "sha256": digest}).encode() + b"\n" + head + packed


@pytest.mark.parametrize(
    "column",
    [
        ["float", False, 0, 24, 0],
        ["float", True, 1, 800, 0],
        ["int", False, 0, 9, 0],
        ["text", False, 0, 3, 2],
        ["json", False, 0, 2, 0],
        ["json", False, 0, -4, 0],
        ["object", False, 0, 3, 0],
        ["float", False],
        "float",
        None,
    ],
)
def test_columns_that_somebody_made_up(column: Any) -> None:
    """Sizes and kinds that do not fit the bytes are told as damage; memory outside of them is never read."""
    described = {
        "metadata": {},
        "columns": [["a", column]],
        "configs": 1,
        "config": [],
        "config_of_row": ["int", False, 0, 3, 0],
    }
    with pytest.raises(DamagedResults):
        read(made(described, b"[]\x00\x01\x02")).table()


def test_columns_that_are_not_there() -> None:
    """A description without the parts of a table is damage as well."""
    with pytest.raises(DamagedResults, match="metadata"):
        _ = read(made([1], b"")).metadata
    with pytest.raises(DamagedResults, match="does not fit"):
        read(made({"metadata": {}}, b"")).table()
    config = [["config_x", ["int", False, 0, 1, 0]]]
    of_row = ["int", False, 0, 3, 0]
    described = {"metadata": {}, "columns": [], "configs": 1, "config": config, "config_of_row": of_row}
    assert read(made(described, b"\x07\x00\x00\x00")).table().config["config_x"].tolist() == [7]
    with pytest.raises(DamagedResults, match="configurations that it does not have"):
        read(made(described, b"\x07\x00\x01\x00")).table()


class Trap:
    """Fails the test where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return pytest.fail, ("something was unpickled",)


def test_nothing_is_unpickled() -> None:
    """A pickle in place of the object, or of a part of it, is only bytes."""
    trap = pickle.dumps(Trap())
    with pytest.raises(DamagedResults):
        read(trap)
    described = {
        "metadata": {},
        "columns": [["a", ["json", False, 0, len(trap), 0]]],
        "configs": 1,
        "config": [],
        "config_of_row": ["int", False, 0, 3, 0],
    }
    with pytest.raises(DamagedResults):
        read(made(described, trap + b"\x00\x00\x00")).table()
