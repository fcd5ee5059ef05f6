"""What the tuner's own training job is about to do: why it is told to end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from cloudtune.aws.answer_time import aws_time
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError
from cloudtune.remote.tuner_job import TunerPlace

logger = logging.getLogger(__name__)

#: For so long SageMaker and S3 are asked why the job is to end, in seconds: it ends 120 seconds after it is told.
_PATIENCE = 15.0
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

    def times(self, patience: float = _PATIENCE) -> list[Time]:
        """How long the job has run, and on spot how long it is there, by AWS's clock; []: nobody can tell."""
        try:
            return _times(self._describe(patience))
        except AwsError as error:
            logger.info("how long the job has run is not known: %s", error)
            return []

    def _describe(self, patience: float) -> dict[str, Any]:
        return self.aws.call("sagemaker", "describe_training_job", patience=patience, TrainingJobName=self.name)

    def ends_for_good(self) -> bool:
        """Asked once it was told to end: whether this job will not run again. Where nobody can tell, it will not."""
        if self._ends_for_good is None:
            self._ends_for_good = self._find_out()
            logger.info("why the tuner is to end: %s", self.why)
        return self._ends_for_good

    def _find_out(self) -> bool:
        try:
            bucket = self.place.bucket.with_patience(_PATIENCE)
            self.wish = TunerPlace(bucket, self.place.root).wish_of(self.attempt)
            if self.wish is not None:
                self.why = f"somebody has asked it to {self.wish}"
                return True
            answer = self._describe(_PATIENCE)
        except AwsError as error:
            self.why = f"nobody can tell why ({error})"
            return True
        # What state a job is in between the end of its time and its own end AWS does not say.
        self.time_is_over = answer.get("SecondaryStatus") in _TIME_IS_OVER or any(
            time.passed >= time.limit - _ROUNDING for time in _times(answer)
        )
        if self.time_is_over:
            self.why = "the job's time is over"
            return True
        goes_on = answer["TrainingJobStatus"] == "InProgress"
        self.why = (
            "its machine is taken away; the job goes on on another one" if goes_on else "the job is being stopped"
        )
        return not goes_on


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
