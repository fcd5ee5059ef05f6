"""What the tuner's own training job is about to do: why it is told to end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, NamedTuple, TypeVar

from cloudtune.aws.answer_time import aws_time
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError, Unreachable
from cloudtune.remote.tuner_job import TunerPlace

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: For so long SageMaker and S3 are asked why the job is to end, in seconds. Meanwhile no trial is told anything, for
#: perhaps it is to go on, and the job ends 120 seconds after it was told.
LONGEST_LOOK = 3.0
#: Secondary statuses of a job whose time is over.
_TIME_IS_OVER = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
#: AWS's clock in answers has whole seconds.
_ROUNDING = 2.0


class Time(NamedTuple):
    """A time of the job that SageMaker limits, in seconds."""

    passed: float
    limit: float


class OwnJob:
    """The job that this process runs in.

    SIGTERM comes from S3 (``cloudtune stop``), from StopTrainingJob, at the end of the job's time, and before its spot
    machine is taken away. Only in the last case the same job goes on, on another machine.

    Args:
        aws: Account and region.
        place: Where wishes lie.
        attempt: Number of the launch.
        name: Of the job.
    """

    def __init__(self, aws: Aws, place: TunerPlace, attempt: int, name: str) -> None:
        self.aws = aws
        self.place = place
        self.attempt = attempt
        self.name = name
        #: What it was asked to do through S3.
        self.wish: str | None = None
        #: Why it ends, for people.
        self.why = ""
        #: Its time is over.
        self.time_is_over = False
        self._ends_for_good: bool | None = None

    def times(self, patience: float = LONGEST_LOOK) -> list[Time]:
        """How long the job has run, and on spot how long it is there, by AWS's clock; []: nobody can tell.

        Args:
            patience: For so many seconds the answer is waited for.
        """
        asked = _ask(lambda: self._describe(patience))
        wait((asked,), patience)
        try:
            answer = _answer_of(asked)
            return _times(answer)
        except AwsError as error:
            logger.info("how long the job has run is not known: %s", error)
            return []

    def _describe(self, patience: float) -> dict[str, Any]:
        return self.aws.call("sagemaker", "describe_training_job", patience=patience, TrainingJobName=self.name)

    def _read_wish(self, patience: float) -> str | None:
        bucket = self.place.bucket.with_patience(patience)
        return TunerPlace(bucket, self.place.root).wish_of(self.attempt)

    def ends_for_good(self) -> bool:
        """Asked once it was told to end: whether this job will not run again. Where nobody can tell, it will not."""
        if self._ends_for_good is None:
            self._ends_for_good = self._find_out()
            logger.info("why the tuner is to end: %s", self.why)
        return self._ends_for_good

    def _find_out(self) -> bool:
        until = time.monotonic() + LONGEST_LOOK
        wish, state = _ask(lambda: self._read_wish(LONGEST_LOOK)), _ask(lambda: self._describe(LONGEST_LOOK))
        try:
            wait((wish,), LONGEST_LOOK)
            self.wish = _answer_of(wish)
            if self.wish is not None:
                self.why = f"somebody has asked it to {self.wish}"
                return True
            wait((state,), max(0.0, until - time.monotonic()))
            answer = _answer_of(state)
        except AwsError as error:
            self.why = f"nobody can tell why ({error})"
            return True
        # What state a job is in between the end of its time and its own end AWS does not say.
        self.time_is_over = answer.get("SecondaryStatus") in _TIME_IS_OVER or any(
            one.passed >= one.limit - _ROUNDING for one in _times(answer)
        )
        if self.time_is_over:
            self.why = "the job's time is over"
            return True
        goes_on = answer["TrainingJobStatus"] == "InProgress"
        self.why = (
            "its machine is taken away; the job goes on on another one" if goes_on else "the job is being stopped"
        )
        return not goes_on


def _ask(question: Callable[[], T]) -> Future[T]:
    """Asks in a thread that keeps nobody waiting: a call whose answer does not come may last for minutes."""
    answer: Future[T] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except Exception as error:  # noqa: BLE001 - whoever has asked is told
            answer.set_exception(error)

    threading.Thread(target=ask, name="cloudtune asking about the own job", daemon=True).start()
    return answer


def _answer_of(asked: Future[T]) -> T:
    """The answer, which has been waited for; raises AwsError."""
    if not asked.done():
        raise Unreachable("AWS has not answered in time; its state page may tell why.", "Timeout")
    return asked.result()


def _times(answer: Mapping[str, Any]) -> list[Time]:
    now, condition = aws_time(answer), answer["StoppingCondition"]
    found = [
        (answer.get("TrainingStartTime"), condition.get("MaxRuntimeInSeconds")),
        # Beyond the runs of a spot job it counts the waits for machines, the first one included.
        (answer.get("CreationTime"), condition.get("MaxWaitTimeInSeconds")),
    ]
    return [
        Time(float((now - since).total_seconds()), float(limit))
        for since, limit in found
        if now is not None and since is not None and limit is not None
    ]
