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
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from cloudtune.errors import DamagedLog, ExperimentLocked, Fenced, NewerFormat
from cloudtune.store.local_store import LocalStore
from cloudtune.store.store import Store
from tests.contracts.store_contract import MakeStore, StoreContract, StoreMachine, own, report, suggest
from tests.store.opened import forget, opened, segment


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


def test_any_life_of_a_store() -> None:
    """Appends, crashes with torn lines, re-openings and take-overs in any order leave exactly what was appended."""
    run_state_machine_as_test(
        LocalStoreMachine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
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
