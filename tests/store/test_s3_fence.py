"""Two tuners that both believe they own an experiment: exactly one goes on, and the log stays one sequence.

Each of them may stand still before any of its calls of S3, for as long as it takes the other to do anything; answers
and requests get lost; processes die with a request on its way; clocks are hours off.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cloudtune.aws.errors import AwsError, Conflict
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store import s3_lease, s3_writer
from cloudtune.store.s3_log import S3LogView
from tests.contracts.store_contract import own
from tests.store.memory_s3 import FATES, OK, MemoryBucket, MemoryS3
from tests.store.paused_writer import ROOT, PausedWriter

#: What a deed may raise.
_EXPECTED = (Fenced, ExperimentLocked, AwsError)
_DEEDS = ("append_and_flush", "append_and_flush", "append_and_flush", "flush", "renew", "close")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other without waiting; leases are renewed only by hand."""
    monkeypatch.setattr(s3_writer, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(s3_writer, "_LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(s3_lease, "RENEW_INTERVAL", 1e6)
    monkeypatch.setattr(s3_lease.S3Lease.__init__, "__defaults__", (None, 1e6))


def reports(s3: MemoryS3) -> list[int]:
    """Numbers of the reports in the log, as everybody reads it."""
    view = S3LogView(MemoryBucket(s3), ROOT)
    assert view.damage is None
    return [entry["number"] for entry in own(view.entries())]


class FenceMachine(RuleBasedStateMachine):
    """Any order of steps of up to four tuners."""

    skew = 0.0

    @initialize()
    def begin(self) -> None:
        """One drives the experiment, and another is about to take it over."""
        self.s3 = MemoryS3()
        self.writers: list[PausedWriter] = []
        self.in_flight: list[tuple[str, bytes]] = []
        self.seen: list[int] = []
        self.start(takeover=False, pauses=False)
        self.start(takeover=True, pauses=True)

    def living(self) -> list[PausedWriter]:
        return [writer for writer in self.writers if not writer.is_dead]

    @precondition(lambda self: len(self.living()) < 3)
    @rule(takeover=st.booleans(), pauses=st.booleans())
    def start(self, takeover: bool, pauses: bool) -> None:
        """A tuner starts, and stands before its first call, or opens in one go."""
        writer = PausedWriter(self.s3, len(self.writers) + 1)
        self.writers.append(writer)
        writer.begin(lambda: writer.open(takeover))
        while writer.pending and not pauses:
            writer.step()
        self.check_error(writer)

    @precondition(lambda self: any(writer.pending for writer in self.living()))
    @rule(data=st.data(), fate=st.sampled_from((OK, OK, OK, *FATES)), steps=st.integers(1, 8))
    def go_on(self, data: st.DataObject, fate: str, steps: int) -> None:
        """One goes on for some calls; something happens to the first."""
        writer = data.draw(st.sampled_from([writer for writer in self.living() if writer.pending]))
        for _ in range(steps):
            if writer.pending:
                writer.step(fate)
                fate = OK
        self.check_error(writer)

    @precondition(lambda self: any(writer.is_idle and writer.is_open for writer in self.living()))
    @rule(data=st.data(), what=st.sampled_from(_DEEDS))
    def do(self, data: st.DataObject, what: str) -> None:
        """An idle one begins something, and stands before its first call."""
        writer = data.draw(st.sampled_from([writer for writer in self.living() if writer.is_idle and writer.is_open]))
        writer.begin(getattr(writer, what))
        self.check_error(writer)

    @precondition(lambda self: any(writer.is_idle and writer.is_open for writer in self.living()))
    @rule(data=st.data(), deeds=st.lists(st.tuples(st.sampled_from(_DEEDS[:-1]), st.sampled_from(FATES)), max_size=4))
    def do_in_one_go(self, data: st.DataObject, deeds: list[tuple[str, str]]) -> None:
        """An idle one does several things; something happens to the first call of each."""
        writer = data.draw(st.sampled_from([writer for writer in self.living() if writer.is_idle and writer.is_open]))
        for what, fate in deeds:
            writer.begin(getattr(writer, what))
            while writer.pending:
                writer.step(fate)
                fate = OK
            self.check_error(writer)

    @precondition(lambda self: len(self.living()) > 1)
    @rule(data=st.data(), lands=st.booleans())
    def kill(self, data: st.DataObject, lands: bool) -> None:
        """One dies; if it was about to write the log, that may arrive at any later time."""
        writer = data.draw(st.sampled_from(self.living()))
        pending, writer_state = writer.pending, writer.store._writer
        segment = writer_state._segment if writer_state is not None else None
        writer.kill()
        if lands and pending is not None and pending[0] == "put" and segment is not None and "/log/" in pending[1]:
            self.in_flight.append((pending[1], segment.data))

    @precondition(lambda self: self.in_flight)
    @rule()
    def arrive(self) -> None:
        """What a dead one had sent arrives."""
        key, body = self.in_flight.pop()
        try:
            self.s3.put(key, body, if_none_match=True)
        except Conflict:
            pass

    @rule(seconds=st.sampled_from([1.0, 30.0, 100.0]), hours=st.integers(-48, 48))
    def pass_time(self, seconds: float, hours: int) -> None:
        """Seconds by the clock of S3; that of this machine is set, hours forward or back."""
        self.s3.now += seconds
        type(self).skew = 3600.0 * hours

    def check_error(self, writer: PausedWriter) -> None:
        """Nothing unforeseen, and nobody is fenced unless another tuner has taken over."""
        if writer.error is not None and not isinstance(writer.error, _EXPECTED):
            raise writer.error
        if isinstance(writer.error, Fenced):
            assert writer not in self.rightful()

    @invariant()
    def the_log_is_one_sequence(self) -> None:
        """It only grows; what was acknowledged is in it, once; nothing is damaged."""
        found = reports(self.s3)
        assert found[: len(self.seen)] == self.seen
        assert len(set(found)) == len(found)
        self.seen = found
        for writer in self.writers:
            assert set(writer.acknowledged) <= set(found)
            mine = [number for number in found if number // 1000 == writer.name]
            assert mine == sorted(mine)

    def teardown(self) -> None:
        """In the end all that were stopped go on: nobody but who began the newest epoch can write, and that one can."""
        for writer in getattr(self, "writers", []):
            while writer.pending is not None and not writer.is_dead:
                writer.step()
            self.check_error(writer)
        if hasattr(self, "writers"):
            able = [writer for writer in self.living() if writer.is_open and self.can_write(writer)]
            assert [writer for writer in able if self.can_write(writer)] == able, "once able, always able"
            assert able == self.rightful()
            self.the_log_is_one_sequence()
            for writer in self.living():
                if writer.is_open:
                    writer.run(writer.close)
                writer.kill()

    def can_write(self, writer: PausedWriter) -> bool:
        """Tries to; what is refused must not be read."""
        before = reports(self.s3)
        writer.run(writer.append_and_flush)
        if writer.error is None:
            return True
        assert isinstance(writer.error, Fenced)
        assert reports(self.s3) == before
        writer.run(writer.append_and_flush)
        assert isinstance(writer.error, Fenced), "once fenced, always fenced"
        assert reports(self.s3) == before
        return False

    def rightful(self) -> list[PausedWriter]:
        """Who began the newest epoch, if it lives, and has not learned that somebody was about to take over."""
        epochs = [entry for entry in S3LogView(MemoryBucket(self.s3), ROOT).entries() if entry["event"] == "epoch"]
        return [
            writer
            for writer in self.living()
            if writer.is_open
            and writer.store._writer is not None
            and writer.store._writer.nonce == epochs[-1]["nonce"]
            and writer.store._lease is not None
            and writer.store._lease._lost is None
        ]


def _run(monkeypatch: pytest.MonkeyPatch, examples: int, steps: int) -> None:
    clock = time.time
    monkeypatch.setattr("time.time", lambda: clock() + FenceMachine.skew)
    run_state_machine_as_test(
        FenceMachine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


def test_two_tuners_that_believe_they_own_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens between them, the log is one sequence, has all that was acknowledged, and one can go on."""
    _run(monkeypatch, 100, 40)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_tuners_that_believe_they_own_it_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, much more often."""
    _run(monkeypatch, 1500, 80)
