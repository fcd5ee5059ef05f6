"""What ends mean: the agent's mark decides, SageMaker where there is none."""

from __future__ import annotations

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.training_jobs import JobState
from cloudtune.backend.sagemaker_backend.attempt import Attempt
from cloudtune.backend.sagemaker_backend.outcome import end_by_mark, end_by_state, is_capacity_failure, never_began
from cloudtune.trial import Outcome, Trial
from tests.aws.job_states import job_state
from tests.backend.sagemaker.heads import end_mark


def attempt(wish: str | None = None) -> Attempt:
    one = Attempt(Trial(3, {}, 1), "job", "id-3-1")
    one.wish = wish
    return one


def state(status: str, secondary: str = "", reason: str = "") -> JobState:
    return job_state(
        status, secondary=secondary or status, failure_reason=reason, instance_type="ml.g4dn.xlarge", max_run=60
    )


@pytest.mark.parametrize(
    ("outcome", "wish", "expected"),
    [
        (protocol.COMPLETED, None, Outcome.completed),
        (protocol.COMPLETED, protocol.WISH_STOP, Outcome.completed),
        (protocol.FAILED, None, Outcome.failed),
        (protocol.FAILED, protocol.WISH_PAUSE, Outcome.failed),
        (protocol.STOPPED, protocol.WISH_STOP, Outcome.stopped),
        (protocol.PAUSED, protocol.WISH_PAUSE, Outcome.paused),
        (protocol.PAUSED, protocol.WISH_STOP, Outcome.stopped),  # a stop after a pause wins
        (protocol.STOPPED, None, Outcome.stopped),
        (protocol.PAUSED, None, Outcome.interrupted),  # no sign of life from an earlier tuner: it goes on
    ],
)
def test_the_mark_decides(outcome: str, wish: str | None, expected: Outcome) -> None:
    """What the agent says, given what the tuner asked; and that a bill follows."""
    end = end_by_mark(attempt(wish), end_mark(outcome, None))
    assert end is not None
    assert end.outcome is expected
    assert end[:2] == (3, 1)
    assert end.bill_follows


def test_a_terminated_run_is_judged_by_sagemaker() -> None:
    """SIGTERM comes from spot, the console, StopTrainingJob or max runtime alike: the agent cannot know."""
    assert end_by_mark(attempt(), end_mark(protocol.TERMINATED, None)) is None


@pytest.mark.parametrize(
    ("told", "wish", "expected", "words"),
    [
        (state("Completed"), None, Outcome.completed, ""),
        (state("Stopped"), None, Outcome.stopped, "from outside"),
        (state("Stopped"), protocol.WISH_STOP, Outcome.stopped, ""),
        (state("Stopped"), protocol.WISH_PAUSE, Outcome.paused, ""),
        (state("Stopped", "MaxRuntimeExceeded"), None, Outcome.stopped, "60 seconds"),
        (state("Stopped", "MaxWaitTimeExceeded"), None, Outcome.stopped, "max_wait"),
        (state("Failed", reason="AlgorithmError: boom, exit code: 1"), None, Outcome.failed, "boom"),
        (state("Failed", reason="ClientError: no such image"), None, Outcome.failed, "no such image"),
        (state("Failed", reason="InternalServerError: try again"), None, Outcome.interrupted, "SageMaker itself"),
        (state("Failed", reason="CapacityError: none left"), None, Outcome.interrupted, "ml.g4dn.xlarge"),
        (state("Failed"), None, Outcome.failed, "no reason"),
    ],
)
def test_sagemaker_decides_where_no_mark_does(told: JobState, wish: str | None, expected: Outcome, words: str) -> None:
    """Every way in which a job ends without a word, and what the user reads."""
    end = end_by_state(attempt(wish), told)
    assert end.outcome is expected
    assert words in end.reason


def test_only_a_lack_of_machines_is_nobodys_fault() -> None:
    """It does not count towards the interruptions after which a trial fails; a failure of the platform does."""
    none_left = state("Failed", reason="CapacityError: none left")
    assert end_by_state(attempt(), none_left).blameless
    assert is_capacity_failure(none_left)
    broken = state("Failed", reason="InternalServerError: try again")
    assert not end_by_state(attempt(), broken).blameless
    assert not is_capacity_failure(broken)


def test_a_failure_quotes_the_last_words() -> None:
    """The first line is a sentence that ends with the script's own last line; reports are no reason."""
    output = 'Traceback\n[tune-metric]: {"loss": 1}\nValueError: bad luck\n'
    end = end_by_mark(attempt(), end_mark(protocol.FAILED, 1, "exit code 1", output))
    assert end is not None
    first, *rest = end.reason.splitlines()
    assert first == "exit code 1, its output ends with: ValueError: bad luck"
    assert rest == ["last lines of its output:", "Traceback", "ValueError: bad luck"]
    assert end.exit_code == 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ('AlgorithmError: [tune-metric]: {"loss": 1}, exit code: 1', "AlgorithmError:, exit code: 1"),
        ('AlgorithmError: boom\n[tune-metric]: {"lo, exit code: 1', "AlgorithmError: boom, exit code: 1"),
        ('AlgorithmError: 9%[tune-metric]: {"a": {}} boom, exit code: 1', "AlgorithmError: 9% boom, exit code: 1"),
        ('AlgorithmError: boom\n[cloudtune-report]: {"n": 1}\n[cloudtune-end]: {}', "AlgorithmError: boom"),
    ],
)
def test_a_report_is_no_reason(reason: str, expected: str) -> None:
    """SageMaker quotes what was printed last; reports among it say nothing, whole or torn."""
    assert end_by_state(attempt(), state("Failed", reason=reason)).reason == expected


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("AlgorithmError: boom, exit code: 3", 3),
        ("AlgorithmError: , exit code: 139 (SIGSEGV)", 139),
        ("AlgorithmError: it said, exit code: 5, and went on, exit code: 1", 1),
        ("AlgorithmError: it said, exit code: 5, and went on", None),
        ("ClientError: no such image", None),
    ],
)
def test_the_exit_code_that_sagemaker_tells(reason: str, code: int | None) -> None:
    """Where no agent tells it, the code at the end of SageMaker's reason counts."""
    assert end_by_state(attempt(), state("Failed", reason=reason)).exit_code == code


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (143, "the container was sent SIGTERM, not by SageMaker but from inside, its output ends with: at last"),
        (1, "AlgorithmError: boom, exit code: 1, its output ends with: at last"),
    ],
)
def test_a_sigterm_that_was_not_sagemakers_is_told_so(code: int, expected: str) -> None:
    """A job that was terminated and failed was not stopped by SageMaker; a mark of an earlier run is not its own."""
    one = attempt()
    one.mark = end_mark(protocol.TERMINATED, -15, "the container was sent SIGTERM", "at last")
    text = "the container was sent SIGTERM" if code == 143 else "boom"
    told = state("Failed", reason=f"AlgorithmError: {text}, exit code: {code}")
    assert end_by_state(one, told, "at last").reason == expected


def test_an_attempt_that_never_began() -> None:
    """It is what was asked of it, if something was; else it goes on as the next attempt. It costs nothing."""
    assert never_began(attempt(protocol.WISH_STOP), "").outcome is Outcome.stopped
    assert never_began(attempt(protocol.WISH_PAUSE), "").outcome is Outcome.paused
    end = never_began(attempt(), "why")
    assert (end.outcome, end.reason, end.blameless, end.bill_follows) == (Outcome.interrupted, "why", True, False)
