"""When the local store writes its results, what that costs, and that they can be read at any time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from cloudtune.store.local_store import LocalStore
from tests.contracts.store_contract import ENTRY_SOURCE, report
from tests.store.opened import forget, opened, run_program


def wait_for_results(store: LocalStore) -> None:
    job = store._results_job
    if job is not None:
        job.result(timeout=60)


def test_results_are_refreshed_when_due(path: Path) -> None:
    """At once for the first report, then not before the interval has passed, nor before rows grew by a tenth."""
    store = opened(path, results_update_interval=10.0)
    file = path / "results.csv.zip"

    def rows_after(now: float) -> int:
        store.maintain(now)
        wait_for_results(store)
        return len(pd.read_csv(file))

    store.append([report(0)])
    assert rows_after(1000.0) == 1
    store.append([report(number) for number in range(1, 100)])
    assert rows_after(1005.0) == 1
    assert store.maintain(1005.0) == 1010.0
    assert rows_after(1010.0) == 100
    store.append([report(number) for number in range(100, 110)])
    assert rows_after(1030.0) == 100
    store.append([report(110)])
    assert rows_after(1030.0) == 111
    store.append([report(111)])
    store.close()
    assert len(pd.read_csv(file)) == 112


def test_results_of_a_killed_owner_are_refreshed_without_a_report(path: Path) -> None:
    """They may be far behind: the next owner writes them with its first maintenance, once, beside its other work."""
    killed = opened(path)
    killed.append([report(number) for number in range(5)])
    killed.flush()
    forget(killed)
    store = opened(path)
    file = path / "results.csv.zip"
    assert not file.exists()
    store.maintain(1000.0)
    wait_for_results(store)
    assert len(pd.read_csv(file)) == 5
    before = file.stat().st_mtime_ns
    store.maintain(2000.0)
    wait_for_results(store)
    assert file.stat().st_mtime_ns == before
    store.close()


RESULTS_WRITER = """
import sys
store = make_store()
store.open()
store.append([{"event": "suggest", "trial": 0, "number": 0, "attempt": 0, "config": {"lr": 0.1}}])
for number in range(0, int(sys.argv[1]), 5):
    store.append([dict(entry(number + i), trial=0) for i in range(5)])
    store.maintain(float(number))
    if number == 0:
        store.update_results()
        print("first", flush=True)
    if number == 2000:
        store.append([dict(entry(0), trial=0, metrics={"late_metric": 1.0})])
store.close()
"""


@pytest.mark.defect("E1")
def test_results_can_be_read_at_every_instant(path: Path, store_source: str) -> None:
    """From the first report on pandas reads a whole table, never shorter than before, while a tuner writes."""
    program = store_source + ENTRY_SOURCE + RESULTS_WRITER
    with subprocess.Popen([sys.executable, "-c", program, "6000"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        rows = 0
        while process.poll() is None:
            frame = pd.read_csv(path / "results.csv.zip")
            assert len(frame) >= max(rows, 1)
            rows = len(frame)
        assert process.returncode == 0
    assert len(pd.read_csv(path / "results.csv.zip")) == 6001


# In a process of its own: what other threads of the test run take is not counted.
GROWING = """
import sys, tracemalloc
from pathlib import Path
from cloudtune.store.local_store import LocalStore

store = LocalStore(Path(sys.argv[1]))
store.open()
tracemalloc.start()
for first in range(0, 15_000, 20):
    store.append([{**entry(first + index), "trial": 0} for index in range(20)])
    if first + 20 in (3_000, 15_000):
        store.update_results()
        print(tracemalloc.get_traced_memory()[1])
tracemalloc.stop()
store.close()
"""


@pytest.mark.defect("E1")
def test_memory_does_not_grow_with_reports(path: Path) -> None:
    """The store keeps no rows: appending and writing the table take the same memory for five times as many reports."""
    done = run_program(ENTRY_SOURCE + GROWING, str(path))
    assert done.returncode == 0, done.stderr
    first, second = map(int, done.stdout.split())
    assert second < 1.5 * first


@pytest.mark.defect("E1")
def test_the_total_cost_of_results_is_linear(path: Path) -> None:
    """Over a run of n reports the table is written only when it grew by a tenth: some 10 n rows, not n squared."""
    store = opened(path, results_update_interval=0.0)
    written, before = 0, None
    for number in range(2000):
        store.append([report(number)])
        store.maintain(float(number))
        wait_for_results(store)
        inode = (path / "results.csv.zip").stat().st_ino
        if inode != before:
            before = inode
            written += store._rows_written
    store.close()
    assert 2000 < written < 14 * 2000
    with zipfile.ZipFile(path / "results.csv.zip") as archive:
        assert archive.namelist() == ["results.csv"]
