"""The inbox: one listing per look whatever the number of trials, then only what changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.s3 import Bucket
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.inbox import Inbox
from cloudtune.localcloud import LocalCloud
from cloudtune.trial import End, Outcome, Report, Trial
from tests.backend.sagemaker.heads import end_mark, head_of

KEYS = protocol.Keys("cloudtune/tag/name/abcdef")


@pytest.fixture
def inbox(desk: Desk, bucket: Bucket) -> Inbox:
    ending = Ending(desk)
    inbox = Inbox(desk, bucket, KEYS, ending, interval=1)
    ending.listeners.append(inbox.has_ended)
    return inbox


def add(desk: Desk, trial: int) -> Attempt:
    attempt = Attempt(Trial(trial, {}), f"job-{trial}-0", f"id-{trial}-0")
    attempt.phase = Phase.EXISTS
    desk.add(attempt)
    return attempt


def head(trial: int, reports: list[dict[str, Any]], **other: Any) -> bytes:
    return json.dumps(head_of(trial, reports=reports, **other)).encode()


def calls(cloud: LocalCloud) -> dict[str, int]:
    return {operation.partition(":")[2]: count for operation, count in cloud.call_counts().items()}


@pytest.mark.defect("E3")
@pytest.mark.parametrize("trials", [4, 25, 100])
def test_nothing_new_costs_one_listing(
    trials: int, bucket: Bucket, desk: Desk, inbox: Inbox, local_cloud: LocalCloud
) -> None:
    """A look at 4, 25 or 100 running trials without news is one listing and not one call more, none rate-limited."""
    for trial in range(trials):
        add(desk, trial)
        bucket.put(KEYS.head(trial, 0), head(trial, [{"loss": 1.0}]))
    inbox.look()
    events, _ = desk.take_events()
    before = local_cloud.call_counts()
    inbox.look()
    after = local_cloud.call_counts()
    assert len(events) == trials
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)} == {
        "s3:ListObjectsV2": 1
    }


def test_a_look_at_a_thousand_workers_reads_what_has_changed(
    bucket: Bucket, desk: Desk, inbox: Inbox, local_cloud: LocalCloud
) -> None:
    """With 1,000 heads in one page, a look lists once and reads the seven that changed."""
    for trial in range(1000):
        add(desk, trial)
        bucket.put(KEYS.head(trial, 0), head(trial, []))
    inbox.look()
    changed = [0, 1, 17, 500, 501, 998, 999]
    for trial in changed:
        bucket.put(KEYS.head(trial, 0), head(trial, [{"loss": trial}], beat=2))
    desk.take_events()
    before = local_cloud.call_counts()
    inbox.look()
    after = local_cloud.call_counts()
    events, _ = desk.take_events()
    assert sorted(event.trial_id for event in events) == changed
    assert after["s3:ListObjectsV2"] - before["s3:ListObjectsV2"] == 1
    assert after["s3:GetObject"] - before["s3:GetObject"] == len(changed)


def test_chunks_are_read_once(bucket: Bucket, desk: Desk, inbox: Inbox, local_cloud: LocalCloud) -> None:
    """10,000 reports in chunks come in order, and each chunk is read once however often the head changes."""
    add(desk, 0)
    chunks = [(0, first, 500) for first in range(0, 9_500, 500)]
    for _, first, count in chunks:
        lines = "".join(f'{{"n":{number}}}\n' for number in range(first, first + count))
        bucket.put(KEYS.chunk(0, 0, 0, first), lines.encode())
    tail = [{"n": number} for number in range(9_500, 10_000)]
    bucket.put(KEYS.head(0, 0), head(0, tail, chunks=chunks, first=9_500))
    inbox.look()
    bucket.put(KEYS.head(0, 0), head(0, [*tail, {"n": 10_000}], beat=2, chunks=chunks, first=9_500))
    inbox.look()
    events, _ = desk.take_events()
    assert [event.metrics["n"] for event in events if isinstance(event, Report)] == list(range(10_001))
    assert calls(local_cloud)["GetObject"] == len(chunks) + 2


def test_the_end_comes_last_and_clears_the_inbox(bucket: Bucket, desk: Desk, inbox: Inbox) -> None:
    """An end mark ends the attempt after its reports; its head is deleted, so that listings stay short."""
    add(desk, 0)
    end = end_mark(protocol.COMPLETED)
    body = head(0, [{"loss": 1.0}], end=end)
    bucket.put(KEYS.end(0, 0), body)
    bucket.put(KEYS.head(0, 0), body)
    inbox.turn()
    events, _ = desk.take_events()
    assert [type(event) for event in events] == [Report, End]
    assert isinstance(events[1], End)
    assert events[1].outcome is Outcome.completed
    assert bucket.list(KEYS.inbox) == []
    inbox.turn()
    assert desk.take_events() == ([], False)


def test_an_end_that_is_read_later(bucket: Bucket, desk: Desk, inbox: Inbox) -> None:
    """A tuner that was killed after clearing the inbox finds reports and end in the object that stays."""
    attempt = add(desk, 0)
    end = end_mark(protocol.COMPLETED)
    bucket.put(KEYS.end(0, 0), head(0, [{"loss": 1.0}, {"loss": 0.5}], end=end))
    attempt.delivered[0] = 1
    inbox.fetch(attempt)
    events, _ = desk.take_events()
    assert [type(event) for event in events] == [Report, End]
    assert isinstance(events[0], Report)
    assert events[0].number == 1


def test_an_end_mark_whose_head_was_not_written(bucket: Bucket, desk: Desk, inbox: Inbox) -> None:
    """A machine that died between its two last writes has told all it had to tell by the first."""
    attempt = add(desk, 0)
    end = end_mark(protocol.COMPLETED)
    bucket.put(KEYS.head(0, 0), head(0, [{"loss": 1.0}]))
    bucket.put(KEYS.end(0, 0), head(0, [{"loss": 1.0}, {"loss": 0.5}], beat=2, end=end))
    inbox.look()
    inbox.fetch(attempt)
    events, _ = desk.take_events()
    assert [type(event) for event in events] == [Report, Report, End]


def test_what_a_job_without_a_last_word_has_told_stays(bucket: Bucket, desk: Desk, inbox: Inbox) -> None:
    """A tuner that dies after clearing the inbox, and before logging what was in it, has lost nothing."""
    attempt = add(desk, 0)
    terminated = end_mark(protocol.TERMINATED, 143)
    bucket.put(KEYS.end(0, 0), head(0, [{"loss": 1.0}], end=terminated))
    bucket.put(KEYS.head(0, 0), head(0, [{"loss": 0.5}], run=1))
    inbox.look()
    assert len(desk.take_events()[0]) == 1
    with desk.lock:  # SageMaker has said that the job is over
        attempt.end_delivered = True
        inbox.has_ended(attempt)
    inbox.turn()
    assert bucket.list(KEYS.inbox) == []
    again = add(desk, 0)
    again.delivered[0] = 1
    inbox.fetch(again)
    assert [(event.run, event.metrics) for event in desk.take_events()[0] if isinstance(event, Report)] == [
        (1, {"loss": 0.5})
    ]


def test_a_read_that_fails_is_made_up_for(bucket: Bucket, desk: Desk, local_cloud: LocalCloud, inbox: Inbox) -> None:
    """A head that could not be read when it had changed is read at the next look, though it has not changed again."""
    impatient = Bucket(bucket.aws, "data", "123456789012", patience=0)
    inbox = Inbox(desk, impatient, KEYS, Ending(desk), interval=1)
    add(desk, 0)
    bucket.put(KEYS.head(0, 0), head(0, [{"loss": 1.0}]))
    local_cloud.faults.add("internal_error", operation="s3:GetObject", count=40)
    with pytest.raises(Exception, match="failure of AWS"):
        inbox.look()
    local_cloud.faults.clear()
    inbox.look()
    events, _ = desk.take_events()
    assert len(events) == 1


def test_a_head_that_was_listed_before_its_trial_began(bucket: Bucket, desk: Desk, inbox: Inbox) -> None:
    """Of a job that is found to be ours later, a head is read that did not change since it was passed over."""
    add(desk, 0)
    bucket.put(KEYS.head(7, 0), head(7, [{"loss": 1.0}]))
    inbox.look()
    found = add(desk, 7)
    inbox.look()
    assert desk.take_events()[0] == []
    inbox.read_again(found)
    inbox.look()
    assert desk.take_events()[0] == [Report(7, 0, 0, 0, {"loss": 1.0})]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        head(0, [{"loss": 2.0}], beat="2"),
        head(0, [{"loss": 2.0}], run=None),
        head(0, [{"loss": 2.0}], chunks=3),
        head(0, [{"loss": 2.0}], chunks=[[0, 0]]),
        head(0, [{"loss": 2.0}], chunks=["abc"]),
        head(0, [{"loss": 2.0}], beat=2, end="completed"),
        head(0, [{"loss": 2.0}], beat=2, end={"outcome": "completed"}),
        json.dumps({**head_of(0), "reports": 7}).encode(),
        json.dumps({**head_of(0), "reports": [7]}).encode(),
    ],
)
def test_what_is_no_head_is_told_and_ignored(
    body: bytes, bucket: Bucket, desk: Desk, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has written into the inbox: no reason to end the tuner, and what the agent writes next counts."""
    add(desk, 0)
    bucket.put(KEYS.head(0, 0), body)
    inbox.look()
    assert desk.take_events() == ([], False)
    assert "for trial 0 is not what an agent writes, and is ignored; leave that folder to cloudtune" in caplog.text
    bucket.put(KEYS.head(0, 0), head(0, [{"loss": 1.0}], beat=2))
    inbox.look()
    assert [event.metrics for event in desk.take_events()[0] if isinstance(event, Report)] == [{"loss": 1.0}]


def test_foreign_objects_are_left_alone(bucket: Bucket, desk: Desk, inbox: Inbox) -> None:
    """What is no head of a trial that runs is neither read nor deleted."""
    add(desk, 0)
    for name in ("notes.txt", "x-y.json", "99-0.json"):
        bucket.put(KEYS.inbox + name, b"not ours")
    inbox.turn()
    assert desk.take_events() == ([], False)
    assert len(bucket.list(KEYS.inbox)) == 3
