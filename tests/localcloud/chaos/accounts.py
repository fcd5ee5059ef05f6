"""What must be true of every chaos job when all is over: state, logs, reports, checkpoint and bill agree."""

from __future__ import annotations

import io
import json
import math
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.localcloud.fault_plan import Fired
from tests.localcloud.chaos.plan import DISRUPTIVE, STOPPED_BY_OWNER, JobPlan

STEP = re.compile(r"step=(\d+) loss=([0-9.]+);")


@dataclass(frozen=True)
class Remains:
    """What is known about a job from outside."""

    plan: JobPlan
    described: Mapping[str, Any]
    streams: Mapping[str, list[str]]  # oldest first
    inbox: Mapping[str, bytes]
    checkpoint: bytes | None
    output: Mapping[str, bytes]
    fired: list[Fired]

    @property
    def struck(self) -> set[str]:
        """Kinds of faults that fired for this job, and its own troubles."""
        own = {"max_runtime", "max_wait", "bad_exit", "broken_archive"} & set(self.plan.kinds)
        by_owner = {"client_stop"} if STOPPED_BY_OWNER & set(self.plan.kinds) else set()
        return {fired.kind for fired in self.fired} | own | by_owner


def check(job: Remains) -> None:
    """Raises AssertionError naming what does not fit."""
    _check_outcome(job)
    _check_transitions(job)
    is_shuffled = "shuffled_logs" in job.plan.kinds
    runs = [_check_run(name, lines, is_shuffled) for name, lines in job.streams.items()]
    _check_continuation(job, runs)
    _check_checkpoint(job, runs)
    _check_inbox(job, runs)
    _check_bill(job)
    _check_warm_pool(job)
    if runs and any(run.losses for run in runs):
        last = [run.losses[-1] for run in runs if run.losses][-1]
        metrics = {row["MetricName"]: row["Value"] for row in job.described["FinalMetricDataList"]}
        assert math.isclose(metrics["loss"], last), "the final metric is not what was printed last"


def _check_outcome(job: Remains) -> None:
    described, kinds = job.described, job.struck
    status, reason = described["TrainingJobStatus"], described.get("FailureReason", "")
    if not kinds & DISRUPTIVE:
        assert status == "Completed", f"{kinds} must not keep a job from completing: {status} {reason}"
    if status == "Completed":
        assert not reason
        assert job.plan.exit_code == 0
        assert "broken_archive" not in kinds
        model = job.output[f"out/{job.plan.name}/output/model.tar.gz"]
        with tarfile.open(fileobj=io.BytesIO(model)) as archive:
            assert [name for name in archive.getnames() if name.endswith("weights.txt")]
        # Not always the last line: shuffled lines of the same millisecond have no order.
        assert f"done steps={job.plan.steps}" in list(job.streams.values())[-1][-3:]
    elif status == "Stopped":
        causes = {
            "Stopped": {"console_stop", "client_stop"},
            "MaxRuntimeExceeded": {"max_runtime", "max_wait"},
            "MaxWaitTimeExceeded": {"max_wait"},
        }
        assert kinds & causes[described["SecondaryStatus"]], f"nothing made it {described['SecondaryStatus']}"
    else:
        assert status == "Failed"
        _check_reason(kinds, job.plan, reason)
    if "capacity" in kinds and status != "Stopped":
        assert reason.startswith("CapacityError")
        assert not job.streams
        assert not job.inbox


def _check_reason(kinds: set[str], plan: JobPlan, reason: str) -> None:
    if reason.startswith("CapacityError"):
        assert "capacity" in kinds
    elif reason.startswith("InternalServerError"):
        assert "job_internal_error" in kinds
    else:
        code = int(re.fullmatch(r"AlgorithmError: .*exit code: (\d+)\D*", reason, re.DOTALL).group(1))  # type: ignore[union-attr]
        if "broken_archive" in plan.kinds and code == 3:
            assert "archive cannot be read" in reason
        elif code == plan.exit_code:
            assert f"the script ended with {code}" in reason
        else:
            assert (code, "access_denied" in kinds) == (1, True), f"exit code {code} has no cause"


def _check_transitions(job: Remains) -> None:
    rows = job.described["SecondaryStatusTransitions"]
    times = [row["StartTime"] for row in rows]
    assert times == sorted(times)
    assert all("EndTime" in row for row in rows)
    assert rows[-1]["Status"] == job.described["SecondaryStatus"]
    interrupted = sum(row["Status"] == "Interrupted" for row in rows)
    drawn = sum(fired.kind == "spot_interruption" for fired in job.fired)
    assert interrupted <= drawn, "more interruptions than faults"
    if not job.plan.is_spot:
        assert not interrupted


@dataclass(frozen=True)
class Run:
    start: int
    steps: list[int]
    losses: list[float]
    told: bool
    done: bool


def _check_run(name: str, lines: list[str], is_shuffled: bool) -> Run:
    """A run begins where its checkpoint was and prints each step once, in order (unless lines were shuffled)."""
    begins = [line for line in lines if line.startswith("begin start=")]
    if not begins:
        # Only the agent spoke: it could not unpack the source, or was not allowed to write.
        return Run(0, [], [], False, False)
    assert len(begins) == 1, f"{name} has {len(begins)} beginnings"
    start = int(begins[0].partition("=")[2])
    found = [match for line in lines if (match := STEP.fullmatch(line))]
    if is_shuffled:
        found.sort(key=lambda match: int(match[1]))
    steps = [int(match[1]) for match in found]
    assert steps == list(range(start + 1, start + 1 + len(steps))), f"{name} lost or doubled lines: {steps}"
    losses = [float(match[2]) for match in found]
    return Run(start, steps, losses, "told to stop" in lines, any(line.startswith("done ") for line in lines))


def _check_continuation(job: Remains, runs: list[Run]) -> None:
    reached = 0
    for run in runs:
        # The checkpoint is written before the line: a killed run may have saved one step more than it printed.
        assert run.start <= reached + 1, f"a run began at {run.start} where {reached} had been reached"
        reached = max(reached, run.start, *run.steps) if run.steps else max(reached, run.start)
    interrupted = sum(row["Status"] == "Interrupted" for row in job.described["SecondaryStatusTransitions"])
    retried = sum(fired.kind == "job_internal_error" for fired in job.fired)
    assert len(runs) <= 1 + interrupted + retried


def _check_checkpoint(job: Remains, runs: list[Run]) -> None:
    reached = max((step for run in runs for step in run.steps), default=0)
    saved = json.loads(job.checkpoint)["step"] if job.checkpoint else 0
    assert saved <= reached + 1, f"the checkpoint has step {saved}, only {reached} was reached"
    ended = job.described["TrainingJobStatus"]
    if ended == "Completed" and "sync_ceases" not in job.struck:
        assert saved == job.plan.steps, f"the checkpoint of a completed job has step {saved} of {job.plan.steps}"
    if runs and runs[-1].told and "sync_ceases" not in job.struck:
        assert saved == runs[-1].steps[-1], "what was saved on the stop is not in S3"


def _check_inbox(job: Remains, runs: list[Run]) -> None:
    """The objects of the agent: reports are a prefix of what was printed, the end mark counts them all."""
    by_run: dict[str, dict[str, Any]] = {}
    for key, body in job.inbox.items():
        run, _, name = key.removeprefix(f"inbox/{job.plan.name}/").partition("/")
        by_run.setdefault(run, {})[name.removesuffix(".json")] = json.loads(body)
    printed = [set(run.steps) | {run.start + len(run.steps) + 1} for run in runs]
    for found in by_run.values():
        steps = [report["step"] for report in found.get("reports", {}).get("reports", ())]
        assert steps == list(range(steps[0], steps[0] + len(steps))) if steps else True
        assert not steps or any(set(steps) <= one for one in printed), "reports that no run has printed"
        if "end" in found and "write_lost" not in job.struck:
            assert found["end"]["reports"] == len(steps), "the end mark counts other reports than there are"
    if job.described["TrainingJobStatus"] == "Completed" and "isolated" not in job.plan.kinds:
        ends = [found["end"]["exit_code"] for found in by_run.values() if "end" in found]
        assert 0 in ends or "write_lost" in job.struck, "a completed job without an end mark"


def _check_bill(job: Remains) -> None:
    trained, billed = job.described.get("TrainingTimeInSeconds"), job.described.get("BillableTimeInSeconds")
    assert (trained is None) == (billed is None)
    if trained is None or billed is None:
        assert not job.streams, "a job that ran is not billed"
        return
    assert 0 < billed <= trained
    if not job.plan.is_spot:
        assert billed == trained
    elif trained > 3:
        assert billed < trained


def _check_warm_pool(job: Remains) -> None:
    """Instances are kept after a job that asked for it and completed, unless a fault forbids it."""
    pool = job.described.get("WarmPoolStatus")
    is_kept = (
        job.plan.keeps_instances
        and job.described["TrainingJobStatus"] == "Completed"
        and "no_warm_pool" not in job.plan.kinds
    )
    if not is_kept:
        # What it took over from another job ended with it.
        ended = {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}
        assert pool is None or pool == ended, f"instances were kept: {pool}"
        return
    assert pool is not None
    assert pool["Status"] in ("Available", "Reused", "Terminated")
    assert 0 <= pool["ResourceRetainedBillableTimeInSeconds"] <= 61
    assert ("ReusedByJob" in pool) == (pool["Status"] == "Reused")
    assert pool.get("ReusedByJob") != job.plan.name
