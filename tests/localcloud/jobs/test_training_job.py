"""The record of a training job under any sequence of what may happen to it."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cloudtune.localcloud.jobs.training_job import MAX_FAILURE_REASON, TERMINAL, TrainingJob
from tests.localcloud.services.small_sagemaker import HandClock, training_request

SECONDARY = ["Starting", "Pending", "Downloading", "Training", "Uploading", "Interrupted"]
ENDS = [("Completed", "Completed"), ("Failed", "Failed"), ("Stopped", "MaxRuntimeExceeded"), ("Stopped", "Stopped")]


def new_job(**changes: Any) -> TrainingJob:
    return TrainingJob(training_request("job", **changes), HandClock(), "123456789012", "us-east-1")


class JobMachine(RuleBasedStateMachine):
    """Executor, callers and readers in any order; after each step the record is looked at from all sides."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.job = TrainingJob(training_request("job"), self.clock, "123456789012", "us-east-1")
        self.seen: list[tuple[float, dict[str, Any]]] = []
        self.ended: dict[str, Any] | None = None

    @rule(seconds=st.sampled_from([0.0, 0.5, 10.0]))
    def pass_time(self, seconds: float) -> None:
        self.seen.append((self.clock.time(), self.job.describe()))
        self.clock.passed += seconds
        if seconds == 0:
            self.seen.pop()  # more may happen at this moment

    @rule(secondary=st.sampled_from(SECONDARY), training_start=st.none() | st.just(1.0))
    def move(self, secondary: str, training_start: float | None) -> None:
        changes: dict[str, Any] = {} if training_start is None else {"training_start": training_start}
        before = self.job.state
        if before.status in TERMINAL:
            with pytest.raises(RuntimeError, match="already"):
                self.job.move(secondary, **changes)
            return
        state = self.job.move(secondary, "message", **changes)
        assert state.status == before.status
        assert state.secondary == ("Stopping" if before.status == "Stopping" else secondary)

    @rule()
    def stop(self) -> None:
        before = self.job.status
        assert self.job.want_stop() == (before == "InProgress")
        assert self.job.status == ("Stopping" if before == "InProgress" else before)
        assert (self.job.stop_wanted_at is not None) >= (self.job.status == "Stopping")

    @rule(end=st.sampled_from(ENDS), reason=st.none() | st.text(max_size=3))
    def finish(self, end: tuple[str, str], reason: str | None) -> None:
        before = self.job.status
        if before in TERMINAL:
            with pytest.raises(RuntimeError, match="already"):
                self.job.finish(*end, "over", reason)
            return
        state = self.job.finish(*end, "over", reason)
        assert state.status == ("Stopped" if before == "Stopping" and end[0] == "Completed" else end[0])
        self.ended = self.job.describe()

    @precondition(lambda self: self.ended is not None)
    @rule(status=st.sampled_from(["Available", "Reused", "Terminated"]))
    def tell_of_the_warm_pool(self, status: str) -> None:
        self.job.move("Training", "ignored", warm_pool={"Status": status})
        assert self.job.describe()["WarmPoolStatus"] == {"Status": status}

    @rule(value=st.floats(allow_nan=False))
    def measure(self, value: float) -> None:
        self.job.record_metric("loss", value, self.clock.time())
        assert self.job.describe()["FinalMetricDataList"][0]["Value"] == value

    @rule()
    def update(self) -> None:
        self.job.update_request(RetryStrategy={"MaximumRetryAttempts": 3})
        assert self.job.describe()["RetryStrategy"] == {"MaximumRetryAttempts": 3}

    @rule()
    def save_and_restore(self) -> None:
        saved = json.loads(json.dumps(self.job.to_dict()))
        restored = TrainingJob.from_dict(saved, self.clock)
        assert restored.to_dict() == self.job.to_dict()
        assert restored.describe() == self.job.describe()
        assert restored.stop_wanted_at == self.job.stop_wanted_at
        self.job = restored

    @invariant()
    def transitions_follow_each_other_without_gaps(self) -> None:
        told = self.job.describe()
        rows = told["SecondaryStatusTransitions"]
        assert rows[-1]["Status"] == told["SecondaryStatus"]
        assert rows[0]["StartTime"] == told["CreationTime"]
        for row, following in pairwise(rows):
            assert row["EndTime"] == following["StartTime"] >= row["StartTime"]
            assert row["Status"] != following["Status"]
        assert ("EndTime" in rows[-1]) == (told["TrainingJobStatus"] in TERMINAL)
        assert ("TrainingEndTime" in told) == (told["TrainingJobStatus"] in TERMINAL and "TrainingStartTime" in told)

    @invariant()
    def the_end_stays(self) -> None:
        if self.ended is not None:
            told = self.job.describe()
            for member in ("TrainingJobStatus", "SecondaryStatus", "SecondaryStatusTransitions", "FailureReason"):
                assert told.get(member) == self.ended.get(member)

    @invariant()
    def the_past_stays(self) -> None:
        for moment, told in self.seen:
            again = self.job.describe(until=moment)
            for member in ("TrainingJobStatus", "SecondaryStatus", "LastModifiedTime", "WarmPoolStatus"):
                assert again.get(member) == told.get(member)
            # Rows end later than they were seen to, but never begin otherwise.
            assert _begins(again) == _begins(told)
        moments = [moment for moment, _ in self.seen]
        lengths = [len(self.job.states(until=moment)) for moment in moments]
        assert lengths == sorted(lengths)


def _begins(told: dict[str, Any]) -> list[tuple[str, float]]:
    return [(row["Status"], row["StartTime"]) for row in told["SecondaryStatusTransitions"]]


JobMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestJobMachine = JobMachine.TestCase


def test_a_long_reason_is_cut_as_on_aws() -> None:
    """1024 characters are kept."""
    job = new_job()
    job.finish("Failed", "Failed", "over", "x" * 5000)
    assert job.describe()["FailureReason"] == "x" * MAX_FAILURE_REASON


def test_the_end_is_one_of_three() -> None:
    """A typing error of ours is no new status."""
    with pytest.raises(ValueError, match="cannot end as 'Done'"):
        new_job().finish("Done", "Done", "over")


def test_move_does_not_change_the_primary_status() -> None:
    """Only a stop and an end do."""
    with pytest.raises(ValueError, match="cannot change 'status'"):
        new_job().move("Training", status="Completed")


def test_the_record_is_a_copy_of_the_request_and_told_in_copies() -> None:
    """Whoever holds a request, a description or a saved record cannot change the job."""
    request = training_request("job", HyperParameters={"lr": "1"}, Tags=[{"Key": "a", "Value": "b"}])
    job = TrainingJob(request, HandClock(), "123456789012", "us-east-1")
    request["HyperParameters"]["lr"] = "2"
    job.describe()["HyperParameters"]["lr"] = "3"
    saved = job.to_dict()
    saved["request"]["HyperParameters"]["lr"] = "4"
    saved["tags"]["a"] = "c"
    assert job.describe()["HyperParameters"] == {"lr": "1"}
    assert job.tags == {"a": "b"}


def test_waiting_ends_with_the_job() -> None:
    """At once, from another thread; or when the time is over."""
    job = new_job()
    assert not job.wait(0.0)
    waited: list[bool] = []
    waiter = threading.Thread(target=lambda: waited.append(job.wait(60)))
    waiter.start()
    job.finish("Completed", "Completed", "over")
    waiter.join(60)
    assert waited == [True]


def test_only_one_of_many_ends_a_job() -> None:
    """Stops and ends from many threads: one end, and no state after it."""
    job = new_job()
    together = threading.Barrier(8)
    ended: list[str] = []

    def end(status: str) -> None:
        together.wait(30)
        job.want_stop()
        try:
            ended.append(job.finish(status, status, "over").status)
        except RuntimeError:
            ended.append("")

    threads = [threading.Thread(target=end, args=(status,)) for status in ("Failed", "Stopped") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ended)[:7] == [""] * 7
    assert sum(state.status in TERMINAL for state in job.states()) == 1
