"""Two tuners that begin at once on one experiment, in S3 with its log and its life object: exactly one goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent.protocol import Keys
from cloudtune.aws.errors import AwsError, Conflict
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.life import LifeWriter
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store import s3_lease, s3_writer
from tests.store.memory_s3 import ANSWER_LOST, FATES, OK, RETRIED, MemoryS3
from tests.store.paused_writer import ROOT, PausedWriter

KEYS = Keys(f"{ROOT}abcdef")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other without waiting; leases are renewed only by hand."""
    monkeypatch.setattr(s3_writer, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(s3_writer, "_LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(s3_lease.S3Lease.__init__, "__defaults__", (None, 1e6))


class Starter(PausedWriter):
    """A process with a tuner: its store, and what its backend writes first. It stands before any call of S3."""

    def __init__(self, s3: MemoryS3, name: int) -> None:
        super().__init__(s3, name)
        self.desk = Desk()
        self.life: LifeWriter | None = None

    def start(self) -> None:
        """Takes the log, and then gives a sign of life."""
        self.open(takeover=True)
        life = LifeWriter(self.desk, self.bucket, KEYS, 1000.0, self.store.confirm)
        life.begin()
        self.life = life

    def work(self) -> None:
        """What every turn of a tuner comes to: something for the log, and a wish for an agent."""
        assert self.life is not None
        self.append_and_flush()
        self.life.wish(0, 0, "stop")
        for _ in range(3):
            self.life.turn()

    def look(self) -> None:
        """Writes the life object once."""
        assert self.life is not None
        self.life.turn()

    @property
    def goes_on(self) -> bool:
        """Whether it has begun, and nothing has ended it."""
        return self.life is not None and self.error is None

    def start_again(self) -> None:
        """The process has ended with an error; the same command begins anew."""
        self.kill()
        self.desk.bell.close()
        self.__init__(self.s3, self.name)  # type: ignore[misc]
        self.run(self.start)


class Race:
    """Two starters."""

    def __init__(self) -> None:
        self.s3 = MemoryS3()
        # One has driven the experiment before, and is gone.
        self.former = Starter(self.s3, 9)
        self.former.run(self.former.start)
        assert self.former.goes_on
        self.both = [Starter(self.s3, 1), Starter(self.s3, 2)]

    def step(self, which: int, fate: str = OK) -> bool:
        """Lets one make its next call; False if it has none left."""
        starter = self.both[which]
        if starter.is_idle and starter.life is None and starter.error is None:
            starter.begin(starter.start)
        if starter.pending is None:
            return False
        starter.step(fate)
        return True

    def run(self, turns: Sequence[tuple[int, str, int]]) -> None:
        """Lets one after another make some calls, the first of them with a fate, and then both end what they do."""
        for which, fate, count in turns:
            for _ in range(count):
                self.step(which, fate)
                fate = OK
        self.finish()

    def finish(self) -> None:
        """Both end what they do, and whoever is not fenced works."""
        for which in (0, 1):
            while self.step(which):
                continue
        for _ in range(2):
            for starter in self.both:
                if starter.goes_on:
                    starter.run(starter.work)

    def check_one_goes_on(self) -> None:
        """The one that has the log; the other has heard that it is fenced."""
        ends = [starter.error for starter in self.both]
        assert [starter.goes_on for starter in self.both].count(True) == 1, ends
        assert all(error is None or isinstance(error, (Fenced, ExperimentLocked)) for error in ends), ends
        going = next(starter for starter in self.both if starter.goes_on)
        assert going.acknowledged == going.appended
        former = self.former
        former.run(former.work)
        assert isinstance(former.error, Fenced)

    def close(self) -> None:
        """Frees what they hold."""
        for starter in (*self.both, self.former):
            starter.kill()
            starter.desk.bell.close()


@pytest.fixture
def races() -> Iterator[list[Race]]:
    """Those of one test."""
    races: list[Race] = []
    yield races
    for race in races:
        race.close()


def test_one_goes_on_wherever_the_other_stands_still(races: list[Race]) -> None:
    """One stands still before any of its calls; the other begins, up to any of its own, and waits for the first."""
    calls = _calls_of_a_start()
    assert calls > 8
    for first in range(calls + 1):
        for second in range(calls + 1):
            race = Race()
            races.append(race)
            for which, count in ((0, first), (1, second)):
                for _ in range(count):
                    race.step(which)
            race.finish()
            race.check_one_goes_on()


def _calls_of_a_start() -> int:
    race = Race()
    count = 0
    while race.step(0):
        count += 1
    race.close()
    return count


@given(
    turns=st.lists(st.tuples(st.integers(0, 1), st.sampled_from((OK, OK, OK, RETRIED)), st.integers(1, 5)), max_size=30)
)
def test_one_goes_on_in_any_order(turns: list[tuple[int, str, int]]) -> None:
    """Whoever goes on when, and even if requests are done twice because their first answers were lost."""
    race = Race()
    try:
        race.run(turns)
        race.check_one_goes_on()
    finally:
        race.close()


@given(
    turns=st.lists(st.tuples(st.integers(0, 1), st.sampled_from((OK, OK, *FATES)), st.integers(1, 5)), max_size=30),
)
def test_who_ends_without_an_answer_begins_again(turns: list[tuple[int, str, int]]) -> None:
    """What its own earlier start has left, known to have been written or not, does not keep a tuner from going on."""
    race = Race()
    try:
        race.run(turns)
        for starter in race.both:
            # Fenced or without an answer: whoever is started last, alone, has the experiment.
            if isinstance(starter.error, AwsError) and not isinstance(starter.error, Conflict):
                starter.start_again()
        race.finish()
        race.check_one_goes_on()
    finally:
        race.close()


def test_an_answer_that_was_lost_is_no_other_tuner(races: list[Race]) -> None:
    """The first sign of life was written and nobody said so: the same tuner, started again, goes on at once."""
    race = Race()
    races.append(race)
    while race.both[0].pending != ("put", KEYS.life):
        race.step(0)
    race.step(0, ANSWER_LOST)
    assert isinstance(race.both[0].error, AwsError)
    race.both[0].start_again()
    race.both[0].run(race.both[0].work)
    assert race.both[0].goes_on


def test_a_life_object_that_somebody_deletes(races: list[Race]) -> None:
    """The one that has lost the log does not write it anew, and so does not end the one that has it."""
    race = Race()
    races.append(race)
    for which in (0, 1):
        while race.step(which):
            continue
    old, new = race.both
    assert old.life is not None
    race.former.bucket.delete([KEYS.life])
    old.life.wish(0, 0, "stop")
    for _ in range(3):
        old.run(old.look)
        if old.error is not None:
            break
    assert isinstance(old.error, Fenced)
    new.run(new.work)
    assert new.goes_on
