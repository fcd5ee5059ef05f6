"""The table of troubles: what goes wrong in a chaos run, and how it is ordered of the local cloud."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from cloudtune.localcloud import Fault
from cloudtune.localcloud.fault import CALL_FAULTS

#: Fault that has somebody stop the job: some troubles are only in the way of a stop.
_STOP = "console_stop"


@dataclass(frozen=True)
class Trouble:
    """One row: a kind of fault, and what it strikes.

    Args:
        kind: Of the fault.
        operation: Of the calls that are struck.
        resource: Of the calls that are struck.
        who: Who calls; ``*``: tuner and jobs.
        seconds: The shortest and the longest, with the meaning that the kind gives them.
        most: How often in a row, at most, it strikes one trial; None: as long as the trial lasts.
        notice: Of a spot interruption.
        needs_stop: It shows only in jobs that are stopped.
        only: Runs that can have it: ``spot`` or ``pool``; "" for both.
        in_a_job: Whether it can be ordered for the jobs of one trial.
        in_between: Whether it also strikes now and then, by chance.
    """

    kind: str
    operation: str = "*"
    resource: str = "*"
    who: str = "*"
    seconds: tuple[float, float] = (0.0, 0.0)
    most: int | None = 2
    notice: bool = True
    needs_stop: bool = False
    only: str = ""
    in_a_job: bool = True
    in_between: bool = True

    def for_trial(self, trial: int, chance: random.Random) -> tuple[Fault, ...]:
        """Strikes the jobs of one trial, and the tuner's calls about them, whatever else there is."""
        jobs, count = f"*-{trial}-*", None if self.most is None else chance.randint(1, self.most)
        seconds = chance.uniform(*self.seconds)
        if self.kind not in CALL_FAULTS:
            stop = [Fault(_STOP, job=jobs, count=1, seconds=chance.uniform(0.2, 1.0))] if self.needs_stop else []
            return (Fault(self.kind, job=jobs, count=count, seconds=seconds, notice=self.notice), *stop)
        skip = 0 if count is None else chance.randint(0, 1)
        made: list[Fault] = []
        if self.who != "client":
            # Calls of the jobs, and those of the tuner that name one.
            made.append(Fault(self.kind, self.operation, jobs, self.resource, count=count, skip=skip, seconds=seconds))
        if self.operation.startswith("s3:") and self.who != "job:*":
            # The tuner's, for tasks, reports and checkpoints of the trial.
            objects = f"*s/{trial}/*"
            made.append(Fault(self.kind, self.operation, resource=objects, who="client", count=count, seconds=seconds))
        return tuple(made)

    def for_stretch(self, chance: random.Random) -> tuple[Fault, ...]:
        """Strikes whatever comes next, a few times."""
        seconds = chance.uniform(*self.seconds)
        if self.kind not in CALL_FAULTS:
            stop = [Fault(_STOP, count=1, seconds=chance.uniform(0.2, 1.0))] if self.needs_stop else []
            count = None if self.most is None else 2
            return (Fault(self.kind, count=count, seconds=seconds, notice=self.notice), *stop)
        if self.kind == "expired_token":
            # Not the calls that it strikes for one trial: credentials that expire twice in a row end the tuner, as
            # another test shows.
            operation, resource = ("s3:*", "*/life.json") if self.who == "client" else ("sagemaker:List*", "*")
            return (Fault(self.kind, operation, resource=resource, who=self.who, count=1),)
        count = 2 if self.most is None else chance.randint(2, 2 + self.most)
        return (Fault(self.kind, self.operation, resource=self.resource, who=self.who, count=count, seconds=seconds),)

    def now_and_then(self, chance: random.Random) -> tuple[Fault, ...]:
        """Strikes by chance."""
        if not self.in_between:
            return ()
        seconds = chance.uniform(*self.seconds)
        if self.kind not in CALL_FAULTS:
            probability = chance.uniform(0.01, 0.03)
            return (Fault(self.kind, probability=probability, seconds=seconds, notice=self.notice),)
        probability = chance.uniform(0.002, 0.01)
        return (
            Fault(
                self.kind,
                self.operation,
                resource=self.resource,
                who=self.who,
                probability=probability,
                seconds=seconds,
            ),
        )


_SAGEMAKER, _S3, _LOGS = "sagemaker:*", "s3:*", "logs:*"
_INBOX = "*/inbox/*"

TROUBLES: Mapping[str, Trouble] = {
    "throttled": Trouble("throttle", _SAGEMAKER, most=3),
    "SageMaker errs": Trouble("internal_error", _SAGEMAKER),
    "SageMaker's answer lost": Trouble("answer_lost", _SAGEMAKER),
    "SageMaker's request lost": Trouble("request_lost", _SAGEMAKER),
    "SageMaker slow": Trouble("slow_answer", _SAGEMAKER, seconds=(0.3, 1.0)),
    "quota used up": Trouble("resource_limit", "sagemaker:CreateTrainingJob"),
    "credentials expired": Trouble("expired_token", _SAGEMAKER, most=1, in_between=False),
    "S3 slows down": Trouble("slow_down", _S3, most=3),
    "S3 errs": Trouble("internal_error", _S3),
    "S3's answer lost": Trouble("answer_lost", _S3),
    "S3's request lost": Trouble("request_lost", _S3),
    "S3 slow": Trouble("slow_answer", _S3, seconds=(0.3, 1.0)),
    "S3's credentials expired": Trouble("expired_token", _S3, who="client", most=1, in_between=False),
    "checkpoint lost": Trouble("write_lost", _S3, "*/checkpoints/*", "job:*"),
    "sign of life lost": Trouble("write_lost", "s3:PutObject", "*/life.json", "client", in_a_job=False),
    # As a role without rights in the bucket has it: for good.
    "no rights in S3": Trouble("access_denied", "s3:PutObject", _INBOX, "job:*", most=None, in_between=False),
    "logs throttled": Trouble("throttle", _LOGS, in_a_job=False),
    "logs err": Trouble("internal_error", _LOGS, in_a_job=False),
    "no capacity": Trouble("capacity"),
    "platform fails": Trouble("job_internal_error", seconds=(0.2, 1.5)),
    "starts slowly": Trouble("slow_start", seconds=(1.0, 3.0)),
    "stops slowly": Trouble("slow_stop", seconds=(1.0, 3.0), needs_stop=True),
    "hangs in Stopping": Trouble("hang_stopping", seconds=(1.0, 4.0), needs_stop=True),
    "stopped from the console": Trouble(_STOP, seconds=(0.2, 1.5), most=1),
    "logs late": Trouble("late_logs", seconds=(0.5, 2.0), most=None),
    "logs shuffled": Trouble("shuffled_logs", seconds=(0.5, 2.0), most=None),
    "interrupted": Trouble("spot_interruption", seconds=(0.2, 1.5), only="spot"),
    "interrupted without notice": Trouble("spot_interruption", seconds=(0.2, 1.5), notice=False, only="spot"),
    "instance not kept": Trouble("no_warm_pool", most=None, only="pool"),
}


def of(kind: str) -> dict[str, Trouble]:
    """What can happen in a run on ``spot`` instances, or in one with a warm ``pool``."""
    return {name: trouble for name, trouble in TROUBLES.items() if trouble.only in ("", kind)}
