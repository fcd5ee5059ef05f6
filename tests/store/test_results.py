"""The table of results, written and read."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.frames import results_frame
from cloudtune.store.results import read_results, write_results
from cloudtune.store.results_rows import Columns
from cloudtune.store.store import Entry
from tests.contracts.store_contract import report, suggest


def csv_text(*blocks: list[Entry], columns: Columns | None = None) -> str:
    file = io.BytesIO()
    rows = write_results(lambda: blocks, file, columns or Columns())
    with zipfile.ZipFile(file) as archive:
        text = archive.read("results.csv").decode()
    assert rows == len(read_results(blocks).config_of_row)
    return text


def lines(*blocks: list[Entry]) -> list[str]:
    return csv_text(*blocks).splitlines()


def test_columns_stand_in_order_of_appearance() -> None:
    """Standard columns first, then metrics, then the configuration; a metric that comes late gets a column too."""
    assert lines(
        [suggest(0, lr=0.1, layers=2)],
        [report(0, metrics={"loss": 0.5, "st_worker_time": 1.5})],
        [report(1, metrics={"late": 7, "loss": 0.25}, decision="STOP", status="Stopping")],
    ) == [
        "trial_id,st_decision,st_status,st_tuner_time,loss,st_worker_time,late,config_lr,config_layers",
        "0,CONTINUE,InProgress,0.0,0.5,1.5,,0.1,2",
        "0,STOP,Stopping,0.5,0.25,,7,0.1,2",
    ]


def test_replays_and_late_reports_do_not_count() -> None:
    """What the scheduler has seen before, or came after a pause was decided, is in the log but not in the results."""
    blocks = [report(0), report(1, replay=True), report(2, late=True), report(3, replay=False, late=False)]
    assert len(lines(blocks)) == 3


def test_a_row_has_the_configuration_of_its_attempt() -> None:
    """A trial that is resumed with a new configuration keeps the old one in its earlier rows."""
    blocks = [
        suggest(0, lr=1.0),
        report(0, metrics={"loss": 1}),
        {**suggest(0, lr=2.0), "attempt": 1},
        report(1, metrics={"loss": 2}, attempt=1),
        suggest(1, lr=3.0),
        report(2, metrics={"loss": 3}, attempt=1),
    ]
    assert [line.split(",")[-2:] for line in lines(blocks)[1:]] == [["1", "1.0"], ["2", "2.0"], ["3", "2.0"]]
    assert list(results_frame(read_results([blocks]))["config_lr"]) == [1.0, 2.0, 2.0]


def test_unusual_values() -> None:
    """NaN and infinity by name, lists and dicts as JSON, None as nothing, text quoted."""
    metrics = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": [1, 2], "e": {"x": None}, "f": None, "g": 'x,"y"\n'}
    (table,) = pd.read_csv(io.StringIO(csv_text([report(0, metrics=metrics)]))).to_dict("records")
    assert csv_text([report(0, metrics=metrics)]).split("\n", 1)[1] == (
        '0,CONTINUE,InProgress,0.0,nan,inf,-inf,"[1, 2]","{""x"": null}",,"x,""y""\n"\n'
    )
    assert math.isnan(table["a"])
    assert table["b"] == math.inf
    assert table["g"] == 'x,"y"\n'


def test_a_metric_never_hides_a_column_of_ours() -> None:
    """A script that reports ``trial_id`` or ``config_lr`` does not spoil the table."""
    blocks = [suggest(0, lr=0.1), report(0, metrics={"trial_id": 99, "config_lr": 99, "loss": 1})]
    assert lines(blocks)[1] == "0,CONTINUE,InProgress,0.0,1,0.1"
    assert results_frame(read_results([blocks])).to_dict("records") == [
        {
            "trial_id": 0,
            "st_decision": "CONTINUE",
            "st_status": "InProgress",
            "st_tuner_time": 0.0,
            "loss": 1,
            "config_lr": 0.1,
        }
    ]


def test_columns_are_remembered_between_writes() -> None:
    """A second table with what the first has taught reads the log once; a new column makes it read twice more."""
    columns, reads = Columns(), 0
    blocks = [[suggest(0, lr=0.1), report(0)]]

    def read() -> list[list[Entry]]:
        nonlocal reads
        reads += 1
        return blocks

    write_results(read, io.BytesIO(), columns)
    reads = 0
    write_results(read, io.BytesIO(), columns)
    assert reads == 1
    blocks.append([report(1, metrics={"new": 1})])
    write_results(read, io.BytesIO(), columns)
    assert reads == 4


def test_an_experiment_without_reports() -> None:
    """The table is empty and has the standard columns, written and read."""
    standard = ["trial_id", "st_decision", "st_status", "st_tuner_time"]
    assert lines() == [",".join(standard)]
    frame = results_frame(read_results([]))
    assert list(frame.columns) == standard
    assert frame.empty


def test_types_survive() -> None:
    """Counts stay whole numbers where all rows have them; a configuration that is None somewhere keeps its type."""
    blocks = [
        suggest(0, width=32, act="relu", depth=None, big=2**70),
        suggest(1, width=64, act="tanh", depth=3, big=1),
        report(0, metrics={"epoch": 1, "flag": True, "some": 1}),
        report(10, metrics={"epoch": 2, "flag": False, "shape": [1, 2]}),
    ]
    frame = results_frame(read_results([blocks]))
    assert frame["epoch"].dtype == "int64"
    assert frame["flag"].dtype == bool
    assert frame["config_width"].dtype == "int64"
    assert list(frame["config_act"]) == ["relu", "tanh"]
    assert list(frame["config_depth"]) == [None, 3]
    assert type(frame["config_depth"][1]) is int
    assert list(frame["config_big"]) == [2**70, 1]
    assert math.isnan(frame["some"][1])
    assert frame["shape"][1] == [1, 2]


_NUMBERS = st.floats() | st.integers(min_value=-(2**53), max_value=2**53)
_KEYS = st.sampled_from(["loss", "epoch", "accuracy"])
_STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.dictionaries(_KEYS, _NUMBERS, min_size=1)), min_size=1, max_size=20
)


@given(_STEPS, st.integers(1, 5))
def test_written_and_read_tables_agree(steps: list[tuple[int, dict[str, Any] | None]], block: int) -> None:
    """The archive gives the same numbers, to the last bit, as reading the log, however the log falls into blocks."""
    entries = [
        suggest(trial, lr=number / 7) if metrics is None else report(number, trial=trial, metrics=metrics)
        for number, (trial, metrics) in enumerate(steps)
    ]
    blocks = [entries[i : i + block] for i in range(0, len(entries), block)]
    read = results_frame(read_results(blocks))
    written = list(csv.DictReader(io.StringIO(csv_text(*blocks))))
    assert len(written) == len(read)
    for name in read.columns:
        if name not in ("st_decision", "st_status"):
            np.testing.assert_array_equal(
                [float(row[name] or "nan") for row in written], read[name].to_numpy(dtype=float, na_value=math.nan)
            )
