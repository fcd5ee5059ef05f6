"""What the outbox puts can be read at any instant: every report that a head names is there, once and in order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cloudtune.agent import outbox as outbox_module
from cloudtune.agent.forms import EndForm, Head
from cloudtune.agent.outbox import TAIL_REPORTS, Outbox, newer
from cloudtune.agent.protocol import COMPLETED, TERMINATED
from cloudtune.agent.s3_errors import S3Unreachable
from tests.agent.agent_job import task
from tests.agent.outbox_bucket import KEYS, Bucket

END: EndForm = {"outcome": TERMINATED, "exit_code": None, "signal": 15, "reason": "", "output": "x" * 2000}


def texts(first: int, count: int, size: int = 1) -> list[str]:
    return [json.dumps({"v": first + number, "pad": "x" * size}) for number in range(count)]


class Runs(RuleBasedStateMachine):
    """An agent that reports, puts with failures, and is killed and started again at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = Bucket()
        self.outbox = Outbox(self.bucket, task(), "algo-1", "job")
        self.made: dict[int, int] = {0: 0}
        self.seen: list[tuple[int, int, Any]] = []
        self.acknowledged: dict[int, int] = {}

    @rule(count=st.integers(1, 400), size=st.sampled_from([1, 100, 5000]))
    def report(self, count: int, size: int) -> None:
        run = self.outbox.run
        self.outbox.add(texts(self.made[run], count, size if count < 50 else 1))
        self.made[run] += count

    @rule(failures=st.lists(st.sampled_from(["works", "lost before", "lost after"]), max_size=3))
    def put(self, failures: list[str]) -> None:
        self.bucket.failures = list(failures)
        try:
            self.outbox.put()
            assert self.outbox.shipped == self.made[self.outbox.run]
            assert not self.outbox.has_news()
        except S3Unreachable:
            assert "works" not in failures or len(set(failures)) > 1
        self.bucket.failures = []
        self.acknowledged[self.outbox.run] = self.outbox.shipped

    @rule(notice=st.booleans())
    def restart(self, notice: bool) -> None:
        if notice:
            self.outbox.end = END
            self.put([])
        previous = newer(self.bucket.read(KEYS.head(7, 2)), self.bucket.read(KEYS.end(7, 2)))
        self.outbox = Outbox(self.bucket, task(), "algo-1", "job", previous)
        if notice:
            assert self.outbox.run > 0
        self.made[self.outbox.run] = 0  # its number may be that of a run of which nothing was ever seen

    @invariant()
    def everything_named_is_there_once_and_in_order(self) -> None:
        found = self.bucket.reports()
        by_run: dict[int, list[tuple[int, Any]]] = {}
        for run, number, value in found:
            by_run.setdefault(run, []).append((number, value))
        assert list(by_run) == sorted(by_run)
        for run, reports in by_run.items():
            assert reports == [(number, number) for number in range(len(reports))]
            assert len(reports) <= self.made[run]
        assert found[: len(self.seen)] == self.seen, "what was seen once is no longer there"
        self.seen = found
        for run, count in self.acknowledged.items():
            assert len(by_run.get(run, [])) >= count, "what counts as shipped cannot be read"


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_chunk_is_put_before_the_head_that_names_it() -> None:
    """A tuner that reads the head finds all that it names; heads stay small."""
    bucket = Bucket()
    box = Outbox(bucket, task(), "algo-1", "job")
    box.add(texts(0, TAIL_REPORTS + 1))
    box.put()
    assert bucket.puts == [KEYS.chunk(7, 2, 0, 0), KEYS.head(7, 2)]
    box.add(texts(TAIL_REPORTS + 1, 3))
    box.put()
    head = bucket.read(KEYS.head(7, 2))
    assert head["first"] == TAIL_REPORTS + 1
    assert len(head["reports"]) == 3
    assert head["beat"] == 2


def test_a_chunk_that_may_be_there_is_put_again_with_the_same_content() -> None:
    """Its answer was lost: reports that came meanwhile go into the next one."""
    bucket = Bucket()
    box = Outbox(bucket, task(), "algo-1", "job")
    box.add(texts(0, 600))
    bucket.failures = ["lost after"]
    with pytest.raises(S3Unreachable):
        box.put()
    first = bucket.objects[KEYS.chunk(7, 2, 0, 0)]
    box.add(texts(600, 600))
    box.put()
    assert bucket.objects[KEYS.chunk(7, 2, 0, 0)] == first
    assert bucket.read(KEYS.head(7, 2))["chunks"] == [[0, 0, 600], [0, 600, 600]]


def test_a_burst_becomes_few_objects_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Very large tails are cut into chunks."""
    monkeypatch.setattr(outbox_module, "CHUNK_BYTES", 100_000)
    bucket = Bucket()
    box = Outbox(bucket, task(), "algo-1", "job")
    box.add(texts(0, 300, 1000))
    box.put()
    assert [number for number, (_, value) in enumerate(sorted(bucket.objects.items())) if len(value) > 130_000] == []
    assert len(bucket.reports()) == 300


def test_the_end_mark_is_put_before_the_head_that_has_it() -> None:
    """Who sees the end in the inbox may delete it there: the mark that stays is already in place."""
    bucket = Bucket()
    box = Outbox(bucket, task(), "algo-1", "job")
    box.end = {**END, "outcome": COMPLETED}
    box.put()
    assert bucket.puts == [KEYS.end(7, 2), KEYS.head(7, 2)]
    assert bucket.read(KEYS.end(7, 2))["state"] == "ended"
    assert bucket.objects[KEYS.end(7, 2)] == bucket.objects[KEYS.head(7, 2)]


def test_a_new_run_takes_over_what_the_old_one_left() -> None:
    """Reports of the old head become a chunk, its end moves to the ended runs, its checkpoint stays."""
    bucket = Bucket()
    box = Outbox(bucket, task(), "algo-1", "job")
    box.add(texts(0, 2))
    box.checkpoint = "000002-000000-000001"
    box.end = END
    box.put()
    bucket.puts.clear()
    following = Outbox(bucket, task(), "algo-1", "job", bucket.read(KEYS.head(7, 2)))
    following.put()
    assert bucket.puts == [KEYS.chunk(7, 2, 0, 0), KEYS.head(7, 2)]
    head: Head = bucket.read(KEYS.head(7, 2))
    assert (head["run"], head["first"], head["reports"], head["end"]) == (1, 0, [], None)
    assert head["checkpoint"] == "000002-000000-000001"
    assert head["ended_runs"]["0"]["outcome"] == TERMINATED
    assert len(head["ended_runs"]["0"]["output"]) <= 200


def test_the_end_mark_stands_in_for_a_head_that_was_deleted() -> None:
    """A tuner deletes ended heads from the inbox; the next run of the attempt is none the less a new one."""
    bucket = Bucket()
    box = Outbox(bucket, task(), "algo-1", "job")
    box.end = END
    box.put()
    head: Head = bucket.read(KEYS.head(7, 2))
    end: Head = bucket.read(KEYS.end(7, 2))
    assert newer(None, end) == end
    assert newer(head, None) == head
    assert newer(None, None) is None
    following: Head = {**head, "run": 1, "beat": 1}
    earlier: Head = {**head, "beat": 0, "end": None}
    assert newer(following, end) == following
    assert newer(earlier, end) == end


def test_news_are_reports_states_checkpoints_and_the_end() -> None:
    """Each is worth a put, once."""
    box = Outbox(Bucket(), task(), "algo-1", "job")
    assert box.has_news()
    box.put()
    assert not box.has_news()
    box.add(texts(0, 1))
    for name, value in (("state", "running"), ("checkpoint", "x"), ("end", END)):
        assert box.has_news()
        box.put()
        assert not box.has_news()
        setattr(box, name, value)
    assert box.has_news()


def test_what_is_added_during_a_put_is_news_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script goes on reporting while S3 takes its time."""
    bucket = Bucket()
    box = Outbox(bucket, task(), "algo-1", "job")
    real = bucket.put

    def put(key: str, body: bytes) -> str:
        box.add(texts(0, 1))
        return real(key, body)

    monkeypatch.setattr(bucket, "put", put)
    box.put()
    assert box.has_news()
    assert (box.shipped, box.made) == (0, 1)
    monkeypatch.undo()
    box.put()
    assert not box.has_news()
    assert [number for _, number, _ in bucket.reports()] == [0]
