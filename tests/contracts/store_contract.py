"""What every store promises: subclass :class:`StoreContract` and :class:`StoreMachine` for each implementation."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store.entries import LOG_FORMAT
from cloudtune.store.store import Entry, Store

MakeStore = Callable[[], Store]

# Appends batches of numbered entries for ever, and acknowledges a batch when it is flushed.
WRITER = """
import os, random, sys
seed, start = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
store = make_store()
store.open()
number = start
while True:
    batch = [entry(number + i) for i in range(rng.randint(1, 5))]
    number += len(batch)
    store.append(batch)
    store.flush()
    os.write(1, b"%d\\n" % number)
    store.maintain(float(number))
"""

ENTRY_SOURCE = """
def entry(number):
    return {
        "event": "report", "trial": number // 10, "attempt": 0, "run": 0, "number": number, "time": number * 0.5,
        "decision": "CONTINUE", "status": "InProgress", "metrics": {"loss": number / 7, "filler": "x" * (number % 400)},
    }
"""


def report(number: int, **more: Any) -> Entry:
    """A report entry, told from others by ``number``."""
    return {
        "event": "report",
        "trial": number // 10,
        "attempt": 0,
        "run": 0,
        "number": number,
        "time": number * 0.5,
        "decision": "CONTINUE",
        "status": "InProgress",
        "metrics": {"loss": number / 7},
        **more,
    }


def suggest(trial: int, **config: Any) -> Entry:
    """A suggestion for a new trial."""
    return {
        "event": "suggest",
        "number": trial,
        "trial": trial,
        "attempt": 0,
        "config": config,
        "checkpoint_from": None,
        "computed_at": 0,
        "time": 0.0,
    }


def own(entries: Iterator[Entry]) -> list[Entry]:
    """The entries that were appended, without those by which the store marks its epochs."""
    return [entry for entry in entries if entry["event"] != "epoch"]


def as_text(entries: list[Entry]) -> list[str]:
    """Entries in a form in which NaN equals NaN."""
    return [json.dumps(entry, sort_keys=True) for entry in entries]


class StoreContract:
    """Fixtures to provide: ``make_store`` (a new handle on the same experiment at each call) and ``store_source``.

    ``store_source`` is Python source that defines such a ``make_store`` in another process.
    """

    def test_a_new_experiment_begins_with_an_epoch(self, make_store: MakeStore) -> None:
        """Opening creates the log, whose first entry names owner, format and version."""
        store = make_store()
        assert not store.exists()
        store.open()
        assert store.exists()
        (epoch,) = store.read()
        assert (epoch["event"], epoch["epoch"], epoch["format"]) == ("epoch", 1, LOG_FORMAT)
        assert epoch["owner"]["pid"] == os.getpid()
        store.close()

    def test_entries_are_numbered_over_all_epochs(self, make_store: MakeStore) -> None:
        """Entry number n is the same whoever reads, and ``read(n)`` begins with it."""
        for epoch in range(3):
            store = make_store()
            store.open()
            store.append([report(10 * epoch), report(10 * epoch + 1)])
            store.append([report(10 * epoch + 2)])
            assert store.length() == 4 * (epoch + 1)
            store.close()
        everything = list(make_store().read())
        assert [entry["number"] if entry["event"] == "report" else "epoch" for entry in everything] == [
            *("epoch", 0, 1, 2),
            *("epoch", 10, 11, 12),
            *("epoch", 20, 21, 22),
        ]
        assert make_store().length() == 12
        for start in range(14):
            assert list(make_store().read(start)) == everything[start:]

    def test_values_come_back_as_they_were(self, make_store: MakeStore) -> None:
        """Text of any kind, floats to the last bit, NaN and infinity, nesting."""
        entry = {
            "event": "clock",
            "text": "ünï \u2028 \x00 \n \ud800 😀",
            "floats": [0.1, 1e-320, float("inf"), float("-inf"), -0.0, 1e308],
            "big": 10**30,
            "nested": {"a": [None, True, {"b": []}]},
            "nan": float("nan"),
        }
        store = make_store()
        store.open()
        store.append([entry])
        store.close()
        assert as_text(own(make_store().read())) == as_text([entry])

    def test_what_is_no_json_is_refused_whole(self, make_store: MakeStore) -> None:
        """A batch with a value that JSON has no form for leaves nothing behind, and the next one is kept."""
        store = make_store()
        store.open()
        with pytest.raises(TypeError, match="set"):
            store.append([report(0), report(1, metrics={"bad": {1, 2}})])
        store.append([report(2)])
        assert [entry["number"] for entry in own(store.read())] == [2]
        store.close()

    def test_a_read_stands_still(self, make_store: MakeStore) -> None:
        """What is appended after the call of ``read`` is not in it, even if it is consumed later."""
        store = make_store()
        store.open()
        store.append([report(0)])
        view = store.read()
        store.append([report(1)])
        assert [entry["number"] for entry in own(view)] == [0]
        store.close()

    def test_a_second_opener_is_refused_and_told_why(self, make_store: MakeStore) -> None:
        """It learns who drives the experiment and how to take over; the first goes on undisturbed."""
        first, second = make_store(), make_store()
        first.open()
        with pytest.raises(ExperimentLocked, match=rf"pid {os.getpid()} on host .* since 20.*takeover=True"):
            second.open()
        first.append([report(0)])
        first.close()
        second.open()
        second.close()
        assert [entry["number"] for entry in own(make_store().read())] == [0]

    def test_taking_over_fences_the_first_owner(self, make_store: MakeStore) -> None:
        """Whatever the old owner does raises, and nothing that it appends is ever read.

        A store may learn of it only when it writes: at the flush after an append.
        """
        first, second = make_store(), make_store()
        first.open()
        first.append([report(0)])
        first.flush()
        second.open(takeover=True)
        second.append([report(1)])

        def append_and_flush() -> None:
            first.append([report(99)])
            first.flush()

        acts: list[Callable[[], object]] = [
            append_and_flush,
            lambda: first.append([report(99)]),
            first.flush,
            lambda: first.maintain(1e9),
            first.update_results,
            lambda: first.write_metadata({"of": "the first"}),
            lambda: first.snapshot(b"of the first"),
        ]
        for act in acts:
            with pytest.raises(Fenced, match="taken over by pid"):
                act()
        first.close()
        with pytest.raises(ExperimentLocked):
            make_store().open()
        second.append([report(2)])
        second.close()
        assert [entry["number"] for entry in own(make_store().read())] == [0, 1, 2]
        assert second.load_snapshot() is None

    def test_taking_over_what_nobody_holds(self, make_store: MakeStore) -> None:
        """``takeover`` does no harm where there is nobody to take over from."""
        for _ in range(2):
            store = make_store()
            store.open(takeover=True)
            store.append([report(0)])
            store.close()
        assert len(own(make_store().read())) == 2

    def test_a_store_is_open_or_not(self, make_store: MakeStore) -> None:
        """Writing needs an open store, opening a closed one; closing twice is fine, and so is opening again."""
        store = make_store()
        with pytest.raises(RuntimeError, match="not open"):
            store.append([report(0)])
        store.open()
        with pytest.raises(RuntimeError, match="open already"):
            store.open()
        store.close()
        store.close()
        with pytest.raises(RuntimeError, match="not open"):
            store.append([report(0)])
        store.open()
        store.append([report(1)])
        store.close()
        assert [entry["number"] for entry in own(store.read())] == [1]

    def test_snapshots_replace_each_other(self, make_store: MakeStore) -> None:
        """The newest snapshot is found by any handle, in this epoch and in later ones."""
        store = make_store()
        assert store.load_snapshot() is None
        store.open()
        store.snapshot(b"one")
        store.snapshot(b"two" * 10_000)
        assert make_store().load_snapshot() == b"two" * 10_000
        store.close()
        assert make_store().load_snapshot() == b"two" * 10_000

    def test_an_idle_store_wants_no_attention(self, make_store: MakeStore) -> None:
        """When everything is on the disk, ``maintain`` asks for nothing; after an append it does."""
        store = make_store()
        store.open()
        store.maintain(1000.0)
        assert store.maintain(1000.0) is None
        store.append([{"event": "clock", "time": 1.0}])
        store.maintain(2000.0)
        store.append([{"event": "clock", "time": 2.0}])
        wanted = store.maintain(2000.1)
        assert wanted is not None
        assert 2000.1 < wanted <= 2005.0
        store.maintain(wanted)
        store.close()

    @pytest.mark.parametrize(
        ("seed", "kills"), [(1, 6), (2, 6), pytest.param(3, 200, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
    )
    def test_nothing_acknowledged_is_lost_by_a_kill(
        self, make_store: MakeStore, store_source: str, seed: int, kills: int
    ) -> None:
        """Writers die by SIGKILL at random moments: the log is a gapless prefix, at least as long as acknowledged."""
        rng = random.Random(seed)
        written = 0
        for kill in range(kills):
            acknowledged = _write_and_kill(store_source, rng.randrange(10**6), written, rng.randint(1, 60), rng)
            numbers = [entry["number"] for entry in own(make_store().read())]
            assert numbers == list(range(len(numbers))), f"after kill {kill}"
            assert len(numbers) >= acknowledged, f"after kill {kill}"
            written = len(numbers)
        store = make_store()
        store.open()
        assert store.length() == written + kills + 1
        store.close()

    def test_reading_while_it_is_written(self, make_store: MakeStore, store_source: str) -> None:
        """Another process sees whole entries in order, never fewer than before, while the writer works."""
        with _writer(store_source, 5, 0) as process:
            seen = 0
            for acknowledged in itertools.islice(_acknowledged(process), 12):
                numbers = [entry["number"] for entry in own(make_store().read())]
                assert numbers == list(range(len(numbers)))
                assert len(numbers) >= max(seen, acknowledged)
                seen = len(numbers)
            process.kill()


def _writer(store_source: str, seed: int, start: int) -> subprocess.Popen[bytes]:
    program = store_source + ENTRY_SOURCE + WRITER
    return subprocess.Popen([sys.executable, "-c", program, str(seed), str(start)], stdout=subprocess.PIPE)


def _acknowledged(process: subprocess.Popen[bytes]) -> Iterator[int]:
    assert process.stdout is not None
    for line in process.stdout:
        yield int(line)


def _write_and_kill(store_source: str, seed: int, start: int, batches: int, rng: random.Random) -> int:
    """Runs a writer and kills it some time after so many batches; returns how many entries it had acknowledged."""
    with _writer(store_source, seed, start) as process:
        last = max(itertools.islice(_acknowledged(process), batches), default=start)
        assert last > start, "the writer died before it wrote anything"
        time.sleep(rng.random() * 0.003)
        process.send_signal(signal.SIGKILL)
        return max([last, *_acknowledged_in_time(process)])


def _acknowledged_in_time(process: subprocess.Popen[bytes]) -> Iterator[int]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith(b"\n"):
            yield int(line)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_METRICS = st.dictionaries(st.text(max_size=8), _SCALARS | st.lists(_SCALARS, max_size=3), max_size=4)


class StoreMachine(RuleBasedStateMachine):
    """Any order of appending, closing, crashing and taking over, against a list of what must be in the log."""

    def make(self) -> Store:
        """A new handle on the experiment of this run of the machine."""
        raise NotImplementedError

    def crash(self, store: Store, torn: bytes) -> None:
        """Makes ``store`` as good as dead without closing it, in the middle of writing ``torn``."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Nobody drives the experiment yet."""
        self.expected: list[Entry] = []
        self.owner: Store | None = None
        self.fenced: list[Store] = []
        self.snapshot: bytes | None = None
        self.now = 1000.0

    @precondition(lambda self: self.owner is None)
    @rule(takeover=st.booleans())
    def open(self, takeover: bool) -> None:
        """A tuner starts."""
        self.owner = self.make()
        self.owner.open(takeover=takeover)
        self.expected.append({"event": "epoch"})

    @precondition(lambda self: self.owner is not None)
    @rule(batch=st.lists(_METRICS, max_size=3))
    def append(self, batch: list[dict[str, Any]]) -> None:
        """The owner appends."""
        assert self.owner is not None
        entries = [report(len(self.expected) + index, metrics=metrics) for index, metrics in enumerate(batch)]
        self.owner.append(entries)
        self.owner.flush()
        self.expected += entries

    @precondition(lambda self: self.owner is not None)
    @rule()
    def be_refused(self) -> None:
        """Nobody else gets in."""
        with pytest.raises(ExperimentLocked):
            self.make().open()

    @precondition(lambda self: self.owner is not None)
    @rule()
    def take_over(self) -> None:
        """Another tuner takes the experiment."""
        assert self.owner is not None
        self.fenced.append(self.owner)
        self.owner = self.make()
        self.owner.open(takeover=True)
        self.expected.append({"event": "epoch"})

    @precondition(lambda self: self.fenced)
    @rule(data=st.data())
    def write_though_fenced(self, data: st.DataObject) -> None:
        """A tuner that lost the lease tries to go on."""
        store = data.draw(st.sampled_from(self.fenced))
        with pytest.raises(Fenced):
            store.append([report(-1)])
            store.flush()

    @precondition(lambda self: self.fenced)
    @rule()
    def close_though_fenced(self) -> None:
        """A tuner that lost the lease ends."""
        self.fenced.pop().close()

    @precondition(lambda self: self.owner is not None)
    @rule()
    def close(self) -> None:
        """The owner ends in order."""
        assert self.owner is not None
        self.owner.close()
        self.owner = None

    @precondition(lambda self: self.owner is not None)
    @rule(
        torn=st.sampled_from(
            [b"", b"{", b'{"event": "report", "num', b'{"event": "report"}', b"\x00" * 50, b"garbage\n"]
        )
    )
    def die(self, torn: bytes) -> None:
        """The owner is killed in the middle of a write, or the power fails."""
        assert self.owner is not None
        self.crash(self.owner, torn)
        self.owner = None

    @precondition(lambda self: self.owner is not None)
    @rule(state=st.binary(max_size=50))
    def save(self, state: bytes) -> None:
        """The owner takes a snapshot."""
        assert self.owner is not None
        self.owner.snapshot(state)
        self.snapshot = state

    @precondition(lambda self: self.owner is not None)
    @rule(seconds=st.floats(min_value=0, max_value=30))
    def maintain(self, seconds: float) -> None:
        """Time passes."""
        assert self.owner is not None
        self.now += seconds
        wanted = self.owner.maintain(self.now)
        assert wanted is None or wanted > self.now - 1e-6

    @invariant()
    def log_is_what_was_appended(self) -> None:
        """Whoever reads finds what the model holds, from any number on."""
        store = self.make()
        found = [{"event": "epoch"} if entry["event"] == "epoch" else entry for entry in store.read()]
        assert as_text(found) == as_text(self.expected)
        assert store.length() == len(self.expected)
        middle = len(self.expected) // 2
        assert len(list(store.read(middle))) == len(self.expected) - middle
        assert store.load_snapshot() == self.snapshot
        if self.owner is not None:
            assert self.owner.length() == len(self.expected)

    def teardown(self) -> None:
        """Nothing stays open."""
        for store in [*getattr(self, "fenced", []), getattr(self, "owner", None)]:
            if store is not None:
                store.close()
