"""The local store on a full disk: it says so, loses nothing it has confirmed, and goes on without results."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from cloudtune.store.local_store import LocalStore
from tests.contracts.store_contract import ENTRY_SOURCE, own
from tests.store.opened import run_program

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
