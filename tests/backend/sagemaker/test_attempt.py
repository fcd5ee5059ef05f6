"""An attempt takes in heads: every report once and in order, whatever heads were seen or missed in between."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent import protocol
from cloudtune.agent.forms import EndForm, Head
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.trial import Bill, End, Outcome, Trial
from tests.backend.sagemaker.heads import end_mark, head_of


def attempt(delivered: dict[int, int] | None = None) -> Attempt:
    return Attempt(Trial(7, {}, 2), "job", "id-7-2", delivered)


class Agent:
    """What an agent writes: reports pile up in the head and move to chunks, runs follow each other."""

    def __init__(self) -> None:
        self.run = 0
        self.beat = 0
        self.first = 0
        self.tail: list[dict[str, Any]] = []
        self.chunks: list[tuple[int, int, int]] = []
        self.objects: dict[tuple[int, int], list[dict[str, Any]]] = {}
        self.made: list[tuple[int, int]] = []

    def report(self) -> None:
        number = self.first + len(self.tail)
        self.tail.append({"run": self.run, "number": number})
        self.made.append((self.run, number))

    def cut_chunk(self) -> None:
        if self.tail:
            self.chunks.append((self.run, self.first, len(self.tail)))
            self.objects[self.run, self.first] = self.tail
            self.first += len(self.tail)
            self.tail = []

    def restart(self) -> None:
        self.cut_chunk()
        self.run += 1
        self.first = self.beat = 0

    def head(self, end: EndForm | None = None) -> Head:
        self.beat += 1
        return head_of(
            7,
            2,
            run=self.run,
            beat=self.beat,
            chunks=list(self.chunks),
            first=self.first,
            reports=list(self.tail),
            end=end,
        )


@given(st.lists(st.sampled_from(["report", "report", "cut_chunk", "restart", "look", "miss"]), max_size=60), st.data())
def test_every_report_once_and_in_order(steps: list[str], data: st.DataObject) -> None:
    """Whichever heads are seen, of whichever runs, the reports come once, in order, and all with the last head.

    A tuner that starts anew with what is in its log gets exactly the rest.
    """
    agent, tuner = Agent(), attempt()
    got: list[tuple[int, int]] = []
    old: list[Head] = []

    def look(head: Head) -> None:
        wanted = {key: agent.objects[key] for key in tuner.missing_chunks(head)}
        reports = tuner.take_head(head, wanted, 0.0)
        for report in reports:
            assert report.metrics == {"run": report.run, "number": report.number}
            assert report[:2] == (7, 2)
        got.extend((report.run, report.number) for report in reports)

    for step in steps:
        if step == "look":
            old.append(agent.head())
            look(old[-1])
        elif step == "miss":
            old.append(agent.head())
        else:
            getattr(agent, step)()
        again = data.draw(st.integers(0, 1), label="an old head again")
        if old and again:
            look(old[data.draw(st.integers(0, len(old) - 1))])
        if data.draw(st.integers(0, 9), label="a new tuner") == 0:
            known: dict[int, int] = {}
            for run, number in got:
                known[run] = number + 1
            tuner = attempt(known)
    look(agent.head())
    assert got == agent.made


def test_only_chunks_with_news_are_wanted() -> None:
    """What was read once is never read again, however many chunks the head names."""
    agent, tuner = Agent(), attempt()
    for _ in range(3):
        agent.report()
        agent.cut_chunk()
    head = agent.head()
    assert tuner.missing_chunks(head) == [(0, 0), (0, 1), (0, 2)]
    tuner.take_head(head, agent.objects, 0.0)
    agent.report()
    agent.cut_chunk()
    assert tuner.missing_chunks(agent.head()) == [(0, 3)]


def test_a_run_that_goes_on_has_no_end() -> None:
    """A spot restart takes back the end that the interrupted run had; an older head does not bring it back."""
    agent, tuner = Agent(), attempt()
    ended = agent.head(end_mark(protocol.TERMINATED))
    tuner.take_head(ended, {}, 1.0)
    before: tuple[object, object] = (tuner.mark, tuner.mark_at)
    agent.restart()
    tuner.take_head(agent.head(), {}, 2.0)
    tuner.take_head(ended, {}, 3.0)
    assert before == (end_mark(protocol.TERMINATED), 1.0)
    assert (tuner.mark, tuner.mark_at) == (None, None)


def test_the_end_is_told_once() -> None:
    """Whoever learns of the end second has nothing to tell any more."""
    one = attempt()
    end = End(7, 2, Outcome.completed)
    assert one.end(end) == [end]
    assert one.end(end) == []


def test_when_a_worker_is_free_and_an_attempt_settled() -> None:
    """A worker is held until job and trial are both known to have ended; an attempt is settled with its last bill."""
    one = attempt()
    assert one.occupies_worker
    one.end_delivered = True
    assert one.occupies_worker
    one.phase = Phase.OVER
    assert not one.occupies_worker
    one.last_bill = Bill(7, 2, 1.0, 10.0, 0.0, "ml.m5.large", final=False)
    assert not one.is_settled
    one.last_bill = Bill(7, 2, 1.0, 10.0, 0.0, "ml.m5.large", final=True)
    assert one.is_settled
