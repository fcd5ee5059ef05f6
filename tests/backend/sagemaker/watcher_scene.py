"""A watcher without SageMaker: its clock, and what it is told of jobs, are a test's."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cloudtune.aws.errors import NotFound
from cloudtune.aws.training_jobs import JobState, JobSummary, TrainingJobs, WarmPool
from cloudtune.backend.sagemaker_backend import watcher as module
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.bills import Bills
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.creator import Creator
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.last_words import LastWords
from cloudtune.backend.sagemaker_backend.watcher import Watcher
from cloudtune.errors import Fenced
from cloudtune.trial import Trial
from tests.aws.job_states import CREATED, job_state


def state(name: str, status: str = "InProgress", pool: WarmPool | None = None) -> JobState:
    """A job's state, as DescribeTrainingJob tells it."""
    return job_state(status, name=name, warm_pool=pool)


class Sagemaker:
    """Training jobs in the states that a test has set; a list may show others than DescribeTrainingJob."""

    def __init__(self) -> None:
        self.states: dict[str, JobState] = {}
        self.listed: dict[str, str] = {}  # name -> secondary status
        self.stopped: list[str] = []
        self.described: list[str] = []

    def describe(self, name: str, patience: float | None = None) -> JobState:
        self.described.append(name)
        if name not in self.states:
            raise NotFound(f"there is no {name}")
        return self.states[name]

    def stop(self, name: str, patience: float | None = None) -> bool:
        self.stopped.append(name)
        return not self.describe(name).is_terminal

    def list(self, name_contains: str, status: str | None = None) -> list[JobSummary]:
        if status != "InProgress":
            return []
        return [
            JobSummary(name, "", "InProgress", secondary, CREATED, None, None)
            for name, secondary in self.listed.items()
        ]


class Listener:
    """Stands for the creator, and for what reads the last words of jobs."""

    interval = 1.0

    def __init__(self) -> None:
        self.read: list[int] = []

    def machine_freed(self, instance_type: str, instance_count: int) -> None:
        pass

    def have_come(self, attempt: Attempt, state: JobState) -> bool:
        return True

    def output(self, attempt: Attempt, state: JobState) -> str:
        return ""

    def read_log_of(self, attempt: Attempt) -> None:
        self.read.append(attempt.trial_id)


class Scene:
    """A watcher whose clock a test sets.

    Args:
        keep_alive: Seconds for which warm pools are kept.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, keep_alive: float = 0.0) -> None:
        self.now = 1000.0
        self.is_fenced = False
        monkeypatch.setattr(module, "now", lambda: self.now)
        self.desk = Desk()
        self.jobs = Sagemaker()
        self.listener = Listener()
        self.bills = Bills(self.desk, "us-east-1", keep_alive)
        self.watcher = Watcher(
            self.desk,
            cast(TrainingJobs, self.jobs),
            "trials-abcdef-",
            cast(Creator, self.listener),
            Ending(self.desk),
            cast(LastWords, self.listener),
            self.bills,
            Cadence(),
            self.confirm,
        )

    def confirm(self) -> None:
        """Stands for a look at the life object."""
        if self.is_fenced:
            raise Fenced("another tuner drives the experiment")

    def add(self, trial: int = 0, **members: Any) -> Attempt:
        """An attempt whose job was created, and is in progress."""
        attempt = Attempt(Trial(trial, {}), f"trials-abcdef-{trial}-0", f"abcdef-{trial}-0")
        attempt.phase = Phase.EXISTS
        attempt.created_at = 0.0
        attempt.hourly_price, attempt.instance_type = 1.0, "ml.m5.large"
        for name, value in members.items():
            setattr(attempt, name, value)
        self.desk.add(attempt)
        self.jobs.states[attempt.job_name] = state(attempt.job_name)
        self.jobs.listed[attempt.job_name] = "Training"
        return attempt

    def turn(self, seconds: float = 0.0) -> float | None:
        """What the watcher does after so many seconds; when it wants to be called again."""
        self.now += seconds
        return self.watcher.turn()

    def events(self) -> list[Any]:
        """What the tuner is told."""
        return self.desk.take_events()[0]
