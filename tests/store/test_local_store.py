"""The local store: the contract of all stores, and what is its own."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from cloudtune.errors import DamagedLog, ExperimentLocked, Fenced, NewerFormat
from cloudtune.store.local_store import LocalStore
from cloudtune.store.store import Store
from tests.contracts.store_contract import ENTRY_SOURCE, MakeStore, StoreContract, StoreMachine, own, report, suggest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experiment"


@pytest.fixture
def store_source(path: Path) -> str:
    return (
        "from cloudtune.store.local_store import LocalStore\n"
        f"def make_store():\n    return LocalStore({str(path)!r}, results_update_interval=0)\n"
    )


class TestLocalStore(StoreContract):
    """The contract."""

    @pytest.fixture
    def make_store(self, path: Path) -> MakeStore:
        return lambda: LocalStore(path)


class LocalStoreMachine(StoreMachine):
    """The state machine of the contract."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="store-machine-"))

    def make(self) -> Store:
        return LocalStore(self.path)

    def crash(self, store: Store, torn: bytes) -> None:
        assert isinstance(store, LocalStore)
        forget(store)
        with sorted((self.path / "log").glob("*.jsonl"))[-1].open("ab") as file:
            file.write(torn)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.path)


def forget(store: LocalStore) -> None:
    """What the kernel does to the store of a process that is killed: closes its files."""
    if store._background is not None:
        store._background.shutdown(wait=True)
    assert store._lease is not None
    assert store._lease._fd is not None
    os.close(store._fd)
    os.close(store._lease._fd)


def test_any_life_of_a_store() -> None:
    """Appends, crashes with torn lines, re-openings and take-overs in any order leave exactly what was appended."""
    run_state_machine_as_test(
        LocalStoreMachine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def opened(path: Path, **options: Any) -> LocalStore:
    store = LocalStore(path, **options)
    store.open()
    return store


def segment(path: Path, number: int) -> Path:
    return path / "log" / f"{number:06d}.jsonl"


def run_program(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_torn_tail_is_ignored_and_never_continued(path: Path) -> None:
    """Half a line, as a crash leaves it, is not read, and the next epoch does not glue its entries to it."""
    store = opened(path)
    store.append([report(0)])
    forget(store)
    with segment(path, 1).open("ab") as file:
        file.write(b'{"event":"report","number":1')
    assert [entry["number"] for entry in own(LocalStore(path).read())] == [0]
    store = opened(path)
    store.append([report(1)])
    store.close()
    assert [entry["number"] for entry in own(LocalStore(path).read())] == [0, 1]
    assert LocalStore(path).length() == 4


def test_writes_that_a_fenced_owner_slips_in_are_never_read(path: Path) -> None:
    """Bytes that reach an old segment after the next one began, whatever they are, do not exist."""
    first, second = opened(path), LocalStore(path)
    first.append([report(0)])
    second.open(takeover=True)
    with segment(path, 1).open("ab") as file:
        file.write(json.dumps(report(99)).encode() + b"\n")
    second.append([report(1)])
    assert [entry["number"] for entry in own(second.read())] == [0, 1]
    assert len(list(second.read(2))) == 2
    assert second.length() == 4
    first.close()
    second.close()


def test_an_owner_fenced_while_it_wrote_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A take-over between the check and the write does not go unnoticed: the append raises."""
    first, second = opened(path), LocalStore(path)
    write = os.write

    def overtaken(fd: int, data: bytes) -> int:
        monkeypatch.undo()
        second.open(takeover=True)
        return write(fd, data)

    monkeypatch.setattr(os, "write", overtaken)
    with pytest.raises(Fenced):
        first.append([report(99)])
    second.append([report(1)])
    assert [entry["number"] for entry in own(second.read())] == [1]
    first.close()
    second.close()


def test_two_tuners_that_take_over_at_once_end_as_one(path: Path) -> None:
    """Of several that take over, exactly the last drives the experiment, and every epoch has a segment of its own."""
    stores = [LocalStore(path) for _ in range(5)]

    def take_over(store: LocalStore) -> None:
        try:
            store.open(takeover=True)
        except Fenced:
            assert store.epoch == 0

    threads = [threading.Thread(target=take_over, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alive = []
    for store in stores:
        if store.epoch:
            try:
                store.append([report(store.epoch)])
                alive.append(store)
            except Fenced:
                pass
    assert len(alive) == 1
    assert [entry["number"] for entry in own(LocalStore(path).read())] == [alive[0].epoch]
    for store in stores:
        store.close()


def test_the_lock_does_not_pass_to_children(path: Path, store_source: str) -> None:
    """A process that a killed tuner started does not keep the experiment locked."""
    program = (
        store_source
        + """
import subprocess, sys, os, signal
store = make_store()
store.open()
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=0, stdout=2, close_fds=False)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.read())
        process.wait()
        os.kill(pid, 0)
        opened(path).close()


def test_a_stale_lock_file_does_not_lock(path: Path) -> None:
    """The file that a killed owner leaves behind names it, but holds nobody off."""
    forget(opened(path))
    assert "pid" in (path / "lock").read_text()
    opened(path).close()
    assert (path / "lock").read_text() == ""


def test_a_deleted_folder_ends_the_owner(path: Path) -> None:
    """Somebody removes the folder of a running experiment: the tuner stops with a message that says so."""
    store = opened(path)
    shutil.rmtree(path)
    with pytest.raises(Fenced, match="moved or deleted"):
        store.append([report(0)])
    store.close()


def test_an_existing_folder_without_a_log(path: Path) -> None:
    """Files that lie in the folder already are left alone."""
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    store = opened(path)
    store.close()
    assert (path / "notes.txt").read_text() == "mine"


def test_a_newer_format_is_refused(path: Path) -> None:
    """A log of a later cloudtune is neither read nor continued; the message names both versions and the remedy."""
    owner = opened(path)
    file = segment(path, 1)
    header = json.loads(file.read_text())
    file.write_text(json.dumps({**header, "format": 99, "version": "7.5"}) + "\n")
    before = sorted(path.rglob("*"))
    for act in (LocalStore(path).open, LocalStore(path).length, lambda: opened(path)):
        with pytest.raises(NewerFormat, match=r"cloudtune 7\.5 \(log format 99\).*this is.*pip install --upgrade"):
            act()
    assert sorted(path.rglob("*")) == before
    with pytest.raises(NewerFormat):
        LocalStore(path).open(takeover=True)
    owner.flush()
    forget(owner)


@pytest.mark.parametrize("damage", [b"rubbish", b"[1]", b"{}{}", b'{"a":1},{"b":2}', b"\xff\xfe"])
def test_damage_in_the_middle_is_named(path: Path, damage: bytes) -> None:
    """A line that is not what was written is an error with file and line, not a silent gap."""
    store = opened(path)
    store.append([report(number) for number in range(10)])
    store.close()
    lines = segment(path, 1).read_bytes().split(b"\n")
    lines[4] = damage
    segment(path, 1).write_bytes(b"\n".join(lines))
    with pytest.raises(DamagedLog, match=r"000001\.jsonl, line 5.*backup"):
        list(LocalStore(path).read())


def test_a_segment_that_lost_its_end_is_named(path: Path) -> None:
    """An earlier segment that is shorter than its successor says has been tampered with."""
    for number in range(2):
        store = opened(path)
        store.append([report(number)])
        store.close()
    os.truncate(segment(path, 1), segment(path, 1).stat().st_size - 1)
    with pytest.raises(DamagedLog, match=r"000001\.jsonl, line 2"):
        list(LocalStore(path).read())
    segment(path, 1).unlink()
    with pytest.raises(DamagedLog, match=r"000001\.jsonl is missing"):
        list(LocalStore(path).read())


FULL_DISK = """
import json, resource
from cloudtune.errors import StorageFull
store = make_store()
store.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
kept, messages = 0, []
for number in range(1000):
    try:
        store.append([entry(number), entry(number)])
        kept = number + 1
    except StorageFull as error:
        messages.append(str(error))
        break
for retry in range(3):
    try:
        store.append([entry(kept), entry(kept)])
    except StorageFull as error:
        messages.append(str(error))
try:
    store.snapshot(b"x" * 30_000)
except StorageFull as error:
    messages.append(str(error))
length = store.length()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.append([entry(kept), entry(kept)])
store.close()
print(json.dumps([kept, length, messages]))
"""


def test_a_full_disk(path: Path, store_source: str) -> None:
    """Entries that do not fit leave no trace, all earlier ones stay, and with room again the writer goes on."""
    result = run_program(store_source + ENTRY_SOURCE + FULL_DISK)
    assert result.returncode == 0, result.stderr
    kept, length, messages = json.loads(result.stdout)
    assert 10 < kept < 200
    assert length == 2 * kept + 1
    assert len(messages) == 5
    assert all(str(path) in message and "free some space" in message for message in messages)
    numbers = [entry["number"] for entry in own(LocalStore(path).read())]
    assert numbers == [number for number in range(kept + 1) for _ in range(2)]
    assert not [file.name for file in path.rglob(".*")]


def test_a_disk_too_full_to_begin(tmp_path: Path) -> None:
    """Opening without room says so, and holds no lease afterwards."""
    program = f"""
import resource
from cloudtune.errors import StorageFull
from cloudtune.store.local_store import LocalStore
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for attempt in range(2):
    try:
        LocalStore({str(tmp_path / "x")!r}).open()
    except StorageFull as error:
        print(error)
"""
    result = run_program(program)
    assert result.stdout.count("no room") == 2, result.stderr


def test_results_on_a_full_disk_cost_a_warning(path: Path, store_source: str) -> None:
    """Closing works without room for results.csv.zip: the log has everything, and the old file stays whole."""
    program = (
        store_source
        + ENTRY_SOURCE
        + """
import resource
store = make_store()
store.open()
store.append([entry(0)])
store.update_results()
store.append([entry(number) for number in range(1, 3000)])
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
store.close()
"""
    )
    result = run_program(program)
    assert result.returncode == 0, result.stderr
    assert "results.csv.zip is behind the event log, which has everything" in result.stderr
    assert len(pd.read_csv(path / "results.csv.zip")) == 1
    assert LocalStore(path).length() == 3001


def test_metadata_is_replaced_in_one_step(path: Path) -> None:
    """The file holds the newest metadata as JSON, with numpy's numbers as numbers."""
    store = opened(path)
    store.write_metadata({"a": 1})
    store.write_metadata({"b": np.int64(2), "c": [np.float32(0.5)]})
    store.close()
    assert json.loads((path / "metadata.json").read_text()) == {"b": 2, "c": [0.5]}


def test_numpy_numbers_are_kept_as_numbers(path: Path) -> None:
    """A scheduler of one's own that draws with numpy gets its configurations into the log."""
    store = opened(path)
    store.append([suggest(0, a=np.int32(3), b=np.float32(0.5), c=np.float64(0.25))])
    store.close()
    assert own(store.read())[0]["config"] == {"a": 3, "b": 0.5, "c": 0.25}


def test_a_store_pickles_as_its_path_and_options(path: Path) -> None:
    """The copy of an open store is not open, and works on the same experiment."""
    store = opened(path, results_update_interval=3.0)
    copy = pickle.loads(pickle.dumps(store))
    assert (copy.path, copy.results_update_interval, copy.epoch) == (path, 3.0, 0)
    with pytest.raises(ExperimentLocked):
        copy.open()
    store.close()
    copy.open()
    copy.close()


def test_leftovers_of_killed_writers_are_removed(path: Path) -> None:
    """Temporary files of a tuner that died in the middle of replacing a file do not pile up."""
    opened(path).close()
    (path / ".results.csv.zip.0123.tmp").write_text("half")
    (path / "log" / ".000002.jsonl.0123.tmp").write_text("half")
    opened(path).close()
    assert not list(path.rglob(".*"))


def test_without_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has no hard links a log is begun and continued all the same."""

    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for number in range(2):
        store = opened(path)
        store.append([report(number)])
        store.close()
    assert [entry["number"] for entry in own(LocalStore(path).read())] == [0, 1]


def test_syncing_is_rate_limited_and_leaves_nothing_running(path: Path) -> None:
    """At most one sync a second is asked for; after close there is no thread and no open file more than before."""
    files, threads = set(os.listdir("/dev/fd")), threading.active_count()
    store = opened(path)
    store.append([{"event": "clock", "time": 1.0}])
    assert store.maintain(100.0) is None
    assert store._sync_job is not None
    store._sync_job.result(timeout=60)
    for now in (100.1, 100.5, 100.9):
        store.append([{"event": "clock", "time": now}])
        assert store.maintain(now) == 101.0
    assert store.maintain(101.0) is None
    store.close()
    assert threading.active_count() == threads
    assert set(os.listdir("/dev/fd")) <= files


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


@pytest.mark.defect("E1")
def test_memory_does_not_grow_with_reports(path: Path) -> None:
    """The store keeps no rows: appending and writing the table take the same memory for five times as many reports."""
    store = opened(path)
    peaks = []
    tracemalloc.start()
    for first in range(0, 15_000, 20):
        store.append([report(first + index, trial=0) for index in range(20)])
        if first + 20 in (3_000, 15_000):
            store.update_results()
            peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    store.close()
    assert peaks[1] < 1.5 * peaks[0]


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
