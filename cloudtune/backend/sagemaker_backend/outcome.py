"""What the end of a job means for its trial: by the agent's end mark where it decides, else by what SageMaker says."""

from __future__ import annotations

import re
import signal

from cloudtune.agent import protocol
from cloudtune.agent.forms import EndForm
from cloudtune.agent.log_lines import without_reports
from cloudtune.aws.training_jobs import JobState
from cloudtune.backend.sagemaker_backend.attempt import Attempt
from cloudtune.trial import End, Outcome

#: What FailureReason begins with when AWS, not the script, is to blame: the trial may try again.
_CAPACITY = "CapacityError"
_PLATFORM = ("InternalServerError", "InternalError", "ServiceUnavailable")

#: How it tells how a container has ended, at its end.
_EXIT_CODE = re.compile(r", exit code: (?P<code>\d+)[^,]*$")

#: What it ends with when the agent has ended because of SIGTERM.
_BY_SIGTERM = f"exit code: {128 + signal.SIGTERM}"

#: Characters of the last line of output that are quoted in a sentence.
_LONGEST_LINE = 300


def end_by_mark(attempt: Attempt, mark: EndForm) -> End | None:
    """The end that an agent's end mark tells of; None where only SageMaker knows (it was sent SIGTERM)."""
    outcome = mark["outcome"]
    code = mark["exit_code"]
    if outcome == protocol.COMPLETED:
        return _end(attempt, Outcome.completed, "", code)
    if outcome == protocol.FAILED:
        return _end(attempt, Outcome.failed, _told_by_output(mark["reason"], mark["output"]), code)
    if outcome == protocol.TERMINATED:
        return None
    if attempt.wish == protocol.WISH_STOP:
        return _end(attempt, Outcome.stopped, mark["reason"], code)
    if attempt.wish == protocol.WISH_PAUSE:
        return _end(attempt, Outcome.paused, mark["reason"], code)
    if outcome == protocol.STOPPED:
        return _end(attempt, Outcome.stopped, mark["reason"] or "stopped by another tuner", code)
    return _end(attempt, Outcome.interrupted, mark["reason"] or "paused by another tuner", code)


def end_by_state(attempt: Attempt, state: JobState, output: str = "") -> End:
    """The end of a job that is terminal and whose agent has left no end mark that decides.

    Args:
        attempt: Whose end.
        state: What DescribeTrainingJob says.
        output: The last lines of the job's log.
    """
    if state.status == "Completed":
        return _end(attempt, Outcome.completed, "", 0)
    if state.status == "Stopped":
        if attempt.wish == protocol.WISH_PAUSE:
            return _end(attempt, Outcome.paused, "")
        if attempt.wish == protocol.WISH_STOP:
            return _end(attempt, Outcome.stopped, "")
        return _end(attempt, Outcome.stopped, _why_stopped(state))
    reason = state.failure_reason or "SageMaker gave no reason"
    if _CAPACITY in reason:
        sentence = f"there was no {state.instance_type} free ({_sentence(reason)})"
        return _end(attempt, Outcome.interrupted, sentence, blameless=True)
    if reason.startswith(_PLATFORM):
        return _end(attempt, Outcome.interrupted, f"SageMaker itself failed ({_sentence(reason)})")
    mark = attempt.mark
    if mark is not None and mark["outcome"] == protocol.TERMINATED and _BY_SIGTERM in reason:
        sentence = f"{mark['reason']}, not by SageMaker but from inside"
        return _end(attempt, Outcome.failed, _told_by_output(sentence, output or mark["output"]), mark["exit_code"])
    code = _EXIT_CODE.search(reason)
    sentence = _told_by_output(_sentence(_without_reports(reason)), output)
    return _end(attempt, Outcome.failed, sentence, None if code is None else int(code["code"]))


def never_began(attempt: Attempt, why: str) -> End:
    """The end of an attempt that has no job."""
    outcome = {protocol.WISH_STOP: Outcome.stopped, protocol.WISH_PAUSE: Outcome.paused}.get(attempt.wish or "")
    if outcome is not None:
        return End(*attempt.key, outcome, "it had not begun")
    return End(*attempt.key, Outcome.interrupted, why, blameless=True)


def source_was_missing(attempt: Attempt) -> End:
    """The end of a job that failed because somebody had deleted, or changed, what it begins from."""
    why = "the source in S3 was deleted or changed before its job had begun; it was uploaded again"
    return _end(attempt, Outcome.interrupted, why, blameless=True)


def is_capacity_failure(state: JobState) -> bool:
    """Whether a job failed because there was no instance for it."""
    return state.status == "Failed" and _CAPACITY in state.failure_reason


def _why_stopped(state: JobState) -> str:
    if state.secondary == "MaxRuntimeExceeded":
        return f"it reached its longest allowed runtime of {state.max_run} seconds; raise max_run if it needs more"
    if state.secondary == "MaxWaitTimeExceeded":
        return "it waited for a spot instance for longer than max_wait; raise max_wait, or do without use_spot"
    return "stopped from outside (in the console, or by StopTrainingJob)"


def _end(attempt: Attempt, outcome: Outcome, reason: str, code: int | None = None, blameless: bool = False) -> End:
    return End(*attempt.key, outcome, reason, code, blameless, bill_follows=True)


def _told_by_output(how: str, output: str) -> str:
    """One sentence in the first line, for messages that have room for no more; then the last lines, where there are."""
    lines = without_reports(output.rstrip()).rstrip().splitlines()
    if not lines:
        return how
    last = lines[-1].strip()
    if len(last) > _LONGEST_LINE:
        last = f"{last[:_LONGEST_LINE]}…"
    sentence = f"{how}, its output ends with: {last}" if last not in how else how
    return sentence if len(lines) == 1 else f"{sentence}\nlast lines of its output:\n" + "\n".join(lines)


def _without_reports(reason: str) -> str:
    """A FailureReason, which may quote what a container has printed last, without reports."""
    text, code, number = reason.rpartition(", exit code: ")
    return f"{without_reports(text).rstrip()}{code}{number}" if code else without_reports(reason)


def _sentence(reason: str) -> str:
    return " ".join(reason.split()).rstrip(".")
