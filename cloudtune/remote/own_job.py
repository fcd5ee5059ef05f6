"""What the tuner's own training job is about to do: why it is told to end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from cloudtune.aws.answer_time import aws_time
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError
from cloudtune.remote.tuner_job import TunerPlace

logger = logging.getLogger(__name__)

#: For so long SageMaker and S3 are asked why the job is to end, in seconds: it ends 120 seconds after it is told.
_PATIENCE = 15.0
_TIME_IS_OVER = "MaxRuntimeExceeded"
#: AWS's clock in answers has whole seconds.
_ROUNDING = 2.0


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

    def elapsed(self, patience: float = _PATIENCE) -> float | None:
        """Seconds since the job began, by AWS's clock; None: nobody can tell."""
        try:
            return _elapsed(self._describe(patience))
        except AwsError as error:
            logger.info("how long the job has run is not known: %s", error)
            return None

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
        elapsed, limit = _elapsed(answer), answer["StoppingCondition"].get("MaxRuntimeInSeconds")
        # What state a job is in between the end of its time and its own end AWS does not say.
        self.time_is_over = answer.get("SecondaryStatus") == _TIME_IS_OVER or (
            elapsed is not None and limit is not None and elapsed >= limit - _ROUNDING
        )
        if self.time_is_over:
            self.why = "the job's time is over"
            return True
        goes_on = answer["TrainingJobStatus"] == "InProgress"
        self.why = (
            "its machine is taken away; the job goes on on another one" if goes_on else "the job is being stopped"
        )
        return not goes_on


def _elapsed(answer: Mapping[str, Any]) -> float | None:
    now, began = aws_time(answer), answer.get("TrainingStartTime")
    return None if now is None or began is None else float((now - began).total_seconds())
