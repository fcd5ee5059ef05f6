"""The creator: who waits for whom where machines are refused, and whose a name is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from cloudtune.aws.errors import Conflict, NotFound, QuotaReached, ServiceFailure
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.creator import Creator
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.errands import Errands
from cloudtune.backend.sagemaker_backend.machines import Machines
from cloudtune.trial import End, Outcome, Trial
from tests.backend.sagemaker.watcher_scene import state

OURS = {"CLOUDTUNE_JOB_ID": "id-0", "CLOUDTUNE_JOB_DIGEST": "0123"}
FIRST_WAIT = 1000.0


class Sagemaker:
    """Grants jobs as long as there are machines."""

    def __init__(self) -> None:
        self.machines = 2
        self.created: list[str] = []
        self.taken: dict[str, JobState | None] = {}  # names, and what can be seen of their jobs

    def create(self, request: Mapping[str, Any], **_: object) -> None:
        if request["name"] in self.taken:
            raise Conflict("taken")
        if request["count"] > self.machines:
            raise QuotaReached("no more")
        self.machines -= request["count"]
        self.created.append(request["name"])

    def describe(self, name: str) -> JobState:
        there = self.taken[name]
        if there is None:
            raise NotFound("not there")
        return there


class Requests:
    """Asks for the types of instance that a configuration names, or for one."""

    def instance_types(self, attempt: Attempt) -> Sequence[str]:
        types: Sequence[str] = attempt.trial.config.get("types", ["ml.m5.large"])
        return types

    def prepare(self, attempt: Attempt, instance_type: str) -> dict[str, object]:
        attempt.instance_type = instance_type
        return {"name": attempt.job_name, "count": attempt.instance_count, "Environment": OURS}


class Scene:
    """A creator whose turns a test takes."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.jobs = Sagemaker()
        self.errands = Errands(self.desk)
        self.creator = Creator(
            self.desk,
            cast(TrainingJobs, self.jobs),
            Requests(),
            self.errands,
            Ending(self.desk),
            Machines(first_wait=FIRST_WAIT, longest_wait=1000 * FIRST_WAIT),
        )

    def add(self, trial: int, count: int = 1, **config: Any) -> Attempt:
        """An attempt that is to be created on so many machines."""
        attempt = Attempt(Trial(trial, config), f"job-{trial}", f"id-{trial}")
        attempt.instance_count = count
        self.desk.add(attempt)
        return attempt

    def turns(self) -> None:
        """Has the creator do all it can do now."""
        while self.creator.turn() == 0:
            pass


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.errands.close()
    scene.desk.bell.close()


def test_a_trial_that_needs_many_machines_lets_others_pass(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Where four instances are refused, one may be granted: the trial that wants four waits alone."""
    scene.add(0, count=4)
    scene.add(1)
    scene.add(2)
    scene.turns()
    assert scene.jobs.created == ["job-1", "job-2"]
    assert "no further 4 x ml.m5.large at the moment" in caplog.text


def test_trials_behind_a_refused_one_of_their_kind_ask_for_nothing(scene: Scene) -> None:
    """One refusal is enough for all trials that need the same."""
    scene.jobs.machines = 0
    asked: list[str] = []
    create = scene.jobs.create

    def counting(request: Mapping[str, Any], **options: object) -> None:
        asked.append(request["name"])
        create(request, **options)

    scene.jobs.create = counting  # type: ignore[method-assign]
    for trial in range(5):
        scene.add(trial)
    scene.turns()
    assert asked == ["job-0"]


def test_a_name_whose_job_cannot_be_seen_yet(scene: Scene) -> None:
    """The answer to creating a job was lost, and it is not to be seen yet: that passes, and then it is ours."""
    attempt = scene.add(0)
    scene.jobs.taken["job-0"] = None
    with pytest.raises(ServiceFailure, match="no job of that name is to be seen yet"):
        scene.turns()
    scene.jobs.taken["job-0"] = replace(state("job-0"), environment=OURS)
    scene.turns()
    assert attempt.phase is Phase.EXISTS


@pytest.mark.parametrize("other", [{"CLOUDTUNE_JOB_ID": "id-1"}, {"CLOUDTUNE_JOB_DIGEST": "of another configuration"}])
def test_a_name_that_is_a_foreign_jobs(scene: Scene, other: dict[str, str]) -> None:
    """Another experiment's job, or one with another configuration, is not ours: the trial takes its next attempt."""
    attempt = scene.add(0)
    scene.jobs.taken["job-0"] = replace(state("job-0"), environment={**OURS, **other})
    scene.turns()
    [end] = scene.desk.take_events()[0]
    assert attempt.phase is Phase.OVER
    assert isinstance(end, End)
    assert (end.outcome, end.blameless) == (Outcome.interrupted, True)


def test_a_created_job_is_no_proof_of_capacity(scene: Scene) -> None:
    """Jobs that are created and then fail for want of machines wait longer each time, until one has run."""
    scene.jobs.machines = 10
    for trial in range(3):
        attempt = scene.add(trial)
        scene.turns()
        scene.creator.no_capacity(attempt, "ml.m5.large")
        scene.creator._machines.freed()  # the wait is over
    assert scene.creator._machines.refused("ml.m5.large", now=0) >= 0.75 * 8 * FIRST_WAIT
    scene.creator.machine_freed("ml.m5.large")
    scene.add(3)
    scene.turns()
    assert scene.creator._machines.refused("ml.m5.large", now=0) <= FIRST_WAIT


def test_who_waits_for_which_machines(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Only those wait that can take nothing else, and no types to fall back on are advised where there are some."""
    scene.jobs.machines = 0
    scene.add(0, types=["ml.m5.large"])
    scene.add(1, types=["ml.c5.large", "ml.c5.xlarge"])
    scene.add(2, types=["ml.m5.large"])
    scene.turns()
    told = [record.getMessage().partition("; trying")[0] for record in caplog.records]
    quota = "(the account's quota is used up: ask for more with AWS Service Quotas"
    advice = ", or pass further types as fallback_instance_types"
    assert told == [
        f"no further ml.m5.large at the moment {quota}{advice}): 2 trials wait, 0 run",
        f"no further ml.c5.large at the moment {quota}): 0 trials wait, 0 run",
        f"no further ml.c5.xlarge at the moment {quota}): 1 trials wait, 0 run",
    ]
