"""The table of results in the making: the same as one that is made from the log."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.store import results_draft
from cloudtune.store.encoding import encode, encode_lines
from cloudtune.store.local_store import LocalStore
from cloudtune.store.results import write_results
from cloudtune.store.results_draft import ResultsDraft
from cloudtune.store.results_rows import Columns
from tests.contracts.store_contract import report, suggest
from tests.store.tables import SCALARS, VALUES

_NAMES = st.sampled_from(["loss", "epoch", 'odd, "name"', "trial_id", "config_loss", "x"])
_ANY = st.one_of(st.floats(), st.integers(), SCALARS, VALUES, st.floats(0, 1).map(np.float64), st.just(np.int64(3)))
_ENTRIES = st.one_of(
    st.builds(
        lambda trial, config: {"event": "suggest", "trial": trial, "config": config},
        st.integers(0, 2),
        st.dictionaries(_NAMES, _ANY, max_size=3),
    ),
    st.builds(
        lambda number, trial, metrics, how: report(number, trial=trial, metrics=metrics, **how),
        st.integers(0, 9),
        st.integers(0, 2),
        st.dictionaries(_NAMES, _ANY, max_size=4),
        st.sampled_from([{}, {}, {}, {"late": True}, {"replay": True}, {"event": "counted"}]),
    ),
    st.just({"event": "clock", "time": 1.0}),
)


def logged(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries as they come back from the log."""
    return [json.loads(encode(entry)) for entry in entries]


def table(file: io.BytesIO) -> bytes:
    with zipfile.ZipFile(file) as archive:
        return archive.read("results.csv")


@given(
    st.lists(st.tuples(st.lists(_ENTRIES, max_size=5), st.booleans()), max_size=8),
    st.integers(1, 4),
    st.sampled_from([0, 2, 64]),
)
def test_the_table_is_that_of_the_log(batches: list[tuple[list[dict[str, Any]], bool]], kept: int, early: int) -> None:
    """Whatever is added, in whatever batches, and however often it is written meanwhile."""
    draft = ResultsDraft(Path(tempfile.gettempdir()))
    log: list[dict[str, Any]] = []
    columns = Columns()

    def blocks() -> list[list[dict[str, Any]]]:
        return [log[:3], log[3:]]

    whole = results_draft._KEPT, results_draft._EARLY
    results_draft._KEPT, results_draft._EARLY = kept, early
    try:
        rows = 0
        for batch, look in [*batches, ([], True)]:
            log += logged(batch)
            rows += draft.add(batch, encode_lines(batch)[1])
            if look:
                ours, theirs = io.BytesIO(), io.BytesIO()
                assert draft.write(blocks, ours) == write_results(blocks, theirs, columns) == rows
                assert table(ours) == table(theirs)
    finally:
        results_draft._KEPT, results_draft._EARLY = whole
        draft.close()


@pytest.mark.parametrize("early", [0, 4])
def test_the_log_is_read_up_to_the_last_new_column(early: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are read back from the log only where they lack a column that came later, and not among the first few."""
    monkeypatch.setattr(results_draft, "_EARLY", early)
    draft = ResultsDraft(tmp_path)
    log = [suggest(0, lr=0.1), report(0), report(1), report(2, metrics={"loss": 1.0, "late": 2}), report(3), report(4)]
    draft.add(log)
    read: list[dict[str, Any]] = []

    def blocks() -> Iterable[list[dict[str, Any]]]:
        for entry in log:
            read.append(entry)
            yield [entry]

    file = io.BytesIO()
    assert draft.write(blocks, file) == 5
    assert len(read) == (0 if early else 4)
    assert table(file).count(b"\n") == 6


def test_columns_that_come_while_the_table_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is being written has the rows and columns of when it was begun."""
    monkeypatch.setattr(results_draft, "_EARLY", 0)
    draft = ResultsDraft(tmp_path)
    log = [suggest(0, lr=0.1), report(0), report(1)]
    draft.add(log)

    def blocks() -> Iterable[list[dict[str, Any]]]:
        draft.add([report(2, metrics={"loss": 1.0, "late": 2})])
        yield log

    file = io.BytesIO()
    assert draft.write(blocks, file) == 2
    assert b"late" not in table(file)
    assert draft.write(lambda: [[*log, report(2, metrics={"loss": 1.0, "late": 2})]], file) == 3
    assert b"late" in table(file)


def test_no_room_for_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows cannot be kept, the table is made from the log as a whole."""
    draft = ResultsDraft(tmp_path / "nowhere")
    log = [suggest(0, lr=0.1), *map(report, range(5))]
    monkeypatch.setattr(results_draft, "_KEPT", 2)
    assert draft.add(log[:3]) == 2
    assert draft.add(log[3:]) == 3
    file = io.BytesIO()
    assert draft.write(lambda: [log], file) == 5
    assert table(file).count(b"\n") == 6


def test_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rows lie in has no name in the experiment's folder, and is closed with the store."""
    monkeypatch.setattr(results_draft, "_KEPT", 2)
    store = LocalStore(tmp_path / "experiment")
    store.open()
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    store.append([suggest(0, lr=0.1), *map(report, range(5))])
    assert sorted(os.listdir(store.path)) == ["lock", "log"]
    store.close()
    assert sorted(os.listdir(store.path)) == ["lock", "log", "results.csv.zip"]
    if before:
        assert set(os.listdir("/proc/self/fd")) <= before
