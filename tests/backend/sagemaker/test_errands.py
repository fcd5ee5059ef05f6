"""Errands: beside the tuner, but in order for each trial."""

from __future__ import annotations

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.errors import CredentialsExpired, ServiceFailure
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.errands import Errands
from cloudtune.backend.sagemaker_backend.service import now
from cloudtune.errors import Fenced


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=2, unique=True), max_size=30))
def test_in_order_for_each_trial(errands: list[list[int]]) -> None:
    """Errands about a common trial run in the order in which they were given; all of them run."""
    desk = Desk()
    done: list[int] = []
    runner = Errands(desk)
    for number, trials in enumerate(errands):
        runner.run(f"errand {number}", lambda number=number: done.append(number), tuple(trials))  # type: ignore[misc]
    runner.close()
    desk.bell.close()
    assert sorted(done) == list(range(len(errands)))
    for trial in range(4):
        mine = [number for number in done if trial in errands[number]]
        assert mine == sorted(mine)
    assert runner.are_all_done()


def test_others_do_not_wait() -> None:
    """An errand about one trial does not keep one about another waiting."""
    desk = Desk()
    runner = Errands(desk)
    held, other = threading.Event(), threading.Event()
    runner.run("a long one", held.wait, (0,))
    runner.run("another", other.set, (1,))
    assert other.wait(60)
    assert not runner.are_done(0)
    held.set()
    runner.close()
    desk.bell.close()
    assert runner.are_done(0)


def test_nothing_is_done_for_an_experiment_that_is_anothers() -> None:
    """An errand that was given before another tuner took over, and would begin afterwards, is not done."""
    desk = Desk()

    def confirm() -> None:
        raise Fenced("another tuner drives")

    runner = Errands(desk, confirm)
    done: list[int] = []
    runner.run("deleting a checkpoint", lambda: done.append(0), (0,), needed_by=1)
    runner.close()
    desk.bell.close()
    assert done == []
    assert isinstance(runner.error_of(1), Fenced)


def test_a_failure_is_told_to_the_trial_that_needs_it(caplog: pytest.LogCaptureFixture) -> None:
    """The trial that cannot do without the errand is told why it failed; a later success makes that good."""
    desk = Desk()
    runner = Errands(desk)

    def fail() -> None:
        raise OSError("no such bucket")

    with caplog.at_level(logging.WARNING):
        runner.run("copying a checkpoint", fail, (0, 1), needed_by=1)
        while not runner.are_all_done():
            desk.bell.wait(0.01)
    assert str(runner.error_of(1)) == "no such bucket"
    assert runner.error_of(0) is None
    assert "copying a checkpoint has failed: no such bucket" in caplog.text
    runner.run("copying a checkpoint", lambda: None, (0, 1), needed_by=1)
    runner.close()
    desk.bell.close()
    assert runner.error_of(1) is None


@pytest.mark.parametrize("who_fails", ["confirm", "work"])
def test_what_passes_is_waited_out(who_fails: str, caplog: pytest.LogCaptureFixture) -> None:
    """An errand during which AWS does not answer is done once it does; what waits for it is told of no error."""
    desk = Desk()
    answers = iter([False, False, True])
    done: list[int] = []

    def ask(who: str) -> None:
        if who == who_fails and not next(answers):
            raise ServiceFailure("AWS itself has failed", "s3:GetObject")

    def work() -> None:
        ask("work")
        done.append(0)

    runner = Errands(desk, lambda: ask("confirm"))
    runner.run("copying a checkpoint", work, (0,), needed_by=0)
    runner.close()
    desk.bell.close()
    assert done == [0]
    assert runner.error_of(0) is None
    assert caplog.text.count("copying a checkpoint does not work at the moment, trying again") == 1


def test_a_tuner_that_ends_waits_for_nothing_that_passes() -> None:
    """Once the backend closes, an errand that meets such a failure has failed."""
    desk = Desk()
    runner = Errands(desk)
    tried = threading.Event()

    def fail() -> None:
        tried.set()
        raise ServiceFailure("AWS itself has failed", "s3:GetObject")

    runner.run("copying a checkpoint", fail, (0,), needed_by=0)
    assert tried.wait(60)
    desk.closing.set()
    runner.close()
    desk.bell.close()
    assert isinstance(runner.error_of(0), ServiceFailure)


def test_at_the_end_one_failure_stands_for_all_that_may_be_left(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred deletions do not wait a hundred times for the same S3; a machine that costs money is tried."""
    desk = Desk()
    runner = Errands(desk)
    held = threading.Event()
    tried: list[str] = []

    def delete() -> None:
        held.wait()
        tried.append("deletion")
        raise ServiceFailure("AWS itself has failed", "s3:DeleteObjects")

    for _ in range(100):
        runner.run("a deletion", delete, (0,))  # in order
    runner.run("giving a machine back", lambda: tried.append("machine"), (0,), may_be_left=False)
    desk.closing.set()
    held.set()
    with caplog.at_level(logging.INFO):
        runner.close()
    desk.bell.close()
    assert tried == ["deletion", "machine"]
    assert caplog.text.count("a deletion has failed") == 1
    assert "99 errands" in caplog.text
    assert "are left to the next tuner" in caplog.text


def test_credentials_that_expire_end_the_tuner() -> None:
    """As they do wherever else they are noticed."""
    desk = Desk()
    runner = Errands(desk)

    def fail() -> None:
        raise CredentialsExpired("the credentials have expired", "s3:DeleteObjects")

    runner.run("a deletion", fail, (0,))
    runner.close()
    with pytest.raises(CredentialsExpired):
        desk.take_events()
    desk.bell.close()


def test_in_a_hurry_only_what_a_trial_waits_for_begins() -> None:
    """Deletions that have not begun are left to the next tuner; a copy for a trial, and what costs money, is done."""
    desk = Desk()
    runner = Errands(desk)
    held = threading.Event()
    done: list[str] = []
    runner.run("a long one", held.wait, (0,))
    runner.run("a deletion", lambda: done.append("deletion"), (0,))
    runner.run("a copy", lambda: done.append("copy"), (0, 1), needed_by=1)
    runner.run("giving a machine back", lambda: done.append("machine"), (0,), may_be_left=False)
    runner.hasten()
    held.set()
    runner.close()
    desk.bell.close()
    assert done == ["copy", "machine"]


def test_closing_waits_no_longer_than_there_is_time(caplog: pytest.LogCaptureFixture) -> None:
    """One that AWS does not answer keeps nobody waiting, and none begins any more; the log says how many are left."""
    desk = Desk()
    runner = Errands(desk)
    held, begun = threading.Event(), threading.Semaphore(0)
    done: list[int] = []

    def delete() -> None:
        begun.release()
        held.wait()

    for trial in range(10):
        runner.run("a deletion that is not answered", delete, (trial,))
    for trial in range(5):
        runner.run("a copy", lambda: done.append(0), (trial,), needed_by=trial)
    for _ in range(8):  # as many as there are threads
        begun.acquire()
    runner.hasten()
    with caplog.at_level(logging.INFO):
        runner.close(until=now())
    desk.bell.close()
    held.set()
    while not runner.are_all_done():
        threading.Event().wait(0.01)
    desk.bell.ring()  # as a thread does that nobody has waited for
    assert done == []
    assert "7 errands" in caplog.text
    assert "8 are not finished" in caplog.text
